/** Bad input, alone and in odd company: always a 4xx that names the field, never a 5xx, a hang or somebody else's data. */
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { startTestService, type TestService } from '../support/harness.js';

let t: TestService;
let user: string;
let root: string;
let server: Server;

beforeAll(async () => {
  t = await startTestService();
  await Promise.all([t.createUser('alice@example.com'), t.createUser('root@example.com', 'admin')]);
  [user, root] = await Promise.all([t.signIn('alice@example.com'), t.signIn('root@example.com')]);
  await t.signIn('root@example.com');
  server = createServer(t.service.handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.close();
  await t.close();
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** Raw HTTP: supertest would tidy the path up. */
function send(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Promise<Answer> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const req = httpRequest(
      { host: '127.0.0.1', port, method, path, headers, agent: false },
      (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            status: res.statusCode ?? 0,
            text,
            body: text.startsWith('{') ? JSON.parse(text) : {},
          });
        });
      },
    );
    req.on('error', reject);
    req.end(body);
  });
}

function expectProblem(answer: Answer, status: number, field: string): void {
  expect([answer.status, answer.body['success']]).toEqual([status, false]);
  expect(answer.body['msg']).toEqual(expect.stringContaining(field));
  expect((answer.body['errors'] as { field: string }[]).map((error) => error.field)).toContain(
    field,
  );
  expect(answer.text).not.toMatch(/node_modules|at .*\.ts|Mongo|Cast|zod|expected .* received/i);
}

const ODD_NUMBERS = [
  '',
  '-1',
  '1.5',
  '1e3',
  '999999999999',
  'NaN',
  'Infinity',
  '0x10',
  '%201',
  '%00',
  'abc',
  '%F0%9F%98%80',
  'null',
  'undefined',
  'true',
  '[]',
  '{}',
];

describe('the list’s parameters', () => {
  const rows: [string, string, string][] = [
    ...ODD_NUMBERS.flatMap((value): [string, string, string][] => [
      ['page', `page=${value}`, 'page'],
      ['limit', `limit=${value}`, 'limit'],
    ]),
    ['limit', 'limit=0', 'limit'],
    ['limit', 'limit=101', 'limit'],
    ['page', 'page=100000&limit=100', 'page'],
    ['repeated', 'page=1&page=2', 'page'],
    ['array', 'page[]=1', 'page[]'],
    ['operator', 'page[$gt]=0', 'page[$gt]'],
    ['operator', 'page%5B%24gt%5D=0', 'page[$gt]'],
    ['operator', 'userId[$ne]=x', 'userId[$ne]'],
    ['unknown', 'stat=revoked', 'stat'],
    ['prototype', '__proto__=x', '__proto__'],
    ['prototype', 'constructor=x', 'constructor'],
    ['sort', 'sortField=password', 'sortField'],
    ['sort', 'sort=$natural', 'sort'],
    ['sort', 'sort=jti&sortField=createdAt', 'sort'],
    ['direction', 'direction=0', 'direction'],
    ['direction', 'direction=asc', 'direction'],
    ['state', 'state=gone', 'state'],
    ['kind', 'kind=jwt', 'kind'],
    ['userId', 'userId=', 'userId'],
    ['userId', `userId=${'x'.repeat(129)}`, 'userId'],
    ['userId', 'userId=a%00b', 'userId'],
    ['userId', 'userId=a&userId=b', 'userId'],
    ['applicationId', 'applicationId=%0a', 'applicationId'],
    ['search', `search=${'x'.repeat(129)}`, 'search'],
    ['search', 'search=', 'search'],
    ['search', 'search=%01', 'search'],
  ];
  it.each(rows)('%s: ?%s → 400 naming it', async (_what, query, field) => {
    const answer = await send('GET', `/v3/jwt/history?${query}`, { Authorization: root });
    expectProblem(answer, 400, field);
  });

  it('names every wrong parameter at once, with what is allowed', async () => {
    const { body } = await send('GET', '/v2/jwt/history?page=x&limit=0&direction=up', {
      Authorization: user,
    });
    expect((body['errors'] as { field: string }[]).map(({ field }) => field).toSorted()).toEqual([
      'direction',
      'limit',
      'page',
    ]);
    expect(body['msg']).toContain('from 1 to 100');
  });

  it('ignores the cache breaker `_`, and takes strange but harmless values', async () => {
    for (const query of [
      '_=1700000000',
      'page=0&limit=1',
      'search=%25%27%22$where',
      'search=.*',
      'userId=%24ne',
      'search=%F0%9F%98%80',
    ]) {
      const path = `/v3/jwt/history?${query}`;
      expect([path, (await send('GET', path, { Authorization: root })).status]).toEqual([
        path,
        200,
      ]);
    }
  });
});

describe('path parameters', () => {
  it.each([
    ['no ObjectId', '/v3/jwt/history/id/zzz', 400, 'id'],
    ['12 characters', '/v3/jwt/history/id/abcdefghijkl', 400, 'id'],
    ['NUL', '/v3/jwt/history/a%00b', 400, 'jti'],
    ['too long', `/v3/jwt/history/${'x'.repeat(129)}`, 400, 'jti'],
    ['bad escape', '/v3/jwt/history/%zz', 400, 'path'],
    ['bad UTF-8', '/v3/jwt/history/%ff', 400, 'path'],
    ['lone surrogate', '/v3/jwt/history/%ed%a0%80', 400, 'path'],
  ])('%s', async (_what, path, status, field) => {
    expectProblem(await send('DELETE', path, { Authorization: user }), status, field);
  });

  it.each([
    ['/v3/jwt/history/%24ne'],
    ['/v3/jwt/history/[object%20Object]'],
    ['/v3/jwt/history/*'],
    ['/v3/jwt/history/undefined'],
  ])('%s is just an unknown id', async (path) => {
    expect((await send('DELETE', path, { Authorization: user })).status).toBe(404);
    expect((await send('GET', '/v3/jwt/history', { Authorization: user })).status).toBe(200);
  });
});

