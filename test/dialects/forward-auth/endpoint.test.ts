/** `/auth/verify`: who passes, what is told of them, that every refusal looks alike, and what happens without the database. */
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request, { type Response } from 'supertest';
import { parseConfig } from '../../../src/config/config.js';
import { createLogger } from '../../../src/observability/logger.js';
import { createService, type Service } from '../../../src/service.js';
import { openStore, type Store } from '../../../src/store/database/connect.js';
import { type Engine, startEngine } from '../../../src/store/embedded/engine.js';
import { createJti } from '../../../src/tokens/jti.js';
import { createSecretKeys } from '../../../src/tokens/keys.js';
import {
  jtiOf,
  mint,
  PASSWORD,
  SECRET,
  START,
  startTestService,
  type TestService,
} from '../../support/harness.js';
import { makeFolder, removeFolder } from '../../support/process.js';

/** No Basic: browsers would ask for a password, which is never right here. */
const CHALLENGE = 'Bearer realm="Users"';
const API_KEY = `0195518e-1a2b-7c3d-8e4f-5a6b7c8d9e0f.${'Ab-_5'.repeat(8)}xyz`;
const ISSUER = 'https://tiledesk.com';

let t: TestService;
let userId: string;

beforeAll(async () => {
  t = await startTestService({ ACCESS_TOKEN_TTL: '0' });
  userId = (await t.createUser('alice@example.com')).id;
});
afterAll(() => t.close());

type Method = 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete' | 'options';

function verify(
  authorization: string | undefined,
  headers: Record<string, string> = {},
  { service = t, method = 'get', path = '/auth/verify' }: Partial<Target> = {},
) {
  const call = service.http()[method](path).set(headers);
  return authorization === undefined ? call : call.set('Authorization', authorization);
}
interface Target {
  readonly service: Pick<TestService, 'http'>;
  readonly method: Method;
  readonly path: string;
}

/** A token that is good, and new. */
function freshToken(claims: object = {}, options = {}): string {
  return mint(
    { jti: createJti(t.clock.now), _id: userId, iss: ISSUER, iat: seconds(), ...claims },
    options,
  );
}
const seconds = () => Math.floor(t.clock.now / 1000);

/** A signature that is right over any header, also those that a library would not make. */
function signed(header: object, payload: object, secret = SECRET): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

async function revoke(token: string, service = t): Promise<void> {
  const response = await service
    .http()
    .delete(`/v3/jwt/history/${encodeURIComponent(jtiOf(token))}`)
    .set('Authorization', token);
  expect(response.status).toBe(200);
}

/** All that a client sees, but for the time and the request's own id. */
function visible({ status, headers, text }: Response): unknown {
  const { date: _date, 'x-request-id': _id, ...others } = headers as Record<string, string>;
  return { status, headers: others, text: text ?? '' };
}

const logLines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const refusalOf = (jti: string, log = t.log()) =>
  logLines(log).filter((line) => line['event'] === 'token.refused' && line['jti'] === jti);

describe('a good token', () => {
  it.each(['get', 'head'] as const)(
    'passes with %s: 204, whose it is, and no body',
    async (method) => {
      const token = await t.signIn('alice@example.com');
      const response = await verify(token, {}, { method });
      expect(response.status).toBe(204);
      expect(response.headers).toMatchObject({
        'x-user-id': userId,
        'x-subject-type': 'user',
        'x-token-jti': jtiOf(token),
        'cache-control': 'no-store',
      });
      expect(response.headers).not.toHaveProperty('x-application-id');
      expect(response.headers).not.toHaveProperty('content-length');
      expect(response.text ?? '').toBe('');
    },
  );

  it.each(['JWT ', 'jwt ', 'Bearer ', ''])('passes as "%s<token>"', async (scheme) => {
    expect((await verify(`${scheme}${freshToken()}`)).status).toBe(204);
  });

  it('has its application named where it has one', async () => {
    const { headers } = await verify(freshToken({ applicationId: 'app-1' }));
    expect(headers['x-application-id']).toBe('app-1');
  });

  it.each([
    ['user-1', 'user-1'],
    ['a:b/c"d,e;f=g', 'a:b/c"d,e;f=g'],
    ['zoë', 'zo%C3%AB'],
    ['100%', '100%25'],
    ['%41', '%2541'],
    ['two words', 'two%20words'],
    ['日本😀', '%E6%97%A5%E6%9C%AC%F0%9F%98%80'],
    ['no\u00a0break', 'no%C2%A0break'],
  ])('has the id %j shown as %s', async (id, shown) => {
    const claims = { jti: `${id}-${createJti(START)}`, _id: id, applicationId: id };
    const { status, headers } = await verify(freshToken(claims));
    expect(status).toBe(204);
    expect([headers['x-user-id'], headers['x-application-id']]).toEqual([shown, shown]);
    // One rule reads them all.
    expect(decodeURIComponent(headers['x-token-jti'] ?? '')).toBe(claims.jti);
    expect(decodeURIComponent(headers['x-user-id'] ?? '')).toBe(id);
  });

  it('passes whatever the query says', async () => {
    for (const path of ['/auth/verify?x=1', '/auth/verify?', '/auth/verify?/private/page'])
      expect((await verify(freshToken(), {}, { path })).status).toBe(204);
    expect(
      (await verify(undefined, {}, { path: `/auth/verify?token=${freshToken()}` })).status,
    ).toBe(401);
  });
});

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

