/** The engine that all instances share, and what the test does to it past the service: users, records, cursors, the log. */
import { setTimeout as delay } from 'node:timers/promises';
import bcrypt from 'bcrypt';
import mongoose from 'mongoose';
import type { Account } from './world.js';

type Db = mongoose.mongo.Db;

/** Cheap, so that a sign-in costs little. */
const BCRYPT_ROUNDS = 4;
const FILLER_BYTES = 250_000;
const ISSUED = ['signin', 'fusionauth', 'woleet'];
const CURSOR_LOOKS = 40;
const BACK_WITHIN_MS = 60_000;

export interface Database {
  /** Accounts of users who can sign in with the password. */
  makeAccounts(count: number, password: string): Promise<Account[]>;
  /** The ids of all tokens that were recorded when they were issued, not later, when they were first seen. */
  recorded(): Promise<ReadonlySet<string>>;
  /** Closes the cursors that wait at the log. @returns how many. */
  killCursors(): Promise<number>;
  /** Writes until all that was in the log is overwritten. @returns whether there is such a log. */
  overrunLog(): Promise<boolean>;
  /** Resolves when the engine answers. @throws when it doesn't within a minute. */
  isBack(): Promise<void>;
  /** The time of one small journaled write, ms. */
  bareWrite(): Promise<number>;
  close(): Promise<void>;
}

/** @param uri the engine's own address. A connection for each use: one doesn't outlive its engine. */
export function createDatabase(uri: string, name: string): Database {
  let lasting: mongoose.mongo.MongoClient | null = null;

  async function use<T>(act: (db: Db) => Promise<T>, withinMs = 10_000): Promise<T> {
    const client = await mongoose.mongo.MongoClient.connect(uri, {
      serverSelectionTimeoutMS: withinMs,
    });
    try {
      return await act(client.db(name));
    } finally {
      await client.close();
    }
  }

  return {
    makeAccounts: (count, password) =>
      use(async (db) => {
        const hash = await bcrypt.hash(password, await bcrypt.genSalt(BCRYPT_ROUNDS, 'a'));
        const now = new Date();
        const users = Array.from({ length: count }, (_, at) => ({
          _id: new mongoose.Types.ObjectId(),
          email: `user-${at}@cluster.example`,
          password: hash,
          firstname: null,
          lastname: null,
          emailverified: true,
          status: 100,
          role: null,
          createdAt: now,
          updatedAt: now,
        }));
        await db.collection('users').insertMany(users);
        return users.map(({ _id, email }) => ({ id: _id.toHexString(), email }));
      }),

    recorded: () =>
      use(async (db) => {
        const records = db
          .collection<{ jti: string }>('tokens')
          .find({ origin: { $in: ISSUED } }, { projection: { jti: 1 } });
        const ids = new Set<string>();
        for await (const { jti } of records) ids.add(jti);
        return ids;
      }),

    killCursors: () =>
      use(async (db) => {
        // One that is being read at this moment may not be listed.
        for (let look = 0; look < CURSOR_LOOKS; look += 1) {
          const cursors = await cursorsAtLog(db, `${name}.revocation_log`);
          if (cursors.length > 0) {
            await db.command({ killCursors: 'revocation_log', cursors });
            return cursors.length;
          }
          await delay(5);
        }
        return 0;
      }),

    overrunLog: () =>
      use(async (db) => {
        const [log] = await db.listCollections({ name: 'revocation_log' }).toArray();
        const options = (log as { options?: { capped?: boolean; size?: number } } | undefined)
          ?.options;
        if (options?.capped !== true) return false;
        const pad = 'x'.repeat(FILLER_BYTES);
        const times = Math.ceil((options.size ?? 16 * 2 ** 20) / FILLER_BYTES) + 4;
        for (let at = 0; at < times; at += 1) {
          const filler = { _id: new mongoose.Types.ObjectId(), filler: true, pad };
          await db.collection('revocation_log').insertOne(filler);
        }
        return true;
      }),

    async isBack() {
      const giveUpAt = performance.now() + BACK_WITHIN_MS;
      for (;;) {
        try {
          await use((db) => db.command({ ping: 1 }), 500);
          return;
        } catch (error) {
          if (performance.now() > giveUpAt) throw error;
          await delay(5);
        }
      }
    },

    async bareWrite() {
      lasting ??= await mongoose.mongo.MongoClient.connect(uri);
      const writeConcern = { w: 1, j: true };
      const start = performance.now();
      // In a database of its own, with a document about as large as a revoke's.
      await lasting
        .db(`${name}-bare`)
        .collection('writes')
        .insertOne(
          { at: new Date(), by: 'nobody', reason: 'to see what a write takes' },
          { writeConcern },
        );
      return performance.now() - start;
    },

    async close() {
      await lasting?.close();
      lasting = null;
    },
  };
}

interface Operation {
  readonly ns?: string;
  readonly cursor?: { readonly cursorId?: mongoose.mongo.Long };
}

async function cursorsAtLog(db: Db, ns: string): Promise<mongoose.mongo.Long[]> {
  const operations = await db.client
    .db('admin')
    .aggregate<Operation>([{ $currentOp: { allUsers: true, idleCursors: true } }], {
      promoteLongs: false,
    })
    .toArray();
  return operations.flatMap((each) =>
    each.ns === ns && each.cursor?.cursorId !== undefined ? [each.cursor.cursorId] : [],
  );
}
