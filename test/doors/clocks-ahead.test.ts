/** Clocks that are ahead, of instances and of others who sign: what was issued by them is hit by what revokes it, once and for all. */
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { unavailable } from '../../src/errors.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  START,
  startTestService,
  type TestService,
} from '../support/harness.js';
import { until } from '../support/process.js';

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const OWN_ISSUER = 'https://tiledesk.com';
/** A password, which no cut-off refuses. */
const ADMIN = `Basic ${Buffer.from(`root@example.com:${PASSWORD}`).toString('base64')}`;
const SCOPES: readonly (readonly [string, () => object])[] = [
  ['a user', () => ({ userId: bob })],
  ['an application', () => ({ applicationId: 'app' })],
  ['everything', () => ({ everything: true })],
];

let t: TestService;
let database: string;
let bob: string;
const others: TestService[] = [];

async function start(environment: Record<string, string> = {}): Promise<void> {
  database = freshDatabase();
  t = await startTestService(environment, database);
  await t.createUser('root@example.com', 'admin');
  bob = (await t.createUser('bob@example.com')).id;
}
afterEach(async () => {
  for (const other of others.splice(0)) await other.close();
  await t.close();
});

async function another(environment = {}, clock = t.clock): Promise<TestService> {
  const other = await startTestService(environment, database, clock);
  others.push(other);
  return other;
}
const post = (path: string, body: object, at = t) =>
  at.http().post(path).set('Authorization', ADMIN).send(body);
const cutOff = (scope: object, at = t) =>
  post('/admin/cutoffs', { ...scope, reason: 'compromised' }, at).expect(201);
const check = async (token: string, at = t) =>
  (
    await at
      .http()
      .get('/auth/verify')
      .set('Authorization', token.startsWith('JWT ') ? token : `JWT ${token}`)
  ).status;
const seconds = () => Math.floor(t.clock.now / 1000);
const foreign = (aheadSeconds: number, claims: object = {}) =>
  mint({ jti: randomUUID(), _id: bob, sub: 'user', iat: seconds() + aheadSeconds, ...claims });

interface Login {
  readonly token: string;
  readonly refreshToken: string;
  readonly refreshTokenId: string;
}
async function login(at = t): Promise<Login> {
  const body = { loginId: 'bob@example.com', password: PASSWORD, applicationId: 'app' };
  return (await at.http().post('/api/login').send(body).expect(200)).body as Login;
}
const refresh = async (refreshToken: string, at = t) =>
  (await at.http().post('/api/jwt/refresh').send({ refreshToken })).status;
const isRecordedAsRevoked = (token: string) => async () =>
  (await t.store.tokens.findByJti(jtiOf(token))).some(({ revocation }) => revocation !== null);

describe('an instance whose clock was an hour ahead', () => {
  it.each(SCOPES)('issued what a revoke of %s hits all the same', async (_name, scope) => {
    await start();
    const ahead = { now: START + HOUR_MS };
    const wrong = await another({}, ahead);
    const session = await login(wrong);
    const { body: minted } = await wrong
      .http()
      .get('/v1/token')
      .set('Authorization', `JWT ${session.token}`)
      .expect(200);
    const { body } = await cutOff(scope());
    expect(Date.parse(body.at)).toBe(t.clock.now);
    expect(body.matched).toMatchObject({ users: 1 });
    t.clock.now += 1;
    const fresh = await login();
    const restarted = await another();
    const offsets = [SECOND_MS, HOUR_MS - 200_000, HOUR_MS + SECOND_MS];
    for (const now of offsets.map((offset) => START + offset)) {
      t.clock.now = now;
      for (const at of [t, restarted]) {
        await at.service.sync.refresh();
        expect(await check(session.token, at)).toBe(401);
        expect(await check(minted.token, at)).toBe(401);
        expect(await refresh(session.refreshToken, at)).not.toBe(200);
      }
    }
    expect(await refresh(fresh.refreshToken)).toBe(200);
  });

  it('hides nothing of the others from a revoke: theirs count, however many it recorded', async () => {
    await start();
    const [littleAhead, farAhead] = [
      await another({}, { now: START + 300 }),
      await another({}, { now: START + HOUR_MS }),
    ];
    const token = await littleAhead.signIn('bob@example.com');
    for (const [at, iat] of [
      [littleAhead, -100],
      [farAhead, 0],
    ] as const) {
      for (let i = 0; i < 60; i += 1)
        expect(await check(foreign(iat, { _id: `other-${i}` }), at)).toBe(204);
      await at.service.usage.flush();
    }
    await cutOff({ everything: true });
    t.clock.now += SECOND_MS;
    await t.service.sync.refresh();
    expect(await check(token)).toBe(401);
  });
});

