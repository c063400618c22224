/** Exchanging refresh tokens: many at once, during a revoke, and when it fails half-way. */
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import mongoose from 'mongoose';
import { jtiOf, testMongodbUri } from '../support/harness.js';
import { type Fault, sessionOf, trySessions } from '../support/sessions.js';
import { exchanged, startExchanges } from './exchanges.js';

const {
  database,
  t,
  t2,
  strict,
  strict2,
  alice,
  bearer,
  open,
  exchange,
  isAccepted,
  accessTokensOf,
  close,
  moveOn,
} = await startExchanges();
afterAll(close);
afterEach(moveOn);

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
