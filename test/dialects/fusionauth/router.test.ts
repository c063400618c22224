/** FusionAuth's refresh-token API through its own, unmodified client; and what its wire must and must not show. */
import { afterAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { toFusionAuthId } from '../../../src/store/user-uuid.js';
import { jtiOf, PASSWORD } from '../../support/harness.js';
import { APP, OTHER_APP, outcome, startWithClient } from './with-client.js';

const { t, alice, bob, apiKey, client, login, accepted, exchange, close } = await startWithClient();
afterAll(close);

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
