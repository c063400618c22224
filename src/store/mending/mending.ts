/**
 * One-time mendings of what is stored: each runs to its end before the store is used, and is then
 * remembered. Killed in the middle, or run by two instances at once, it is repeated without harm.
 */
import type { mongo } from 'mongoose';
import type { StoreContext } from '../database/context.js';
import { DuplicateKeyError } from '../database/failures.js';

export interface Mending {
  /** Never changes: it is what is remembered. */
  readonly name: string;
  /** Must be repeatable at any point. Calls `tell` after each batch. @throws ServiceError 503 */
  readonly mend: (context: StoreContext, tell: (batch: Batch) => void) => Promise<void>;
}

/** How many were looked at, and how many of them had to be mended. */
export interface Batch {
  readonly seen: number;
  readonly mended: number;
}

export interface MendingProgress extends Batch {
  readonly name: string;
  readonly isDone: boolean;
}

interface Done {
  readonly _id: string;
  readonly doneAt: Date;
}

const ID_INDEX = { _id: 1 } as const;
const BATCH = 500;
const TELL_EVERY = 100_000;
/** A batch on a busy machine; nothing else is asked for meanwhile. */
export const PATIENCE_MS = 60_000;

/** One look-up where everything is mended. @throws ServiceError 503; it can be repeated. */
export async function mendStore(
  context: StoreContext,
  mendings: readonly Mending[],
  onProgress: (progress: MendingProgress) => void,
): Promise<void> {
  const { connection, clock, run, writeConcern } = context;
  const collection = connection.collection<Done>('mendings');
  const names = mendings.map(({ name }) => name);
  const done = await run(() =>
    collection.find({ _id: { $in: names } }, { hint: ID_INDEX }).toArray(),
  );
  const due = mendings.filter(({ name }) => done.every(({ _id }) => _id !== name));
  if (due.length === 0) return;
  for (const { name, mend } of due) {
    let [seen, mended] = [0, 0];
    await mend(context, (batch) => {
      const before = seen;
      seen += batch.seen;
      mended += batch.mended;
      if (Math.floor(before / TELL_EVERY) < Math.floor(seen / TELL_EVERY))
        onProgress({ name, seen, mended, isDone: false });
    });
    if (mended > 0) onProgress({ name, seen, mended, isDone: true });
  }
  try {
    const doneAt = new Date(clock());
    await run(() =>
      collection.insertMany(
        due.map(({ name }) => ({ _id: name, doneAt })),
        { ordered: false, writeConcern },
      ),
    );
  } catch (error) {
    // Another instance did the same.
    if (!(error instanceof DuplicateKeyError)) throw error;
  }
}

/** Every document of a collection on purpose, in batches, by its `_id`. */
export async function* allDocuments<T extends mongo.Document & { _id: unknown }>(
  { connection, run }: StoreContext,
  name: string,
  fields: readonly (keyof T & string)[],
): AsyncIterable<T[]> {
  const collection = connection.collection(name);
  const projection = Object.fromEntries(fields.map((field) => [field, 1]));
  let last: unknown;
  for (;;) {
    const batch = await run(
      () =>
        collection
          .find(last === undefined ? {} : ({ _id: { $gt: last } } as never), {
            projection,
            sort: ID_INDEX,
            hint: ID_INDEX,
            limit: BATCH,
          })
          .toArray(),
      PATIENCE_MS,
    );
    if (batch.length === 0) return;
    last = batch.at(-1)?._id;
    yield batch as unknown as T[];
  }
}
