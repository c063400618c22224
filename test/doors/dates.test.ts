/** Dates from outside: registered, claimed and stored ones that are in the future, and what cut-offs make of them. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { unavailable } from '../../src/errors.js';
import { newTokenRecord } from '../../src/store/records.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  startTestService,
  type TestService,
} from '../support/harness.js';
import type { Cutoff } from '../../src/store/cutoffs/cutoffs.js';
import { until } from '../support/process.js';

const SECOND_MS = 1000;
/** Then the ids of what is issued are known as sealed, and only the cut-off refuses what it hit. */
const LONG_SEALED_MS = 1_200_000;
const FUTURE = '2099-01-01T00:00:00.000Z';
const REASON = { reason: 'compromised' } as const;

let t: TestService;
let database: string;
let bob: string;
/** A password, which no cut-off refuses. */
const ADMIN = `Basic ${Buffer.from(`root@example.com:${PASSWORD}`).toString('base64')}`;

beforeEach(async () => {
  database = freshDatabase();
  t = await startTestService({}, database);
  await t.createUser('root@example.com', 'admin');
  bob = (await t.createUser('bob@example.com')).id;
});
afterEach(() => t.close());

const post = (path: string, body: object, at = t) =>
  at.http().post(path).set('Authorization', ADMIN).send(body);
const check = async (token: string, at = t) =>
  (
    await at
      .http()
      .get('/auth/verify')
      .set('Authorization', token.startsWith('JWT ') ? token : `JWT ${token}`)
  ).status;
const iso = (aheadMs: number) => new Date(t.clock.now + aheadMs).toISOString();
const seconds = () => Math.floor(t.clock.now / 1000);
/** As Tiledesk signs for a user, by a clock that is ahead. */
const foreign = (aheadSeconds: number, claims: object = {}) =>
  mint({ jti: randomUUID(), _id: bob, sub: 'user', iat: seconds() + aheadSeconds, ...claims });
interface Scope {
  readonly userId?: string;
  readonly applicationId?: string;
  readonly everything?: true;
}
const SCOPES: readonly (readonly [string, () => Scope])[] = [
  ['of a user', () => ({ userId: bob })],
  ['of an application', () => ({ applicationId: 'app' })],
  ['of everything', () => ({ everything: true })],
];

describe('a date from outside', () => {
  const registration = (more: object) => ({ jti: randomUUID(), userId: bob, ...more });

  it.each([
    ['issuedAt', (at: string) => post('/v3/jwt/history', registration({ issuedAt: at }))],
    [
      'asOf',
      (at: string) =>
        post('/admin/revocations', {
          ...REASON,
          selection: { filter: { userId: bob } },
          expectedCount: 9,
          asOf: at,
        }),
    ],
  ])('%s is at most five minutes ahead', async (field, send) => {
    for (const at of [FUTURE, iso(300_001), '9999-12-31T23:59:59.999Z']) {
      const { status, body } = await send(at);
      expect([status, body.errors]).toEqual([
        400,
        [{ field, message: 'must not be more than 5 minutes in the future.' }],
      ]);
    }
    expect((await send(iso(300_000))).status).toBeLessThan(300);
  });

  it.each(['0000-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z', '9999-12-31T23:59:59-01:00'])(
    'is of the years 1970 to 9999, not %s',
    async (at) => {
      for (const { status, body } of [
        await post('/v3/jwt/history', registration({ expiresAt: at })),
        await post('/v3/jwt/history', registration({ issuedAt: at })),
        await post('/admin/api-keys', { name: 'k', expiresAt: at }),
        await post('/admin/cutoffs', { userId: bob, before: at, ...REASON }),
        await post('/admin/revocations/preview', { filter: { issuedFrom: at } }),
      ]) {
        expect([status, body.errors?.[0]?.message]).toEqual([
          400,
          'must be from the years 1970 to 9999.',
        ]);
      }
    },
  );

  it('is never later in a record than when the token was recorded', async () => {
    const byFields = registration({ issuedAt: iso(200_000) });
    await post('/v3/jwt/history', byFields).expect(201);
    const farAhead = foreign(3600 * 24 * 365);
    await post('/v3/jwt/history', { token: farAhead }).expect(201);
    const adopted = foreign(200);
    expect(await check(adopted)).toBe(204);
    await t.service.usage.flush();
    for (const jti of [byFields.jti, jtiOf(farAhead), jtiOf(adopted)]) {
      const [record] = await t.store.tokens.findByJti(jti);
      expect(record?.issuedAt?.getTime()).toBeLessThanOrEqual(t.clock.now);
      expect(record?.issuedAt?.getTime()).toBeGreaterThanOrEqual(t.clock.now - 300_000);
    }
  });
});

