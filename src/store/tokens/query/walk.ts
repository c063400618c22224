/** Walks an index from a position, window by window, so that the work can end between two of them. */
import mongoose, { Types } from 'mongoose';
import { MAX_TIME_MS, type Run } from '../../database/operations.js';
import type { DateField, Index, TokenDocument, TokenModel } from '../model.js';
import { allOf, type Branch, type Where } from './conditions.js';
import type { Position } from './filter.js';
import { type Order as AnyOrder, positionOf } from './order.js';
import { FIRST_MS, hasDates, LAST_MS, type Times } from './times.js';

const { MinKey, MaxKey } = mongoose.mongo;

type Order = AnyOrder<DateField>;

export interface Walk {
  readonly order: Order;
  /** The dates to walk through. */
  readonly times: Times;
  /** The index to walk through, which has the order: all of it, or what begins with a value. */
  readonly through: Pick<Branch, 'index' | 'prefix'>;
  readonly where: Where;
  readonly from: Position | null;
  /** So many are enough. */
  readonly limit: number;
}

export interface Walked {
  readonly documents: readonly TokenDocument[];
  /** How far the walk got, when neither the limit nor the end was reached. */
  readonly stoppedAt: Position | null;
}

/** How many records the next window may have; 0 ends the walk. */
export type Allowance = () => number;

/**
 * A window is what lies between two keys of the index (`min` and `max`), so that a hundred thousand
 * records with one date, or without any, are as well divided as any others.
 */
export async function walkIndex(
  model: TokenModel,
  run: Run,
  walk: Walk,
  allowance: Allowance,
): Promise<Walked> {
  const { order, limit } = walk;
  const { direction } = order;
  const documents: TokenDocument[] = [];
  let { from } = walk;

  const find = (stretch: Stretch, { min, max }: Edges, where: Where) =>
    model.collection
      .find<TokenDocument>(where as object, {
        hint: stretch.index,
        min,
        max,
        maxTimeMS: MAX_TIME_MS,
      })
      .sort(
        stretch.index === ID_INDEX
          ? { _id: direction }
          : { [order.field]: direction, _id: direction },
      );

  for (const [i, stretch] of stretchesOf(walk).entries()) {
    // From here on the walk is in this stretch, so that it never ends where it began.
    if (i > 0) from = enter(stretch, order, from);
    for (;;) {
      const whole = edgesOf(stretch, order, from, null);
      if (whole === null) break;
      const size = allowance();
      if (size === 0) return { documents, stoppedAt: from };
      // Read from the index alone.
      const [last, beyond] = await run(() =>
        find(stretch, whole, {})
          .project<TokenDocument>({ _id: 1, ...(stretch.dates && { [order.field]: 1 }) })
          .skip(size - (whole.withFrom ? 0 : 1))
          .limit(2)
          .toArray(),
      );
      const end = last && beyond ? { last, beyond } : null;
      const edges = end === null ? whole : edgesOf(stretch, order, from, end);
      const where = allOf([walk.where, ...stretch.where, ...(from === null ? [] : [isNot(from)])]);
      if (edges !== null) {
        const found = run(() =>
          find(stretch, edges, where)
            .limit(limit - documents.length)
            .toArray(),
        );
        documents.push(...(await found));
      }
      if (documents.length >= limit) return { documents, stoppedAt: null };
      if (end === null) break;
      from = positionIn(stretch, end.last, order);
    }
  }
  return { documents, stoppedAt: null };
}

/** The part of an index that holds the dates from `low` to `high`, both included; or the records without a date. */
interface Stretch {
  readonly index: Index;
  readonly prefix: Branch['prefix'];
  readonly where: readonly Where[];
  readonly dates: { readonly low: number; readonly high: number } | null;
}

const ID_INDEX = { _id: 1 } as const;

