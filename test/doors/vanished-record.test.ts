/** A record that vanishes between being found and being revoked: nothing was revoked, so nothing says that it was. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose, { type Connection } from 'mongoose';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';

const database = freshDatabase();
let t: TestService;
let direct: Connection;
/** How many of the next revokes find no record. */
let vanished = 0;
let admin: string;
let user: string;

beforeAll(async () => {
  t = await startTestService({ REFRESH_TOKEN_GRACE: '0' }, database);
  direct = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
  const { revoke } = t.store.tokens;
  Object.assign(t.store.tokens, {
    revoke: async (...given: Parameters<typeof revoke>) => {
      vanished -= 1;
      return vanished >= 0 ? null : revoke(...given);
    },
  });
  await t.createUser('admin@example.com', 'admin');
  await t.createUser('user@example.com');
});
afterAll(async () => {
  await direct?.close();
  await t?.close();
});
beforeEach(async () => {
  vanished = 0;
  t.clock.now += 60_000;
  admin = await t.signIn('admin@example.com');
  user = await t.signIn('user@example.com');
});

const verify = async (token: string) =>
  (await t.http().get('/auth/verify').set('Authorization', token)).status;
const issuedAt = () => Math.floor(t.clock.now / 1000);
const login = async () => {
  const { body } = await t
    .http()
    .post('/api/login')
    .send({ loginId: 'user@example.com', password: PASSWORD });
  return body as { token: string; refreshToken: string };
};
const exchange = (refreshToken: string) => t.http().post('/api/jwt/refresh').send({ refreshToken });

describe('a revoke whose record is gone', () => {
  it.each([
    ['by jti', 404, (token: string) => t.http().delete(`/v3/jwt/history/${jtiOf(token)}`)],
    ['by value', 503, (token: string) => t.http().delete('/v1/token').send({ token })],
  ])('%s is %i, and repeated it revokes', async (_, status, revoke) => {
    const token = mint({ jti: `gone-${status}`, _id: 'holder', iat: issuedAt() });
    expect(await verify(`JWT ${token}`)).toBe(204);
    vanished = 1;
    const first = await revoke(token).set('Authorization', admin);
    expect(first.status).toBe(status);
    if (status === 503) expect(first.headers['retry-after']).toBe('1');
    expect(await verify(`JWT ${token}`)).toBe(204);
    expect((await revoke(token).set('Authorization', admin)).status).toBe(200);
    expect(await verify(`JWT ${token}`)).toBe(401);
  });

  it('of several with the same jti is 503 when any of them is', async () => {
    const tokens = ['https://one.example', 'https://two.example'].map((iss) =>
      mint({ jti: 'shared', _id: 'holder', iat: issuedAt(), iss }),
    );
    for (const token of tokens) expect(await verify(`JWT ${token}`)).toBe(204);
    vanished = 1;
    const revoke = () => t.http().delete('/v3/jwt/history/shared').set('Authorization', admin);
    const first = await revoke();
    expect([first.status, first.headers['retry-after']]).toEqual([503, '1']);
    expect((await revoke()).status).toBe(200);
    for (const token of tokens) expect(await verify(`JWT ${token}`)).toBe(401);
  });

  it('in bulk is told as failed, not as revoked already', async () => {
    const [record] = await t.store.tokens.findByJti(jtiOf(user));
    vanished = 1;
    const response = await t
      .http()
      .post('/admin/revocations')
      .set('Authorization', admin)
      .send({
        selection: { ids: [record?.id] },
        expectedCount: 1,
        asOf: new Date(t.clock.now + 1000).toISOString(),
        reason: 'rotated',
      });
    expect(response.status).toBe(200);
    const { result } = JSON.parse(response.text.trim().split('\n').at(-1) ?? '') as {
      result: object;
    };
    expect(result).toMatchObject({
      revoked: 0,
      alreadyRevoked: 0,
      failed: [{ jti: jtiOf(user), message: 'has no record any more; look again.' }],
    });
    expect(await verify(user)).toBe(204);
  });

  it('by record id is 404', async () => {
    const [record] = await t.store.tokens.findByJti(jtiOf(user));
    for (const call of [
      t.http().delete(`/v3/jwt/history/id/${record?.id}`),
      t.http().post(`/admin/tokens/${record?.id}/revoke`).send({ reason: 'rotated' }),
      t.http().delete(`/api/jwt/refresh/${(await login()).refreshToken.split('.')[0]}`),
    ]) {
      vanished = 1;
      expect((await call.set('Authorization', admin)).status).toBe(404);
    }
  });

  it('at logout is 503 and keeps the cookies, and repeated it ends the session', async () => {
    const { token, refreshToken } = await login();
    const logout = () => t.http().post('/api/logout').send({ refreshToken });
    vanished = 1;
    const first = await logout();
    expect([first.status, first.headers['retry-after']]).toEqual([503, '1']);
    expect(first.headers['set-cookie']).toBeUndefined();
    expect((await logout()).status).toBe(200);
    expect([await verify(`JWT ${token}`), (await exchange(refreshToken)).status]).toEqual([
      401, 400,
    ]);
    // Whatever the token was.
    expect((await t.http().post('/api/logout').send({ refreshToken: 'unknown' })).status).toBe(200);
  });

  it('for a used refresh token that came back is 503, and repeated it ends the session', async () => {
    const { token, refreshToken } = await login();
    expect((await exchange(refreshToken)).status).toBe(200);
    t.clock.now += 1000;
    vanished = 1;
    const first = await exchange(refreshToken);
    expect([first.status, first.headers['retry-after']]).toEqual([503, '1']);
    expect(await verify(`JWT ${token}`)).toBe(204);
    expect((await exchange(refreshToken)).status).toBe(400);
    expect(await verify(`JWT ${token}`)).toBe(401);
  });
});

describe('signing out of the dashboard', () => {
  async function open() {
    const { body, headers } = await t
      .http()
      .post('/admin/session')
      .send({ email: 'user@example.com', password: PASSWORD });
    const [cookie = ''] = headers['set-cookie'] as unknown as string[];
    const pair = cookie.split(';')[0] ?? '';
    const { csrfToken } = body as { csrfToken: string };
    return {
      // The cookie's value: the token, and what stamps it.
      jti: jtiOf(
        pair
          .slice(pair.indexOf('=') + 1)
          .split('.', 3)
          .join('.'),
      ),
      isSignedIn: async () =>
        (await t.http().get('/admin/session').set('Cookie', pair)).status === 200,
      signOut: () =>
        t.http().delete('/admin/session').set('Cookie', pair).set('X-CSRF-Token', csrfToken),
    };
  }

  it('is 503 and keeps the cookie when the record is gone, and repeated it signs out', async () => {
    const { isSignedIn, signOut } = await open();
    vanished = 1;
    const first = await signOut();
    expect([first.status, first.headers['set-cookie']]).toEqual([503, undefined]);
    expect(await isSignedIn()).toBe(true);
    expect((await signOut()).status).toBe(204);
    expect(await isSignedIn()).toBe(false);
  });

  it('revokes a token that has no record at all', async () => {
    const { jti, isSignedIn, signOut } = await open();
    await direct.collection('tokens').deleteOne({ jti });
    expect((await signOut()).status).toBe(204);
    expect(await isSignedIn()).toBe(false);
    const [record] = await t.store.tokens.findByJti(jti);
    expect(record).toMatchObject({ origin: 'registered', revocation: { reason: 'signed out' } });
  });
});
