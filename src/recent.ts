/**
 * The most recently used of many entries, in bounded memory: an LRUCache by `maxSize` where each
 * entry counts as one. By `max` it keeps the same entries, but takes the room for all that may come
 * when it is made: for those of one instance 19 MB, and 120 ms of its start; this way it is 0.5 ms.
 */
import { LRUCache } from 'lru-cache';

export type Recent<Value extends {}> = Pick<
  LRUCache<string, Value>,
  'get' | 'peek' | 'has' | 'set' | 'delete' | 'size' | typeof Symbol.iterator
>;

/** @param most beyond so many entries, the one that was used longest ago is forgotten. */
export function createRecent<Value extends {}>(most: number): Recent<Value> {
  return new LRUCache<string, Value>({ maxSize: most, sizeCalculation: () => 1 });
}