describe('what was revoked by a clock that was ahead', () => {
  const lower = () =>
    post('/admin/cutoffs/lower', { userId: bob, reason: 'compromised' }).expect(200);

  it('stays refused when its cut-off is lowered, marked or not', async () => {
    await start();
    // Long after the seals were made: what a cut-off hit is known by the cut-off only.
    t.clock.now += 1_200_000;
    const wrong = await another({}, { now: t.clock.now + 480_000 });
    await t.service.sync.refresh();
    const session = await login(wrong);
    wrong.clock.now += SECOND_MS;
    await cutOff({ userId: bob }, wrong);
    await wrong.service.marker.idle();
    const unmarked = await wrong.signIn('bob@example.com');
    await t.store.cutoffs.raise({
      userId: bob,
      applicationId: null,
      sessionsOnly: false,
      at: new Date(wrong.clock.now),
      by: 'root',
      reason: null,
      via: 'test',
    });
    const elsewhere = await another();
    await t.service.sync.refresh();
    for (const token of [session.token, unmarked])
      expect([await check(token), await check(token, elsewhere)]).toEqual([401, 401]);
    await lower();
    t.clock.now += 1;
    const fresh = await t.signIn('bob@example.com');
    // Until what it was issued at comes, and after that.
    for (const forwardMs of [0, 200_000, 300_000, 600_000]) {
      t.clock.now += forwardMs;
      const restarted = await another();
      for (const at of [t, elsewhere, restarted]) {
        await at.service.sync.refresh();
        for (const token of [session.token, unmarked])
          expect([forwardMs, await check(token, at)]).toEqual([forwardMs, 401]);
        expect(await refresh(session.refreshToken, at)).not.toBe(200);
        expect(await check(fresh, at)).toBe(204);
      }
    }
  });

  it('does nothing to anybody where there is nothing to lower', async () => {
    await start();
    const wrong = await another({}, { now: START + 480_000 });
    const token = await wrong.signIn('bob@example.com');
    await cutOff({ userId: bob });
    await post('/admin/cutoffs/lower', { userId: 'ann', reason: 'rotated' }).expect(409);
    const other = await wrong.signIn('bob@example.com');
    await post('/admin/cutoffs/lower', { userId: bob, reason: 'rotated' }).expect(409);
    expect([await check(token), await check(other, wrong)]).toEqual([401, 204]);
  });
});

describe('an iat ahead that was refused', () => {
  it('stays refused where the cut-off itself is a little ahead', async () => {
    await start();
    const ahead = await another({}, { now: START + 3 * SECOND_MS });
    await ahead.signIn('bob@example.com');
    await cutOff({ userId: bob });
    const token = foreign(5);
    expect(await check(token)).toBe(401);
    await until('it is recorded', isRecordedAsRevoked(token), 20_000);
    t.clock.now = START + 6 * SECOND_MS;
    expect([await check(token), await check(token, await another())]).toEqual([401, 401]);
  });

  it('stays refused where tokens are not recorded', async () => {
    await start({ UNKNOWN_TOKENS: 'allow' });
    const token = foreign(5);
    expect(await check(token)).toBe(204);
    t.clock.now += SECOND_MS;
    await cutOff({ userId: bob });
    expect(await check(token)).toBe(401);
    await until('it is recorded', isRecordedAsRevoked(token), 20_000);
    t.clock.now = START + 6 * SECOND_MS;
    const restarted = await another({ UNKNOWN_TOKENS: 'allow' });
    expect([await check(token), await check(token, restarted)]).toEqual([401, 401]);
  });

  it('mints nothing where the cut-off is not known yet', async () => {
    await start();
    const far = await another();
    const token = foreign(200);
    await cutOff({ userId: bob }, far);
    t.clock.now += 500;
    const minted = await t.http().get('/v1/token').set('Authorization', `JWT ${token}`);
    expect(minted.status).toBe(401);
  });
});

