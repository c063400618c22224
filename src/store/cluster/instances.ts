/**
 * The collection `instances`: a document for each instance that answers, or is about to, from its
 * memory: the lease that it holds, and whose entries of the log it has applied up to where.
 */
import { hostname } from 'node:os';
import type mongoose from 'mongoose';
import type { WriteConcern } from '../database/write-concern.js';
import type { SideConnection } from './side-connection.js';

/** By the stream of an instance: the number of the last entry that was applied. */
export type Applied = Readonly<Record<string, number>>;

export interface InstanceState {
  readonly id: string;
  /** Where it runs, for the log. */
  readonly where: string;
  /** How long it may answer after it last renewed, ms; by its own monotonic clock. */
  readonly leaseMs: number;
  /** It has no lease yet, and loads everything before it takes one. */
  readonly isJoining: boolean;
  /** Counts its renewals: whoever watches sees by it whether the lease goes on. */
  readonly renewed: number;
  readonly applied: Applied;
}

/** Whatever throws here is a ServiceError 503: the outcome of a write is unknown then. */
export interface InstanceStore {
  /** Makes its document, durably, as of one that joins. */
  join(id: string, leaseMs: number): Promise<void>;
  /** From now on others wait for it. Durable. @returns whether it still had a document. */
  enter(id: string, applied: Applied): Promise<boolean>;
  /** Renews the lease, durably. @returns whether it still had a document; without one it has no lease. */
  renew(id: string, applied: Applied): Promise<boolean>;
  /** Says what it has applied; the lease is as it was. */
  confirm(id: string, applied: Applied): Promise<void>;
  /** All, read from what a majority has. */
  all(): Promise<InstanceState[]>;
  /**
   * Ends one whose lease has run out, durably: whatever it still sends renews nothing.
   * @param renewed as it was seen for longer than its lease.
   */
  finish(id: string, renewed: number): Promise<void>;
  /** Its document goes, durably. */
  leave(id: string): Promise<void>;
  /** All documents go; for a database that nobody else can be using. */
  clear(): Promise<void>;
}

interface InstanceDocument {
  readonly _id: string;
  readonly where?: string;
  readonly leaseMs: number;
  readonly isJoining: boolean;
  readonly renewed: number;
  /** An array: what names an instance is no name of a field. */
  readonly applied: readonly { readonly from: string; readonly seq: number }[];
}

interface Dependencies {
  readonly side: SideConnection;
  /** Of what must outlive the server. */
  readonly writeConcern: WriteConcern;
}

const LOOK_MS = 700;

export function createInstanceStore({ side, writeConcern }: Dependencies): InstanceStore {
  const collection = (db: mongoose.mongo.Db) => db.collection<InstanceDocument>('instances');
  const hint = { _id: 1 } as const;
  // A primary that doesn't know yet that it is none any more would answer from the past.
  const toRead =
    writeConcern.w === 'majority'
      ? ({ readConcern: { level: 'linearizable' }, maxTimeMS: LOOK_MS } as const)
      : ({ readConcern: { level: 'majority' } } as const);

  return {
    async join(id, leaseMs) {
      const where = `${hostname()}, process ${process.pid}`;
      const document = { where, leaseMs, isJoining: true, renewed: 0, applied: [] };
      await side.use((db) =>
        collection(db).replaceOne({ _id: id }, document, { upsert: true, hint, writeConcern }),
      );
    },

    async enter(id, applied) {
      const { matchedCount } = await side.use((db) =>
        collection(db).updateOne(
          { _id: id },
          { $set: { isJoining: false, applied: toList(applied) }, $inc: { renewed: 1 } },
          { hint, writeConcern },
        ),
      );
      return matchedCount === 1;
    },

    async renew(id, applied) {
      const { matchedCount } = await side.use((db) =>
        collection(db).updateOne(
          { _id: id, isJoining: false },
          { $set: { applied: toList(applied) }, $inc: { renewed: 1 } },
          { hint, writeConcern },
        ),
      );
      return matchedCount === 1;
    },

    async confirm(id, applied) {
      await side.use((db) =>
        collection(db).updateOne(
          { _id: id },
          { $set: { applied: toList(applied) } },
          // What is lost of it with the server is only said later, once more.
          { hint, writeConcern: { w: 1 } },
        ),
      );
    },

    async all() {
      const found = await side.use((db) =>
        collection(db)
          .find({}, { hint, ...toRead })
          .toArray(),
      );
      return found.map(({ _id, where, leaseMs, isJoining, renewed, applied }) => ({
        id: _id,
        where: where ?? 'unknown',
        leaseMs,
        isJoining,
        renewed,
        applied: Object.fromEntries(applied.map(({ from, seq }) => [from, seq])),
      }));
    },

    async finish(id, renewed) {
      await side.use((db) =>
        collection(db).deleteOne({ _id: id, renewed }, { hint, writeConcern }),
      );
    },

    async leave(id) {
      await side.use((db) => collection(db).deleteOne({ _id: id }, { hint, writeConcern }));
    },

    async clear() {
      await side.use((db) => collection(db).deleteMany({}, { hint, writeConcern }));
    },
  };
}

function toList(applied: Applied): InstanceDocument['applied'] {
  return Object.entries(applied).map(([from, seq]) => ({ from, seq }));
}
