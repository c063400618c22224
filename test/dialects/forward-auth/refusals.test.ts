/** What `/auth/verify` refuses: every refusal looks alike, and the log says why. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { createJti } from '../../../src/tokens/jti.js';
import { jtiOf, mint, PASSWORD, START } from '../../support/harness.js';
import { CHALLENGE, API_KEY, ISSUER, signed, startVerifying, visible } from './verify.js';

const { t, userId, seconds, verify, freshToken, revoke, refusalOf, close } = await startVerifying();
afterAll(close);

describe('every refusal looks alike', () => {
  const past = Math.floor(START / 1000) - 10;
  const claims = { jti: 'refused', _id: 'user-1', iss: ISSUER };
  const hs256 = { alg: 'HS256', typ: 'JWT' };
  const rows: [string, string | undefined][] = [
    ['nothing', undefined],
    ['an empty header', ''],
    ['a scheme alone', 'Bearer'],
    ['another scheme', 'Digest username="alice"'],
    ['garbage', 'JWT x.y.z'],
    ['a long header', `JWT ${'a'.repeat(9000)}`],
    ['two tokens', `JWT ${mint(claims)} ${mint(claims)}`],
    ['an expired token', `JWT ${mint({ ...claims, exp: past })}`],
    ['a token of later', `JWT ${mint({ ...claims, nbf: past + 3600 })}`],
    ['a token issued in the future', `JWT ${mint({ ...claims, iat: past + 3600 })}`],
    ['a token without jti', `JWT ${mint({ _id: 'user-1' })}`],
    ['a token of nobody', `JWT ${mint({ jti: 'refused', sub: 'bot' })}`],
    ['another key', `JWT ${mint(claims, {}, 'another-secret-another-secret-1234')}`],
    ['another algorithm', `JWT ${mint(claims, { algorithm: 'HS512' })}`],
    ['no algorithm', `JWT ${signed({ alg: 'none' }, claims)}`],
    ['crit', `JWT ${signed({ ...hs256, crit: ['exp'] }, claims)}`],
    ['b64', `JWT ${signed({ ...hs256, b64: false }, claims)}`],
    ['another type', `JWT ${signed({ ...hs256, typ: 'logout+jwt' }, claims)}`],
    ['a payload that is no object', `JWT ${signed(hs256, ['jti'])}`],
    ['a password', `Basic ${Buffer.from('alice@example.com:secret').toString('base64')}`],
    ['an API key', API_KEY],
    ['an API key as Bearer', `Bearer ${API_KEY}`],
    ['an API key as Basic', `Basic ${Buffer.from(`apikey:${API_KEY}`).toString('base64')}`],
  ];

  it.each(['get', 'head'] as const)('to %s', async (method) => {
    const revoked = await t.signIn('alice@example.com');
    await revoke(revoked);
    const seen = new Map<string, string[]>();
    for (const [name, header] of [...rows, ['a revoked token', revoked] as const]) {
      const answer = JSON.stringify(visible(await verify(header, {}, { method })));
      seen.set(answer, [...(seen.get(answer) ?? []), name]);
    }
    expect([...seen.values()]).toHaveLength(1);
    expect(JSON.parse([...seen.keys()][0] ?? '{}')).toMatchObject({
      status: 401,
      text: '',
      headers: {
        'www-authenticate': CHALLENGE,
        'cache-control': 'no-store',
        'content-length': '0',
      },
    });
  });

  it('and the rows are refused for what their names say: the same claims, well signed, pass', async () => {
    expect((await verify(`JWT ${signed(hs256, claims)}`)).status).toBe(204);
  });

  it('a password that is right is no token either', async () => {
    const answer = await t.http().get('/auth/verify').auth('alice@example.com', PASSWORD);
    expect(answer.status).toBe(401);
  });
});

describe('the log', () => {
  it('says who was refused, why, and what was asked for', async () => {
    for (const headers of [
      { 'X-Original-URI': '/orders/7?secret=canary', 'X-Original-Method': 'DELETE' },
      { 'X-Forwarded-Uri': '/orders/7#canary', 'X-Forwarded-Method': 'DELETE' },
      {
        'X-Original-URL': 'https://user:canary@shop.example:8443/orders/7?secret=canary',
        'X-Original-Method': 'DELETE',
      },
    ]) {
      const token = await t.signIn('alice@example.com');
      await revoke(token);
      const answer = await verify(token, headers);
      expect(refusalOf(jtiOf(token))).toEqual([
        expect.objectContaining({
          level: 'info',
          reason: 'revoked',
          userId,
          route: '/orders/7',
          method: 'DELETE',
          address: '127.0.0.1',
          requestId: answer.headers['x-request-id'],
        }),
      ]);
    }
    const token = await t.signIn('alice@example.com');
    await revoke(token);
    await verify(token);
    expect(refusalOf(jtiOf(token))).toEqual([expect.not.objectContaining({ route: /./ })]);
    expect(t.log()).not.toContain('canary');
  });

  it.each([
    ['https://shop.example', '/'],
    ['http://[2001:db8::1]:80/a#b', '/a'],
    ['https://shop.example?token=canary', '/'],
    ['//shop.example/a', '//shop.example/a'],
  ])('reads the X-Original-URL %s as %s', async (url, route) => {
    const jti = createJti(START);
    await verify(freshToken({ jti, exp: 1 }), { 'X-Original-URL': url });
    expect(refusalOf(jti)).toEqual([expect.objectContaining({ route })]);
    expect(t.log()).not.toContain('canary');
  });

  it.each([
    ['its X-Request-Id', { 'X-Request-Id': 'abc-1.2_3' }, 'abc-1.2_3'],
    [
      'its trace',
      { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
      '4bf92f3577b34da6a3ce929d0e0e4736',
    ],
    ['its trace, where its id is odd', { 'X-Request-Id': 'a b', traceparent: 'x' }, null],
    ['a new id', {}, null],
  ])('ties itself to the caller by %s, as every other route does', async (_what, headers, id) => {
    const jti = createJti(START);
    const refused = await verify(freshToken({ jti, exp: 1 }), headers);
    const given = String(refused.headers['x-request-id']);
    if (id === null) expect(given).toMatch(/^[0-9a-f-]{36}$/);
    else expect(given).toBe(id);
    expect(refusalOf(jti)).toEqual([expect.objectContaining({ requestId: given })]);
    const passed = await verify(freshToken(), headers);
    expect(passed.status).toBe(204);
    if (id === null) expect(passed.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    else expect(passed.headers['x-request-id']).toBe(id);
    expect(passed.headers['x-request-id'] === given).toBe(id !== null);
  });

  it('says where the client is, behind proxies too', async () => {
    const proxied = await t.sibling({ TRUST_PROXY: '1' });
    const rows = [
      ['192.0.2.1, [2001:db8::1]:443', '2001:db8::1'],
      ['_hidden', 'unknown'],
    ] as const;
    for (const [forwarded, address] of rows) {
      const jti = createJti(START);
      const token = freshToken({ jti, exp: 1 });
      await verify(token, { 'X-Forwarded-For': forwarded }, { service: proxied });
      expect(refusalOf(jti, proxied.log())).toEqual([expect.objectContaining({ address })]);
    }
    await proxied.close();
  });

  it('has one line for a token that comes again and again, and its count each minute', async () => {
    const looping = await t.sibling();
    const [jti, other] = [createJti(START), createJti(START)];
    const token = freshToken({ jti, exp: 1 });
    const come = async (times: number) => {
      for (let i = 0; i < times; i += 1) await verify(token, {}, { service: looping });
    };
    const counts = () => refusalOf(jti, looping.log()).map(({ count }) => count);
    await come(50);
    expect(counts()).toEqual([undefined]);
    // Others are told of meanwhile.
    await verify(freshToken({ jti: other, exp: 1 }), {}, { service: looping });
    expect(refusalOf(other, looping.log())).toHaveLength(1);
    looping.clock.now += 59_999;
    await come(1);
    expect(counts()).toEqual([undefined]);
    looping.clock.now += 1;
    await come(20);
    // The 50 less the first, the one after, and this one.
    expect(counts()).toEqual([undefined, 51]);
    expect(refusalOf(jti, looping.log()).at(-1)).toMatchObject({ reason: 'expired', count: 51 });
    await looping.close();
    // Whatever was counted and not yet told is told at the end.
    expect(counts()).toEqual([undefined, 51, 19]);
    expect(refusalOf(jti, looping.log()).at(-1)).not.toHaveProperty('address');
  });

  it('says the reason of an expired token', async () => {
    const jti = createJti(START);
    await verify(`JWT ${freshToken({ jti, exp: seconds() - 1 })}`);
    expect(refusalOf(jti)).toEqual([expect.objectContaining({ reason: 'expired' })]);
  });

  it('takes no odd method for one', async () => {
    const jti = createJti(START);
    const odd = { 'X-Original-Method': 'GET canary-method', 'X-Original-URI': '/x' };
    await verify(freshToken({ jti, exp: 1 }), odd);
    expect(refusalOf(jti)).toEqual([expect.not.objectContaining({ method: expect.anything() })]);
    expect(t.log()).not.toContain('canary-method');
  });

  it('says nothing about garbage, nor about what passes', async () => {
    const before = t.log();
    for (const header of [
      undefined,
      'garbage',
      'JWT a.b.c',
      `JWT ${mint({ jti: 'a' }, {}, 'x'.repeat(32))}`,
    ])
      expect((await verify(header, { 'X-Original-URI': '/x' })).status).toBe(401);
    expect((await verify(freshToken())).status).toBe(204);
    expect(t.log()).toBe(before);
  });

  const claims = { _id: 'user-1', jti: 'token-in-a-path' };
  const long = { ...claims, email: 'somebody@example.com', firstname: 'x'.repeat(300) };
  // 200 characters are kept of what was asked for: the cut may fall into the token.
  it.each([
    ['a short one', mint(claims), 0],
    ['a long one', mint(long), 0],
    ['one cut within its signature', mint(claims), 50],
    ['one cut within its claims', mint(claims), 70],
    ['one cut within its header', mint(claims), 87],
    ['one with encoded dots', mint(claims).replaceAll('.', '%2E'), 0],
    ['an API key', API_KEY, 0],
  ])('never holds a token that stands in the path: %s', async (_name, token, depth) => {
    const jti = createJti(START);
    const refused = freshToken({ jti, exp: 1 });
    await verify(refused, { 'X-Original-URI': `${'/a'.repeat(depth)}/reset/${token}/done` });
    const route = String(refusalOf(jti)[0]?.['route']);
    expect(route).toMatch(/^(\/a)*\/reset\//);
    const secrets = token.split(/\.|%2E/).slice(1);
    expect(secrets.filter((secret) => route.includes(secret.slice(0, 16)))).toEqual([]);
    expect(t.log().includes(refused)).toBe(false);
  });
});