describe('what is not the endpoint', () => {
  it.each(['post', 'put', 'patch', 'delete', 'options'] as const)(
    '%s is 405, with a good token too',
    async (method) => {
      for (const token of [freshToken(), undefined]) {
        const response = await verify(token, {}, { method });
        expect([response.status, response.headers['allow']]).toEqual([405, 'GET, HEAD']);
        expect(response.headers).not.toHaveProperty('x-user-id');
        expect(response.text).toBe('');
      }
    },
  );

  it.each([
    '/auth/verifyx',
    '/auth/verify/',
    '/auth/verify/x',
    '/auth/verify/?x=1',
    '/auth/verify;x',
    '/Auth/Verify',
    '/auth/%76erify',
    '/auth',
  ])('%s is 404', async (path) => {
    const response = await verify(freshToken(), {}, { path });
    expect(response.status).toBe(404);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(response.body.code).toBe('not-found');
    expect(response.headers).not.toHaveProperty('x-user-id');
  });
});

describe('revocation', () => {
  it('counts from the very next check', async () => {
    const token = await t.signIn('alice@example.com');
    expect((await verify(token)).status).toBe(204);
    await revoke(token);
    expect((await verify(token)).status).toBe(401);
  });

  it('of a token first seen here is possible by its jti, also a jti of any text', async () => {
    const token = freshToken({ jti: `zoë/% ${createJti(START)}` });
    expect((await verify(`JWT ${token}`)).status).toBe(204);
    await revoke(token);
    expect((await verify(`JWT ${token}`)).status).toBe(401);
  });
});

