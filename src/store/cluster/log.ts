/**
 * The collection `revocation_log`: what is taken back, as it is told to the other instances, in a
 * capped collection that each of them reads with a tailable cursor. It holds nothing that isn't
 * durable elsewhere already: who has lost their place in it loads everything anew.
 */
import mongoose from 'mongoose';
import type { Cutoff, CutoffScope } from '../cutoffs/cutoffs.js';
import type { WriteConcern } from '../database/write-concern.js';
import type { RevokedEntry } from '../tokens/revoked-entry.js';
import type { SideConnection } from './side-connection.js';

/** A cut-off without who set it, and why: nobody needs these to refuse a token. */
export type ToldCutoff = CutoffScope & { readonly at: Date; readonly loweredFrom?: Date };

/** Without who set it, and why. */
export function toldOf(cutoff: Cutoff): ToldCutoff {
  const { userId, applicationId, sessionsOnly, everyKind, at, loweredFrom } = cutoff;
  return {
    userId,
    applicationId,
    sessionsOnly,
    at,
    ...(everyKind === true ? { everyKind } : {}),
    ...(loweredFrom ? { loweredFrom } : {}),
  };
}

export type Operation =
  | { readonly what: 'revoked'; readonly entry: RevokedEntry }
  | { readonly what: 'cut-off'; readonly cutoff: ToldCutoff }
  /** Disabled, or gone: nothing of this user is good. */
  | { readonly what: 'blocked'; readonly userId: string }
  /** What is remembered of this user's password is out of date. */
  | { readonly what: 'password'; readonly userId: string }
  /** Whoever reads this reads what the database has before saying that it is applied. */
  | { readonly what: 'refresh' };

export interface LogEntry {
  /** Unique. */
  readonly id: string;
  /** The stream of the instance that wrote it, and its number there: whoever has read one has read all before it. */
  readonly from: string;
  readonly seq: number;
  readonly operations: readonly Operation[];
}

/** What an instance writes is in one stream until an append fails; the next one begins another. */
export function streamOf(instance: string, failures: number): string {
  return `${instance}/${failures}`;
}

/** The id of the instance whose stream it is. */
export function writerOf(stream: string): string {
  return stream.split('/', 1)[0] ?? '';
}

export interface LogRead {
  readonly entries: readonly LogEntry[];
  /** Nothing else was there when this was asked for. */
  readonly isAtEnd: boolean;
  /** These are all entries that there are, from the oldest on: the reader had no place, or lost it. */
  readonly isWhole: boolean;
}

/** Whatever throws here is a ServiceError 503. */
export interface RevocationLog {
  /** Makes the collection, unless there is one. */
  create(): Promise<void>;
  append(entry: Omit<LogEntry, 'id'>): Promise<void>;
  reader(): LogReader;
}

export interface LogReader {
  /** What came since the last time; @param waitMs for how long the server may wait for some (not every one does). */
  read(waitMs: number): Promise<LogRead>;
  /** The next read is of everything. */
  reset(): void;
}

interface LogDocument {
  readonly _id: mongoose.mongo.ObjectId;
  readonly from?: unknown;
  readonly seq?: unknown;
  readonly operations?: unknown;
}

interface CursorAnswer {
  readonly cursor: {
    readonly id: mongoose.mongo.Long | number | bigint;
    readonly firstBatch?: readonly LogDocument[];
    readonly nextBatch?: readonly LogDocument[];
  };
}

const NAME = 'revocation_log';
/** Read whole in some 50 ms; at 3,000 revokes a second, groups of one each, it goes back 5 s. */
const SIZE_BYTES = 4 * 2 ** 20;
/** With MOST_OPERATIONS of the longest ids in each, these stay below the server's limit of 16 MB, which would cut a batch short. */
const BATCH = 200;
const WHOLE_MS = 5000;
const CREATE_MS = 5000;

/** How many operations fit into one entry. */
export const MOST_OPERATIONS = 50;

interface Dependencies {
  readonly side: SideConnection;
  readonly writeConcern: WriteConcern;
}

export function createRevocationLog({ side, writeConcern }: Dependencies): RevocationLog {
  return {
    async create() {
      const make = (db: mongoose.mongo.Db) =>
        db.createCollection(NAME, { capped: true, size: SIZE_BYTES });
      try {
        await side.use(make, CREATE_MS);
      } catch (error) {
        if (!isCode(error, NAMESPACE_EXISTS)) throw error;
        await side.use(async (db) => {
          const [found] = await db.listCollections({ name: NAME }).toArray();
          const { options } = found as { readonly options?: { readonly capped?: boolean } };
          if (options?.capped === true) return;
          // Somebody restored it without that, or wrote to it. Nothing is lost with it.
          await db.collection(NAME).drop();
          await make(db);
        }, CREATE_MS);
      }
    },

    async append({ from, seq, operations }) {
      const document = { _id: new mongoose.mongo.ObjectId(), from, seq, operations };
      // Durably: one that is lost with the server would count as read with the one after it.
      await side.use((db) => db.collection(NAME).insertOne(document, { writeConcern }));
    },

    reader: () => createReader(side),
  };
}

