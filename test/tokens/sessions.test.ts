/** The life of a session's refresh tokens: parallel exchanges, exchanges that fail half-way, used ones that come back, and all of that in any order. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import jwt from 'jsonwebtoken';
import mongoose from 'mongoose';
import type { User } from '../../src/store/records.js';
import type { Session } from '../../src/tokens/exchange.js';
import {
  freshDatabase,
  jtiOf,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';
import {
  type Fault,
  noDevice,
  sessionOf,
  trySessions,
  type TriedSessions,
} from '../support/sessions.js';

const database = freshDatabase();
let t: TestService;
let t2: TestService;
let strict: TestService;
let strict2: TestService;
let alice: User;
let bearer: string;
let apiKey: string;

beforeAll(async () => {
  t = await startTestService({}, database);
  [t2, strict, strict2] = await Promise.all([
    t.sibling(),
    t.sibling({ REFRESH_TOKEN_GRACE: '0' }),
    t.sibling({ REFRESH_TOKEN_GRACE: '0' }),
  ]);
  alice = await t.createUser('alice@example.com');
  await t.createUser('root@example.com', 'admin');
  bearer = await t.signIn('root@example.com');
  const made = await t
    .http()
    .post('/admin/api-keys')
    .set('Authorization', bearer)
    .send({ name: 'tests' });
  apiKey = made.body.key;
});
afterAll(() => Promise.all([t, t2, strict, strict2].map((one) => one.close())));
afterEach(() => {
  // Not in the millisecond of a cut-off.
  t.clock.now += 1;
});

const open = (user = alice) => t.service.sessions.open(sessionOf(user));
const exchange = (refreshToken: string, at = t) =>
  at.http().post('/api/jwt/refresh').send({ refreshToken });
const isAccepted = async (token: string) =>
  (await t.service.checkToken(token, () => noDevice)).accepted;
const revocationOf = async ({ refreshTokenId }: Session) =>
  (await t.store.tokens.findByJti(refreshTokenId))[0]?.revocation;
const accessTokensOf = async ({ refreshTokenId }: Session) =>
  (
    await t.store.tokens.search(
      { userIds: null, sessionId: refreshTokenId },
      { sortField: 'createdAt', direction: 1, limit: 100, from: null, backwards: false },
    )
  ).records.length;

async function exchanged(sessions: Pick<TriedSessions, 'exchange'>, refreshToken: string) {
  const result = await sessions.exchange(refreshToken, null);
  if (result.outcome !== 'exchanged') throw new Error(`the exchange was ${result.outcome}`);
  return result.session;
}

describe('simultaneous exchanges of one refresh token', () => {
  const rows = [2, 3, 5, 10].flatMap((count) => [1, 2].map((instances) => [count, instances]));

  it.each(rows)(
    '%i of them, on %i instance(s), get the same successor',
    async (count, instances) => {
      for (let round = 0; round < 5; round += 1) {
        const session = await open();
        const answers = await Promise.all(
          Array.from({ length: count ?? 0 }, (_, i) =>
            exchange(session.refreshToken, i % (instances ?? 1) === 0 ? t : t2),
          ),
        );
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
        const successors = new Set(answers.map(({ body }) => body.refreshToken));
        const [successor] = successors;
        expect([successors.size, successors.has(session.refreshToken)]).toEqual([1, false]);
        const access = answers.map(({ body }) => body.token as string);
        expect(new Set(access.map(jtiOf)).size).toBe(count);
        for (const token of access) {
          expect((jwt.decode(token) as jwt.JwtPayload)['sid']).toBe(session.refreshTokenId);
          expect(await isAccepted(token)).toBe(true);
        }
        // Of the login, and what was handed out: none for those who had to try again.
        expect(await accessTokensOf(session)).toBe(1 + (count ?? 0));

        t.clock.now += 10_000;
        expect((await exchange(session.refreshToken, t2)).status).toBe(400);
        await t.service.sync.load();
        for (const token of access) expect(await isAccepted(token)).toBe(false);
        expect((await exchange(successor as string)).status).toBe(400);
      }
    },
  );

  it.each(rows)(
    '%i of them, on %i instance(s), have one winner without a grace',
    async (count, instances) => {
      for (let round = 0; round < 5; round += 1) {
        const session = await open();
        const answers = await Promise.all(
          Array.from({ length: count ?? 0 }, (_, i) =>
            exchange(session.refreshToken, i % (instances ?? 1) === 0 ? strict : strict2),
          ),
        );
        const statuses = answers.map(({ status }) => status).sort((a, b) => a - b);
        expect(statuses).toEqual([200, ...Array.from({ length: (count ?? 0) - 1 }, () => 400)]);
        expect(await accessTokensOf(session)).toBe(2);
      }
    },
  );
});

describe('a session revoked during an exchange', () => {
  it.each(['exchange before', 'exchange after'] as const)('gives nothing: %s', async (door) => {
    const sessions = trySessions(t, { graceSeconds: 10 });
    const session = await open();
    sessions.doors.set(door, async () => {
      const [record] = await t.store.tokens.findByJti(session.refreshTokenId);
      if (record === undefined) throw new Error('there is no record');
      const context = { by: 'test', via: 'test', reason: null, requestId: '' };
      await t.service.revoker.revokeRecord(record, context);
    });
    expect(await sessions.exchange(session.refreshToken, null)).toEqual({ outcome: 'refused' });
    // What was written at its side was discarded, or revoked with the session before that.
    const { records } = await t.store.tokens.search(
      { userIds: null, sessionId: session.refreshTokenId, state: 'active' },
      { sortField: 'createdAt', direction: -1, limit: 10, from: null, backwards: false },
    );
    expect(records).toEqual([]);
  });

  it('nor does one whose user was disabled while it lost a race', async () => {
    const user = await t.createUser('lost@example.com');
    const sessions = trySessions(t, { graceSeconds: 10 });
    const session = await open(user);
    sessions.doors.set('exchange before', async () => {
      sessions.doors.clear();
      await exchanged(t.service.sessions, session.refreshToken);
      const users = mongoose.createConnection(testMongodbUri(), { dbName: database });
      await users
        .collection('users')
        .updateOne({ email: 'lost@example.com' }, { $set: { status: 0 } });
      await users.close();
    });
    expect(await sessions.exchange(session.refreshToken, null)).toEqual({ outcome: 'refused' });
  });
});

describe('an exchange that failed consumes nothing', () => {
  const faults: readonly (readonly Fault[])[] = [
    ['exchange before'],
    ['exchange after'],
    ['insert before'],
    ['insert after'],
    ['exchange after', 'insert before'],
  ];
  const rows = faults.flatMap((failing) =>
    [0, 10].flatMap((graceSeconds) =>
      [0, 3_600_000].map((laterMs) => [failing, graceSeconds, laterMs] as const),
    ),
  );

  it.each(rows)(
    '%j, with a grace of %i s, repeated %i ms later',
    async (failing, graceSeconds, laterMs) => {
      const sessions = trySessions(t, { graceSeconds });
      const session = await sessions.open(sessionOf(alice));
      for (let i = 0; i < 2; i += 1) {
        sessions.fail(...failing);
        await expect(sessions.exchange(session.refreshToken, null)).rejects.toMatchObject({
          status: 503,
        });
        sessions.doors.clear();
        t.clock.now += laterMs;
      }
      const next = await exchanged(sessions, session.refreshToken);
      expect(next.refreshToken).not.toBe(session.refreshToken);
      expect(await isAccepted(next.accessToken)).toBe(true);
      // From its answer on it's as ever.
      t.clock.now += graceSeconds * 1000;
      expect((await sessions.exchange(session.refreshToken, null)).outcome).toBe('reused');
      expect((await exchanged(sessions, next.refreshToken)).refreshToken).not.toBe(
        next.refreshToken,
      );
      await sessions.flush();
    },
  );

  it.each([
    [0, 60_000],
    [10, 60_000],
  ])('nor on another instance: a grace of %i s, %i ms later', async (graceSeconds, laterMs) => {
    const [one, other] = [trySessions(t, { graceSeconds }), trySessions(t2, { graceSeconds })];
    const session = await one.open(sessionOf(alice));
    one.fail('insert before');
    await expect(one.exchange(session.refreshToken, null)).rejects.toMatchObject({ status: 503 });
    one.doors.clear();
    t.clock.now += laterMs;
    const next = await exchanged(other, session.refreshToken);
    expect((await exchanged(one, next.refreshToken)).refreshTokenId).toBe(session.refreshTokenId);
    await other.flush();
  });

  it('tells a client that the answer stands, when only its note fails', async () => {
    for (const graceSeconds of [0, 10]) {
      const sessions = trySessions(t, { graceSeconds });
      const session = await sessions.open(sessionOf(alice));
      sessions.fail('note before');
      const next = await exchanged(sessions, session.refreshToken);
      t.clock.now += 60_000;
      // It's known here, and everywhere as soon as it can be written.
      expect((await sessions.exchange(session.refreshToken, null)).outcome).toBe('reused');
      sessions.doors.clear();
      await sessions.flush();
      expect((await t2.service.sessions.exchange(session.refreshToken, null)).outcome).toBe(
        'reused',
      );
      expect((await exchanged(t2.service.sessions, next.refreshToken)).refreshTokenId).toBe(
        session.refreshTokenId,
      );
    }
  });

  it('and a login that failed leaves no session behind', async () => {
    const user = await t.createUser('failed@example.com');
    const sessions = trySessions(t, { graceSeconds: 10 });
    sessions.fail('insert before');
    await expect(sessions.open(sessionOf(user))).rejects.toMatchObject({ status: 503 });
    const found = await t
      .http()
      .get(`/v3/jwt/history?userId=${user.id}`)
      .set('Authorization', bearer);
    expect([found.status, found.body.count]).toEqual([200, 0]);
  });
});

describe('a used refresh token', () => {
  /** Exchanged so often. */
  async function used(times = 1) {
    const session = await open();
    let newest: Session = session;
    for (let i = 0; i < times; i += 1) {
      newest = await exchanged(t.service.sessions, newest.refreshToken);
      t.clock.now += 1;
    }
    return { session, newest };
  }
  const logout = (body: object) => t.http().post('/api/logout').send(body);
  const forge = ({ refreshTokenId }: Session) => `${refreshTokenId}.${'A'.repeat(43)}`;

  it.each([
    ['within the grace', 1, 0],
    ['past the grace', 1, 60_000],
    ['exchanged 120 times ago', 120, 60_000],
  ])('logs its session out: %s', async (_name, times, laterMs) => {
    const { session, newest } = await used(times);
    t.clock.now += laterMs;
    expect((await logout({ refreshToken: forge(session) })).status).toBe(200);
    expect(await isAccepted(newest.accessToken)).toBe(true);
    expect((await logout({ refreshToken: session.refreshToken })).status).toBe(200);
    expect(await isAccepted(newest.accessToken)).toBe(false);
    expect((await exchange(newest.refreshToken)).status).toBe(400);
    expect(await revocationOf(session)).toMatchObject({
      by: alice.id,
      via: 'fusionauth',
      reason: 'logout with a used refresh token',
    });
  });

  it('logs out everywhere with global, as a cookie too', async () => {
    for (const send of [
      (token: string) => logout({ refreshToken: token, global: true }),
      (token: string) =>
        t.http().post('/api/logout?global=true').set('Cookie', `refresh_token=${token}`),
    ]) {
      const { session, newest } = await used();
      const elsewhere = await open();
      t.clock.now += 60_000;
      expect((await send(session.refreshToken)).status).toBe(200);
      expect(await isAccepted(newest.accessToken)).toBe(false);
      expect(await isAccepted(elsewhere.accessToken)).toBe(false);
      t.clock.now += 1;
    }
  });

  it('is revoked by its value: by its owner and administrators, and nobody else', async () => {
    await t.createUser('bob@example.com');
    const bob = await t.signIn('bob@example.com');
    const remove = (token: string, as: string, query = '') =>
      t.http().delete(`/api/jwt/refresh?token=${token}${query}`).set('Authorization', as);
    for (const as of ['owner', apiKey]) {
      const { session, newest } = await used(2);
      t.clock.now += 60_000;
      const by = as === 'owner' ? `Bearer ${newest.accessToken}` : as;
      expect((await remove(session.refreshToken, bob)).status).toBe(404);
      expect((await remove(forge(session), by)).status).toBe(404);
      expect((await remove(session.refreshToken, by, '&applicationId=another')).status).toBe(404);
      expect(await isAccepted(newest.accessToken)).toBe(true);
      expect((await remove(session.refreshToken, by)).status).toBe(200);
      expect(await isAccepted(newest.accessToken)).toBe(false);
      expect((await revocationOf(session))?.reason).toBe('a used refresh token was presented');
    }
  });

  it('is called that by the inspector, and one made up is not', async () => {
    const inspect = async (token: string) =>
      (await t.http().post('/admin/inspect').set('Authorization', bearer).send({ token })).body;
    const { session, newest } = await used();
    expect(await inspect(newest.refreshToken)).toMatchObject({ accepted: true, reason: null });
    for (const laterMs of [0, 60_000]) {
      t.clock.now += laterMs;
      expect(await inspect(session.refreshToken)).toMatchObject({
        accepted: false,
        reason: 'used',
        token: { jti: session.refreshTokenId },
      });
    }
    expect(await inspect(forge(session))).toMatchObject({ reason: 'bad-signature' });
    await logout({ refreshToken: session.refreshToken });
    expect(await inspect(session.refreshToken)).toMatchObject({ reason: 'revoked' });
  });

  it('is known also where the session began before its secrets had something in common', async () => {
    const { session } = await used();
    const old = `${'B'.repeat(42)}A`;
    const connection = mongoose.createConnection(testMongodbUri(), { dbName: database });
    await connection.collection('tokens').updateOne(
      { jti: session.refreshTokenId },
      {
        $set: {
          usedSecretHashes: [createHash('sha256').update(old).digest('base64url')],
          grace: null,
        },
        $unset: { familyHash: '' },
      },
    );
    await connection.close();
    await logout({ refreshToken: forge(session) });
    expect(await revocationOf(session)).toBeNull();
    expect((await exchange(`${session.refreshTokenId}.${old}`)).status).toBe(400);
    expect((await revocationOf(session))?.reason).toBe('a used refresh token came back');
  });

  it('shows nothing of what is kept for it', async () => {
    const { session, newest } = await used();
    const list = await t.http().get(`/v3/jwt/history?userId=*`).set('Authorization', bearer);
    const text = JSON.stringify([list.body, t.log()]);
    for (const name of ['familyHash', 'grace', 'sealedSuccessor', 'secretHash'])
      expect(text).not.toContain(`"${name}"`);
    for (const { refreshToken } of [session, newest])
      for (const part of [refreshToken.slice(37, 58), refreshToken.slice(59)])
        expect(text).not.toContain(part);
    // What they have in common can't be seen.
    expect(newest.refreshToken).not.toContain(session.refreshToken.slice(37, 58));
    expect(newest.refreshToken).not.toContain(session.refreshToken.slice(59));
  });

  it('ends its session for a login over HTTP as well, after the grace', async () => {
    const login = await t
      .http()
      .post('/api/login')
      .send({ loginId: 'alice@example.com', password: PASSWORD });
    const next = await exchange(login.body.refreshToken);
    t.clock.now += 9999;
    expect((await exchange(login.body.refreshToken, t2)).body.refreshToken).toBe(
      next.body.refreshToken,
    );
    t.clock.now += 1;
    expect((await exchange(login.body.refreshToken, t2)).status).toBe(400);
    expect((await exchange(next.body.refreshToken)).status).toBe(400);
  });
});