/** In the order of the walk: what is missing comes before every date. */
function stretchesOf({ order: { field, direction }, times, through }: Walk): Stretch[] {
  const { index, prefix } = through;
  const stretches: Stretch[] = [];
  // Every record has a `createdAt`; and records that were never refused are not in that index.
  if (times.nulls && field === 'lastRefusedAt') {
    stretches.push({ index: ID_INDEX, prefix: null, where: [{ [field]: null }], dates: null });
  } else if (times.nulls && field !== 'createdAt') {
    stretches.push({ index, prefix, where: [], dates: null });
  }
  if (hasDates(times)) {
    const dates = { low: Math.max(times.from, FIRST_MS), high: Math.min(times.to - 1, LAST_MS) };
    stretches.push({ index, prefix, where: [], dates });
  }
  return direction === 1 ? stretches : stretches.toReversed();
}

interface Edges {
  readonly min: Key;
  readonly max: Key;
  /** Whether the range begins with the record walked from. */
  readonly withFrom: boolean;
}
type Key = Record<string, unknown>;

/**
 * The keys around what is left of a stretch after `from`, or of it up to `end`; null = nothing.
 * `min` belongs to the range and `max` does not. So, read in the index's own order, a range begins
 * with `from` itself and ends before the key beyond; read backwards it ends with the last one.
 */
function edgesOf(
  stretch: Stretch,
  order: Order,
  from: Position | null,
  end: { readonly last: TokenDocument; readonly beyond: TokenDocument } | null,
): Edges | null {
  const { index, dates } = stretch;
  const { field, direction } = order;
  const ascending = direction === 1;
  const indexAscends = index === ID_INDEX;
  const key = (value: number | null, id: unknown) => keyOf(stretch, field, value, id);
  const low = key(dates && dates.low, new MinKey());
  const high = key(dates && dates.high, new MaxKey());
  const forwards = ascending === indexAscends;
  let [start, stop] = ascending ? [low, high] : [high, low];
  let withFrom = false;
  if (from !== null) {
    const side = sideOf(stretch, from);
    if (side === (ascending ? 1 : -1)) return null;
    if (side === 0) {
      start = key(from.value, new Types.ObjectId(from.id));
      withFrom = forwards;
    }
  }
  if (end !== null) {
    const edge = positionIn(stretch, forwards ? end.beyond : end.last, order);
    stop = key(edge.value, new Types.ObjectId(edge.id));
  }
  const [min, max] = forwards ? [start, stop] : [stop, start];
  return { min, max, withFrom };
}

/** The index of the ids has records with a date among those without. */
function positionIn({ dates }: Stretch, document: TokenDocument, { field }: Order): Position {
  const { value, id } = positionOf(document, field);
  return { value: dates && value, id };
}

/** Where a position lies: -1 = before the stretch in ascending order, 0 = in it, 1 = after it. */
function sideOf({ dates }: Stretch, { value }: Position): -1 | 0 | 1 {
  if (dates === null) return value === null ? 0 : 1;
  if (value === null || value < dates.low) return -1;
  return value > dates.high ? 1 : 0;
}

function keyOf({ index, prefix }: Stretch, field: string, value: number | null, id: unknown): Key {
  const date = value === null ? null : new Date(value);
  const known: Key = { ...prefix, [field]: date, _id: id };
  // What comes after `_id` decides nothing: the least value keeps `min` in the range and `max` out.
  return Object.fromEntries(
    Object.keys(index).map((name) => [name, name in known ? known[name] : new MinKey()]),
  );
}

/** The position, or the beginning of the stretch if that is further on. */
function enter(stretch: Stretch, { direction }: Order, from: Position | null): Position {
  if (from !== null && sideOf(stretch, from) !== -direction) return from;
  const { dates } = stretch;
  return {
    value: dates && (direction === 1 ? dates.low : dates.high),
    id: (direction === 1 ? '0' : 'f').repeat(24),
  };
}

function isNot({ id }: Position): Where {
  return { _id: { $ne: new Types.ObjectId(id) } };
}