function createReader(side: SideConnection): LogReader {
  let cursor: mongoose.mongo.Long | null = null;

  /** @returns the documents; the cursor is kept, unless the server has closed it. */
  async function ask(
    command: mongoose.mongo.Document,
    limitMs: number,
  ): Promise<readonly LogDocument[]> {
    const answer = await side.use(
      (db) =>
        db.command(command, { promoteLongs: false }) as Promise<unknown> as Promise<CursorAnswer>,
      limitMs,
    );
    const { id, firstBatch, nextBatch } = answer.cursor;
    const long = mongoose.mongo.Long.fromString(String(id));
    cursor = long.isZero() ? null : long;
    return firstBatch ?? nextBatch ?? [];
  }

  async function readWhole(): Promise<LogRead> {
    const giveUpAt = performance.now() + WHOLE_MS;
    const documents: LogDocument[] = [];
    let batch = await ask(
      {
        find: NAME,
        tailable: true,
        awaitData: true,
        batchSize: BATCH,
        readConcern: { level: 'majority' },
      },
      WHOLE_MS,
    );
    for (;;) {
      documents.push(...batch);
      // The server closes a cursor that finds nothing: then nothing is there, and a read is short.
      if (cursor === null || batch.length === 0 || performance.now() > giveUpAt) break;
      batch = await ask(
        { getMore: cursor, collection: NAME, batchSize: BATCH, maxTimeMS: 1 },
        WHOLE_MS,
      );
    }
    const isAtEnd = batch.length === 0;
    return { entries: entriesOf(documents), isAtEnd, isWhole: true };
  }

  return {
    async read(waitMs) {
      if (cursor === null) return readWhole();
      try {
        const batch = await ask(
          { getMore: cursor, collection: NAME, batchSize: BATCH, maxTimeMS: Math.max(1, waitMs) },
          waitMs + 800,
        );
        // One that the server has closed missed nothing of what it had given before.
        return { entries: entriesOf(batch), isAtEnd: isShort(batch), isWhole: false };
      } catch (error) {
        cursor = null;
        if (!isCode(error, CURSOR_NOT_FOUND) && !isCode(error, POSITION_LOST)) throw error;
        return readWhole();
      }
    },

    reset() {
      cursor = null;
    },
  };
}

/** Fewer than asked for, and none that isn't an entry: such a one may be large, and fill the batch. */
function isShort(batch: readonly LogDocument[]): boolean {
  return batch.length < BATCH && batch.every((document) => entryOf(document) !== null);
}

function entriesOf(documents: readonly LogDocument[]): LogEntry[] {
  return documents.map(
    (document) =>
      entryOf(document) ?? { id: String(document._id), from: '', seq: 0, operations: [] },
  );
}

/** null = what somebody else put there. */
function entryOf({ _id, from, seq, operations }: LogDocument): LogEntry | null {
  if (typeof from !== 'string' || !Number.isSafeInteger(Number(seq)) || !Array.isArray(operations))
    return null;
  return { id: String(_id), from, seq: Number(seq), operations: operations.map(operationOf) };
}

/** One that isn't known here, as of a later version, is in the database too: it is read there. */
function operationOf(given: Partial<Operation>): Operation {
  switch (given.what) {
    case 'revoked': {
      const { entry } = given;
      if (entry === undefined) return { what: 'refresh' };
      return { what: 'revoked', entry: { ...entry, expiresAt: numberOf(entry.expiresAt) } };
    }
    case 'cut-off':
      return given.cutoff?.at instanceof Date
        ? { what: 'cut-off', cutoff: given.cutoff }
        : { what: 'refresh' };
    case 'blocked':
    case 'password':
      return typeof given.userId === 'string'
        ? { what: given.what, userId: given.userId }
        : { what: 'refresh' };
    case 'refresh':
    case undefined:
    default:
      return { what: 'refresh' };
  }
}

/** The driver was asked to leave long numbers as they are. */
function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

const CURSOR_NOT_FOUND = 43;
const NAMESPACE_EXISTS = 48;
const POSITION_LOST = 136;

function isCode(error: unknown, code: number): boolean {
  return error instanceof mongoose.mongo.MongoServerError && error.code === code;
}