describe('bodies', () => {
  const json = { 'Content-Type': 'application/json' };
  const nested = `${'['.repeat(40_000)}${']'.repeat(40_000)}`;
  const bodies: [string, Record<string, string>, string | Buffer, number, string][] = [
    ['null', json, 'null', 400, 'body'],
    ['a text', json, '"text"', 400, 'body'],
    ['a number', json, '1', 400, 'body'],
    ['an array', json, '[]', 400, 'body'],
    ['broken JSON', json, '{"email":', 400, 'body'],
    ['deeply nested', json, nested, 400, 'body'],
    ['10 MB', json, `{"email":"${'x'.repeat(10_000_000)}"}`, 413, 'body'],
    [
      'a form',
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      'email=a&password=b',
      415,
      'Content-Type',
    ],
    ['no type', {}, '{}', 415, 'Content-Type'],
    ['an odd charset', { 'Content-Type': 'application/json; charset=klingon' }, '{}', 415, 'body'],
    ['an odd encoding', { ...json, 'Content-Encoding': 'zstd-nope' }, '{}', 415, 'body'],
    ['broken gzip', { ...json, 'Content-Encoding': 'gzip' }, 'not gzip', 400, 'body'],
  ];
  for (const path of ['/auth/signin', '/admin/users', '/v3/jwt/history']) {
    it.each(bodies)(`%s → 4xx at ${path}`, async (_what, headers, body, status, field) => {
      const answer = await send('POST', path, { ...headers, Authorization: root }, body).catch(
        (error: NodeJS.ErrnoException) => error,
      );
      // A server that refuses 10 MB may close before they were all sent.
      if (answer instanceof Error) expect(['EPIPE', 'ECONNRESET']).toContain(answer.code);
      else expectProblem(answer, status, field);
    });
  }

  const odd = [
    undefined,
    null,
    '',
    0,
    true,
    [],
    {},
    ['a'],
    { $ne: null },
    'x\0y',
    '\ud800',
    'x'.repeat(1000),
  ];
  it.each(
    odd.flatMap((value): [string, unknown][] => [
      ['email', value],
      ['password', value],
    ]),
  )('sign-in with %s = %j', async (field, value) => {
    const body = JSON.stringify({ email: 'alice@example.com', password: 'p', [field]: value });
    const answer = await send('POST', '/auth/signin', json, body);
    if (answer.status === 401) expect(field).toBe('password');
    else expectProblem(answer, 400, field);
  });

  it.each(
    ['email', 'password', 'firstname', 'lastname', 'role'].flatMap((field) =>
      odd
        .filter(
          (value) =>
            !(value === null || value === undefined) || ['email', 'password'].includes(field),
        )
        .map((value): [string, unknown] => [field, value]),
    ),
  )('a new user with %s = %j', async (field, value) => {
    const body = JSON.stringify({
      email: 'new@example.com',
      password: 'long enough',
      [field]: value,
    });
    expectProblem(
      await send('POST', '/admin/users', { ...json, Authorization: root }, body),
      400,
      field,
    );
  });

  it.each(
    ['jti', 'userId', 'expiresAt', 'issuer', 'applicationId', 'cdata', 'token', 'unknown'].flatMap(
      (field) =>
        odd
          .filter(
            (value) =>
              value !== undefined &&
              !(value === null && ['expiresAt', 'applicationId', 'cdata'].includes(field)) &&
              !(value === '' && field === 'issuer'),
          )
          .map((value): [string, unknown] => [field, value]),
    ),
  )('registering with %s = %j', async (field, value) => {
    const body = JSON.stringify(
      field === 'token' ? { token: value } : { jti: 'j', userId: 'u', [field]: value },
    );
    const answer = await send('POST', '/v3/jwt/history', { ...json, Authorization: root }, body);
    expectProblem(answer, 400, field);
  });
});

describe('whatever comes', () => {
  it('is never answered with a 5xx', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('__proto__', '$where', '\0', '*', '../..'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS'),
        fc.constantFrom('/v1', '/v2', '/v3', '', '/admin', '/auth'),
        fc.constantFrom('/jwt/history', '/jwt/history/', '/jwt/history/id/', '/users', '/signin'),
        text,
        fc.dictionary(text, text, { maxKeys: 3 }),
        fc.json(),
        async (method, prefix, path, tail, query, body) => {
          const parameters = Object.entries(query)
            .map(([k, v]) => `${encode(k)}=${encode(v)}`)
            .join('&');
          const url = `${prefix}${path}${encode(tail)}${parameters ? `?${parameters}` : ''}`;
          const answer = await send(
            method,
            url,
            { Authorization: user, 'Content-Type': 'application/json' },
            body,
          );
          expect([url, answer.status < 500]).toEqual([url, true]);
        },
      ),
      { numRuns: 300 },
    );
    expect((await send('GET', '/v3/jwt/history', { Authorization: user })).status).toBe(200);
    expect((await send('GET', '/v3/jwt/history', { Authorization: root })).body['count']).toBe(2);
  });
});

function encode(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}