describe('in any order', () => {
  const GRACE_MS = 10_000;
  const REFRESH_MS = 3_600_000;
  const MOST_USED = 4;

  type Step =
    | {
        readonly do: 'exchange';
        readonly back: number;
        readonly at: 0 | 1;
        readonly fault: Fault | null;
      }
    | { readonly do: 'wait'; readonly ms: number }
    | { readonly do: 'revoke' }
    | { readonly do: 'logout'; readonly back: number };

  const back = fc.integer({ min: 0, max: 5 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant('exchange' as const),
        back: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: back }),
        at: fc.constantFrom(0 as const, 1 as const),
        fault: fc.option(
          fc.constantFrom<Fault>(
            'exchange before',
            'exchange after',
            'insert before',
            'insert after',
          ),
          { nil: null, freq: 3 },
        ),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('wait' as const),
        ms: fc.constantFrom(1, 3000, 9999, 10_000, 1_800_000, REFRESH_MS),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ do: 'revoke' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('logout' as const), back }) },
  );

  /** A refresh token that was handed out, as the model sees it. */
  interface Known {
    readonly token: string;
    readonly generation: number;
    /** While it's the newest, or no exchange of it was answered: null. */
    until: number | null;
    /** Where an exchange of it failed. */
    failedAt: 0 | 1 | null;
  }

  it.each([0, GRACE_MS])(
    'a session lives and dies as it should: a grace of %i ms',
    async (graceMs) => {
      const settings = { graceSeconds: graceMs / 1000, refreshSeconds: REFRESH_MS / 1000 };
      const instances = [trySessions(t, settings), trySessions(t2, settings)] as const;

      async function run(steps: readonly Step[]): Promise<void> {
        t.clock.now += 1;
        const first = await instances[0].open(sessionOf(alice));
        const [record] = await t.store.tokens.findByJti(first.refreshTokenId);
        if (record === undefined) throw new Error('there is no record');
        const known: Known[] = [
          { token: first.refreshToken, generation: 0, until: null, failedAt: null },
        ];
        const access = [{ token: first.accessToken, issuedAt: t.clock.now }];
        let generation = 0;
        let expiresAt = t.clock.now + REFRESH_MS;
        let isDead = false;
        const revoke = async () => {
          isDead = true;
          const context = { by: 'test', via: 'test', reason: null, requestId: '' };
          await t.service.revoker.revokeRecord(record, context);
          await t2.service.sync.load();
        };
        const pick = (generations: number) =>
          known[Math.max(0, known.length - 1 - generations)] as Known;
        const isGood = ({ until, generation: own }: Known) =>
          (until === null || until > t.clock.now) && generation - own <= MOST_USED;

        async function tryExchange(one: Known, at: 0 | 1, fault: Fault | null): Promise<void> {
          const sessions = instances[at];
          if (fault !== null) sessions.fail(fault);
          const result = await sessions.exchange(one.token, null).catch(() => null);
          sessions.doors.clear();
          await sessions.flush();
          if (isDead || expiresAt <= t.clock.now) {
            expect(result).toEqual({ outcome: 'refused' });
            return;
          }
          if (!isGood(one)) {
            expect(result?.outcome).toBe('reused');
            await revoke();
            return;
          }
          if (fault !== 'exchange before') {
            expiresAt = t.clock.now + REFRESH_MS;
            if (one.generation === generation) {
              generation += 1;
              // Whoever has the newest got it in an answer.
              for (const other of known) if (other !== one) other.until ??= t.clock.now + graceMs;
            }
          }
          if (fault !== null) {
            expect(result).toBeNull();
            one.failedAt ??= at;
            return;
          }
          if (result?.outcome !== 'exchanged') throw new Error(`it was ${result?.outcome}`);
          const { refreshToken, accessToken } = result.session;
          access.push({ token: accessToken, issuedAt: t.clock.now });
          const newest = known.find((each) => each.generation === generation);
          if (newest === undefined) {
            expect(known.map(({ token }) => token)).not.toContain(refreshToken);
            for (const other of known) other.until ??= t.clock.now + graceMs;
            known.push({ token: refreshToken, generation, until: null, failedAt: null });
          } else {
            expect(refreshToken).toBe(newest.token);
          }
        }

        for (const each of steps) {
          if (each.do === 'wait') t.clock.now += each.ms;
          else if (each.do === 'revoke') await revoke();
          else if (each.do === 'logout') {
            await t
              .http()
              .post('/api/logout')
              .send({ refreshToken: pick(each.back).token })
              .expect(200);
            await t2.service.sync.load();
            isDead = true;
          } else {
            const one = pick(each.back);
            // Elsewhere it would be waited for: that's tried above.
            await tryExchange(one, one.failedAt ?? each.at, each.fault);
          }
          for (const { token, issuedAt } of access) {
            const isOver = issuedAt + REFRESH_MS <= Math.ceil(t.clock.now / 1000) * 1000 + 1000;
            if (isDead) expect(await isAccepted(token)).toBe(false);
            else if (!isOver) expect(await isAccepted(token)).toBe(true);
          }
        }
      }

      await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), run), {
        numRuns: 60,
      });
    },
  );
});
