/** The order of records by one of their dates, and positions in it. What has no date comes before every date. */
import { Types } from 'mongoose';
import type { Where } from './conditions.js';
import type { TokenDocument } from '../model.js';
import type { Position } from './search.js';
import { type DateField, LAST_MS } from './times.js';

export interface Order {
  readonly field: DateField;
  readonly direction: 1 | -1;
}

/** In the form of a sort; its last field is unique. */
export type Sort = Readonly<Record<string, 1 | -1>>;

export function sortOf({ field, direction }: Order): Sort {
  return { [field]: direction, _id: direction };
}

export function positionOf(document: TokenDocument, field: DateField): Position {
  const date = valueAt(document, field);
  return { value: date instanceof Date ? date.getTime() : null, id: document._id.toHexString() };
}

export function opposite(direction: 1 | -1): 1 | -1 {
  return direction === 1 ? -1 : 1;
}

/** After every record. */
export function endOf({ direction }: Order): Position {
  return direction === 1
    ? { value: LAST_MS, id: 'f'.repeat(24) }
    : { value: null, id: '0'.repeat(24) };
}

/**
 * What comes after the position. Without `$or`, which lets the planner think of several plans for
 * one index: the embedded engine can't compare them.
 */
export function after({ field, direction }: Order, { value, id }: Position): Where {
  const ascending = direction === 1;
  const date = value === null ? null : new Date(value);
  const _id = { [ascending ? '$lte' : '$gte']: new Types.ObjectId(id) };
  const passed = { $nor: [{ [field]: date, _id }] };
  if (date === null) return ascending ? passed : { $and: [{ [field]: null }, passed] };
  const onwards = ascending ? { $gte: date } : { $not: { $gt: date } };
  return { $and: [{ [field]: onwards }, passed] };
}

/** The order of a sort, for records in memory. */
export function compareBy(sort: Sort) {
  const order = Object.entries(sort);
  return (a: TokenDocument, b: TokenDocument): number => {
    for (const [path, direction] of order) {
      const [one, other] = [comparable(valueAt(a, path)), comparable(valueAt(b, path))];
      if (one !== other) return one < other ? -direction : direction;
    }
    return 0;
  };
}

function comparable(value: unknown): string | number {
  if (value instanceof Date) return value.getTime();
  if (value instanceof Types.ObjectId) return value.toHexString();
  return typeof value === 'string' ? value : -Infinity;
}

function valueAt(document: TokenDocument, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (value, name) => (value as Record<string, unknown> | null | undefined)?.[name],
      document,
    );
}
