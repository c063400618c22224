/** A database from before holders had kinds and ids one spelling: mended at the start, and nothing in it that was revoked becomes good. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import mongoose from 'mongoose';
import { openStore, type Store } from '../../../src/store/database/connect.js';
import type { MendingProgress } from '../../../src/store/mending/mending.js';
import type { NewTokenRecord, Revocation } from '../../../src/store/records.js';
import {
  freshDatabase,
  mint,
  START,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../../support/harness.js';
import { newRecord } from '../../support/store-conformance.js';

const connection = mongoose.createConnection();
beforeAll(async () => {
  await connection.openUri(testMongodbUri());
});
afterAll(() => connection.close());

const LOWER = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const UPPER = LOWER.toUpperCase();
const USER = '507f1f77bcf86cd799439011';
const SECOND = Math.floor(START / 1000);
const REVOCATION: Revocation = { at: new Date(START), by: 'root', reason: 'lost', via: 'test' };

/** A database as an earlier version left it. */
function oldDatabase() {
  const name = freshDatabase();
  const db = connection.useDb(name);
  return {
    name,
    tokens: db.collection('tokens'),
    cutoffs: db.collection('cutoffs'),
    audit: db.collection('audit'),
    mendings: db.collection<{ _id: string }>('mendings'),
    addTokens: (records: readonly Partial<NewTokenRecord>[]) =>
      db.collection('tokens').insertMany(
        records.map(({ jti = randomUUID(), ...more }) => ({
          ...newRecord(jti, { issuer: '', origin: 'adopted', ...more }),
          createdAt: new Date(START),
          updatedAt: new Date(START),
        })),
      ),
    addCutoffs: (cutoffs: readonly OldCutoff[]) =>
      db.collection<{ _id: string }>('cutoffs').insertMany(cutoffs.map(oldCutoff)),
  };
}
type OldDatabase = ReturnType<typeof oldDatabase>;

interface OldCutoff {
  readonly userId?: string;
  readonly applicationId?: string;
  readonly sessionsOnly?: boolean;
  readonly at?: number;
  readonly by?: string;
}
function oldCutoff({ userId, applicationId, sessionsOnly, at, by }: OldCutoff) {
  const scope = [userId ?? null, applicationId ?? null, sessionsOnly ?? false] as const;
  return {
    _id: JSON.stringify(scope),
    userId: scope[0],
    applicationId: scope[1],
    sessionsOnly: scope[2],
    at: new Date(at ?? START),
    by: by ?? 'root',
    reason: null,
    via: 'test',
    requestId: null,
    setAt: new Date(START),
    markedUntil: new Date(at ?? START),
  };
}

const check = async (t: TestService, claims: object) =>
  (
    await t
      .http()
      .get('/auth/verify')
      .set('Authorization', `JWT ${mint({ jti: randomUUID(), iat: SECOND, ...claims })}`)
  ).status;

const open = (name: string, onMending?: (progress: MendingProgress) => void): Promise<Store> =>
  openStore({
    uri: testMongodbUri(),
    clock: () => START,
    database: name,
    ...(onMending === undefined ? {} : { onMending }),
  });
const mend = async (name: string) => (await open(name)).close();

const contents = async (database: OldDatabase) => ({
  tokens: await database.tokens.find().sort({ _id: 1 }).toArray(),
  cutoffs: await database.cutoffs.find().sort({ _id: 1 }).toArray(),
  audit: await database.audit.find().sort({ _id: 1 }).toArray(),
});

async function withService<T>(name: string, use: (t: TestService) => Promise<T>): Promise<T> {
  const t = await startTestService({}, name);
  try {
    return await use(t);
  } finally {
    await t.close();
  }
}

