/** The order of records by one field, and positions in it. What has no date comes before every date. */
import { Types } from 'mongoose';
import type { DateField, OrderField, TokenDocument } from '../model.js';
import type { Where } from './conditions.js';
import type { Direction, Position } from './filter.js';
import { LAST_MS } from './times.js';

export interface Order<Field extends OrderField = OrderField> {
  readonly field: Field;
  readonly direction: Direction;
}

/** As a sort of the database; its last field decides. (jti, issuer) is unique, and has an index. */
export function sortOf({ field, direction }: Order): Readonly<Record<string, Direction>> {
  return { [field]: direction, [field === 'jti' ? 'issuer' : '_id']: direction };
}

export function positionOf(document: TokenDocument, field: DateField): Position {
  const date = valueAt(document, field);
  return { value: date instanceof Date ? date.getTime() : null, id: document._id.toHexString() };
}

/** After every record. */
export function endOf(direction: Direction): Position {
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

/** For records in memory. */
export function compareBy(order: Order) {
  const sort = Object.entries(sortOf(order));
  return (a: TokenDocument, b: TokenDocument): number => {
    for (const [path, direction] of sort) {
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
