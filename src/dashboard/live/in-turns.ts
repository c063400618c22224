/** A visit to each of many, with turns for other requests in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';

export async function inTurns<T>(
  all: readonly T[],
  inATurn: number,
  visit: (each: T) => void,
): Promise<void> {
  for (const [i, each] of all.entries()) {
    if (i > 0 && i % inATurn === 0) await nextTurn();
    visit(each);
  }
}
