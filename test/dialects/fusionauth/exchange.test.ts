/** FusionAuth's refresh tokens are for one use: who wins, what a second use does, and what a bulk revoke leaves. */
import { afterAll, describe, expect, it } from '@jest/globals';
import type { User } from '../../../src/store/records.js';
import { timeOfJti } from '../../../src/tokens/jti.js';
import { PASSWORD, START } from '../../support/harness.js';
import { APP, OTHER_APP, outcome, startWithClient } from './with-client.js';

const { t, alice, apiKey, client, login, accepted, exchange, close } = await startWithClient();
afterAll(close);

describe('one-time use', () => {
  it('revokes the session when a used secret comes back, and says so in the log', async () => {
    const session = await login();
    const next = await exchange(session.refreshToken);
    t.clock.now += 10_000;
    expect((await outcome(exchange(session.refreshToken))).statusCode).toBe(400);
    expect((await outcome(exchange(next.response.refreshToken ?? ''))).statusCode).toBe(400);
    expect(await accepted(next.response.token ?? '')).toBe(false);
    expect(t.log()).toContain('a used refresh token came back');
  });

  it('does not let somebody who knows only the id revoke a session', async () => {
    const session = await login();
    const forged = `${session.refreshTokenId}.${'A'.repeat(43)}`;
    expect((await outcome(exchange(forged))).statusCode).toBe(400);
    expect((await outcome(client(apiKey).revokeRefreshTokenByToken(forged))).statusCode).toBe(404);
    await client().logout(true, forged);
    expect(await accepted(session.token)).toBe(true);
  });

  it('records one access token for the winner, and none for those who lost', async () => {
    const strict = await t.sibling({ REFRESH_TOKEN_GRACE: '0' });
    const user = await t.createUser('winner@example.com');
    const device = {
      name: null,
      description: null,
      type: null,
      userAgent: null,
      ip: null,
      location: null,
    };
    const session = await strict.service.sessions.open({ user, applicationId: APP, device });
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () =>
        strict.service.sessions.exchange(session.refreshToken, null),
      ),
    );
    expect(outcomes.filter((one) => one.outcome === 'exchanged')).toHaveLength(1);
    const found = await t.store.tokens.search(
      { userIds: null, sessionId: session.refreshTokenId },
      { sortField: 'createdAt', direction: 1, limit: 100, from: null, backwards: false },
    );
    // Of the login, and of the one exchange.
    expect(found.records).toHaveLength(2);
    await strict.close();
  });

  it('has one winner among 50 parallel exchanges, 100 times, without a grace', async () => {
    const strict = await t.sibling({ REFRESH_TOKEN_GRACE: '0' });
    for (let round = 0; round < 100; round += 1) {
      const session = await strict.service.sessions.open({
        user: alice,
        applicationId: APP,
        device: {
          name: null,
          description: null,
          type: null,
          userAgent: null,
          ip: null,
          location: null,
        },
      });
      const results = await Promise.all(
        Array.from({ length: 50 }, () =>
          strict.service.sessions.exchange(session.refreshToken, null),
        ),
      );
      const winners = results.flatMap((result) =>
        result.outcome === 'exchanged' ? [result.session.refreshToken] : [],
      );
      expect(winners).toHaveLength(1);
      // The winner's is the one that lives.
      expect(await strict.service.sessions.recognize(session.refreshToken)).toMatchObject({
        isUsed: true,
      });
      expect(await strict.service.sessions.recognize(winners[0] ?? '')).toMatchObject({
        isUsed: false,
        record: { jti: session.refreshTokenId },
      });
    }
    await strict.close();
  });

  it('gives the same successor again within the grace, and never a second one', async () => {
    const open = () =>
      t.service.sessions.open({
        user: alice,
        applicationId: null,
        device: {
          name: null,
          description: null,
          type: null,
          userAgent: null,
          ip: null,
          location: null,
        },
      });
    const first = await open();
    const results = await Promise.all(
      [1, 2, 3].map(() => t.service.sessions.exchange(first.refreshToken, null)),
    );
    const again = await t.service.sessions.exchange(first.refreshToken, null);
    const successors = [...results, again].flatMap((r) =>
      r.outcome === 'exchanged' ? [r.session.refreshToken] : [],
    );
    expect([successors.length, new Set(successors).size]).toEqual([4, 1]);
    t.clock.now += 10_001;
    expect((await t.service.sessions.exchange(first.refreshToken, null)).outcome).toBe('reused');
    const second = await open();
    const used = await t.service.sessions.exchange(second.refreshToken, null);
    if (used.outcome !== 'exchanged') throw new Error('it should be exchanged');
    // Whoever is late gets what the others have by now, and the grace counts from the first exchange.
    t.clock.now += 5000;
    const newest = await t.service.sessions.exchange(used.session.refreshToken, null);
    if (newest.outcome !== 'exchanged') throw new Error('it should be exchanged');
    const late = await t.service.sessions.exchange(second.refreshToken, null);
    expect(late).toMatchObject({ session: { refreshToken: newest.session.refreshToken } });
    t.clock.now += 5000;
    expect((await t.service.sessions.exchange(second.refreshToken, null)).outcome).toBe('reused');
  });

  it('keeps the secret with REFRESH_TOKEN_USAGE=reusable, and slides', async () => {
    const reusable = await t.sibling({ REFRESH_TOKEN_USAGE: 'reusable', REFRESH_TOKEN_TTL: '1h' });
    const post = (refreshToken: string) =>
      reusable.http().post('/api/jwt/refresh').send({ refreshToken });
    const { body } = await reusable
      .http()
      .post('/api/login')
      .send({ loginId: 'alice@example.com', password: PASSWORD });
    for (let i = 0; i < 3; i += 1) {
      reusable.clock.now += 50 * 60_000;
      expect((await post(body.refreshToken)).body.refreshToken).toBe(body.refreshToken);
    }
    reusable.clock.now += 60 * 60_000;
    expect((await post(body.refreshToken)).status).toBe(400);
    await reusable.close();
  });

  it.each([
    [undefined, '[blank]refreshToken'],
    ['', '[blank]refreshToken'],
    ['x', '[invalid]refreshToken'],
    [
      '01a1fdc6-2189-7d18-afce-e3ef4f79b05a.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      '[invalid]refreshToken',
    ],
    [7, '[invalid]refreshToken'],
    [{ $ne: '' }, '[invalid]refreshToken'],
  ])('answers %j with 400 %s', async (refreshToken, code) => {
    const response = await t.http().post('/api/jwt/refresh').send({ refreshToken });
    expect(response.status).toBe(400);
    expect(response.body.fieldErrors.refreshToken[0].code).toBe(code);
  });
});

