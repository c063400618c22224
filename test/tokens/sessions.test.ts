/** The life of a session's refresh tokens: used ones that come back, and exchanges, revokes and failures in any order. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import mongoose from 'mongoose';
import type { Session } from '../../src/tokens/exchange.js';
import { PASSWORD, testMongodbUri } from '../support/harness.js';
import { type Fault, sessionOf, trySessions } from '../support/sessions.js';
import { exchanged, startExchanges } from './exchanges.js';

const {
  database,
  t,
  t2,
  alice,
  bearer,
  apiKey,
  open,
  exchange,
  isAccepted,
  revocationOf,
  close,
  moveOn,
} = await startExchanges();
afterAll(close);
afterEach(moveOn);

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
