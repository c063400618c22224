/** Tiledesk's JWT history, end to end over HTTP: sign in, list, revoke, refused; with every way of presenting a credential. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { jtiOf, mint, PASSWORD, rsaPem, START, startTestService } from '../../support/harness.js';
import { jtisOf, startHistory } from './history.js';

const { t, alice, list, revoke, close } = await startHistory();
afterAll(close);

describe('the whole story', () => {
  it('signs in, lists, revokes, refuses', async () => {
    const first = await t.signIn('alice@example.com');
    const second = await t.signIn('alice@example.com');

    const listed = await list(first);
    expect(listed.status).toBe(200);
    expect(listed.headers['cache-control']).toBe('no-store');
    expect(listed.body).toMatchObject({ perPage: 40, page: 0, count: 2, countIs: 'exact' });
    expect(jtisOf(listed.body).toSorted()).toEqual([jtiOf(first), jtiOf(second)].toSorted());
    expect(Object.keys(listed.body.jwts[0]).toSorted()).toEqual([
      '_id',
      'applicationId',
      'audience',
      'cdata',
      'createdAt',
      'device',
      'expiresAt',
      'issuedAt',
      'issuer',
      'jti',
      'kind',
      'lastUsedAt',
      'origin',
      'revokedAt',
      'revokedBy',
      'revokedReason',
      'sessionId',
      'state',
      'subject',
      'updatedAt',
      'userId',
    ]);
    expect(listed.body.jwts[0]).toMatchObject({
      kind: 'access',
      origin: 'signin',
      issuer: 'https://tiledesk.com',
      audience: 'https://tiledesk.com',
      subject: 'user',
      userId: alice.id,
      state: 'active',
      expiresAt: null,
      issuedAt: new Date(START).toISOString(),
    });
    expect(listed.text).not.toContain(second.slice(4));
    expect(listed.text).not.toMatch(/hash|secret|password/i);

    const revoked = await revoke(first, jtiOf(second));
    expect(revoked.status).toBe(200);
    expect(revoked.body).toMatchObject({
      jti: jtiOf(second),
      state: 'revoked',
      revokedBy: alice.id,
    });

    const refused = await list(second);
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toContain('Basic realm="Users"');
    expect(refused.headers['content-type']).toContain('application/problem+json');
    expect(refused.body).toMatchObject({ success: false, status: 401, code: 'unauthenticated' });
    expect((await list(first)).status).toBe(200);
  });

  it('answers a repeated revoke with the first revocation, unchanged', async () => {
    const keep = await t.signIn('alice@example.com');
    const gone = await t.signIn('alice@example.com');
    const first = await revoke(keep, jtiOf(gone));
    t.clock.now += 60_000;
    const again = await revoke(keep, jtiOf(gone));
    const byId = await t
      .http()
      .delete(`/v2/jwt/history/id/${first.body._id}`)
      .set('Authorization', keep);
    expect([again.status, byId.status]).toEqual([200, 200]);
    expect(again.body).toEqual(first.body);
    expect(byId.body).toEqual(first.body);
  });

  it('lets a token revoke itself', async () => {
    const token = await t.signIn('alice@example.com');
    expect((await revoke(token, jtiOf(token))).status).toBe(200);
    expect((await revoke(token, jtiOf(token))).status).toBe(401);
  });

  it("shows Tiledesk's shape at sign-in, and claims", async () => {
    const response = await t
      .http()
      .post('/auth/signin')
      .send({ email: ' Alice@Example.com ', password: PASSWORD });
    expect(response.body).toMatchObject({
      success: true,
      user: { _id: alice.id, email: 'alice@example.com' },
    });
    expect(response.body.token).toMatch(/^JWT [\w-]+\.[\w-]+\.[\w-]+$/);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.text).not.toContain('argon2');
    const payload = JSON.parse(
      Buffer.from(response.body.token.split('.')[1], 'base64url').toString(),
    );
    expect(payload).toEqual({
      _id: alice.id,
      email: 'alice@example.com',
      firstname: 'First',
      lastname: 'Last',
      iss: 'https://tiledesk.com',
      aud: 'https://tiledesk.com',
      sub: 'user',
      jti: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      iat: Math.floor(t.clock.now / 1000),
    });
  });

  it('gives sign-in tokens the configured lifetime', async () => {
    const short = await startTestService({ ACCESS_TOKEN_TTL: '15m' });
    await short.createUser('alice@example.com');
    const token = await short.signIn('alice@example.com');
    const get = () => short.http().get('/v3/jwt/history').set('Authorization', token);
    expect((await get()).body.jwts[0].expiresAt).toBe(
      new Date(Math.floor(START / 1000) * 1000 + 900_000).toISOString(),
    );
    short.clock.now += 900_000;
    expect((await get()).status).toBe(401);
    await short.close();
  });

  it('works the same with RS256 keys', async () => {
    const rsa = await startTestService({
      GLOBAL_SECRET: '',
      GLOBAL_SECRET_ALGORITHM: 'RS256',
      GLOBAL_SECRET_OR_PRIVATE_KEY: rsaPem.privateKey.replaceAll('\n', '\\n'),
      GLOBAL_SECRET_OR_PUB_KEY: rsaPem.publicKey,
    });
    await rsa.createUser('alice@example.com');
    const token = await rsa.signIn('alice@example.com');
    const other = await rsa.signIn('alice@example.com');
    const use = (value: string) => rsa.http().get('/v3/jwt/history').set('Authorization', value);
    expect((await use(token)).status).toBe(200);
    expect(
      (
        await rsa
          .http()
          .delete(`/v3/jwt/history/${jtiOf(token)}`)
          .set('Authorization', other)
      ).status,
    ).toBe(200);
    expect((await use(token)).status).toBe(401);
    const forged = mint({ jti: 'x', _id: alice.id }, { algorithm: 'HS256' }, rsaPem.publicKey);
    expect((await use(`JWT ${forged}`)).status).toBe(401);
    await rsa.close();
  });
});

describe('every way of presenting a credential', () => {
  it.each([
    ['JWT', (token: string) => `JWT ${token}`],
    ['jwt', (token: string) => `jwt ${token}`],
    ['Bearer', (token: string) => `Bearer ${token}`],
    ['bare', (token: string) => token],
  ])('%s is accepted, and refused once revoked', async (_name, present) => {
    const token = (await t.signIn('alice@example.com')).slice(4);
    const header = present(token);
    expect((await list(header)).status).toBe(200);
    expect((await revoke(header, jtiOf(token))).status).toBe(200);
    expect((await list(header)).status).toBe(401);
  });

  it('takes Basic, with a colon in the password', async () => {
    const ok = await t.http().get('/v3/jwt/history').auth('alice@example.com', PASSWORD);
    expect(ok.status).toBe(200);
    expect(PASSWORD).toContain(':');
    const prefix = await t
      .http()
      .get('/v3/jwt/history')
      .auth('alice@example.com', PASSWORD.slice(0, PASSWORD.indexOf(':')));
    expect(prefix.status).toBe(401);
    const longer = await t
      .http()
      .get('/v3/jwt/history')
      .auth('alice@example.com', `${PASSWORD}:more`);
    expect(longer.status).toBe(401);
  });

  it('answers every bad credential alike', async () => {
    const revokedToken = await t.signIn('alice@example.com');
    await revoke(revokedToken, jtiOf(revokedToken));
    const headers = [
      undefined,
      revokedToken,
      'JWT x.y.z',
      'Bearer',
      'Digest abc',
      'NotBasicAtAll xxx',
      `JWT ${mint({ jti: 'a', _id: alice.id, exp: 1 })}`,
      `JWT ${mint({ _id: alice.id })}`,
      `JWT ${mint({ jti: 'a', _id: alice.id }, {}, 'another-secret-another-secret-1234')}`,
      `Basic ${Buffer.from('alice@example.com:wrong').toString('base64')}`,
      `Basic ${Buffer.from('nobody@example.com:wrong').toString('base64')}`,
      `JWT ${'a'.repeat(9000)}`,
    ];
    const seen = new Set<string>();
    for (const header of headers) {
      const request = t.http().get('/v3/jwt/history');
      const {
        status,
        text,
        headers: h,
      } = await (header === undefined ? request : request.set('Authorization', header));
      seen.add(
        JSON.stringify([
          status,
          text,
          h['www-authenticate'],
          h['content-type'],
          h['cache-control'],
        ]),
      );
    }
    expect([...seen]).toHaveLength(1);
    expect([...seen][0]).toContain('401');
  });
});

describe('v1', () => {
  it('has the DELETEs only, and insists on JSON', async () => {
    const token = await t.signIn('alice@example.com');
    const path = `/v1/jwt/history/${jtiOf(token)}`;
    const plain = await t.http().delete(path).set('Authorization', token);
    expect(plain.status).toBe(415);
    expect(plain.body.msg).toContain('application/json');
    expect((await t.http().get('/v1/jwt/history').set('Authorization', token)).status).toBe(404);
    const get = await t.http().get(path).set('Authorization', token);
    expect([get.status, get.headers['allow']]).toEqual([405, 'DELETE']);
    const done = await t
      .http()
      .delete(path)
      .set('Authorization', token)
      .set('Content-Type', 'application/json; charset=utf-8');
    expect(done.status).toBe(200);
    expect((await list(token)).status).toBe(401);
  });

  it('is switched off by ON_PREMISES=false, and says why', async () => {
    const hosted = await startTestService({ ON_PREMISES: 'false' });
    const response = await hosted
      .http()
      .delete('/v1/jwt/history/x')
      .set('Content-Type', 'application/json');
    expect(response.status).toBe(404);
    expect(response.body.msg).toContain('ON_PREMISES');
    await hosted.close();
  });
});
