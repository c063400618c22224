/** What a client reads when it is refused: every door's refusals, none of which repeats itself, says a library's words, or lacks a header that its status must have. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Response } from 'supertest';
import { type ErrorCode, ServiceError } from '../../src/errors.js';
import { PASSWORD, startTestService, type TestService } from '../support/harness.js';

let t: TestService;
let user: string;
let root: string;
beforeAll(async () => {
  t = await startTestService({ STALE_AFTER: '30s', SIGN_IN_ATTEMPTS: '2', ON_PREMISES: 'false' });
  await t.createUser('alice@example.com');
  await t.createUser('root@example.com', 'admin');
  user = await t.signIn('alice@example.com');
  root = await t.signIn('root@example.com');
});
afterAll(() => t.close());

type Method = 'get' | 'post' | 'delete' | 'put' | 'patch' | 'options';

const PATHS = [
  '/',
  '/healthz',
  '/readyz',
  '/auth/signin',
  '/auth/verify',
  '/jwt/history',
  '/jwt/history/x',
  '/jwt/history/id/x',
  '/v1/jwt/history',
  '/v1/jwt/history/x',
  '/v1/jwt/history/id/x',
  '/v2/jwt/history',
  '/v2/jwt/history/x',
  '/v3/jwt/history',
  '/v3/jwt/history/x',
  '/v3/jwt/history/id/x',
  '/v1/token',
  '/api/login',
  '/api/logout',
  '/api/jwt/refresh',
  '/api/jwt/refresh/x',
  '/api/jwt/validate',
  '/admin/session',
  '/admin/tokens',
  '/admin/tokens/x',
  '/admin/tokens/x/revoke',
  '/admin/tokens/export',
  '/admin/revocations',
  '/admin/revocations/preview',
  '/admin/cutoffs',
  '/admin/inspect',
  '/admin/summary',
  '/admin/activity',
  '/admin/events',
  '/admin/events/stream',
  '/admin/users',
  '/admin/users/x/password',
  '/admin/api-keys',
  '/nowhere',
];
const QUERIES = [
  '',
  '?%zz',
  '?a=1&b=2&c=3',
  `?${'x'.repeat(30)}=1&${'y'.repeat(30)}=2&${'z'.repeat(30)}=3`,
  '?page=x&limit=0&direction=up&state=&kind=&userId=&search=&q=&sort=x&range=x&cursor=x&cdata=%00',
  '?userId=a&userId=b&token=a&token=b&search=%01&search=x&format=x&before=x&global=x',
  '?userId=undefined&applicationId=null',
];
const FIELDS = [
  'email',
  'password',
  'firstname',
  'lastname',
  'role',
  'loginId',
  'refreshToken',
  'token',
  'userId',
  'applicationId',
  'metaData',
  'eventInfo',
  'global',
  'jti',
  'timeToLiveInSeconds',
  'noJWT',
  'expiresAt',
  'issuer',
  'name',
  'reason',
  'note',
  'selection',
  'expectedCount',
  'asOf',
  'before',
  'everything',
  'filter',
  'ids',
];
const BODIES: readonly (readonly [type: string | null, body: string | undefined])[] = [
  [null, undefined],
  ['application/json', '{}'],
  ['application/json', 'null'],
  ['application/json', '[]'],
  ['application/json', '[1]'],
  ['application/json', '{"email":'],
  ['application/json', '"text"'],
  ['application/json', `{"a":"${'x'.repeat(110_000)}"}`],
  ['application/json; charset=klingon', '{}'],
  ['text/plain', '{}'],
  ['application/x-www-form-urlencoded', 'a=b&a=c'],
  ...[null, '', 0, true, [], {}, ['x'], 'x\u0000y', 'x'.repeat(600)].map(
    (odd) =>
      [
        'application/json',
        JSON.stringify(Object.fromEntries(FIELDS.map((name) => [name, odd]))),
      ] as const,
  ),
  ['application/json', '{"metaData":{"device":1},"loginId":"a@b","password":"x"}'],
  ['application/json', '{"selection":{"ids":[1,2,{}],"filter":{"state":1}}}'],
];

/** What people read in it. */
function textsOf({ body }: Response): string[] {
  const { msg, title, errors, fieldErrors, generalErrors } = body as {
    msg?: string;
    title?: string;
    errors?: { message: string }[];
    fieldErrors?: Record<string, { message: string }[]>;
    generalErrors?: { message: string }[];
  };
  return [
    msg ?? [],
    title ?? [],
    (errors ?? []).map(({ message }) => message),
    Object.values(fieldErrors ?? {}).flatMap((list) => list.map(({ message }) => message)),
    (generalErrors ?? []).map(({ message }) => message),
  ].flat(2);
}