describe('a record', () => {
  it('has the holder that its token has', async () => {
    const rows = [
      ['guest', USER, `guest:${USER}`],
      ['bot', USER.toUpperCase(), `bot:${USER}`],
      ['agent', USER, `other:agent:${USER}`],
      ['user', USER, USER],
      ['user', USER.toUpperCase(), USER],
      [USER, USER.toUpperCase(), USER],
      ['urn:x', 'urn:x', 'urn:x'],
      ['user', 'guest:1', 'user:guest:1'],
      [null, 'guest:1', 'guest:1'],
      [null, null, null],
    ] as const;
    const database = oldDatabase();
    await database.addTokens(rows.map(([subject, userId]) => ({ subject, userId })));
    await mend(database.name);
    const mended = await database.tokens.find().sort({ _id: 1 }).toArray();
    expect(mended.map(({ subject, userId }) => [subject, userId])).toEqual(
      rows.map(([subject, , holder]) => [subject, holder]),
    );
  });

  it('has its ids in lower case', async () => {
    const database = oldDatabase();
    await database.addTokens([
      { jti: UPPER, userId: UPPER, applicationId: UPPER, sessionId: UPPER },
      { jti: 'Token-A', userId: 'User-A', applicationId: 'App-A', sessionId: 'Session-A' },
    ]);
    await mend(database.name);
    expect(await database.tokens.find().sort({ _id: 1 }).toArray()).toMatchObject([
      { jti: LOWER, userId: LOWER, applicationId: LOWER, sessionId: LOWER },
      { jti: 'Token-A', userId: 'User-A', applicationId: 'App-A', sessionId: 'Session-A' },
    ]);
  });

  it.each([UPPER, LOWER])('with a jti in capitals is revoked by %s', async (given) => {
    const database = oldDatabase();
    await database.addTokens([{ jti: UPPER, userId: 'user-1', subject: 'user' }]);
    await withService(database.name, async (t) => {
      await t.createUser('root@example.com', 'admin');
      const root = await t.signIn('root@example.com');
      const claims = { jti: UPPER, _id: 'user-1' };
      expect(await check(t, claims)).toBe(204);
      await t.http().delete(`/v3/jwt/history/${given}`).set('Authorization', root).expect(200);
      expect([await check(t, claims), await check(t, { ...claims, jti: LOWER })]).toEqual([
        401, 401,
      ]);
    });
  });

  it("that a guest left under a user's id is no longer in that user's list", async () => {
    const database = oldDatabase();
    await withService(database.name, async (t) => {
      const bob = await t.createUser('bob@example.com');
      await t.createUser('root@example.com', 'admin');
      await database.addTokens([{ jti: 'of-a-guest', userId: bob.id, subject: 'guest' }]);
      await database.mendings.deleteMany({});
    });
    await withService(database.name, async (t) => {
      const [bob, root] = [await t.signIn('bob@example.com'), await t.signIn('root@example.com')];
      const listed = await t.http().get('/v3/jwt/history').set('Authorization', bob);
      expect(listed.text).not.toContain('of-a-guest');
      const revoke = t.http().delete('/v3/jwt/history/of-a-guest').set('Authorization', bob);
      expect((await revoke).status).toBe(404);
      const found = await t
        .http()
        .get('/v3/jwt/history?userId=*&search=of-a-guest')
        .set('Authorization', root);
      expect(found.body.jwts).toMatchObject([{ userId: expect.stringMatching(/^guest:/) }]);
    });
  });
});

