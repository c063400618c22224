/** CORS: every route × (an origin that is named, another, none) × (preflight, the call itself, its refusals). */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Response } from 'supertest';
import { PASSWORD, startTestService, type TestService } from '../support/harness.js';

const APP = 'https://app.example.com';
const LOCAL = 'http://localhost:4200';
const STRANGERS = [
  'https://evil.example',
  'https://app.example.com.evil.example',
  'https://app.example.com:8443',
  'http://app.example.com',
  'https://APP.example.com',
  'null',
];

type Method = 'get' | 'head' | 'post' | 'delete';
type Policy = 'applications' | 'cookies' | 'everybody' | 'nobody';

/** All there is; `nobody` must stay closed. */
const ROUTES: readonly (readonly [Policy, Method, string])[] = [
  ['applications', 'post', '/auth/signin'],
  ['applications', 'get', '/auth/verify'],
  ['applications', 'head', '/auth/verify'],
  ['applications', 'get', '/auth/verify?x=1'],
  ...['/jwt/history', '/v2/jwt/history', '/v3/jwt/history'].map(
    (path) => ['applications', 'get', path] as const,
  ),
  ['applications', 'post', '/v3/jwt/history'],
  ...['', '/v1', '/v2', '/v3'].flatMap((version) => [
    ['applications', 'delete', `${version}/jwt/history/some-jti`] as const,
    ['applications', 'delete', `${version}/jwt/history/id/0123456789abcdef01234567`] as const,
  ]),
  ['applications', 'get', '/v1/token'],
  ['applications', 'delete', '/v1/token?token=x'],
  ['cookies', 'post', '/api/login'],
  ['cookies', 'post', '/api/jwt/refresh'],
  ['cookies', 'get', '/api/jwt/refresh?userId=u'],
  ['cookies', 'delete', '/api/jwt/refresh?userId=u'],
  ['cookies', 'get', '/api/jwt/refresh/some-id'],
  ['cookies', 'delete', '/api/jwt/refresh/some-id'],
  ['cookies', 'post', '/api/logout'],
  ['cookies', 'get', '/api/jwt/validate'],
  ['cookies', 'get', '/api/no-such-route'],
  ['everybody', 'get', '/.well-known/jwks.json'],
  ['everybody', 'head', '/.well-known/jwks.json'],
  ['nobody', 'get', '/'],
  ['nobody', 'get', '/page/main.js'],
  ['nobody', 'get', '/healthz'],
  ['nobody', 'get', '/readyz'],
  ['nobody', 'get', '/nowhere'],
  ['nobody', 'get', '/apiary'],
  ['nobody', 'get', '/admin'],
  ['nobody', 'get', '/ADMIN/tokens'],
  ['nobody', 'post', '/admin/session'],
  ['nobody', 'get', '/admin/session'],
  ['nobody', 'delete', '/admin/session'],
  ['nobody', 'get', '/admin/tokens'],
  ['nobody', 'get', '/admin/tokens/export?format=csv'],
  ['nobody', 'get', '/admin/tokens/0123456789abcdef01234567'],
  ['nobody', 'post', '/admin/tokens/0123456789abcdef01234567/revoke'],
  ['nobody', 'post', '/admin/revocations'],
  ['nobody', 'post', '/admin/revocations/preview'],
  ['nobody', 'post', '/admin/cutoffs'],
  ['nobody', 'post', '/admin/inspect'],
  ['nobody', 'get', '/admin/summary'],
  ['nobody', 'get', '/admin/activity'],
  ['nobody', 'get', '/admin/events'],
  ['nobody', 'get', '/admin/events/stream'],
  ['nobody', 'get', '/admin/users'],
  ['nobody', 'post', '/admin/users'],
  ['nobody', 'post', '/admin/api-keys'],
];

let t: TestService;
let closed: TestService;
beforeAll(async () => {
  t = await startTestService({ CORS_ORIGINS: `${APP},${LOCAL}`, STALE_AFTER: '30s' });
  closed = await t.sibling({ CORS_ORIGINS: '' });
  await t.createUser('alice@example.com');
});
afterAll(async () => {
  await closed.close();
  await t.close();
});

const call = (method: Method | 'options', path: string, headers: Record<string, string>, s = t) =>
  s.http()[method](path).set(headers);