/** Clauses of the same words, or a name before a clause that begins with it again. */
function repetitionIn(text: string): string | null {
  const clauses = text
    .split(/(?<=[.:;,])\s+/)
    .map((clause) => clause.replace(/[.:;,]$/, '').toLowerCase())
    // Short ones are names in a list.
    .filter((clause) => clause.includes(' ') && clause.length > 12);
  // A list of problems may say the same of several fields.
  const said = text.split(/(?<=\.)\s+/);
  if (new Set(said).size !== said.length) return text;
  // "Content-Type: send it with Content-Type: …"
  if (said.some((one) => /^([\w-]+): (?:.*\s)?\1:/i.test(one))) return text;
  return clauses.some((clause, i) => clauses[i - 1] === clause) ? text : null;
}

const seen = new Map<string, string>();

function expectSound(what: string, answer: Response): void {
  const { status, headers } = answer;
  if (status < 400) return;
  expect([what, status < 500 || status === 503]).toEqual([what, true]);
  if (status === 401)
    expect([what, headers['www-authenticate']]).toEqual([what, expect.any(String)]);
  if (status === 405)
    expect([what, headers['allow']]).toEqual([what, expect.stringMatching(/^[A-Z]+(, [A-Z]+)*$/)]);
  if (status === 429 || status === 503)
    expect([what, headers['retry-after']]).toEqual([what, expect.stringMatching(/^[1-9]\d*$/)]);
  for (const text of textsOf(answer)) {
    seen.set(text, what);
    expect([what, repetitionIn(text)]).toEqual([what, null]);
    expect([what, text]).toEqual([
      what,
      expect.not.stringMatching(
        /undefined|\[object|NaN|\bexpected\b|\breceived\b|Invalid input:|Unexpected|zod|\.\.|\s\s|:\s*$/,
      ),
    ]);
  }
}

describe.each(PATHS)('%s', (path) => {
  it.each(['get', 'post', 'delete', 'put', 'patch', 'options'] as const)(
    '%s: each refusal is sound',
    async (method: Method) => {
      for (const authorization of [undefined, 'JWT x.y.z', user, root]) {
        const isAll = authorization === root;
        const queries = isAll && ['get', 'delete'].includes(method) ? QUERIES : [''];
        const bodies = isAll && ['post', 'delete'].includes(method) ? BODIES : BODIES.slice(0, 1);
        for (const { query, type, text } of [
          ...queries.map((each) => ({ query: each, type: null, text: undefined })),
          ...bodies.map((each) => ({ query: '', type: each[0], text: each[1] })),
        ]) {
          const isEndless = path === '/admin/events/stream' && method === 'get' && query === '';
          if (isEndless && (authorization === user || authorization === root)) continue;
          const call = t.http()[method](`${path}${query}`);
          if (authorization !== undefined) call.set('Authorization', authorization);
          if (type !== null) call.set('Content-Type', type);
          const answer = await (text === undefined ? call : call.send(text));
          expectSound(`${method} ${path}${query} ${type} ${text?.slice(0, 60)}`, answer);
        }
      }
    },
  );
});

describe('refusals that only come at a certain time', () => {
  it('429: says how long, and Retry-After says the same', async () => {
    for (let i = 0; i < 3; i += 1) {
      for (const [path, body] of [
        ['/auth/signin', { email: 'alice@example.com', password: 'wrong' }],
        ['/api/login', { loginId: 'alice@example.com', password: 'wrong' }],
        ['/admin/session', { email: 'alice@example.com', password: 'wrong' }],
      ] as const) {
        const answer = await t.http().post(path).send(body);
        expectSound(path, answer);
        if (answer.status === 429) {
          const seconds = answer.headers['retry-after'];
          expect(textsOf(answer).join(' ')).toContain(
            `Too many failed sign-ins from this address. Try again in ${seconds} s.`,
          );
        }
      }
    }
    const last = await t.http().get('/v3/jwt/history').auth('nobody@example.com', PASSWORD);
    expectSound('Basic', last);
    expect(last.status).toBe(429);
  });

  it('503 while revocations are out of date, at every door', async () => {
    const stale = await t.sibling();
    stale.clock.now += 31_000;
    for (const path of PATHS.filter((each) => !['/', '/healthz', '/auth/signin'].includes(each))) {
      for (const method of ['get', 'post', 'delete'] as const) {
        const answer = await stale.http()[method](path).set('Authorization', user).send({});
        expectSound(`${method} ${path}, out of date`, answer);
      }
    }
    stale.clock.now -= 31_000;
    await stale.close();
  });

  it('said something at all', () => {
    expect(seen.size).toBeGreaterThan(50);
  });
});

describe('an error without headers of its own', () => {
  it.each([
    ['unauthenticated', 'WWW-Authenticate', /^Bearer /],
    ['too-many-requests', 'Retry-After', /^[1-9]\d*$/],
    ['unavailable', 'Retry-After', /^[1-9]\d*$/],
  ] as const)('%s has %s all the same', (code: ErrorCode, name, value) => {
    expect(new ServiceError(code, 'x').headers[name]).toMatch(value);
    expect(new ServiceError(code, 'x', { headers: { [name]: '7' } }).headers[name]).toBe('7');
  });
});