describe('a record from the future', () => {
  /** As versions stored it that took any date. */
  const storeRecord = () =>
    t.store.tokens.insert(
      newTokenRecord({
        jti: randomUUID(),
        kind: 'access',
        origin: 'registered',
        issuer: 'elsewhere',
        userId: bob,
        applicationId: 'app',
        issuedAt: new Date(FUTURE),
      }),
    );

  it.each(SCOPES)('locks nobody out with a cut-off %s', async (_name, scope) => {
    await storeRecord();
    const { body } = await post('/admin/cutoffs', { ...scope(), ...REASON }).expect(201);
    expect(Date.parse(body.at)).toBe(t.clock.now);
    t.clock.now += 1;
    expect(await check(await t.signIn('bob@example.com'))).toBe(204);
  });

  it('locks nobody out when a password changes', async () => {
    await storeRecord();
    const old = await t.signIn('bob@example.com');
    await post(`/admin/users/${bob}/password`, { password: PASSWORD }).expect(204);
    t.clock.now += 1;
    expect(await check(old)).toBe(401);
    expect(await check(await t.signIn('bob@example.com'))).toBe(204);
  });
});

describe('a cut-off in the future', () => {
  const raise = ({ everything: _everything, ...scope }: Scope, more: object = {}) =>
    t.store.cutoffs.raise({
      userId: null,
      applicationId: null,
      sessionsOnly: false,
      at: new Date(FUTURE),
      by: 'root',
      reason: null,
      via: 'test',
      ...scope,
      ...more,
    });

  it.each(SCOPES)('%s is lowered to now, everywhere, and stays so', async (_name, scope) => {
    const other = await t.sibling();
    try {
      const before = await t.signIn('bob@example.com');
      const inApplication = foreign(0, { applicationId: 'app' });
      await raise(scope());
      await Promise.all([t, other].map(({ service }) => service.sync.refresh()));
      const fresh = () => foreign(0, { applicationId: 'app' });
      t.clock.now += 2 * SECOND_MS;
      expect(await check(fresh())).toBe(401);

      const { body } = await post('/admin/cutoffs/lower', { ...scope(), ...REASON }).expect(200);
      expect(body).toMatchObject({ from: FUTURE, at: iso(0) });
      await other.service.sync.refresh();
      t.clock.now += SECOND_MS;
      const third = await startTestService({}, database, t.clock);
      const now = fresh();
      for (const at of [t, other, third]) {
        expect([await check(now, at), await check(inApplication, at)]).toEqual([204, 401]);
        if (scope().applicationId === undefined) expect(await check(before, at)).toBe(401);
      }
      await third.close();
    } finally {
      await other.close();
    }
  });

  it('hides no revoke: what was asked for while it was lowered is in force after it', async () => {
    await raise({ userId: bob });
    // The lowering has looked at the clock, and waits for the database; meanwhile somebody revokes.
    const at = new Date(t.clock.now);
    t.clock.now += SECOND_MS;
    const token = await t.signIn('bob@example.com');
    t.clock.now += SECOND_MS;
    await post('/admin/cutoffs', { userId: bob, ...REASON }).expect(201);
    const revokedAt = t.clock.now;
    const scope = { userId: bob, applicationId: null };
    const beyond = new Date(at.getTime() + 300_000);
    const [lowered] = await t.store.cutoffs.lower(scope, { beyond, at });
    expect(lowered?.at).toEqual(new Date(revokedAt));
    await t.service.sync.refresh();
    t.clock.now += 1;
    expect(await check(token)).toBe(401);
    expect(await check(await t.signIn('bob@example.com'))).toBe(204);
  });

  /** What this instance reads next is on its way until it is released. */
  function holdNextRead({ store }: TestService) {
    const read = store.cutoffs.writtenSince;
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let tell = (): void => undefined;
    const asked = new Promise<void>((resolve) => (tell = resolve));
    jest.spyOn(store.cutoffs, 'writtenSince').mockImplementationOnce(async function* (since) {
      const found: Cutoff[][] = [];
      for await (const batch of read(since)) found.push(batch);
      tell();
      await released;
      yield* found;
    });
    return { asked, release };
  }

  it('takes back no revoke of an instance that is just reading of the lowering', async () => {
    t.clock.now += LONG_SEALED_MS;
    const other = await t.sibling();
    await raise({ userId: bob });
    await Promise.all([t, other].map(({ service }) => service.sync.refresh()));
    await post('/admin/cutoffs/lower', { userId: bob, ...REASON }).expect(200);
    t.clock.now += SECOND_MS;
    const token = await t.signIn('bob@example.com');
    t.clock.now += SECOND_MS;
    const held = holdNextRead(other);
    const reading = other.service.sync.refresh();
    await held.asked;
    await post('/admin/cutoffs', { userId: bob, ...REASON }, other).expect(201);
    expect(await check(token, other)).toBe(401);
    held.release();
    await reading;
    expect(await check(token, other)).toBe(401);
    t.clock.now += 1;
    const fresh = await t.signIn('bob@example.com');
    expect([await check(fresh), await check(fresh, other)]).toEqual([204, 204]);
    await other.close();
  });

  it('does not come back with what was read before it was lowered', async () => {
    await raise({ userId: bob });
    await t.service.sync.refresh();
    const held = holdNextRead(t);
    const reading = t.service.sync.refresh();
    await held.asked;
    await post('/admin/cutoffs/lower', { userId: bob, ...REASON }).expect(200);
    t.clock.now += SECOND_MS;
    const token = await t.signIn('bob@example.com');
    expect(await check(token)).toBe(204);
    held.release();
    await reading;
    expect(await check(token)).toBe(204);
    t.clock.now += SECOND_MS;
    await post('/admin/cutoffs', { userId: bob, ...REASON }).expect(201);
    expect(await check(token)).toBe(401);
  });

  it('is in the audit trail, and in the log at the start with its mend', async () => {
    await raise({ userId: bob });
    const later = await startTestService({}, database, t.clock);
    expect(later.log()).toContain('POST /admin/cutoffs/lower');
    await post('/admin/cutoffs/lower', { userId: bob, ...REASON }, later).expect(200);
    await later.service.audit.flush();
    const [event] = await later.store.events.list(
      { type: 'cutoff.lowered' },
      { limit: 9, before: null },
    );
    expect(event).toMatchObject({ userId: bob, reason: 'compromised', via: 'dashboard' });
    await later.close();
    const again = await startTestService({}, database, t.clock);
    expect(again.log()).not.toContain('cutoff.future');
    await again.close();
  });

  it('is the only kind that can be lowered, and by administrators only', async () => {
    const token = await t.signIn('bob@example.com');
    await post('/admin/cutoffs', { userId: bob, ...REASON }).expect(201);
    t.clock.now += 1;
    const asBob = await t.signIn('bob@example.com');
    const lower = (authorization: string, body: object) =>
      t
        .http()
        .post('/admin/cutoffs/lower')
        .set('Authorization', authorization)
        .send({ ...REASON, ...body });
    expect((await lower(ADMIN, { userId: bob })).status).toBe(409);
    expect((await lower(ADMIN, { userId: 'nobody' })).status).toBe(409);
    expect((await lower(ADMIN, {})).status).toBe(400);
    expect((await lower(ADMIN, { everything: true, userId: bob })).status).toBe(400);
    await raise({ userId: bob }, { at: new Date(t.clock.now + 300_000) });
    expect((await lower(ADMIN, { userId: bob })).status).toBe(409);
    expect((await lower(asBob, { userId: bob })).status).toBe(403);
    expect(await check(token)).toBe(401);
  });

  it('is marked again when it is raised after it was lowered', async () => {
    await raise({ userId: bob });
    t.service.marker.wake();
    await t.service.marker.idle();
    await post('/admin/cutoffs/lower', { userId: bob, ...REASON }).expect(200);
    t.clock.now += 1;
    const jti = jtiOf(await t.signIn('bob@example.com'));
    t.clock.now += 1;
    await post('/admin/cutoffs', { userId: bob, ...REASON }).expect(201);
    await t.service.marker.idle();
    const [record] = await t.store.tokens.findByJti(jti);
    expect(record?.revocation).not.toBeNull();
  });
});