const preflight = (method: Method, path: string, origin: string, s = t) =>
  call(
    'options',
    path,
    {
      Origin: origin,
      'Access-Control-Request-Method': method.toUpperCase(),
      'Access-Control-Request-Headers': 'authorization,content-type',
    },
    s,
  );
const corsOf = ({ headers }: Response) => ({
  origin: headers['access-control-allow-origin'],
  credentials: headers['access-control-allow-credentials'],
  vary: headers['vary'],
});
const NOTHING = { origin: undefined, credentials: undefined };

/** Whether a browser would let a page read an answer that was asked for with cookies. */
const isReadableWithCookies = (response: Response) => {
  const { origin, credentials } = corsOf(response);
  return credentials === 'true' && origin !== undefined && origin !== '*';
};

describe.each(ROUTES)('for %s: %s %s', (policy, method, path) => {
  const isForApplications = policy === 'applications' || policy === 'cookies';
  const expected = (origin: string) =>
    policy === 'everybody'
      ? { origin: '*', credentials: undefined }
      : isForApplications
        ? { origin, credentials: policy === 'cookies' ? 'true' : undefined }
        : NOTHING;

  it('an origin that is named', async () => {
    for (const origin of [APP, LOCAL]) {
      const asked = await preflight(method, path, origin);
      expect(corsOf(asked)).toMatchObject(expected(origin));
      if (policy === 'nobody') expect([204, 200]).not.toContain(asked.status);
      else {
        expect([asked.status, asked.text]).toEqual([204, '']);
        expect(asked.headers['access-control-allow-methods']).toContain(method.toUpperCase());
        expect(asked.headers['access-control-allow-headers']).toMatch(
          /Authorization, Content-Type/,
        );
        expect(asked.headers['access-control-max-age']).toMatch(/^\d+$/);
      }
      // Without credentials: a refusal, and readable all the same.
      const refused = await call(method, path, { Origin: origin });
      expect(corsOf(refused)).toMatchObject(expected(origin));
      if (isForApplications) {
        expect(refused.headers['vary']).toBe('Origin');
        for (const name of ['X-Request-Id', 'Retry-After', 'WWW-Authenticate', 'Link'])
          expect(refused.headers['access-control-expose-headers']).toContain(name);
        expect(refused.headers['x-request-id']).toMatch(/^[\w.-]+$/);
      }
    }
  });

  it('any other origin', async () => {
    // All of them where it costs least.
    const some = path === '/auth/verify' ? STRANGERS : STRANGERS.slice(0, 1);
    for (const origin of some) {
      for (const answer of [
        await preflight(method, path, origin),
        await call(method, path, { Origin: origin }),
      ]) {
        expect(corsOf(answer)).toMatchObject(
          policy === 'everybody' ? { origin: '*', credentials: undefined } : NOTHING,
        );
        if (isForApplications) expect(answer.headers['vary']).toBe('Origin');
      }
      if (isForApplications) expect((await preflight(method, path, origin)).status).not.toBe(204);
    }
  });

  it('no origin', async () => {
    const answer = await call(method, path, {});
    expect(corsOf(answer)).toMatchObject({
      ...NOTHING,
      ...(policy === 'everybody' ? { origin: '*' } : {}),
      ...(isForApplications ? { vary: 'Origin' } : {}),
    });
    // OPTIONS that is no preflight is a method like any other.
    const options = await call('options', path, { Origin: APP });
    expect(options.status).not.toBe(204);
  });

  it('nothing is opened unless it is configured', async () => {
    for (const answer of [
      await preflight(method, path, APP, closed),
      await call(method, path, { Origin: APP }, closed),
    ]) {
      expect(corsOf(answer)).toMatchObject(
        policy === 'everybody' ? { origin: '*', credentials: undefined } : NOTHING,
      );
      if (isForApplications) expect(answer.headers).not.toHaveProperty('vary');
    }
  });
});

