/** The dates that a filter leaves of one field: a range, and whether records without the date count. */
import type { QueryFilter } from 'mongoose';
import type { DateField, TokenDocument } from '../model.js';

/** from ≤ date < to, in ms, or no date at all where `nulls`. */
export interface Times {
  readonly from: number;
  readonly to: number;
  readonly nulls: boolean;
}

export const ALL_TIMES: Times = { from: -Infinity, to: Infinity, nulls: true };

/** The first and the last date that there can be. */
export const FIRST_MS = -8.64e15;
export const LAST_MS = 8.64e15;

export function intersect(a: Times, b: Times): Times {
  return {
    from: Math.max(a.from, b.from),
    to: Math.min(a.to, b.to),
    nulls: a.nulls && b.nulls,
  };
}

export function hasDates({ from, to }: Times): boolean {
  return from < to;
}

export function isEmpty(times: Times): boolean {
  return !hasDates(times) && !times.nulls;
}

/** Without `$or`: "not before" and "not after" are true of what is missing, too. */
export function whereTimes(field: DateField, times: Times): QueryFilter<TokenDocument> {
  if (!hasDates(times)) return { [field]: null };
  const from = new Date(Math.max(times.from, FIRST_MS));
  const to = Number.isFinite(times.to) ? new Date(times.to) : null;
  if (!times.nulls) return { [field]: { $gte: from, ...(to === null ? {} : { $lt: to }) } };
  return {
    $and: [
      { [field]: { $not: { $lt: from } } },
      ...(to === null ? [] : [{ [field]: { $not: { $gte: to } } }]),
    ],
  };
}
