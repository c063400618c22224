/** FusionAuth's refresh-token API through its own, unmodified client; and what its wire must and must not show. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FusionAuthClient } from '@fusionauth/typescript-client';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { toFusionAuthId } from '../../../src/store/user-uuid.js';
import type { User } from '../../../src/store/records.js';
import { timeOfJti } from '../../../src/tokens/jti.js';
import {
  jtiOf,
  PASSWORD,
  rsaPem,
  START,
  startTestService,
  type TestService,
} from '../../support/harness.js';

const APP = '3c219e58-ed0e-4b18-ad48-f4f92793ae32';
const OTHER_APP = '85a03867-dccf-4882-adde-1a79aeec50df';

let t: TestService;
let alice: User;
let bob: User;
let server: Server;
let url: string;
let apiKey: string;
const client = (key?: string) => new FusionAuthClient(key as string, url);

beforeAll(async () => {
  t = await startTestService();
  alice = await t.createUser('alice@example.com');
  bob = await t.createUser('bob@example.com');
  await t.createUser('root@example.com', 'admin');
  server = createServer(t.service.handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const root = await t.signIn('root@example.com');
  const made = await t
    .http()
    .post('/admin/api-keys')
    .set('Authorization', root)
    .send({ name: 'tests' });
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({
    kind: 'api-key',
    state: 'active',
    expiresAt: null,
    device: { name: 'tests' },
  });
  apiKey = made.body.key;
});
afterAll(async () => {
  server.close();
  await t.close();
});

const login = async (loginId = 'alice@example.com', applicationId: string | undefined = APP) => {
  // A login in the millisecond of a cut-off would be revoked by it.
  t.clock.now += 1;
  const { response } = await client().login({
    loginId,
    password: PASSWORD,
    applicationId,
    metaData: { device: { name: 'Phone', description: 'of the test', type: 'MOBILE' } },
  });
  return response as unknown as {
    token: string;
    tokenExpirationInstant: number;
    refreshToken: string;
    refreshTokenId: string;
    user: { id: string; email: string };
  };
};
const accepted = async (token: string) =>
  (await t.http().get('/auth/verify').set('Authorization', `Bearer ${token}`)).status === 204;
const exchange = (refreshToken: string, more = {}) =>
  client().exchangeRefreshTokenForJWT({ refreshToken, ...more });
const outcome = (promise: Promise<{ statusCode: number; exception?: unknown }>) =>
  promise.then(
    ({ statusCode, exception }) => ({ statusCode, exception }),
    ({ statusCode, exception }: { statusCode: number; exception?: unknown }) => ({
      statusCode,
      exception,
    }),
  );

describe('with its own client', () => {
  it('logs in, and shows user, times and ids', async () => {
    const session = await login();
    expect(session.user).toMatchObject({
      id: toFusionAuthId(alice.id),
      email: 'alice@example.com',
    });
    expect(session.refreshToken).toMatch(/^[0-9a-f-]{36}\.[\w-]{43}$/);
    expect(session.refreshToken.startsWith(session.refreshTokenId)).toBe(true);
    const claims = jwt.decode(session.token) as jwt.JwtPayload;
    expect(claims).toMatchObject({
      aud: APP,
      applicationId: APP,
      sid: session.refreshTokenId,
      sub: alice.id,
      roles: [],
      email: 'alice@example.com',
    });
    expect(session.tokenExpirationInstant).toBe((claims.exp ?? 0) * 1000);
    expect(claims.exp).toBe((claims.iat ?? 0) + 3600);
    expect(await accepted(session.token)).toBe(true);
  });

  it('answers an unknown user and a wrong password alike: 404, empty', async () => {
    for (const [loginId, password] of [
      ['nobody@example.com', PASSWORD],
      ['alice@example.com', 'wrong'],
    ]) {
      const response = await t.http().post('/api/login').send({ loginId, password });
      expect([response.status, response.text]).toEqual([404, '']);
    }
  });

  it('issues nothing with noJWT', async () => {
    const response = await t
      .http()
      .post('/api/login')
      .send({ loginId: 'alice@example.com', password: PASSWORD, noJWT: true });
    expect(Object.keys(response.body)).toEqual(['user']);
    expect(response.headers['set-cookie']).toBeUndefined();
  });

  it('exchanges: the id stays, the secret changes, the access token is new', async () => {
    const session = await login();
    t.clock.now += 5000;
    const { response } = await exchange(session.refreshToken);
    expect(response.refreshTokenId).toBe(session.refreshTokenId);
    expect(response.refreshToken).not.toBe(session.refreshToken);
    expect(jtiOf(response.token ?? '')).not.toBe(jtiOf(session.token));
    expect((jwt.decode(response.token ?? '') as jwt.JwtPayload)['sid']).toBe(
      session.refreshTokenId,
    );
    expect(await accepted(response.token ?? '')).toBe(true);
    expect((await exchange(response.refreshToken ?? '')).statusCode).toBe(200);
  });

  it('only shortens with timeToLiveInSeconds', async () => {
    const session = await login();
    const lifetime = (token = '') => {
      const { exp = 0, iat = 0 } = jwt.decode(token) as jwt.JwtPayload;
      return exp - iat;
    };
    const short = await exchange(session.refreshToken, { timeToLiveInSeconds: 60 });
    expect(lifetime(short.response.token)).toBe(60);
    const long = await exchange(short.response.refreshToken ?? '', { timeToLiveInSeconds: 1e6 });
    expect(lifetime(long.response.token)).toBe(3600);
  });

  it('lists and retrieves, without any secret', async () => {
    const session = await login();
    const { response } = await client(apiKey).retrieveRefreshTokens(alice.id);
    const listed = response.refreshTokens?.find(({ id }) => id === session.refreshTokenId);
    expect(listed).toMatchObject({
      applicationId: APP,
      userId: toFusionAuthId(alice.id),
      insertInstant: t.clock.now,
      startInstant: t.clock.now,
      metaData: {
        device: {
          name: 'Phone',
          description: 'of the test',
          type: 'MOBILE',
          lastAccessedInstant: t.clock.now,
        },
      },
    });
    expect(listed?.metaData?.device).toHaveProperty('lastAccessedAddress');
    expect(JSON.stringify(response)).not.toContain(session.refreshToken.split('.')[1]);
    const one = await client(apiKey).retrieveRefreshTokenById(session.refreshTokenId);
    expect(one.response.refreshToken).toEqual(listed);
    expect((await client(apiKey).retrieveRefreshTokens('nobody')).response).toEqual({
      refreshTokens: [],
    });
    expect(await outcome(client(apiKey).retrieveRefreshTokenById('nothing'))).toEqual({
      statusCode: 404,
      exception: undefined,
    });
  });

  it.each([
    [
      'token',
      (s: Awaited<ReturnType<typeof login>>) =>
        client(apiKey).revokeRefreshTokenByToken(s.refreshToken),
    ],
    [
      'token, the old way',
      (s: Awaited<ReturnType<typeof login>>) =>
        client(apiKey).revokeRefreshToken(s.refreshToken, undefined as never, undefined as never),
    ],
    [
      'id',
      (s: Awaited<ReturnType<typeof login>>) =>
        client(apiKey).revokeRefreshTokenById(s.refreshTokenId),
    ],
    ['user', () => client(apiKey).revokeRefreshTokensByUserId(alice.id)],
    ['application', () => client(apiKey).revokeRefreshTokensByApplicationId(APP)],
    [
      'user and application',
      () => client(apiKey).revokeRefreshTokensByUserIdForApplication(alice.id, APP),
    ],
    [
      'JSON',
      () =>
        client(apiKey).revokeRefreshTokensWithRequest({
          userId: alice.id,
          applicationId: APP,
          eventInfo: { data: { why: 'test' }, ipAddress: '1.2.3.4' },
        }),
    ],
  ])('revokes by %s: the refresh token, and at once its access tokens', async (_name, revoke) => {
    const session = await login();
    expect(await accepted(session.token)).toBe(true);
    const { statusCode, response } = await revoke(session);
    expect([statusCode, response]).toEqual([200, undefined]);
    expect(await accepted(session.token)).toBe(false);
    expect(await outcome(exchange(session.refreshToken))).toMatchObject({
      statusCode: 400,
      exception: { fieldErrors: { refreshToken: [{ code: '[invalid]refreshToken' }] } },
    });
    expect(
      (await outcome(client(apiKey).revokeRefreshTokenById(session.refreshTokenId))).statusCode,
    ).toBe(404);
    // A login afterwards works.
    expect(await accepted((await login()).token)).toBe(true);
  });

  it('revokes user + application only where both match', async () => {
    const here = await login('alice@example.com', APP);
    const there = await login('alice@example.com', OTHER_APP);
    const bobs = await login('bob@example.com', APP);
    await client(apiKey).revokeRefreshTokensByUserIdForApplication(alice.id, APP);
    expect([
      await accepted(here.token),
      await accepted(there.token),
      await accepted(bobs.token),
    ]).toEqual([false, true, true]);
    await client(apiKey).revokeRefreshTokensByUserId(bob.id);
    expect([await accepted(there.token), await accepted(bobs.token)]).toEqual([true, false]);
  });

  it('lets owners revoke by id and by token, nobody else’s, and nothing in bulk', async () => {
    const [mine, bobs] = [await login(), await login('bob@example.com')];
    const asAlice = client(`JWT ${mine.token}`);
    expect((await outcome(asAlice.revokeRefreshTokenById(bobs.refreshTokenId))).statusCode).toBe(
      404,
    );
    expect((await outcome(asAlice.revokeRefreshTokenByToken(bobs.refreshToken))).statusCode).toBe(
      404,
    );
    for (const bulk of [
      asAlice.revokeRefreshTokensByUserId(alice.id),
      asAlice.revokeRefreshTokensByApplicationId(APP),
    ]) {
      expect(await outcome(bulk)).toEqual({ statusCode: 401, exception: undefined });
    }
    expect((await asAlice.retrieveRefreshTokens(bob.id)).response).toEqual({ refreshTokens: [] });
    expect([await accepted(mine.token), await accepted(bobs.token)]).toEqual([true, true]);
    expect((await asAlice.revokeRefreshTokenById(mine.refreshTokenId)).statusCode).toBe(200);
    expect(await accepted(mine.token)).toBe(false);
  });

  it('logs out: one session, or all of them; and 200 whatever the token', async () => {
    const [one, two] = [await login(), await login()];
    await client().logout(false, one.refreshToken);
    expect([await accepted(one.token), await accepted(two.token)]).toEqual([false, true]);
    const three = await login();
    await client().logoutWithRequest({ global: true, refreshToken: three.refreshToken });
    expect([await accepted(two.token), await accepted(three.token)]).toEqual([false, false]);
    for (const token of ['nonsense', three.refreshToken, undefined]) {
      expect((await client().logout(true, token as never)).statusCode).toBe(200);
    }
  });

  it('validates, revocation included', async () => {
    const session = await login();
    const { response } = await client().validateJWT(session.token);
    expect(response.jwt).toMatchObject({ sub: alice.id, sid: session.refreshTokenId });
    await client(apiKey).revokeRefreshTokenById(session.refreshTokenId);
    expect(await outcome(client().validateJWT(session.token))).toEqual({
      statusCode: 401,
      exception: undefined,
    });
  });
});

describe('revoking nothing in particular', () => {
  const send = (query: string, body?: object | string) => {
    const request = t.http().delete(`/api/jwt/refresh${query}`).set('Authorization', apiKey);
    return body === undefined ? request : request.send(body);
  };

  it.each([
    ['no criterion', '', undefined],
    ['empty texts', '?token=&userId=&applicationId=', undefined],
    ['the text undefined', '?token=undefined&userId=undefined&applicationId=undefined', undefined],
    ['the text null', '?token=null&userId=null', undefined],
    ['an empty body', '', {}],
    ['nulls', '', { token: null, userId: '', applicationId: 'undefined' }],
    ['only eventInfo', '', { eventInfo: { os: 'x' } }],
  ])('%s is 400 with generalErrors, and revokes nothing', async (_name, query, body) => {
    const session = await login();
    const response = await send(query, body);
    expect(response.status).toBe(400);
    expect(response.headers['content-type']).toContain('application/json');
    expect(response.body.generalErrors).toHaveLength(1);
    expect(await accepted(session.token)).toBe(true);
  });

  it.each([
    ['a contradiction', '?userId=a', { userId: 'b' }],
    ['a misspelt name', `?applicationId=${APP}&userid=x`, undefined],
    ['an operator', '?userId[$ne]=x', undefined],
    ['a repeated parameter', '?userId=a&userId=b', undefined],
    ['an object', '', { userId: { $ne: null } }],
    ['an array', '', { applicationId: [APP] }],
  ])('%s is 400 with fieldErrors, and revokes nothing', async (_name, query, body) => {
    const session = await login();
    const response = await send(query, body);
    expect(response.status).toBe(400);
    expect(Object.keys(response.body.fieldErrors).length).toBeGreaterThan(0);
    expect(await accepted(session.token)).toBe(true);
  });

  it('takes a form body', async () => {
    const session = await login();
    const response = await t
      .http()
      .delete('/api/jwt/refresh')
      .set('Authorization', apiKey)
      .type('form')
      .send({ token: session.refreshToken });
    expect([response.status, response.text]).toEqual([200, '']);
    expect(await accepted(session.token)).toBe(false);
  });

  it('wants credentials: 401, empty', async () => {
    for (const header of [
      '',
      'nonsense',
      `${apiKey}x`,
      `01a1fdc6-2189-7d18-afce-e3ef4f79b05a.${'a'.repeat(43)}`,
    ]) {
      const response = await t
        .http()
        .delete(`/api/jwt/refresh?applicationId=${APP}`)
        .set('Authorization', header);
      expect([response.status, response.text]).toEqual([401, '']);
    }
  });
});

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

describe('one history', () => {
  it('lets Tiledesk’s DELETE revoke a session, with what was minted with it, and nothing else', async () => {
    const session = await login();
    const minted = await t.http().get('/v1/token').set('Authorization', session.token);
    const password = Buffer.from(`alice@example.com:${PASSWORD}`).toString('base64');
    const woleet = await t.http().get('/v1/token').set('Authorization', `Basic ${password}`);
    expect([minted.status, woleet.status]).toEqual([200, 200]);
    expect(await accepted(minted.body.token)).toBe(true);
    const revoked = await t
      .http()
      .delete(`/v3/jwt/history/${session.refreshTokenId}`)
      .set('Authorization', session.token);
    expect(revoked.body).toMatchObject({ kind: 'refresh', state: 'revoked' });
    expect(await accepted(session.token)).toBe(false);
    expect((await outcome(exchange(session.refreshToken))).statusCode).toBe(400);
    expect(await accepted(minted.body.token)).toBe(false);
    expect(await accepted(woleet.body.token)).toBe(true);
    await client(apiKey).revokeRefreshTokensByUserId(alice.id);
    expect(await accepted(woleet.body.token)).toBe(true);
  });

  it('lists and revokes API keys like every token, and they end with their administrator', async () => {
    const root = await t.signIn('root@example.com');
    const made = await t
      .http()
      .post('/admin/api-keys')
      .set('Authorization', root)
      .send({ name: 'short', expiresAt: new Date(t.clock.now + 60_000).toISOString() });
    const use = (key: string) => t.http().get('/admin/users').set('Authorization', key);
    expect((await use(made.body.key)).status).toBe(200);
    expect(
      (await use(`Basic ${Buffer.from(`apikey:${made.body.key}`).toString('base64')}`)).status,
    ).toBe(200);
    expect((await t.http().get('/auth/verify').set('Authorization', made.body.key)).status).toBe(
      204,
    );
    const listed = await t.http().get('/v3/jwt/history?kind=api-key').set('Authorization', root);
    expect(listed.body.jwts.map(({ jti }: { jti: string }) => jti)).toContain(made.body.jti);
    expect(listed.text).not.toContain(made.body.key.split('.')[1]);
    t.clock.now += 60_000;
    expect((await use(made.body.key)).status).toBe(401);
    const other = await t
      .http()
      .post('/admin/api-keys')
      .set('Authorization', root)
      .send({ name: 'other' });
    expect((await use(other.body.key)).status).toBe(200);
    await t.http().delete(`/v3/jwt/history/${other.body.jti}`).set('Authorization', root);
    expect((await use(other.body.key)).status).toBe(401);
    const user = await t.signIn('alice@example.com');
    expect(
      (await t.http().post('/admin/api-keys').set('Authorization', user).send({ name: 'x' }))
        .status,
    ).toBe(403);
  });

  it('keeps eventInfo with the revocation, and no secret anywhere', async () => {
    const session = await login();
    await client(apiKey).revokeRefreshTokensWithRequest({
      token: session.refreshToken,
      eventInfo: { deviceName: 'canary-device', location: { city: 'Rome' } },
    });
    const [record] = await t.store.tokens.findByJti(session.refreshTokenId);
    expect(record?.revocation?.eventInfo).toEqual({
      deviceName: 'canary-device',
      location: { city: 'Rome' },
    });
    expect(t.log()).not.toContain('canary-device');
    for (const secret of [
      session.refreshToken.split('.')[1] ?? '',
      apiKey.split('.')[1] ?? '',
      PASSWORD,
    ]) {
      expect(t.log()).not.toContain(secret);
      expect(JSON.stringify(record)).not.toContain(secret);
    }
  });

  it('publishes the public key with RS256, and nothing with HS256', async () => {
    expect((await t.http().get('/.well-known/jwks.json')).body).toEqual({ keys: [] });
    const rsa = await startTestService({
      GLOBAL_SECRET: '',
      GLOBAL_SECRET_ALGORITHM: 'RS256',
      GLOBAL_SECRET_OR_PRIVATE_KEY: rsaPem.privateKey,
    });
    const { body } = await rsa.http().get('/.well-known/jwks.json');
    expect(body.keys).toEqual([
      {
        kty: 'RSA',
        n: expect.any(String),
        e: 'AQAB',
        kid: expect.any(String),
        use: 'sig',
        alg: 'RS256',
      },
    ]);
    await rsa.close();
  });

  it('sets cookies that scripts cannot read, and takes them for refresh, validate and logout', async () => {
    const response = await t
      .http()
      .post('/api/login')
      .send({ loginId: 'alice@example.com', password: PASSWORD });
    const cookies = response.headers['set-cookie'] as unknown as string[];
    expect(cookies).toHaveLength(2);
    for (const cookie of cookies) expect(cookie).toMatch(/HttpOnly; SameSite=Strict/);
    const header = cookies.map((cookie) => cookie.split(';')[0]).join('; ');
    expect((await t.http().get('/api/jwt/validate').set('Cookie', header)).status).toBe(200);
    const loggedOut = await t.http().post('/api/logout').set('Cookie', header);
    expect(loggedOut.status).toBe(200);
    expect((await t.http().get('/api/jwt/validate').set('Cookie', header)).status).toBe(401);
    expect((loggedOut.headers['set-cookie'] as unknown as string[]).join()).toContain(
      'Expires=Thu, 01 Jan 1970',
    );
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
