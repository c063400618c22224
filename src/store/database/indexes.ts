/** Makes the indexes of a collection, which other services may have indexed before; looks first, so that what is there needs no right to make it. */
import type { Model, mongo } from 'mongoose';
import type { Run } from './operations.js';
import { hasCode, StoreRefusedError, toRefusal } from './refusals.js';

type Collection = Model<unknown>['collection'];

/** Tells the log of what takes long, and of what is not as it should be. */
export type Report = (level: 'info' | 'warn', message: string) => void;

/** As Mongoose's `schema.indexes()` gives them. */
export type WantedIndex = readonly [
  key: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
];

export interface ExistingIndex {
  readonly name: string;
  readonly key: Readonly<Record<string, unknown>>;
  readonly unique?: boolean;
  readonly sparse?: boolean;
  readonly hidden?: boolean;
  readonly partialFilterExpression?: unknown;
  readonly expireAfterSeconds?: number;
  readonly collation?: { readonly locale?: string };
}

interface Deps {
  readonly run: Run;
  readonly report: Report;
}

/** Over a large collection, at the first start beside an old service. */
const INDEX_BUILD_MS = 3_600_000;
const PROGRESS_EVERY_MS = 10_000;
const LARGE = 100_000;
const NO_SUCH_COLLECTION = 26;
const DUPLICATE_KEY = 11_000;

/** @throws StoreRefusedError naming the collection, the index and the mend; ServiceError 503 in an outage. */
export async function ensureIndexes(
  collection: Collection,
  wanted: readonly WantedIndex[],
  deps: Deps,
): Promise<void> {
  const existing = await listIndexes(collection, deps.run);
  const missing = wanted.filter(([key, options]) => {
    const same = existing.filter((index) => hasKey(index, key));
    if (same.length === 0) return true;
    if (same.some((index) => isAs(index, options))) return false;
    throw new StoreRefusedError(
      `collection ${collection.collectionName}: the index ${same[0]?.name} is on ${textOf(key)}, as ours, but not ${describe(options)}. If the collection belongs to another service, use a database of its own; otherwise drop that index, and it is made as it should be: db.${collection.collectionName}.dropIndex('${same[0]?.name}')`,
    );
  });
  if (missing.length > 0) await buildIndexes(collection, missing, existing, deps);
}

/** @throws StoreRefusedError */
export async function buildIndexes(
  collection: Collection,
  missing: readonly WantedIndex[],
  existing: readonly ExistingIndex[],
  deps: Deps,
): Promise<void> {
  const name = collection.collectionName;
  const progress = reportProgress(collection, deps);
  try {
    await deps.run(
      () => collection.createIndexes(missing.map((index) => toSpec(index, existing))),
      INDEX_BUILD_MS,
    );
  } catch (error) {
    const what = missing.map(([key]) => textOf(key)).join(', ');
    if (hasCode(error, DUPLICATE_KEY)) {
      const unique = missing.filter(([, { unique: isUnique }]) => isUnique === true);
      const keys = unique.map(([key]) => textOf(key)).join(', ');
      throw new StoreRefusedError(
        `collection ${name}: several documents have the same ${keys}, which must be unique. If the collection belongs to another service, use a database of its own; otherwise delete the duplicates.`,
        error,
      );
    }
    const refusal = toRefusal(error);
    if (refusal === null) throw error;
    throw new StoreRefusedError(
      `collection ${name}: the index on ${what} can't be made. ${refusal.message}`,
      error,
    );
  } finally {
    progress.end();
  }
}

/** None where the collection does not exist. @throws StoreRefusedError; ServiceError 503 in an outage. */
export async function listIndexes(
  collection: Collection,
  run: Run,
): Promise<readonly ExistingIndex[]> {
  try {
    return (await run(() => collection.listIndexes().toArray())) as readonly ExistingIndex[];
  } catch (error) {
    if (hasCode(error, NO_SUCH_COLLECTION)) return [];
    const refusal = toRefusal(error);
    if (refusal === null) throw error;
    throw new StoreRefusedError(
      `collection ${collection.collectionName}: its indexes can't be listed. ${refusal.message}`,
      error,
    );
  }
}

/** The same fields in the same order. */
export function hasKey({ key }: ExistingIndex, wanted: Readonly<Record<string, unknown>>): boolean {
  return JSON.stringify(Object.entries(key)) === JSON.stringify(Object.entries(wanted));
}

/** Whether every document is in it, and compared byte by byte. */
export function isWhole({ partialFilterExpression, collation, hidden }: ExistingIndex): boolean {
  return (
    partialFilterExpression === undefined &&
    (collation?.locale ?? 'simple') === 'simple' &&
    hidden !== true
  );
}

function isAs(index: ExistingIndex, options: WantedIndex[1]): boolean {
  const filter = options['partialFilterExpression'];
  return (
    isWhole({ ...index, partialFilterExpression: undefined }) &&
    index.sparse !== true &&
    (index.unique ?? false) === (options['unique'] ?? false) &&
    index.expireAfterSeconds === options['expireAfterSeconds'] &&
    JSON.stringify(index.partialFilterExpression) === JSON.stringify(filter)
  );
}

function toSpec(
  [key, options]: WantedIndex,
  existing: readonly ExistingIndex[],
): mongo.IndexDescription {
  const { background: _background, ...rest } = options;
  const usual = Object.entries(key).flat().join('_');
  // Another index may have the name that ours would get.
  const isTaken = existing.some(({ name }) => name === usual);
  return {
    ...rest,
    key: key as Record<string, 1 | -1>,
    name: isTaken ? `jwt-history_${usual}` : usual,
  };
}

function reportProgress(collection: Collection, { run, report }: Deps) {
  const startedAt = performance.now();
  const name = collection.collectionName;
  let isOver = false;
  run(() => collection.estimatedDocumentCount()).then(
    (count) => {
      if (isOver || count < LARGE) return;
      report(
        'info',
        `collection ${name}: indexes are being made over ${count} documents; the start goes on then`,
      );
    },
    // Only for the log; what is wrong with the database shows elsewhere.
    () => undefined,
  );
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    report('info', `collection ${name}: indexes have been in the making for ${seconds} s`);
  }, PROGRESS_EVERY_MS);
  return {
    end() {
      isOver = true;
      clearInterval(timer);
    },
  };
}

function describe(options: WantedIndex[1]): string {
  const { background: _background, ...rest } = options;
  return Object.keys(rest).length === 0 ? 'a plain one' : JSON.stringify(rest);
}

function textOf(key: Readonly<Record<string, unknown>>): string {
  return `{ ${Object.entries(key)
    .map(([field, direction]) => `${field}: ${String(direction)}`)
    .join(', ')} }`;
}
