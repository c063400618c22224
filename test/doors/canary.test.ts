/**
 * Secrets: every input that can hold one gets a canary of its own, rightly and wrongly used; none of
 * them may turn up in the log, in an answer (but the one that hands a fresh token out) or in the database.
 */
import { randomBytes } from 'node:crypto';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { createJti } from '../../src/tokens/jti.js';
import {
  freshDatabase,
  mint,
  SECRET,
  START,
  startTestService,
  type TestService,
  testMongodbUri,
} from '../support/harness.js';
import { createLeakFinder, hashesOf, type Secret } from '../support/leaks.js';

interface Answer {
  readonly what: string;
  readonly status: number;
  /** Status line, headers and body, as they came. */
  readonly text: string;
  readonly body: string;
  /** What it hands out for the first time: to be found in it, and nowhere else. */
  readonly fresh: Set<string>;
}

const MAIL = 'alice@example.com';
const secrets: Secret[] = [];
const answers: Answer[] = [];
const database = freshDatabase();
let clockIsBroken = false;
let time = START;
const clock = {
  get now() {
    if (clockIsBroken) throw new Error('the clock is broken');
    return time;
  },
  set now(value: number) {
    time = value;
  },
};

let t: TestService;
/** On the same data: one whose database has gone, one whose clock throws, one that only looks up. */
let cut: TestService;
let strict: TestService;
const servers: Server[] = [];

beforeAll(async () => {
  t = await startTestService({ REFRESH_TOKEN_GRACE: '10' }, database, clock);
  cut = await t.sibling({ SIGN_IN_ATTEMPTS: '1000' });
  strict = await t.sibling({ UNKNOWN_TOKENS: 'deny' });
});
afterAll(async () => {
  for (const server of servers) server.close();
  // Its database has gone: what it still had to write is lost.
  await cut.service.stop().catch(() => undefined);
  await strict.close();
  await t.close();
});

let made = 0;
/** A text that occurs nowhere else, such as a password. */
function canary(name: string): string {
  made += 1;
  const text = `Cnry${made}${randomBytes(18).toString('base64url')}`;
  secrets.push({ name, text });
  return text;
}

/** The parts of a token that make it one: an opaque one's secret, a JWT's signature. */
function remember(name: string, token: string): string {
  const parts = token.replace(/^JWT /, '').split('.');
  secrets.push({ name, text: parts.at(-1) ?? '' });
  return token;
}

interface Sent {
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  readonly raw?: string | Buffer;
}

async function send(
  to: TestService,
  method: string,
  path: string,
  { headers = {}, json, raw }: Sent = {},
): Promise<Answer> {
  const payload = raw ?? (json === undefined ? undefined : JSON.stringify(json));
  const port = (await serverOf(to)).port;
  return new Promise((resolve, reject) => {
    const req = httpRequest(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        agent: false,
        headers: {
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) }),
          ...headers,
        },
      },
      (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () => {
          const body = Buffer.concat(chunks).toString();
          const text = `${res.statusMessage}\n${res.rawHeaders.join('\n')}\n${body}`;
          const status = res.statusCode ?? 0;
          const answer = {
            what: `${method} ${status}`,
            status,
            text,
            body,
            fresh: new Set<string>(),
          };
          answers.push(answer);
          resolve(answer);
        });
      },
    );
    req.on('error', reject);
    req.end(payload);
  });
}