describe('two records of what is one token now', () => {
  const LATE = new Date(START + 9_000_000);
  it.each([
    ['the first', REVOCATION, null],
    ['the second', null, REVOCATION],
    ['both', REVOCATION, { ...REVOCATION, by: 'another' }],
  ])('become one, revoked as %s was', async (_name, first, second) => {
    const pairs = [
      ['a', UPPER, LOWER],
      ['b', LOWER, UPPER],
      ['c', UPPER, LOWER.replace('f', 'F')],
    ].map(([digit = '', ...jtis]) =>
      jtis.map((jti) => (jti === LOWER ? digit : digit.toUpperCase()) + jti.slice(1)),
    );
    const of = { userId: 'user-1', subject: 'user' };
    const database = oldDatabase();
    for (const [one = '', other = ''] of pairs) {
      await database.addTokens([
        { ...of, jti: one, revocation: first },
        { ...of, jti: other, revocation: second, expiresAt: LATE, purgeAt: null },
        // Another issuer's is another token.
        { ...of, jti: one.toUpperCase(), issuer: 'another' },
      ]);
    }
    await withService(database.name, async (t) => {
      for (const jtis of pairs) {
        const records = await t.store.tokens.findByJti(jtis[0]?.toLowerCase() ?? '');
        expect(records).toMatchObject([
          { issuer: '', expiresAt: LATE, purgeAt: null, revocation: { reason: 'lost' } },
          { issuer: 'another', revocation: null },
        ]);
        for (const jti of jtis) {
          expect(await check(t, { jti, _id: 'user-1' })).toBe(401);
          expect(await check(t, { jti, iss: 'another', _id: 'user-1' })).toBe(204);
        }
      }
    });
  });

  it('become one that is good when neither was revoked, and never expires when one did not', async () => {
    const database = oldDatabase();
    await database.addTokens([
      { jti: UPPER, userId: 'user-1', expiresAt: null },
      { jti: LOWER, userId: null },
    ]);
    await withService(database.name, async (t) => {
      expect(await t.store.tokens.findByJti(LOWER)).toMatchObject([
        { userId: 'user-1', expiresAt: null, revocation: null },
      ]);
    });
  });

  it('keep the secret of an opaque token, which goes on working', async () => {
    const database = oldDatabase();
    await database.addTokens([
      { jti: LOWER, userId: USER, kind: 'api-key', origin: 'registered' },
      { jti: UPPER, userId: USER },
    ]);
    await database.tokens.updateOne({ jti: LOWER }, { $set: { secretHash: 'h' } });
    await mend(database.name);
    expect(await database.tokens.find().toArray()).toMatchObject([{ jti: LOWER, secretHash: 'h' }]);
  });
});

describe('a cut-off', () => {
  it.each([
    ['a user', { userId: UPPER }, { _id: LOWER }],
    ['an application', { applicationId: UPPER }, { _id: 'x', applicationId: LOWER }],
    ['both', { userId: UPPER, applicationId: UPPER }, { _id: LOWER, applicationId: LOWER }],
    ["a user's sessions", { userId: UPPER, sessionsOnly: true }, { _id: LOWER, sid: 's' }],
  ])('of %s hits in every spelling', async (_name, cutoff, claims) => {
    const database = oldDatabase();
    await database.addCutoffs([cutoff]);
    await withService(database.name, async (t) => {
      const inCapitals = Object.fromEntries(
        Object.entries(claims).map(([name, id]) => [name, id === LOWER ? UPPER : id]),
      );
      for (const spelled of [claims, inCapitals]) {
        expect([spelled, await check(t, spelled)]).toEqual([spelled, 401]);
      }
      // Not ahead: one that is might be older than it says.
      t.clock.now += 1000;
      for (const spelled of [claims, inCapitals]) {
        expect(await check(t, { ...spelled, iat: SECOND + 1 })).toBe(204);
      }
    });
  });

  it('that was two is as late as the later one, and says whose that was', async () => {
    for (const [early, late] of [
      [UPPER, LOWER],
      [LOWER, UPPER],
    ] as const) {
      const database = oldDatabase();
      await database.addCutoffs([
        { userId: early, at: START - 5000, by: 'early' },
        { userId: late, at: START, by: 'late' },
        { applicationId: early, at: START - 5000, by: 'early' },
        { applicationId: late, at: START, by: 'late' },
      ]);
      const store = await open(database.name);
      const all = await store.cutoffs.all();
      await store.close();
      expect(all.toSorted((a, b) => (a.userId ?? '').localeCompare(b.userId ?? ''))).toMatchObject([
        { userId: null, applicationId: LOWER, at: new Date(START), by: 'late' },
        { userId: LOWER, applicationId: null, at: new Date(START), by: 'late' },
      ]);
    }
  });

  it("that named an id alone goes on refusing a guest's tokens too, and a later one does not", async () => {
    const database = oldDatabase();
    await database.addCutoffs([{ userId: USER }, { userId: 'guest:1' }]);
    await withService(database.name, async (t) => {
      await t.createUser('root@example.com', 'admin');
      const root = await t.signIn('root@example.com');
      const kinds = ['user', 'guest', 'bot', 'agent'].map((sub) => ({ sub, _id: USER }));
      for (const claims of [...kinds, { sub: 'user', _id: 'guest:1' }])
        expect([claims, await check(t, claims)]).toEqual([claims, 401]);
      expect(await check(t, { sub: 'guest', _id: '1' })).toBe(204);
      t.clock.now += 10_000;
      const later = kinds.map((claims) => ({ ...claims, iat: SECOND + 5 }));
      for (const claims of later) expect(await check(t, claims)).toBe(204);
      await t
        .http()
        .post('/admin/cutoffs')
        .set('Authorization', root)
        .send({ userId: USER, reason: 'requested' })
        .expect(201);
      const statuses = await Promise.all(later.map((claims) => check(t, claims)));
      expect(statuses).toEqual([401, 204, 204, 204]);
      // Another instance, which reads what was stored.
      const sibling = await t.sibling();
      expect(await Promise.all(later.map((claims) => check(sibling, claims)))).toEqual(statuses);
      for (const claims of kinds) expect(await check(sibling, claims)).toBe(401);
      await sibling.close();
    });
  });

  it('is marked on records that it did not find in their other spelling', async () => {
    const database = oldDatabase();
    await database.addCutoffs([{ userId: LOWER }]);
    await database.addTokens([{ jti: 'unmarked', userId: UPPER, subject: 'user' }]);
    await withService(database.name, async (t) => {
      t.service.marker.wake();
      await t.service.marker.idle();
      const [record] = await t.store.tokens.findByJti('unmarked');
      expect(record?.revocation).toMatchObject({ by: 'root', via: 'test' });
      expect(await t.store.cutoffs.pending()).toEqual([]);
    });
  });
});