describe('a token that is recorded when what revoked it was marked already, by an instance that does not know', () => {
  const AHEAD = 200;

  type Recorded = Awaited<ReturnType<TestService['store']['tokens']['recordSeen']>>;

  /** Accepted there before, and recorded when the marking is done. */
  async function acceptedAt(
    far: TestService,
    record: (write: () => Promise<Recorded>) => Promise<Recorded> = (write) => write(),
  ): Promise<string> {
    const { recordSeen } = far.store.tokens;
    let release = (): void => undefined;
    const marked = new Promise<void>((resolve) => (release = resolve));
    jest.spyOn(far.store.tokens, 'recordSeen').mockImplementationOnce(async (...given) => {
      await marked;
      return record(() => recordSeen(...given));
    });
    const token = foreign(AHEAD);
    expect(await check(token, far)).toBe(204);
    await cutOff({ userId: bob });
    await t.service.marker.idle();
    release();
    return token;
  }
  async function expectRefused(token: string): Promise<void> {
    expect(await isRecordedAsRevoked(token)()).toBe(true);
    t.clock.now += (AHEAD + 50) * SECOND_MS;
    await t.service.sync.refresh();
    expect([await check(token), await check(token, await another())]).toEqual([401, 401]);
  }

  it.each<[string, (write: () => Promise<Recorded>) => Promise<Recorded>]>([
    ['is revoked when that is heard of', (write) => write()],
    [
      'is revoked although the outcome of recording it was unknown',
      async (write) => {
        await write();
        throw unavailable('It does not answer.');
      },
    ],
    [
      'is revoked although another one of its batch was recorded elsewhere',
      async (write) => {
        await write();
        return [];
      },
    ],
  ])('%s', async (_name, record) => {
    await start();
    const far = await another();
    const token = await acceptedAt(far, record);
    await far.service.usage.flush();
    await far.service.sync.refresh();
    await expectRefused(token);
  });

  it('is revoked by a later try where the first one fails', async () => {
    await start();
    const far = await another();
    const token = await acceptedAt(far);
    await far.service.usage.flush();
    const revoke = jest
      .spyOn(far.store.tokens, 'revoke')
      .mockRejectedValueOnce(unavailable('It is away.'));
    await far.service.sync.refresh();
    expect(revoke).toHaveBeenCalledTimes(1);
    await far.service.sync.refresh();
    await expectRefused(token);
  });

  it('is revoked when that instance stops before it has heard of it', async () => {
    await start();
    const far = await startTestService({}, database, t.clock);
    const token = await acceptedAt(far);
    await far.close();
    await expectRefused(token);
  });

  it('is revoked when it is recorded because it mints', async () => {
    const environment = { UNKNOWN_TOKENS: 'allow' };
    await start(environment);
    const far = await another(environment);
    const token = foreign(4);
    const { insert } = far.store.tokens;
    jest.spyOn(far.store.tokens, 'insert').mockImplementationOnce(async (record) => {
      await cutOff({ userId: bob });
      await t.service.marker.idle();
      return insert(record);
    });
    const minted = await far.http().get('/v1/token').set('Authorization', `JWT ${token}`);
    expect(minted.status).toBe(401);
    expect(await isRecordedAsRevoked(token)()).toBe(false);
    await far.service.sync.refresh();
    expect(await isRecordedAsRevoked(token)()).toBe(true);
    t.clock.now += 6 * SECOND_MS;
    expect(await check(token, await another(environment))).toBe(401);
  });
});

describe('an altered token whose date is ahead', () => {
  it('does nothing to the token or the session whose id it has', async () => {
    await start();
    const good = await t.signIn('bob@example.com');
    const { refreshToken, refreshTokenId } = await login();
    await cutOff({ userId: 'mallory' });
    t.clock.now += SECOND_MS;
    for (const jti of [jtiOf(good), refreshTokenId]) {
      const altered = { jti, iss: OWN_ISSUER, _id: 'mallory', sub: 'user', iat: seconds() + 200 };
      expect(await check(mint(altered))).toBe(401);
      expect(await check(mint({ ...altered, _id: bob }))).toBe(401);
      await t.service.audit.flush();
      const [record] = await t.store.tokens.findByJti(jti);
      expect(record).toMatchObject({ revocation: null, lastRefusedAt: null, refusedCount: 0 });
    }
    expect([await check(good), await refresh(refreshToken)]).toEqual([204, 200]);
  });

  it('is told from an unknown one, to administrators only', async () => {
    await start();
    const token = mint({ jti: jtiOf(await t.signIn('bob@example.com')), sub: bob, iat: seconds() });
    const { body } = await post('/admin/inspect', { token }).expect(200);
    expect(body).toMatchObject({ accepted: false, reason: 'altered' });
    const refused = await t.http().get('/auth/verify').set('Authorization', `JWT ${token}`);
    expect(JSON.stringify([refused.body, refused.headers])).not.toContain('altered');
  });
});

describe('a token of an instance that is ten seconds ahead', () => {
  it.each(['adopt', 'allow', 'deny'])(
    'is good at the others: UNKNOWN_TOKENS=%s',
    async (policy) => {
      const environment = { UNKNOWN_TOKENS: policy };
      await start(environment);
      const ahead = await another(environment, { now: START + 10 * SECOND_MS });
      expect(await check(await ahead.signIn('bob@example.com'))).toBe(204);
    },
  );
});

describe('a cut-off that was lowered once', () => {
  it('is none that can be lowered when it was raised since', async () => {
    await start();
    const lower = () => post('/admin/cutoffs/lower', { userId: bob, reason: 'rotated' });
    await t.store.cutoffs.raise({
      userId: bob,
      applicationId: null,
      sessionsOnly: false,
      at: new Date('2099-01-01'),
      by: 'root',
      reason: null,
      via: 'test',
    });
    await t.service.sync.refresh();
    expect((await lower()).status).toBe(200);
    t.clock.now += HOUR_MS;
    await cutOff({ userId: bob });
    t.clock.now += HOUR_MS;
    expect((await lower()).status).toBe(409);
    await t.service.audit.flush();
    const events = await t.store.events.list(
      { type: 'cutoff.lowered' },
      { limit: 9, before: null },
    );
    expect(events).toHaveLength(1);
  });
});