describe('an iat ahead', () => {
  const AHEAD = 250;
  const cutOff = (scope: object) => post('/admin/cutoffs', { ...scope, ...REASON }).expect(201);

  it.each(SCOPES)('counts as now when it is first seen: cut-off %s', async (_name, scope) => {
    const token = foreign(AHEAD, { applicationId: 'app' });
    expect(await check(token)).toBe(204);
    await t.service.usage.flush();
    for (let i = 0; i < 60; i += 1) {
      t.clock.now += 100;
      expect(await check(foreign(-1, { applicationId: 'app' }))).toBe(204);
    }
    await t.service.usage.flush();
    await cutOff(scope());
    expect(await check(token)).toBe(401);
    await t.service.marker.idle();
    // When its own time has come, it is refused by whoever sees it for the first time.
    t.clock.now += AHEAD * SECOND_MS + SECOND_MS;
    const later = await startTestService({}, database, t.clock);
    expect([await check(token), await check(token, later)]).toEqual([401, 401]);
    await later.close();
  });

  it.each(SCOPES)('is refused when first seen after a cut-off %s', async (_name, scope) => {
    const token = foreign(AHEAD, { applicationId: 'app' });
    const { body } = await cutOff(scope());
    expect(Date.parse(body.at)).toBe(t.clock.now);
    t.clock.now += SECOND_MS;
    expect(await check(token)).toBe(401);
    await until(
      'the token is recorded as revoked',
      async () => {
        const [record] = await t.store.tokens.findByJti(jtiOf(token));
        return record !== undefined && record.revocation !== null;
      },
      20_000,
    );
    t.clock.now += AHEAD * SECOND_MS;
    const later = await startTestService({}, database, t.clock);
    expect([await check(token), await check(token, later)]).toEqual([401, 401]);
    await later.close();
  });

  it('stays refused although the database could not record it at first', async () => {
    const token = foreign(AHEAD);
    await cutOff({ userId: bob });
    t.clock.now += SECOND_MS;
    const insert = jest
      .spyOn(t.store.tokens, 'insert')
      .mockRejectedValueOnce(unavailable('The database is away.'));
    expect(await check(token)).toBe(401);
    await until('it was tried', () => insert.mock.calls.length > 0, 20_000);
    insert.mockRestore();
    expect(await t.store.tokens.findByJti(jtiOf(token))).toEqual([]);
    await until(
      'the next refresh has recorded it',
      async () => {
        await t.service.sync.refresh();
        return (await t.store.tokens.findByJti(jtiOf(token)))[0]?.revocation instanceof Object;
      },
      20_000,
    );
    t.clock.now += AHEAD * SECOND_MS;
    const later = await startTestService({}, database, t.clock);
    expect([await check(token), await check(token, later)]).toEqual([401, 401]);
    await later.close();
  });

  it('of a few seconds is what clocks do: good a few seconds after a cut-off', async () => {
    await cutOff({ userId: bob });
    expect(await check(foreign(2))).toBe(401);
    t.clock.now += 4 * SECOND_MS;
    expect(await check(foreign(2))).toBe(204);
    expect(await check(foreign(0))).toBe(204);
  });

  it('of a second rounded up is good as soon as the second of a cut-off is over', async () => {
    await cutOff({ userId: bob });
    const atOnce = foreign(1);
    t.clock.now += 500;
    expect(await check(atOnce)).toBe(401);
    t.clock.now += 600;
    expect(await check(foreign(1))).toBe(204);
  });

  it('ends a stream that was opened with it', async () => {
    const token = foreign(AHEAD);
    const verification = await t.service.checkToken(token, () => ({
      name: null,
      description: null,
      type: null,
      userAgent: null,
      ip: null,
      location: null,
    }));
    await cutOff({ userId: bob });
    expect(verification.accepted && t.service.index.isRevoked(verification.claims)).toBe(true);
  });

  it('is not good yet where nothing would remember it', async () => {
    const allowing = await t.sibling({ UNKNOWN_TOKENS: 'allow' });
    expect(await check(foreign(AHEAD), allowing)).toBe(401);
    expect(await check(foreign(4), allowing)).toBe(204);
    await allowing.close();
  });

  it('of an instance whose clock is ahead is hit, however many came after it', async () => {
    const ahead = { now: t.clock.now + AHEAD * SECOND_MS };
    const other = await startTestService({}, database, ahead);
    const token = await other.signIn('bob@example.com');
    for (let i = 0; i < 60; i += 1) await t.signIn('bob@example.com');
    await cutOff({ userId: bob });
    expect(await check(token)).toBe(401);
    await other.close();
  }, 30_000);
});
