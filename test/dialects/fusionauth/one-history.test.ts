/** What FusionAuth's dialect shares with the others: one history, keys, cookies, and nothing secret in any of it. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { PASSWORD, rsaPem, startTestService } from '../../support/harness.js';
import { outcome, startWithClient } from './with-client.js';

const { t, alice, apiKey, client, login, accepted, exchange, close } = await startWithClient();
afterAll(close);

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