describe('mending', () => {
  const COUNT = 1203;
  async function largeDatabase() {
    const database = oldDatabase();
    await database.addTokens(
      Array.from({ length: COUNT }, (_, i) => ({
        jti: i % 100 === 0 ? randomUUID().toUpperCase() : randomUUID(),
        userId: `${String(i % 7)}${UPPER.slice(1)}`,
        subject: i % 3 === 0 ? 'guest' : 'user',
        revocation: i % 5 === 0 ? REVOCATION : null,
      })),
    );
    await database.addTokens([
      { jti: UPPER, userId: 'u', revocation: REVOCATION },
      { jti: LOWER, userId: 'u' },
    ]);
    await database.addCutoffs([{ userId: UPPER }, { userId: LOWER }, { applicationId: UPPER }]);
    await database.audit.insertMany([
      { jti: UPPER, userId: UPPER, applicationId: null, type: 'token.revoked' },
      { jti: 'X', userId: null, applicationId: UPPER, type: 'token.revoked' },
    ]);
    return database;
  }

  it('reaches every record, says so once, and is remembered', async () => {
    const database = await largeDatabase();
    const told: MendingProgress[] = [];
    const tell = (progress: MendingProgress) => void told.push(progress);
    await (await open(database.name, tell)).close();
    const { tokens, audit } = await contents(database);
    expect(tokens).toHaveLength(COUNT + 1);
    const ids = tokens.flatMap(({ jti, userId }) => [String(jti), String(userId)]);
    expect(ids.filter((id) => id !== id.toLowerCase())).toEqual([]);
    const guests = tokens.filter(({ subject }) => subject === 'guest');
    expect(guests.filter(({ userId }) => !userId.startsWith('guest:'))).toEqual([]);
    expect(audit).toMatchObject([
      { jti: LOWER, userId: LOWER },
      { jti: 'X', applicationId: LOWER },
    ]);
    expect(told).toMatchObject([
      { name: 'ids of cut-offs', isDone: true },
      { name: 'ids of tokens', seen: COUNT + 2, isDone: true },
      { name: 'ids of audit events', seen: 2, mended: 2, isDone: true },
      { name: expect.stringMatching(/^times of tokens, /), seen: COUNT + 1, isDone: true },
    ]);

    // Remembered: what is there from now on is today's.
    await database.addTokens([{ jti: 'later', userId: UPPER, subject: 'guest' }]);
    await (await open(database.name, tell)).close();
    expect(told).toHaveLength(4);
    expect(await database.tokens.findOne({ jti: 'later' })).toMatchObject({ userId: UPPER });
  });

  it('changes nothing when it is repeated, as after a kill before it was remembered', async () => {
    const database = await largeDatabase();
    await mend(database.name);
    const before = await contents(database);
    await database.mendings.deleteMany({});
    await mend(database.name);
    expect(await contents(database)).toEqual(before);
  });

  it('goes on where it was killed: half of everything mended', async () => {
    const whole = await largeDatabase();
    const half = oldDatabase();
    const { tokens, cutoffs, audit } = await contents(whole);
    await mend(whole.name);
    const expected = await contents(whole);
    const mended = new Map(expected.tokens.map((token) => [String(token._id), token]));
    await half.tokens.insertMany(
      tokens.map((token, i) => (i % 2 === 0 ? (mended.get(String(token._id)) ?? token) : token)),
    );
    await half.cutoffs.insertMany(
      [...cutoffs, ...expected.cutoffs].filter(
        (_, i, all) => all.findIndex(({ _id }) => _id === all[i]?._id) === i,
      ),
    );
    await half.audit.insertMany(audit);
    await mend(half.name);
    expect(await contents(half)).toEqual(expected);
  });

  it('is safe with several instances at once', async () => {
    const alone = await largeDatabase();
    const together = oldDatabase();
    const { tokens, cutoffs, audit } = await contents(alone);
    await together.tokens.insertMany(tokens);
    await together.cutoffs.insertMany(cutoffs);
    await together.audit.insertMany(audit);
    await mend(alone.name);
    await Promise.all(Array.from({ length: 4 }, () => mend(together.name)));
    expect(await contents(together)).toEqual(await contents(alone));
  });

  it('un-revokes nothing: what the old rule refused is refused', async () => {
    const spelled = fc.constantFrom(LOWER, UPPER, 'a', 'guest:a', 'urn:a');
    const maybe = fc.option(spelled, { nil: undefined });
    const claims = fc.record(
      {
        jti: fc.constantFrom(
          ...['1', '2', '3', '4'].flatMap((n) => [
            `${n}${LOWER.slice(1)}`,
            `${n}${UPPER.slice(1)}`,
          ]),
        ),
        _id: spelled,
        sub: fc.constantFrom('user', 'guest', 'bot', 'agent', LOWER, 'a'),
        applicationId: spelled,
        sid: fc.constantFrom('s', LOWER),
        iat: fc.constantFrom(SECOND - 2, SECOND),
      },
      { requiredKeys: ['jti', '_id', 'sub', 'iat'] },
    );
    const cutoff = fc.record({
      userId: maybe,
      applicationId: maybe,
      sessionsOnly: fc.boolean(),
      at: fc.constantFrom(START - 1500, START),
    });
    for (const seed of [1, 2, 3]) {
      const tokens = fc.sample(claims, { seed, numRuns: 120 });
      const revoked = fc.sample(claims, { seed: seed + 100, numRuns: 3 });
      const scopes = fc
        .sample(cutoff, { seed: seed + 200, numRuns: 6 })
        .filter(({ userId, applicationId }) => userId ?? applicationId)
        .map(({ userId, applicationId, ...rest }) => ({
          ...rest,
          ...(userId === undefined ? {} : { userId }),
          ...(applicationId === undefined ? {} : { applicationId }),
        }));
      const cutoffs = [...new Map(scopes.map((each) => [oldCutoff(each)._id, each])).values()];
      const jtis = new Set(revoked.map(({ jti }) => jti));
      const database = oldDatabase();
      await database.addCutoffs(cutoffs);
      await database.addTokens(
        [...jtis].map((jti) => ({ jti, userId: 'x', subject: 'user', revocation: REVOCATION })),
      );
      const refused = tokens.filter(
        (token) =>
          jtis.has(token.jti) ||
          (token.sid !== undefined && jtis.has(token.sid)) ||
          cutoffs.some(
            (each) =>
              (each.userId ?? token._id) === token._id &&
              (each.applicationId === undefined || each.applicationId === token.applicationId) &&
              (!each.sessionsOnly || token.sid !== undefined) &&
              token.iat * 1000 <= each.at,
          ),
      );
      expect(refused.length).toBeGreaterThan(10);
      await withService(database.name, async (t) => {
        for (const token of refused) expect([token, await check(t, token)]).toEqual([token, 401]);
      });
    }
  });
});