describe('bulk revokes', () => {
  it('leave no survivor of an earlier login or exchange, in 1,000 races', async () => {
    const device = {
      name: null,
      description: null,
      type: null,
      userAgent: null,
      ip: null,
      location: null,
    };
    const { sessions, revoker, checkToken: check } = t.service;
    const context = { by: 'test', via: 'test', reason: null, requestId: 'race' };
    const isAccepted = async (token: string) => (await check(token, () => device)).accepted;
    let later = 0;

    async function race(user: User, turns: number): Promise<void> {
      const openSession = () => sessions.open({ user, applicationId: APP, device });
      /** Somewhere in the middle: before the cut-off is read, written or in force, or after it. */
      const loginLater = async () => {
        for (let turn = 0; turn < turns; turn += 1)
          await new Promise((resolve) => setTimeout(resolve, 0));
        t.clock.now += 1;
        return openSession();
      };
      t.clock.now += 2;
      const before = await openSession();
      const [exchanged, , ...opened] = await Promise.all([
        sessions.exchange(before.refreshToken, null),
        revoker.revokeScope({ userId: user.id, applicationId: null, sessionsOnly: true }, context),
        openSession(),
        loginLater(),
      ]);
      const cutoffs = await t.store.cutoffs.all();
      const at = cutoffs.find(({ userId }) => userId === user.id)?.at.getTime() ?? NaN;
      const isOlder = (id: string) => !((timeOfJti(id) ?? NaN) > at);
      expect([isOlder(before.refreshTokenId), await isAccepted(before.accessToken)]).toEqual([
        true,
        false,
      ]);
      for (const { refreshTokenId, accessToken } of opened) {
        const ok = await isAccepted(accessToken);
        // By the age of the session, whatever that of its access token.
        expect([turns, ok]).toEqual([turns, !isOlder(refreshTokenId)]);
        if (ok) later += 1;
      }
      if (exchanged.outcome !== 'exchanged') return;
      expect(await isAccepted(exchanged.session.accessToken)).toBe(false);
      const again = await sessions.exchange(exchanged.session.refreshToken, null);
      expect(again.outcome).toBe('refused');
    }

    // Ten users side by side.
    await Promise.all(
      Array.from({ length: 10 }, async (_, lane) => {
        const user = await t.createUser(`racer-${lane}@example.com`);
        for (let round = 0; round < 100; round += 1) await race(user, (lane + round) % 10);
      }),
    );
    expect(later).toBeGreaterThan(0);
    await t.service.marker.idle();
    expect(await t.store.cutoffs.pending()).toEqual([]);
  });

  it('mark their records behind the request, and go on after a restart', async () => {
    const session = await login('bob@example.com', OTHER_APP);
    await t.store.cutoffs.raise({
      userId: null,
      applicationId: OTHER_APP,
      sessionsOnly: true,
      at: new Date(t.clock.now),
      by: 'x',
      reason: null,
      via: 'test',
    });
    const restarted = await t.sibling();
    expect(
      (await restarted.http().get('/auth/verify').set('Authorization', session.token)).status,
    ).toBe(401);
    restarted.service.marker.wake();
    await restarted.service.marker.idle();
    const [record] = await t.store.tokens.findByJti(session.refreshTokenId);
    expect(record?.revocation).toMatchObject({ by: 'x', via: 'test', at: new Date(t.clock.now) });
    await restarted.close();
    expect(START).toBeLessThan(t.clock.now);
  });
});