const portOf = new Map<TestService, AddressInfo>();
async function serverOf(service: TestService): Promise<AddressInfo> {
  const known = portOf.get(service);
  if (known) return known;
  const server = createServer(service.service.handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  portOf.set(service, address);
  return address;
}

/** The token in a field of an answer: from now on a secret, which this answer alone may show. */
function handedOut(answer: Answer, field: string): string {
  const token = (JSON.parse(answer.body) as Record<string, string>)[field] ?? '';
  const name = `${field} of answer ${answers.indexOf(answer)}`;
  if (!token.includes('.')) throw new Error(`no ${field} in ${answer.what}: ${answer.body}`);
  answer.fresh.add(name);
  return remember(name, token);
}

const basic = (user: string, password: string) => {
  const encoded = Buffer.from(`${user}:${password}`).toString('base64');
  // Without what stands for the user, or for the id in an API key: they may be shown.
  const secret = Math.floor((password.split('.').at(-1) ?? '').length / 3) * 4 - 4;
  if (secret >= 12)
    secrets.push({ name: `Basic ${user.slice(0, 20)} …`, text: encoded.slice(-secret) });
  return { authorization: `Basic ${encoded}` };
};
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const JSON_TYPE = { 'content-type': 'application/json' };
/** As ours look: a refresh token or an API key that nobody issued. */
const opaque = (name: string) =>
  remember(name, `${createJti(START)}.${randomBytes(32).toString('base64url')}`);
const foreignJwt = (name: string) =>
  remember(name, mint({ jti: createJti(START), _id: 'u' }, {}, 'x'.repeat(40)));
const ourJwt = (name: string, claims: object = {}) =>
  remember(name, mint({ jti: createJti(time), _id: 'u', iss: 'https://other.example', ...claims }));

const password = canary('the password of alice');
const rootPassword = canary('the password of root');
let userId = '';
let root = '';
let key = '';

async function login(to = t) {
  const answer = await send(to, 'POST', '/api/login', {
    json: { loginId: MAIL, password, applicationId: 'app' },
  });
  expect(answer.status).toBe(200);
  return { access: handedOut(answer, 'token'), refresh: handedOut(answer, 'refreshToken') };
}

/** Sends each row and checks the status, so that a row does what its name says. */
async function all(rows: readonly (readonly [string, number, string, string, Sent?])[]) {
  const wrong: unknown[] = [];
  for (const [what, status, method, path, sent] of rows) {
    const answer = await send(t, method, path, sent);
    if (answer.status !== status) wrong.push([what, status, answer.status, answer.body]);
  }
  expect(wrong).toEqual([]);
}

it('finds a secret in whatever spelling, whole or in part', () => {
  const text = randomBytes(32).toString('base64url');
  const find = createLeakFinder([{ name: 'it', text }]);
  const leaks = [
    `GET /x?token=${text} HTTP/1.1`,
    text.slice(5, 17),
    encodeURIComponent(`a b${text}`),
    ...['a', 'ab', 'abc'].map((before) => Buffer.from(`${before}:${text}`).toString('base64')),
    Buffer.from(text).toString('hex'),
    Buffer.from(text, 'base64url').toString('hex'),
  ];
  expect(leaks.map((leak) => find(leak).has('it'))).toEqual(leaks.map(() => true));
  expect(find(text.slice(5, 16)).size).toBe(0);
});

it('passwords: of users that are made', async () => {
  await t.createUser('first@example.com', 'admin');
  const first = handedOut(
    await send(t, 'POST', '/auth/signin', {
      json: { email: 'first@example.com', password: 'correct horse: battery staple' },
    }),
    'token',
  );
  const create = (json: unknown, headers = { authorization: first }) =>
    send(t, 'POST', '/admin/users', { headers, json });
  const alice = await create({ email: MAIL, password });
  userId = (JSON.parse(alice.body) as { _id: string })._id;
  await create({ email: 'root@example.com', password: rootPassword, role: 'admin' });
  root = handedOut(
    await send(t, 'POST', '/auth/signin', {
      json: { email: 'root@example.com', password: rootPassword },
    }),
    'token',
  );
  const asRoot = { authorization: root };
  const user = (what: string, more = {}) => ({
    headers: asRoot,
    json: { email: `${made}@example.com`, password: canary(what), ...more },
  });
  const secret = canary('in a field of a wrong type');
  await all([
    ['taken', 409, 'POST', '/admin/users', user('new, taken', { email: MAIL })],
    ['repeated', 400, 'POST', '/admin/users', user('new', { confirm: canary('new, repeated') })],
    [
      'bad e-mail',
      400,
      'POST',
      '/admin/users',
      user('new, beside', { email: canary('as e-mail') }),
    ],
    ['too long', 400, 'POST', '/admin/users', user('x', { password: canary('long').repeat(20) })],
    ['control', 400, 'POST', '/admin/users', user('x', { password: `${canary('control')}\n` })],
    ['array', 400, 'POST', '/admin/users', user('x', { password: [secret] })],
    ['object', 400, 'POST', '/admin/users', user('x', { password: { [secret]: secret } })],
    ['role', 400, 'POST', '/admin/users', user('x', { role: canary('as role') })],
    ['name of a field', 400, 'POST', '/admin/users', user('x', { [canary('as field')]: 1 })],
    ['nobody', 401, 'POST', '/admin/users', { json: { password: canary('new, by nobody') } }],
    [
      'query',
      400,
      'GET',
      `/admin/users?password=${canary('new, in the query')}`,
      { headers: asRoot },
    ],
  ]);
});

it('the dashboard: passwords, its cookie, what is inspected, searched and noted', async () => {
  const wrong = (name: string) => canary(`dashboard, ${name}`);
  const json = { email: 'root@example.com', password: rootPassword };
  const { headers: opened } = await fetchHeaders('/admin/session', json);
  const cookie = /jwt_history_session=([^;]+)/.exec(opened['set-cookie']?.join() ?? '')?.[1] ?? '';
  remember('the session cookie', cookie);
  const bySession = { cookie: `jwt_history_session=${cookie}`, 'sec-fetch-site': 'same-origin' };
  // It sets the cookie again, for the idle time to begin anew.
  const shown = await send(t, 'GET', '/admin/session', { headers: bySession });
  expect(shown.status).toBe(200);
  shown.fresh.add('the session cookie');
  const asRoot = { authorization: root };
  const deadCookie = { cookie: `jwt_history_session=${wrong('as cookie')}` };
  const pat = await send(t, 'POST', '/admin/users', {
    headers: asRoot,
    json: { email: 'pat@example.com', password: wrong('first') },
  });
  const path = `/admin/users/${(JSON.parse(pat.body) as { _id: string })._id}/password`;
  const setTo = (value: unknown): Sent => ({ headers: asRoot, json: { password: value } });
  const inspect = (token: unknown): Sent => ({ headers: asRoot, json: { token } });
  const ownToken = `${createJti(START)}.${randomBytes(32).toString('base64url')}`;
  remember('inspected, opaque', ownToken);
  const forged = remember(
    'inspected, forged',
    mint({ jti: 'forged', sub: 'x' }, {}, 'another key, long enough'),
  );
  await all([
    ['wrong', 401, 'POST', '/admin/session', { json: { ...json, password: wrong('wrong') } }],
    ['extra', 400, 'POST', '/admin/session', { json: { ...json, [wrong('name')]: wrong('x') } }],
    ['query', 401, 'GET', `/admin/session?password=${wrong('query')}`],
    ['dead cookie', 401, 'GET', '/admin/session', { headers: deadCookie }],
    ['signing out', 401, 'DELETE', '/admin/session', { headers: deadCookie }],
    [
      'CSRF',
      403,
      'POST',
      '/admin/inspect',
      { headers: { ...bySession, 'x-csrf-token': wrong('CSRF') }, json: {} },
    ],
    ['set', 204, 'POST', path, setTo(wrong('set'))],
    [
      'note',
      400,
      'POST',
      '/admin/cutoffs',
      { headers: asRoot, json: { userId: 'x', reason: 'other', note: `leaked: ${ownToken}` } },
    ],
    [
      'key name',
      400,
      'POST',
      '/admin/api-keys',
      { headers: asRoot, json: { name: `for ${forged}` } },
    ],
    ['set, array', 400, 'POST', path, setTo([wrong('set, array')])],
    ['set, long', 400, 'POST', path, setTo(wrong('set, long').repeat(20))],
    ['set, name', 400, 'POST', path, { headers: asRoot, json: { [wrong('set, name')]: 1 } }],
    ['inspect own', 200, 'POST', '/admin/inspect', inspect(root)],
    ['inspect cookie', 200, 'POST', '/admin/inspect', inspect(cookie)],
    ['inspect forged', 200, 'POST', '/admin/inspect', inspect(forged)],
    ['inspect opaque', 200, 'POST', '/admin/inspect', inspect(ownToken)],
    ['inspect text', 200, 'POST', '/admin/inspect', inspect(wrong('inspect'))],
    ['inspect array', 400, 'POST', '/admin/inspect', inspect([wrong('inspect, array')])],
    ['inspect query', 405, 'GET', `/admin/inspect?token=${wrong('inspect, query')}`],
    ['list', 400, 'GET', `/admin/tokens?${wrong('as a name')}=1`, { headers: asRoot }],
    ['cursor', 400, 'GET', `/admin/tokens?cursor=${wrong('cursor')}`, { headers: asRoot }],
    ['list by token', 200, 'GET', `/admin/tokens?q=${ownToken.slice(-40)}`, { headers: asRoot }],
    ['detail', 400, 'GET', `/admin/tokens/${ownToken}`, { headers: asRoot }],
    ['export', 400, 'GET', `/admin/tokens/export?format=${wrong('format')}`, { headers: asRoot }],
  ]);
});

async function fetchHeaders(path: string, json: unknown) {
  const { port } = await serverOf(t);
  return new Promise<{ headers: Record<string, string[] | undefined> }>((resolve, reject) => {
    const req = httpRequest(
      { port, path, method: 'POST', agent: false, headers: { 'content-type': 'application/json' } },
      (res) => {
        res.resume();
        resolve({ headers: res.headers as Record<string, string[] | undefined> });
      },
    );
    req.on('error', reject).end(JSON.stringify(json));
  });
}

it('passwords: in every sign-in', async () => {
  const signIn = (json: unknown): Sent => ({ json });
  const wrong = (name: string) => canary(`sign-in, ${name}`);
  const truncated = `{"email":"${MAIL}","password":"${wrong('truncated')}`;
  const gzipped = gzipSync(JSON.stringify({ email: MAIL, password: wrong('gzip') }));
  const right = await send(t, 'POST', '/auth/signin', { json: { email: MAIL, password } });
  handedOut(right, 'token');
  await login();
  for (const path of ['/auth/signin', '/api/login']) {
    const name = path === '/api/login' ? 'loginId' : 'email';
    const refused = path === '/api/login' ? 404 : 401;
    await all([
      ['wrong', refused, 'POST', path, signIn({ [name]: MAIL, password: wrong('wrong') })],
      [
        'extra',
        refused,
        'POST',
        path,
        signIn({ [name]: MAIL, password: wrong('a'), x: wrong('b') }),
      ],
      ['near', refused, 'POST', path, signIn({ [name]: MAIL, password: `${password} ` })],
      ['in the other field', 400, 'POST', path, signIn({ [name]: wrong('as e-mail') })],
      ['long', 400, 'POST', path, signIn({ [name]: MAIL, password: wrong('long').repeat(20) })],
      ['array', 400, 'POST', path, signIn({ [name]: MAIL, password: [wrong('array')] })],
      ['object', 400, 'POST', path, signIn({ [name]: MAIL, password: { x: wrong('object') } })],
      ['truncated', 400, 'POST', path, { headers: JSON_TYPE, raw: truncated }],
      ['a text', 400, 'POST', path, { headers: JSON_TYPE, raw: `"${wrong('a text')}"` }],
      ['no JSON', 400, 'POST', path, { headers: JSON_TYPE, raw: wrong('bare') }],
      ['huge', 413, 'POST', path, signIn({ password: wrong('huge').repeat(5000) })],
      ['form', 415, 'POST', path, { headers: FORM, raw: `password=${wrong('form')}` }],
      ['method', 405, 'PUT', path, signIn({ password: wrong('method') })],
      ['query', 415, 'POST', `${path}?password=${wrong('query')}`],
      [
        'gzip',
        refused,
        'POST',
        path,
        path === '/auth/signin'
          ? { headers: { ...JSON_TYPE, 'content-encoding': 'gzip' }, raw: gzipped }
          : signIn({ loginId: MAIL, password: wrong('plain') }),
      ],
      [
        'charset',
        415,
        'POST',
        path,
        { headers: { 'content-type': `application/json; charset=${wrong('charset')}` }, raw: '{}' },
      ],
    ]);
  }
  // Not to be refused for too many failures from this address.
  t.clock.now += 61_000;
});

it('passwords: in Basic credentials', async () => {
  const list = '/v3/jwt/history';
  const header = (authorization: string): Sent => ({ headers: { authorization } });
  const long = Buffer.from(`${MAIL}:${canary('Basic, long').repeat(400)}`).toString('base64');
  await all([
    ['right', 200, 'GET', list, { headers: basic(MAIL, password) }],
    ['wrong', 401, 'GET', list, { headers: basic(MAIL, canary('Basic, wrong')) }],
    ['colon', 401, 'GET', list, { headers: basic(MAIL, `a:${canary('Basic, colon')}`) }],
    ['as user', 401, 'GET', list, { headers: basic(canary('Basic, as user'), 'x') }],
    ['control', 401, 'GET', list, { headers: basic(MAIL, `${canary('Basic, control')}\0`) }],
    ['not encoded', 401, 'GET', list, header(`Basic ${MAIL}:${canary('Basic, not encoded')}`)],
    ['no scheme', 401, 'GET', list, header(canary('no scheme'))],
    ['other scheme', 401, 'GET', list, header(`Digest ${canary('other scheme')}`)],
    ['long', 401, 'GET', list, header(`Basic ${long}`)],
    ['at verify', 401, 'GET', '/auth/verify', { headers: basic(MAIL, password) }],
    ['at validate', 401, 'GET', '/api/jwt/validate', { headers: basic(MAIL, password) }],
    ['mint', 405, 'HEAD', '/v1/token', { headers: basic(MAIL, password) }],
  ]);
  handedOut(await send(t, 'GET', '/v1/token', { headers: basic(MAIL, password) }), 'token');
  t.clock.now += 61_000;
});

it('API keys: made, and in every form of the header and elsewhere', async () => {
  const asRoot = { authorization: root };
  const answer = await send(t, 'POST', '/admin/api-keys', { headers: asRoot, json: { name: 'k' } });
  expect(answer.status).toBe(201);
  key = handedOut(answer, 'key');
  const list = `/api/jwt/refresh?userId=${userId}`;
  const damaged = remember('key, damaged', `${key.slice(0, 37)}${opaque('x').slice(37)}`);
  await all([
    ['bare', 200, 'GET', list, { headers: { authorization: key } }],
    ['Bearer', 200, 'GET', list, { headers: bearer(key) }],
    ['JWT', 200, 'GET', list, { headers: { authorization: `JWT ${key}` } }],
    ['Basic', 200, 'GET', list, { headers: basic('apikey', key) }],
    ['verify', 204, 'GET', '/auth/verify', { headers: bearer(key) }],
    ['damaged', 401, 'GET', list, { headers: bearer(damaged) }],
    ['damaged, Basic', 401, 'GET', list, { headers: basic('apikey', damaged) }],
    ['unknown', 401, 'GET', list, { headers: bearer(opaque('key, unknown')) }],
    ['Basic as password', 401, 'GET', list, { headers: basic(MAIL, key) }],
    ['other header', 401, 'GET', list, { headers: { 'x-api-key': key } }],
    ['query', 401, 'GET', `${list}&apiKey=${key}`],
    ['query of the list', 400, 'GET', `/v3/jwt/history?apiKey=${key}`, { headers: asRoot }],
    ['as search', 200, 'GET', `/v3/jwt/history?search=${key}`, { headers: asRoot }],
    ['path', 400, 'DELETE', `/v3/jwt/history/${key}`, { headers: asRoot }],
    ['id path', 400, 'DELETE', `/v3/jwt/history/id/${key}`, { headers: asRoot }],
    ['name', 400, 'POST', '/admin/api-keys', { headers: asRoot, json: { [key]: 'x' } }],
    ['v1', 400, 'DELETE', `/v1/jwt/history/${key}`, { headers: { ...asRoot, ...JSON_TYPE } }],
  ]);
});

it('refresh tokens: exchanged, revoked and logged out with, from every place', async () => {
  const REFRESH = '/api/jwt/refresh';
  const asRoot = { authorization: key };
  const exchange = (json: unknown): Sent => ({ json });
  const cookie = (token: string): Sent => ({ headers: { cookie: `refresh_token=${token}` } });
  const session = await login();
  const first = await send(t, 'POST', REFRESH, exchange({ refreshToken: session.refresh }));
  const second = handedOut(first, 'refreshToken');
  handedOut(first, 'token');
  // Within the grace: the same successor again, from what is stored sealed.
  const again = await send(t, 'POST', REFRESH, exchange({ refreshToken: session.refresh }));
  expect((JSON.parse(again.body) as { refreshToken: string }).refreshToken).toBe(second);
  for (const name of first.fresh) again.fresh.add(name);
  handedOut(again, 'token');
  const byCookie = await send(t, 'POST', REFRESH, { ...cookie(second), json: {} });
  const third = handedOut(byCookie, 'refreshToken');
  handedOut(byCookie, 'token');
  t.clock.now += 11_000;
  const own = { headers: bearer(session.access) };
  const [a, b, c, d, e, f] = await Promise.all([1, 2, 3, 4, 5, 6].map(() => login()));
  if (!a || !b || !c || !d || !e || !f) throw new Error('six sessions are needed');
  const forged = remember('forged', `${a.refresh.slice(0, 37)}${opaque('x').slice(37)}`);
  await all([
    ['reused', 400, 'POST', REFRESH, exchange({ refreshToken: session.refresh })],
    ['revoked', 400, 'POST', REFRESH, exchange({ refreshToken: third })],
    ['own session is over', 401, 'GET', '/v3/jwt/history', own],
    ['forged', 400, 'POST', REFRESH, exchange({ refreshToken: forged })],
    ['unknown', 400, 'POST', REFRESH, exchange({ refreshToken: opaque('unknown') })],
    ['cookie', 400, 'POST', REFRESH, { ...cookie(opaque('cookie')), json: {} }],
    ['long', 400, 'POST', REFRESH, exchange({ refreshToken: `${a.refresh}${'x'.repeat(600)}` })],
    ['array', 400, 'POST', REFRESH, exchange({ refreshToken: [a.refresh] })],
    ['wrong name', 400, 'POST', REFRESH, exchange({ refresh_token: a.refresh })],
    ['as name', 400, 'POST', REFRESH, exchange({ [a.refresh]: 1 })],
    ['query', 400, 'POST', `${REFRESH}?refreshToken=${a.refresh}`],
    ['form', 415, 'POST', REFRESH, { headers: FORM, raw: `refreshToken=${a.refresh}` }],
    ['truncated', 400, 'POST', REFRESH, { headers: JSON_TYPE, raw: `{"x":"${a.refresh}` }],
    ['bare', 400, 'POST', REFRESH, { headers: JSON_TYPE, raw: a.refresh }],
    ['as JWT', 400, 'POST', REFRESH, exchange({ refreshToken: a.access, token: b.access })],
    ['header', 401, 'GET', `${REFRESH}?userId=${userId}`, { headers: bearer(a.refresh) }],
    ['retrieve', 400, 'GET', `${REFRESH}/${a.refresh}`, { headers: asRoot }],
    ['revoke by path', 400, 'DELETE', `${REFRESH}/${a.refresh}`, { headers: asRoot }],
    ['as user', 400, 'DELETE', `${REFRESH}?userId=${a.refresh}`, { headers: asRoot }],
    ['as application', 400, 'DELETE', `${REFRESH}?applicationId=${a.access}`, { headers: asRoot }],
    ['list of', 400, 'GET', `${REFRESH}?userId=${a.refresh}`, { headers: asRoot }],
    ['misspelt', 400, 'DELETE', `${REFRESH}?tokn=${a.refresh}`, { headers: asRoot }],
    ['as parameter', 400, 'DELETE', `${REFRESH}?${a.refresh}`, { headers: asRoot }],
    ['bare form', 400, 'DELETE', REFRESH, { headers: { ...asRoot, ...FORM }, raw: a.refresh }],
    [
      'differs',
      400,
      'DELETE',
      `${REFRESH}?token=${a.refresh}`,
      { headers: asRoot, json: { token: b.refresh } },
    ],
    ['other user', 404, 'DELETE', `${REFRESH}?token=${a.refresh}&userId=x`, { headers: asRoot }],
    ['forged', 404, 'DELETE', `${REFRESH}?token=${forged}`, { headers: asRoot }],
    ['nobody', 401, 'DELETE', `${REFRESH}?token=${a.refresh}`],
    ['by query', 200, 'DELETE', `${REFRESH}?token=${a.refresh}`, { headers: asRoot }],
    ['by JSON', 200, 'DELETE', REFRESH, { headers: asRoot, json: { token: b.refresh } }],
    [
      'by form',
      200,
      'DELETE',
      REFRESH,
      { headers: { ...asRoot, ...FORM }, raw: `token=${c.refresh}` },
    ],
    ['logout, query', 200, 'POST', `/api/logout?refreshToken=${d.refresh}`],
    [
      'logout, body',
      200,
      'POST',
      '/api/logout',
      { json: { refreshToken: e.refresh, global: false } },
    ],
    ['logout, cookie', 200, 'POST', '/api/logout', cookie(f.refresh)],
    ['logout, wrong', 200, 'POST', `/api/logout?refreshToken=${opaque('logout, wrong')}`],
    [
      'logout, bad',
      400,
      'POST',
      '/api/logout',
      { json: { refreshToken: { x: canary('logout') } } },
    ],
    [
      'register as jti',
      400,
      'POST',
      '/v3/jwt/history',
      { headers: asRoot, json: { jti: a.refresh, userId } },
    ],
    [
      'register as token',
      400,
      'POST',
      '/v3/jwt/history',
      { headers: asRoot, json: { token: a.refresh } },
    ],
    ['history', 400, 'DELETE', `/v3/jwt/history/${b.refresh}`, { headers: asRoot }],
    ['no route', 404, 'GET', `/sessions/${b.refresh}`],
    [
      'in bulk, of nobody',
      404,
      'DELETE',
      `${REFRESH}?userId=nobody`,
      { headers: basic('apikey', key) },
    ],
  ]);
});

it('access tokens: in headers, cookies, queries, bodies and paths', async () => {
  const asRoot = { authorization: key };
  const session = await login();
  const own = { headers: { authorization: `JWT ${session.access}` } };
  const [mintA, mintB, mintC] = [
    handedOut(await send(t, 'GET', '/v1/token', own), 'token'),
    handedOut(await send(t, 'GET', '/v1/token?cdata=script', own), 'token'),
    handedOut(
      await send(t, 'GET', '/v1/token', { headers: { authorization: session.access } }),
      'token',
    ),
  ];
  const adopted = ourJwt('adopted');
  const expired = ourJwt('expired', { exp: Math.floor(START / 1000) - 1000 });
  const registered = ourJwt('registered');
  const short = remember('short', mint({ jti: 'x' }, { algorithm: 'HS256' }));
  expect(short.length).toBeLessThan(128);
  const json = (value: unknown): Sent => ({ headers: asRoot, json: value });
  await all([
    ['verify', 204, 'GET', '/auth/verify', { headers: bearer(session.access) }],
    ['verify, adopted', 204, 'GET', '/auth/verify', { headers: bearer(adopted) }],
    ['verify, expired', 401, 'GET', '/auth/verify', { headers: bearer(expired) }],
    ['verify, foreign', 401, 'GET', '/auth/verify', { headers: bearer(foreignJwt('foreign')) }],
    ['verify, query', 401, 'GET', `/auth/verify?token=${mintA}`],
    ['verify, method', 405, 'POST', `/auth/verify?token=${mintA}`, own],
    ['validate', 200, 'GET', '/api/jwt/validate', { headers: bearer(session.access) }],
    [
      'validate, cookie',
      200,
      'GET',
      '/api/jwt/validate',
      { headers: { cookie: `access_token=${session.access}` } },
    ],
    [
      'validate, query',
      401,
      'GET',
      `/api/jwt/validate?access_token=${session.access}&token=${mintA}`,
    ],
    [
      'validate, wrong cookie',
      401,
      'GET',
      '/api/jwt/validate',
      { headers: { cookie: `access_token=${foreignJwt('cookie')}` } },
    ],
    ['revoke, not mine', 400, 'DELETE', `/v1/token?token=${adopted}`, own],
    ['revoke, foreign', 400, 'DELETE', `/v1/token?token=${foreignJwt('revoke')}`, own],
    ['revoke, garbage', 400, 'DELETE', `/v1/token?token=${canary('revoke, garbage')}`, own],
    ['revoke, twice', 400, 'DELETE', `/v1/token?token=${mintA}&token=${mintB}`, own],
    ['revoke, nobody', 401, 'DELETE', `/v1/token?token=${mintA}`],
    ['revoke, query', 200, 'DELETE', `/v1/token?token=${mintA}`, own],
    ['revoke, JSON', 200, 'DELETE', '/v1/token', { ...own, json: { token: `Bearer ${mintB}` } }],
    [
      'revoke, form',
      200,
      'DELETE',
      '/v1/token',
      { headers: { ...own.headers, ...FORM }, raw: `token=${mintC}` },
    ],
    ['cdata too long', 400, 'GET', `/v1/token?cdata=${mintC}`, own],
    ['cdata, misspelt', 400, 'GET', `/v1/token?data=${canary('as cdata')}`, own],
    ['register', 201, 'POST', '/v3/jwt/history', json({ token: registered })],
    ['register, JWT', 200, 'POST', '/v3/jwt/history', json({ token: `JWT ${registered}` })],
    ['register, foreign', 400, 'POST', '/v3/jwt/history', json({ token: foreignJwt('register') })],
    [
      'register, beside',
      400,
      'POST',
      '/v3/jwt/history',
      json({ token: registered, [canary('beside')]: canary('x') }),
    ],
    ['register, as jti', 400, 'POST', '/v3/jwt/history', json({ jti: short, userId })],
    [
      'register, truncated',
      400,
      'POST',
      '/v3/jwt/history',
      { headers: { ...asRoot, ...JSON_TYPE }, raw: `{"token":"${registered}` },
    ],
    [
      'register, text',
      400,
      'POST',
      '/v3/jwt/history',
      { headers: { ...asRoot, ...JSON_TYPE }, raw: registered },
    ],
    ['path', 400, 'DELETE', `/v3/jwt/history/${session.access}`, { headers: asRoot }],
    ['path, short', 400, 'DELETE', `/v3/jwt/history/${short}`, { headers: asRoot }],
    [
      'path, with scheme',
      400,
      'DELETE',
      `/v3/jwt/history/JWT%20${session.access}`,
      { headers: asRoot },
    ],
    [
      'path, bad encoding',
      400,
      'DELETE',
      `/v3/jwt/history/%ZZ${session.access}`,
      { headers: asRoot },
    ],
    ['no route', 404, 'GET', `/x/${session.access}?token=${session.access}`],
    ['health', 200, 'GET', `/healthz?token=${session.access}`],
    ['ready', 200, 'GET', `/readyz?token=${session.access}`],
    ['keys', 200, 'GET', `/.well-known/jwks.json?token=${session.access}`],
    [
      'two schemes',
      401,
      'GET',
      '/v3/jwt/history',
      { headers: { authorization: `Bearer JWT ${session.access}` } },
    ],
    [
      'long',
      401,
      'GET',
      '/v3/jwt/history',
      { headers: bearer(`${session.access}${'A'.repeat(8192)}`) },
    ],
    ['list', 200, 'GET', '/v3/jwt/history?userId=*&limit=100', { headers: asRoot }],
    ['not adopted here', 400, 'GET', `/v3/jwt/history?token=${adopted}`, own],
  ]);
  const unknown = ourJwt('unknown where they are denied');
  expect((await send(strict, 'GET', '/auth/verify', { headers: bearer(unknown) })).status).toBe(
    401,
  );
  // A refusal is logged with what the proxy says that was asked for.
  const proxied = (headers: Record<string, string>) =>
    send(t, 'GET', '/auth/verify', { headers: { ...bearer(mintA), ...headers } });
  const { access, refresh } = session;
  for (const headers of [
    { 'x-original-uri': `/private?token=${access}`, 'x-original-method': canary('as method') },
    { 'x-original-uri': `/private/${access}/x#${refresh}` },
    { 'x-original-uri': `/private/${encodeURIComponent(refresh)}` },
    { 'x-original-uri': `/${'a/'.repeat(95)}${refresh}` },
    { 'x-forwarded-uri': `/private/${key};${canary('in a path')}${key}` },
    { 'x-forwarded-uri': refresh, 'x-forwarded-method': refresh },
  ]) {
    expect((await proxied(headers)).status).toBe(401);
  }
  expect(t.log()).toContain('"route":"/private"');
});

it('secrets: where no one looks for them', async () => {
  const { access, refresh } = await login();
  const odd = (headers: Record<string, string>): Sent => ({ headers });
  await all([
    ['request id', 200, 'GET', '/healthz', odd({ 'x-request-id': refresh })],
    ['request id', 200, 'GET', '/healthz', odd({ 'x-request-id': access })],
    ['trace', 200, 'GET', '/healthz', odd({ traceparent: `00-${canary('trace')}-${access}` })],
    ['name of a header', 200, 'GET', '/healthz', odd({ [`x-${canary('header')}`]: '1' })],
    ['referrer', 404, 'GET', '/nowhere', odd({ referer: `https://x.example/?token=${access}` })],
    [
      'other cookies',
      401,
      'GET',
      '/api/jwt/validate',
      odd({ cookie: `a=${canary('a')}; ${canary('b')}=1; refresh_token=${refresh}` }),
    ],
    [
      'content type',
      415,
      'POST',
      '/auth/signin',
      { headers: { 'content-type': canary('type') }, raw: '{}' },
    ],
    [
      'encoding',
      415,
      'POST',
      '/auth/signin',
      { headers: { ...JSON_TYPE, 'content-encoding': canary('encoding') }, raw: '{}' },
    ],
    [
      'forwarded',
      404,
      'GET',
      '/nowhere',
      odd({ 'x-forwarded-for': refresh, forwarded: `for=${refresh}` }),
    ],
    ['proxy', 401, 'GET', '/v3/jwt/history', odd({ 'proxy-authorization': `Bearer ${access}` })],
    ['body of a GET', 401, 'GET', '/v3/jwt/history', { json: { token: access } }],
  ]);
});

it('secrets: when the database has gone, and when the service is broken', async () => {
  const session = await login();
  const known = await login();
  const asKey = { authorization: key };
  const rows: readonly (readonly [string, string, Sent])[] = [
    ['POST', '/auth/signin', { json: { email: 'root@example.com', password: rootPassword } }],
    ['POST', '/api/login', { json: { loginId: 'root@example.com', password: rootPassword } }],
    ['GET', '/v3/jwt/history', { headers: basic('root@example.com', rootPassword) }],
    ['GET', '/v1/token', { headers: bearer(known.access) }],
    ['DELETE', `/v1/token?token=${session.access}`, { headers: bearer(known.access) }],
    ['POST', '/api/jwt/refresh', { json: { refreshToken: session.refresh } }],
    ['DELETE', `/api/jwt/refresh?token=${session.refresh}`, { headers: asKey }],
    ['DELETE', '/api/jwt/refresh?applicationId=app', { headers: asKey }],
    ['POST', '/api/logout', { json: { refreshToken: session.refresh } }],
    ['GET', `/api/jwt/refresh?userId=${userId}`, { headers: basic('apikey', key) }],
    [
      'POST',
      '/v3/jwt/history',
      { headers: bearer(known.access), json: { token: ourJwt('cut off') } },
    ],
    [
      'POST',
      '/admin/users',
      {
        headers: bearer(known.access),
        json: { email: 'x@example.com', password: canary('new, cut off') },
      },
    ],
  ];
  await cut.store.close();
  for (const [method, path, sent] of rows)
    expect([method, path.slice(0, 20), (await send(cut, method, path, sent)).status]).toEqual([
      method,
      path.slice(0, 20),
      503,
    ]);
  clockIsBroken = true;
  const statuses = [];
  for (const [method, path, sent] of rows)
    statuses.push((await send(t, method, path, sent)).status);
  statuses.push((await send(t, 'GET', '/auth/verify', { headers: bearer(known.access) })).status);
  clockIsBroken = false;
  expect(statuses).toEqual(statuses.map(() => 500));
});

it('none of it is in the log, in an answer or in the database', async () => {
  await t.service.usage.flush();
  await t.service.marker.idle();
  const everything = [...secrets, { name: 'the signing secret', text: SECRET }];
  const findSecrets = createLeakFinder(everything);
  const findHashes = createLeakFinder(everything, hashesOf);
  const statuses = new Set(answers.map(({ status }) => status));
  for (const status of [200, 201, 204, 400, 401, 404, 405, 409, 413, 415, 500, 503])
    expect(statuses).toContain(status);
  const inAnswers = answers.flatMap(({ what, text, fresh }) =>
    [...[...findSecrets(text)].filter(([name]) => !fresh.has(name)), ...findHashes(text)].map(
      (leak) => [what, ...leak],
    ),
  );
  expect(inAnswers).toEqual([]);

  const logs = [t, cut, strict].map((service) => service.log());
  expect(logs.map((log) => log.includes('"msg":'))).toEqual([true, true, true]);
  for (const log of logs) expect([...findSecrets(log), ...findHashes(log)]).toEqual([]);

  for (const { service } of [t, strict]) await service.audit.flush();
  const connection = await mongoose
    .createConnection(testMongodbUri(), { dbName: database })
    .asPromise();
  const collections = (await connection.listCollections()).map(({ name }) => name).toSorted();
  expect(collections).toEqual([
    'activity',
    'audit',
    'cutoffs',
    'identity',
    'mendings',
    'tokens',
    'users',
  ]);
  for (const name of collections) {
    const documents = await connection.collection(name).find().toArray();
    const text = documents
      .map((document) => mongoose.mongo.BSON.EJSON.stringify(document))
      .join('\n');
    expect([name, documents.length > 0, [...findSecrets(text)]]).toEqual([name, true, []]);
  }
  await connection.close();
  expect(secrets.length).toBeGreaterThan(130);
});