describe('out of date', () => {
  it('is 503 with Retry-After for what would pass, and 401 for what would not', async () => {
    const stale = await startTestService({ STALE_AFTER: '30s' });
    await stale.createUser('alice@example.com');
    const token = await stale.signIn('alice@example.com');
    stale.clock.now += 30_000;
    expect((await verify(token, {}, { service: stale })).status).toBe(204);
    stale.clock.now += 1;
    for (const method of ['get', 'head'] as const) {
      const response = await verify(token, {}, { service: stale, method });
      expect(visible(response)).toMatchObject({
        status: 503,
        text: '',
        headers: { 'retry-after': '1', 'cache-control': 'no-store', 'content-length': '0' },
      });
      expect(response.headers).not.toHaveProperty('x-user-id');
    }
    for (const header of [undefined, 'garbage', `JWT ${mint({ jti: 'a', _id: 'b', exp: 1 })}`])
      expect((await verify(header, {}, { service: stale })).status).toBe(401);
    await stale.service.sync.refresh();
    expect((await verify(token, {}, { service: stale })).status).toBe(204);
    await stale.close();
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

describe('adoption', () => {
  it('of a token that was seen here only: it is in the list, with its device', async () => {
    const proxied = await t.sibling({ TRUST_PROXY: '1' });
    const token = freshToken({ applicationId: 'app-2' });
    const headers = { 'X-Forwarded-For': '192.0.2.1, 203.0.113.7', 'User-Agent': 'a browser' };
    expect((await verify(`JWT ${token}`, headers, { service: proxied })).status).toBe(204);
    await proxied.service.usage.flush();
    const listed = await t
      .http()
      .get('/v3/jwt/history?limit=100')
      .set('Authorization', await t.signIn('alice@example.com'));
    const record = (listed.body as { jwts: { jti: string }[] }).jwts.find(
      ({ jti }) => jti === jtiOf(token),
    );
    expect(record).toMatchObject({
      origin: 'adopted',
      userId,
      applicationId: 'app-2',
      state: 'active',
      device: { ip: '203.0.113.7', userAgent: 'a browser' },
      lastUsedAt: new Date(t.clock.now).toISOString(),
    });
    await proxied.close();
  });

  it.each([
    ['0', undefined],
    ['0', '203.0.113.7'],
    ['1', undefined],
    ['1', ''],
    ['1', '203.0.113.7'],
    ['1', '192.0.2.1, 203.0.113.7'],
    ['1', ' 192.0.2.1 ,  203.0.113.7 '],
    ['1', '2001:db8::7'],
    ['2', '192.0.2.1, 203.0.113.7, 198.51.100.1'],
    ['2', '203.0.113.7'],
    ['2', undefined],
  ])('notes the same address as every other route: TRUST_PROXY=%s, %j', async (hops, forwarded) => {
    const service = await t.sibling({ TRUST_PROXY: hops });
    const headers = forwarded === undefined ? {} : { 'X-Forwarded-For': forwarded };
    const addresses: unknown[] = [];
    for (const path of ['/auth/verify', '/v3/jwt/history']) {
      const token = freshToken();
      expect((await verify(token, headers, { service, path })).status).toBeLessThan(300);
      await service.service.usage.flush();
      const [record] = await t.store.tokens.findByJti(jtiOf(token));
      addresses.push(record?.device?.ip);
    }
    await service.close();
    expect(addresses[0]).toBe(addresses[1]);
    if (hops === '0') expect(addresses[0]).toBe('127.0.0.1');
  });
});

describe('UNKNOWN_TOKENS=deny', () => {
  it('refuses what has no record, alike, and lets it pass once it is registered', async () => {
    const denying = await t.sibling({ UNKNOWN_TOKENS: 'deny' });
    await denying.createUser('root@example.com', 'admin');
    const root = await denying.signIn('root@example.com');
    const check = (token: string | undefined) => verify(token, {}, { service: denying });
    expect((await check(root)).status).toBe(204);

    const token = freshToken();
    const unknown = await check(token);
    expect(unknown.status).toBe(401);
    expect(visible(unknown)).toEqual(visible(await check(undefined)));
    expect(refusalOf(jtiOf(token), denying.log())).toMatchObject([{ reason: 'unknown' }]);
    await denying.service.usage.flush();
    expect(await t.store.tokens.findByJti(jtiOf(token))).toEqual([]);

    const registered = await denying
      .http()
      .post('/v3/jwt/history')
      .set('Authorization', root)
      .send({ token });
    expect(registered.status).toBe(201);
    expect((await check(token)).status).toBe(204);
    expect((await check(token)).status).toBe(204);
    await revoke(token, denying);
    expect((await check(token)).status).toBe(401);
    await denying.close();
  });
});

describe('hostile requests', () => {
  it('with any number of parts but three are refused', async () => {
    const parts = freshToken().split('.');
    for (let count = 1; count <= 7; count += 1) {
      const token = Array.from({ length: count }, (_part, i) => parts[i % 3]).join('.');
      expect([count, (await verify(`JWT ${token}`)).status]).toEqual([
        count,
        count === 3 ? 204 : 401,
      ]);
    }
    for (const token of ['.', '..', '...', `${parts[0]}.${parts[1]}.`, `.${parts[1]}.${parts[2]}`])
      expect((await verify(`JWT ${token}`)).status).toBe(401);
  });

  it('with another spelling of a good token are refused', async () => {
    const token = freshToken();
    expect((await verify(token)).status).toBe(204);
    const bytesOf = (text: string) => Buffer.from(text, 'base64url').toString('hex');
    const signature = token.slice(token.lastIndexOf('.') + 1);
    const siblings = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map((last) => signature.slice(0, -1) + last)
      .filter((text) => text !== signature && bytesOf(text) === bytesOf(signature))
      .map((text) => token.slice(0, -signature.length) + text);
    expect(siblings).toHaveLength(3);
    for (const sibling of [...siblings, `${token}=`, `${token}.`, `${token}%3D`])
      expect((await verify(`JWT ${sibling}`)).status).toBe(401);
  });

  describe('over one connection', () => {
    let port: number;
    const server = createServer((req, res) => t.service.handler(req, res));
    const agent = new Agent({ keepAlive: true, maxSockets: 32 });

    beforeAll(async () => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      port = (server.address() as AddressInfo).port;
    });
    afterAll(async () => {
      agent.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    });

    async function get(
      authorization: string,
      body?: Buffer,
      from = agent,
    ): Promise<IncomingMessage> {
      const headers = { authorization, ...(body ? { 'content-length': body.length } : {}) };
      const req = httpRequest({
        agent: from,
        host: '127.0.0.1',
        port,
        path: '/auth/verify',
        headers,
      });
      req.end(body);
      const [res] = (await once(req, 'response')) as [IncomingMessage];
      res.resume();
      await once(res, 'end');
      return res;
    }

    it('with a header of 16 kB are refused by the server itself', async () => {
      expect((await get(`JWT ${'a'.repeat(16_384)}`)).statusCode).toBe(431);
      expect((await get(freshToken())).statusCode).toBe(204);
    });

    it('with a body are answered like those without, and the next one too', async () => {
      const one = new Agent({ keepAlive: true, maxSockets: 1 });
      // What would be a request of its own, if the body were taken for one.
      const body = Buffer.from('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3000));
      for (const [token, status] of [
        [freshToken(), 204],
        ['garbage', 401],
        [freshToken(), 204],
      ] as const) {
        expect((await get(token, body, one)).statusCode).toBe(status);
        expect((await get(freshToken(), undefined, one)).statusCode).toBe(204);
      }
      one.destroy();
    });

    it('by the ten thousand leave nothing behind', async () => {
      await t.service.usage.flush();
      const { index, usage } = t.service;
      const before = { size: index.size, pending: usage.pending, log: t.log() };
      const collect = (globalThis as { gc?: () => void }).gc;
      collect?.();
      const heapBefore = process.memoryUsage().heapUsed;

      const [head, payload] = freshToken().split('.');
      let sent = 0;
      const statuses = new Set<number | undefined>();
      await Promise.all(
        Array.from({ length: 32 }, async () => {
          while (sent < 10_000) {
            sent += 1;
            // Shaped like tokens, with a signature that must be computed to be refused.
            const token = `${head}.${payload}.${randomBytes(32).toString('base64url')}`;
            statuses.add((await get(`JWT ${token}`)).statusCode);
          }
        }),
      );
      expect([...statuses]).toEqual([401]);
      expect({ size: index.size, pending: usage.pending, log: t.log() }).toEqual(before);
      if (collect !== undefined) {
        collect();
        expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(10_000_000);
      }
    });
  });
});

describe('without the database', () => {
  const clock = { now: START };
  const now = () => clock.now;
  const folder = makeFolder();
  const cacheDir = fileURLToPath(new URL('../../../node_modules/.cache/engine', import.meta.url));
  let engine: Engine;
  let store: Store;
  /** One that adopts unknown tokens, and one that refuses them. */
  let adopting: Service;
  let denying: Service;

  beforeAll(async () => {
    engine = await startEngine({ dataDir: join(folder, 'data'), cacheDir });
    store = await openStore({ uri: engine.uri, clock: now });
    const serviceWith = (env: Record<string, string>) =>
      createService({
        config: parseConfig({ GLOBAL_SECRET: SECRET, STALE_AFTER: '30s', ...env }),
        keys: createSecretKeys(SECRET),
        store,
        clock: now,
        log: createLogger({ level: 'silent' }),
      });
    adopting = serviceWith({});
    denying = serviceWith({ UNKNOWN_TOKENS: 'deny' });
    for (const { sync } of [adopting, denying]) await sync.load();
  });
  afterAll(async () => {
    for (const service of [adopting, denying]) await service?.stop().catch(() => undefined);
    await store?.close();
    await engine?.stop();
    removeFolder(folder);
  });

  const check = (service: Service, token: string) =>
    request(service.handler).get('/auth/verify').set('Authorization', token);

  it('checks go on within STALE_AFTER, revoked tokens stay refused, then it is 503', async () => {
    const [known, revoked, unknown] = [freshToken(), freshToken(), freshToken()];
    for (const token of [known, revoked]) expect((await check(adopting, token)).status).toBe(204);
    await adopting.usage.flush();
    const deleted = await request(adopting.handler)
      .delete(`/v3/jwt/history/${jtiOf(revoked)}`)
      .set('Authorization', revoked);
    expect(deleted.status).toBe(200);
    await denying.sync.refresh();
    expect((await check(denying, known)).status).toBe(204);

    await engine.stop();
    clock.now += 29_000;
    for (const service of [adopting, denying]) {
      await expect(service.sync.refresh()).rejects.toMatchObject({ code: 'unavailable' });
      expect((await check(service, known)).status).toBe(204);
      expect((await check(service, revoked)).status).toBe(401);
      expect((await check(service, 'garbage')).status).toBe(401);
    }
    // To adopt can wait, to look up can't.
    expect((await check(adopting, unknown)).status).toBe(204);
    const lookedUp = await check(denying, unknown);
    expect([lookedUp.status, lookedUp.headers['retry-after']]).toEqual([503, '1']);

    clock.now += 1001;
    for (const service of [adopting, denying]) {
      for (const token of [known, unknown]) {
        const response = await check(service, token);
        expect([response.status, response.headers['retry-after']]).toEqual([503, '1']);
        expect(response.headers).not.toHaveProperty('x-user-id');
      }
      expect((await check(service, 'garbage')).status).toBe(401);
    }
    // What was accepted and not yet recorded is not forgotten.
    await expect(adopting.usage.flush()).rejects.toMatchObject({ code: 'unavailable' });
    expect(adopting.usage.pending).toBe(1);
  });
});