describe('errors can be read', () => {
  it.each([
    [401, 'get', '/v3/jwt/history', {}],
    [401, 'get', '/auth/verify', {}],
    [405, 'delete', '/auth/verify', {}],
    [405, 'delete', '/auth/signin', {}],
    [400, 'post', '/auth/signin', { 'Content-Type': 'application/json' }],
    [415, 'post', '/auth/signin', { 'Content-Type': 'text/plain' }],
    [404, 'get', '/api/nowhere', {}],
    [400, 'delete', '/v3/jwt/history/%zz', {}],
    [
      431,
      'get',
      '/v3/jwt/history',
      Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`X-${i}`, '1'])),
    ],
  ] as const)('%i of %s %s', async (status, method, path, headers) => {
    const answer = await call(method, path, { ...headers, Origin: APP });
    expect([answer.status, corsOf(answer).origin]).toEqual([status, APP]);
  });

  it('429 and 503', async () => {
    const strict = await t.sibling({ SIGN_IN_ATTEMPTS: '1' });
    const guess = () =>
      strict
        .http()
        .post('/auth/signin')
        .set('Origin', APP)
        .send({ email: 'alice@example.com', password: 'wrong' });
    expect((await guess()).status).toBe(401);
    const refused = await guess();
    expect([refused.status, corsOf(refused).origin]).toEqual([429, APP]);
    const token = await strict.signIn('alice@example.com').catch(() => null);
    expect(token).toBeNull();
    await strict.close();

    const stale = await t.sibling();
    const good = await stale.signIn('alice@example.com');
    stale.clock.now += 31_000;
    for (const path of ['/auth/verify', '/v3/jwt/history']) {
      const away = await call('get', path, { Origin: APP, Authorization: good }, stale);
      expect([away.status, corsOf(away).origin, away.headers['retry-after']]).toEqual([
        503,
        APP,
        '1',
      ]);
    }
    stale.clock.now -= 31_000;
    await stale.close();
  });
});

describe("the dashboard's cookie", () => {
  it('opens nothing to a page of another origin, named or not', async () => {
    const signedIn = await t
      .http()
      .post('/admin/session')
      .send({ email: 'alice@example.com', password: PASSWORD });
    expect(signedIn.status).toBe(201);
    const cookie = String(signedIn.headers['set-cookie']).split(';')[0] ?? '';
    expect(String(signedIn.headers['set-cookie'])).toContain('SameSite=Strict');
    expect((await call('get', '/admin/tokens', { Cookie: cookie })).status).toBe(200);
    for (const origin of [APP, ...STRANGERS]) {
      // Of the same site, say: the cookie comes along. What is answered can't be read.
      const page = { Cookie: cookie, Origin: origin, 'Sec-Fetch-Site': 'same-site' };
      for (const path of ['/admin/tokens', '/admin/session', '/admin/summary'])
        expect(corsOf(await call('get', path, page))).toMatchObject(NOTHING);
      // Nor can anything be changed, even with the session's CSRF token.
      const csrf = { 'X-CSRF-Token': (signedIn.body as { csrfToken: string }).csrfToken };
      expect((await call('delete', '/admin/session', { ...page, ...csrf })).status).toBe(403);
    }
    // Elsewhere that cookie is nobody's.
    for (const [policy, method, path] of ROUTES.filter(([each]) => each === 'applications')) {
      const answer = await call(method, path, { Cookie: cookie, Origin: APP });
      expect([policy, path, isReadableWithCookies(answer)]).toEqual([policy, path, false]);
    }
    const validated = await call('get', '/api/jwt/validate', { Cookie: cookie, Origin: APP });
    expect(validated.status).toBe(401);
  });
});

describe('a single-page app', () => {
  it("signs in, lists, revokes, and renews by FusionAuth's cookie", async () => {
    const origin = { Origin: APP };
    const json = { ...origin, 'Content-Type': 'application/json' };
    const signedIn = await t
      .http()
      .post('/auth/signin')
      .set(json)
      .send({ email: 'alice@example.com', password: PASSWORD });
    expect([signedIn.status, corsOf(signedIn).origin]).toEqual([200, APP]);
    const { token } = signedIn.body as { token: string };
    const listed = await call('get', '/v3/jwt/history', { ...origin, Authorization: token });
    expect([listed.status, corsOf(listed).origin]).toEqual([200, APP]);

    const login = await t
      .http()
      .post('/api/login')
      .set(json)
      .send({ loginId: 'alice@example.com', password: PASSWORD });
    const { refreshToken } = login.body as { refreshToken: string };
    const renewed = await t
      .http()
      .post('/api/jwt/refresh')
      .set({ ...origin, Cookie: `refresh_token=${refreshToken}` });
    expect([renewed.status, isReadableWithCookies(renewed)]).toEqual([200, true]);
    expect(String(renewed.headers['set-cookie'])).toMatch(/refresh_token=.*SameSite=Strict/);
  });
});
