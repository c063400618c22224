/** What every engine must do when the revoked records are read: any content, any number, to the end or not at all. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import mongoose, { type Connection } from 'mongoose';
import { MAX_AHEAD_MS } from '../../src/clock.js';
import { openStore, type Store } from '../../src/store/database/connect.js';
import type { NewTokenRecord } from '../../src/store/records.js';
import type { RevokedEntry } from '../../src/store/tokens/revoked-entry.js';
import { createJti } from '../../src/tokens/jti.js';
import { revokedQuery } from '../../src/store/tokens/load-revoked.js';
import { freshDatabase, START } from './harness.js';
import { newRecord } from './store-conformance.js';

const MANY = 2500;
const LONG_AGO = new Date(-8.64e15);
const REVOCATION = { at: new Date(START), by: 'x', reason: null, via: 'test' };

/** Issued here since there are seals, by any clock. */
const SEALED = [-8.64e15, -2, -1, START].map((expiry) => ({
  jti: createJti(START + MAX_AHEAD_MS),
  expiresAt: new Date(expiry),
  expiry,
}));
/** What is put in, and the expiry that must come out. */
const ODD: readonly (Partial<NewTokenRecord> & { readonly jti: string; expiry: number | null })[] =
  [
    { jti: 'never-expires', expiresAt: null, expiry: null },
    { jti: 'no-issuer', issuer: '', expiry: START + 1000 },
    { jti: 'any-issuer', issuer: '*', origin: 'registered', expiry: null },
    { jti: 'foreign', origin: 'adopted', expiry: null },
    { jti: 'foreign-never-expires', origin: 'adopted', expiresAt: null, expiry: null },
    { jti: 'the-beginning', expiresAt: new Date(0), expiry: 0 },
    { jti: 'before-1970', expiresAt: new Date(-1), expiry: -1 },
    {
      jti: 'long-before',
      expiresAt: new Date('0001-01-01T00:00:00.001Z'),
      expiry: -62135596799999,
    },
    { jti: 'first-date', expiresAt: LONG_AGO, expiry: -8.64e15 },
    { jti: 'last-date', expiresAt: new Date(8.64e15), expiry: 8.64e15 },
    { jti: '"$ne": {\\', issuer: 'https://issuer.example/?a=1&b="', expiry: START + 1000 },
    { jti: 'nul\u0000inside', issuer: '\u0000', expiry: START + 1000 },
    { jti: 'é😀\u{10ffff}\ufffd', issuer: 'https://ïssuer.example/😀', expiry: START + 1000 },
    { jti: '\ufffd', expiry: START + 1000 },
    { jti: 'x'.repeat(128), expiry: START + 1000 },
    ...SEALED,
  ];

export function describeRevoked(name: string, uri: () => string): void {
  describe(`the revoked records on ${name}`, () => {
    const database = freshDatabase();
    const open = (named = database) =>
      openStore({ uri: uri(), clock: () => START, database: named });
    const read = async (
      from: Store,
      since: Date | null = null,
      expiredBefore = LONG_AGO,
    ): Promise<RevokedEntry[]> => {
      const entries = [];
      for await (const batch of from.tokens.revoked(since, expiredBefore)) entries.push(...batch);
      return entries;
    };
    /** What was handed out so far by each reader that has more to come. */
    const openCursors = async (): Promise<number[]> => {
      const cursors = await direct
        .getClient()
        .db('admin')
        .aggregate<{ cursor: { nDocsReturned: number | bigint } }>([
          { $currentOp: { idleCursors: true, allUsers: true } },
          { $match: { type: 'idleCursor', ns: `${database}.tokens` } },
        ])
        .toArray();
      return cursors.map(({ cursor }) => Number(cursor.nDocsReturned));
    };
    const byJti = (a: RevokedEntry, b: RevokedEntry) => (a.jti < b.jti ? -1 : 1);
    let store: Store;
    let direct: Connection;

    beforeAll(async () => {
      store = await open();
      direct = await mongoose.createConnection(uri(), { dbName: database }).asPromise();
      // Straight into the collection: one by one, durably, takes its time.
      const documents = Array.from({ length: MANY }, (_, i) => ({
        ...newRecord(`many-${i}`, { revocation: REVOCATION }),
        createdAt: new Date(START),
        updatedAt: new Date(START),
      }));
      await direct.collection('tokens').insertMany(documents);
    });
    afterAll(async () => {
      await direct.close();
      await store.close();
    });

    it('come in batches, each once', async () => {
      const sizes: number[] = [];
      for await (const batch of store.tokens.revoked(null, LONG_AGO)) sizes.push(batch.length);
      expect(sizes.length).toBeGreaterThan(2);
      const entries = await read(store);
      expect(entries).toHaveLength(MANY);
      expect(new Set(entries.map(({ jti }) => jti)).size).toBe(MANY);
    });

    it('come as they were put in, whatever they hold', async () => {
      const other = await open(freshDatabase());
      try {
        const since = await other.time();
        for (const { expiry: _, ...record } of ODD) {
          const { id } = await other.tokens.insert(newRecord(record.jti, record));
          await other.tokens.revoke(id, REVOCATION);
        }
        await other.tokens.insert(newRecord('not-revoked'));
        const expected = ODD.map(({ jti, issuer = 'https://issuer.example', expiry }) => ({
          jti,
          issuer,
          expiresAt: expiry,
        }));
        for (const from of [null, since]) {
          expect((await read(other, from)).toSorted(byJti)).toEqual(expected.toSorted(byJti));
        }
        // Of the sealed, the ones that expire at this very time or later.
        const gone = SEALED.slice(0, 2).map(({ jti }) => jti);
        const kept = expected.filter(({ jti }) => !gone.includes(jti));
        for (const from of [null, since]) {
          const found = await read(other, from, new Date(-1));
          expect(found.toSorted(byJti)).toEqual(kept.toSorted(byJti));
        }
      } finally {
        await other.close();
      }
    });

    it('are read from an index alone, without a look at the documents', async () => {
      for (const since of [null, LONG_AGO]) {
        const { filter, options } = revokedQuery(since);
        const plan = await direct
          .collection('tokens')
          .find(filter, options)
          .explain('executionStats');
        expect(plan).toMatchObject({
          executionStats: { totalDocsExamined: 0, nReturned: since === null ? MANY : 0 },
        });
      }
    });

    it('come to no end that is not theirs: 503 when the connection is replaced meanwhile', async () => {
      const broken = await open();
      try {
        const batches = broken.tokens.revoked(null, LONG_AGO)[Symbol.asyncIterator]();
        const first = await batches.next();
        if (first.done) throw new Error('a first batch was expected');
        // The second is on its way, too: then nothing is under way that the reconnect could fail.
        const until = performance.now() + 5000;
        while ((await openCursors())[0] !== 2 * first.value.length)
          if (performance.now() > until) throw new Error('the second batch was not fetched ahead');
        await broken.ping();
        await broken.reconnect();
        const rest = async () => {
          while (!(await batches.next()).done);
        };
        await expect(rest()).rejects.toMatchObject({ code: 'unavailable', status: 503 });
        expect(await read(broken)).toHaveLength(MANY);
      } finally {
        await broken.close();
      }
    });

    it('leave no cursor behind when nobody wants the rest', async () => {
      for await (const batch of store.tokens.revoked(null, LONG_AGO)) {
        expect(batch).not.toHaveLength(0);
        break;
      }
      expect(await openCursors()).toEqual([]);
      const cursor = direct.collection('tokens').find({}, { batchSize: 10 });
      await cursor.next();
      expect(await openCursors()).toEqual([10]);
      await cursor.close();
    });
  });
}
