/** Woleet's token API: tokens that never expire, minted and revoked by their value. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  jtiOf,
  mint,
  PASSWORD,
  startTestService,
  type TestService,
} from '../../support/harness.js';

let t: TestService;
let alice: string;
let bob: string;
let root: string;
beforeAll(async () => {
  t = await startTestService();
  await t.createUser('alice@example.com');
  await t.createUser('bob@example.com');
  await t.createUser('root@example.com', 'admin');
  [alice, bob, root] = [
    await t.signIn('alice@example.com'),
    await t.signIn('bob@example.com'),
    await t.signIn('root@example.com'),
  ];
});
afterAll(() => t.close());

const mintToken = (query = '', authorization = alice) =>
  t.http().get(`/v1/token${query}`).set('Authorization', authorization);
const revoke = (token: string, authorization = alice) =>
  t.http().delete('/v1/token').query({ token }).set('Authorization', authorization);
const works = async (token: string) =>
  (await t.http().get('/auth/verify').set('Authorization', token)).status === 204;
const payload = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    unknown
  >;

describe('minting', () => {
  it('gives a token without exp, uncached, that is in the history and works in every form', async () => {
    const response = await mintToken('?cdata=my-script&_=1700000000');
    expect([
      response.status,
      response.headers['cache-control'],
      Object.keys(response.body),
    ]).toEqual([200, 'no-store', ['token']]);
    const { token } = response.body;
    expect(payload(token)).toMatchObject({ cdata: 'my-script', jti: expect.any(String) });
    expect(payload(token)).not.toHaveProperty('exp');
    t.clock.now += 10 * 365 * 86_400_000;
    for (const form of [token, `Bearer ${token}`, `JWT ${token}`])
      expect(await works(form)).toBe(true);
    t.clock.now -= 10 * 365 * 86_400_000;
    const listed = await t.http().get('/v3/jwt/history').set('Authorization', alice);
    const record = listed.body.jwts.find(({ jti }: { jti: string }) => jti === jtiOf(token));
    expect(record).toMatchObject({
      origin: 'woleet',
      cdata: 'my-script',
      expiresAt: null,
      state: 'active',
    });
  });

  it('has no cdata when none is given, and takes Basic', async () => {
    for (const query of ['', '?cdata='])
      expect(payload((await mintToken(query)).body.token)).not.toHaveProperty('cdata');
    const basic = await t.http().get('/v1/token').auth('alice@example.com', PASSWORD);
    expect(basic.status).toBe(200);
  });

  it.each([
    ['64 characters', 'x'.repeat(64), 200],
    ['64 beyond the BMP', '😀'.repeat(64), 200],
    ['65', 'x'.repeat(65), 400],
    ['65 beyond the BMP', '😀'.repeat(65), 400],
    ['a control character', 'a\nb', 400],
  ])('cdata of %s', async (_name, cdata, status) => {
    const response = await t.http().get('/v1/token').query({ cdata }).set('Authorization', alice);
    expect(response.status).toBe(status);
    if (status === 200) expect(payload(response.body.token)['cdata']).toBe(cdata);
    else expect(response.body.errors[0].field).toBe('cdata');
  });

  it('mints nothing on HEAD, or without credentials', async () => {
    const count = async () =>
      (await t.http().get('/v3/jwt/history?limit=1').set('Authorization', alice)).body.count;
    const before = await count();
    const head = await t.http().head('/v1/token').set('Authorization', alice);
    expect([head.status, head.headers['allow']]).toEqual([405, 'GET, DELETE']);
    expect((await t.http().get('/v1/token')).status).toBe(401);
    expect(await count()).toBe(before);
  });
});

describe('revoking', () => {
  it('answers 200 and nothing, again and again, and the token is refused', async () => {
    const { token } = (await mintToken()).body;
    for (let i = 0; i < 2; i += 1) {
      const response = await revoke(token);
      expect([response.status, response.text]).toEqual([200, '']);
    }
    expect(await works(token)).toBe(false);
  });

  it.each([
    [
      'JSON',
      (token: string) => t.http().delete('/v1/token').set('Authorization', alice).send({ token }),
    ],
    [
      'a form',
      (token: string) =>
        t.http().delete('/v1/token').set('Authorization', alice).type('form').send({ token }),
    ],
    ['a parameter with a scheme', (token: string) => revoke(`Bearer ${token}`)],
  ])('takes it in %s', async (_name, send) => {
    const { token } = (await mintToken()).body;
    expect((await send(token)).status).toBe(200);
    expect(await works(token)).toBe(false);
  });

  it('refuses what is no token of the caller’s, with a JSON body and without echoing it', async () => {
    const bobs = (await mintToken('', bob)).body.token as string;
    const answers = [
      await revoke('nonsense'),
      await revoke(`${bobs.slice(0, -4)}AAAA`),
      await revoke(mint({ jti: 'x', _id: 'u' }, {}, 'another-secret-another-secret-1234')),
      await revoke(bobs),
    ];
    for (const answer of answers) {
      expect([answer.status, answer.body.errors[0].field]).toEqual([400, 'token']);
      expect(answer.text).toBe(answers[0]?.text);
      expect(answer.text).not.toContain(bobs.slice(0, 40));
    }
    for (const missing of ['', '?token=', '?token=a&token=b']) {
      expect(
        (await t.http().delete(`/v1/token${missing}`).set('Authorization', alice)).status,
      ).toBe(400);
    }
    expect(await works(bobs)).toBe(true);
    expect((await revoke(bobs, root)).status).toBe(200);
    expect(await works(bobs)).toBe(false);
  });

  it('takes a token of ours that was never seen', async () => {
    const { userId } = (await t.http().get('/v3/jwt/history?limit=1').set('Authorization', alice))
      .body.jwts[0];
    const token = mint({ jti: 'not-seen-yet', _id: userId });
    expect((await revoke(token)).status).toBe(200);
    expect(await works(token)).toBe(false);
  });
});
