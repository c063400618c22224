/** Cookies: whose pages may act with them, how long the dashboard's is good, and that its token is good for nothing else. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createSessionStamps } from '../../src/dashboard/session-stamp.js';
import { createRsaKeys, createSecretKeys } from '../../src/tokens/keys.js';
import { DASHBOARD_AUDIENCE } from '../../src/tokens/verifier.js';
import { listen, openedStream } from '../support/event-stream.js';
import {
  jtiOf,
  mint,
  PASSWORD,
  rsaPem,
  SECRET,
  startTestService,
  type TestService,
} from '../support/harness.js';
import { until } from '../support/process.js';

const MINUTE = 60_000;
const APP = 'https://app.example.com';

let t: TestService;
let sibling: TestService;
let annId: string;
beforeAll(async () => {
  t = await startTestService({ CORS_ORIGINS: APP });
  sibling = await t.sibling();
  annId = (await t.createUser('ann@example.com', 'admin')).id;
});
afterAll(async () => {
  await sibling.close();
  await t.close();
});

/** The name and value that the browser keeps. */
const cookieOf = (header: unknown, name = 'jwt_history_session') =>
  (Array.isArray(header) ? header : [])
    .map((each) => String(each).split(';')[0] ?? '')
    .findLast((each) => each.startsWith(`${name}=`)) ?? '';
const tokenIn = (cookie: string) => cookie.split('=')[1]?.split('.').slice(0, 3).join('.') ?? '';

async function signIn(headers: Record<string, string> = {}) {
  const response = await t
    .http()
    .post('/admin/session')
    .set({ 'Sec-Fetch-Site': 'same-origin', ...headers })
    .send({ email: 'ann@example.com', password: PASSWORD });
  expect(response.status).toBe(201);
  const cookie = cookieOf(response.headers['set-cookie']);
  return { cookie, token: tokenIn(cookie), csrf: String(response.body.csrfToken) };
}

const get = (cookie: string, path = '/admin/session', at = t) =>
  at.http().get(path).set('Cookie', cookie);

describe("the dashboard's idle time", () => {
  it('ends a session that nobody used, wherever its cookie was brought', async () => {
    const { cookie } = await signIn();
    t.clock.now += 29 * MINUTE;
    expect((await get(cookie)).status).toBe(200);
    expect((await get(cookie, '/admin/tokens', sibling)).status).toBe(200);
    // The copy has not seen what the browser got meanwhile.
    t.clock.now += 2 * MINUTE;
    for (const at of [t, sibling]) {
      const refused = await get(cookie, '/admin/tokens', at);
      expect(refused.status).toBe(401);
      expect(String(refused.headers['set-cookie'])).toMatch(/jwt_history_session=;/);
    }
  });

  it('begins anew with each request, at any instance, until the session itself is over', async () => {
    let { cookie } = await signIn();
    for (let minutes = 0; minutes < 12 * 60 - 20; minutes += 20) {
      const at = minutes % 40 === 0 ? t : sibling;
      const response = await get(cookie, '/admin/tokens?limit=1', at);
      expect(response.status).toBe(200);
      cookie = cookieOf(response.headers['set-cookie']);
      t.clock.now += 20 * MINUTE;
    }
    t.clock.now += 20 * MINUTE;
    expect((await get(cookie)).status).toBe(401);
  });

  it('closes the stream too, which asks again with the cookie that there is then', async () => {
    const listening = await listen(t);
    const { cookie } = await signIn();
    const client = await openedStream(listening.address, { cookie });
    t.clock.now += 20 * MINUTE;
    const renewed = cookieOf((await get(cookie)).headers['set-cookie']);
    t.clock.now += 10 * MINUTE;
    await until('it is closed', () => client.hasEnded, 10_000);
    expect(client.events.map(({ name }) => name)).not.toContain('end');
    const again = await openedStream(listening.address, { cookie: renewed });
    again.close();
    listening.close();
  });
});

describe("the dashboard's token", () => {
  const doors = [
    '/auth/verify',
    '/v3/jwt/history',
    '/api/jwt/validate',
    '/v1/token',
    '/admin/tokens',
  ];

  it.each(doors)('is none for %s', async (path) => {
    const { token, cookie } = await signIn();
    expect((await get(cookie)).status).toBe(200);
    for (const scheme of ['Bearer ', 'JWT ', '']) {
      const response = await t.http().get(path).set('Authorization', `${scheme}${token}`);
      expect([scheme, response.status]).toEqual([scheme, 401]);
    }
    expect((await get(`access_token=${token}`, '/api/jwt/validate')).status).toBe(401);
  });

  it('is explained to an administrator who asks about it', async () => {
    const { token } = await signIn();
    const response = await t
      .http()
      .post('/admin/inspect')
      .set('Authorization', await t.signIn('ann@example.com'))
      .send({ token });
    expect(response.body).toMatchObject({
      accepted: false,
      reason: 'wrong-audience',
      explanation: expect.stringContaining('dashboard'),
      token: { device: { description: 'Dashboard' } },
    });
  });

  it('is the only one that its cookie takes, and only as it was set', async () => {
    const stamps = createSessionStamps(createSecretKeys(SECRET));
    const foreign = createSessionStamps(createSecretKeys(`${SECRET}, but another`));
    const { token, cookie } = await signIn();
    const [, stamp = '', code = ''] = /\.(\w+)\.([\w-]+)$/.exec(cookie) ?? [];
    const later = (Number.parseInt(stamp, 36) + 60).toString(36);
    const other = await t.signIn('ann@example.com').then((given) => given.replace('JWT ', ''));
    const session = await t
      .http()
      .post('/api/login')
      .send({ loginId: 'ann@example.com', password: PASSWORD });
    const unsigned = mint({ _id: annId, jti: 'x', aud: DASHBOARD_AUDIENCE }, {}, 'another secret');
    const bad = {
      'without its stamp': token,
      'with a later stamp': `${token}.${later}.${code}`,
      'with the code of another key': foreign.seal(token, t.clock.now),
      'a sign-in token': other,
      'a sign-in token, stamped': stamps.seal(other, t.clock.now),
      'an access token, stamped': stamps.seal(session.body.token, t.clock.now),
      'one that is not signed here': stamps.seal(unsigned, t.clock.now),
      'a refresh token': session.body.refreshToken as string,
    };
    for (const [name, value] of Object.entries(bad)) {
      const response = await get(`jwt_history_session=${value}`, '/admin/tokens');
      expect([name, response.status]).toEqual([name, 401]);
    }
    expect((await get(cookie)).status).toBe(200);
  });

  it('is ended when the same browser signs in again, and what was made with it stays', async () => {
    const first = await signIn();
    const made = await t
      .http()
      .post('/admin/api-keys')
      .set({ Cookie: first.cookie, 'X-CSRF-Token': first.csrf, 'Sec-Fetch-Site': 'same-origin' })
      .send({ name: 'deploy' });
    expect(made.status).toBe(201);
    const second = await signIn({ Cookie: first.cookie });
    for (const at of [t, sibling]) {
      await sibling.service.sync.refresh();
      expect((await get(first.cookie, '/admin/session', at)).status).toBe(401);
      expect((await get(second.cookie, '/admin/session', at)).status).toBe(200);
    }
    const [record] = await t.store.tokens.findByJti(jtiOf(first.token));
    expect(record?.revocation).toMatchObject({ reason: 'signed in again', by: annId });
    await t.http().get('/auth/verify').set('Authorization', made.body.key).expect(204);
  });

  it('is not ended by a wrong password, or by a cookie that is none of ours', async () => {
    const { cookie, token } = await signIn();
    await t
      .http()
      .post('/admin/session')
      .set('Cookie', cookie)
      .send({ email: 'ann@example.com', password: 'wrong password' })
      .expect(401);
    await signIn({ Cookie: `jwt_history_session=${token}` });
    expect((await get(cookie)).status).toBe(200);
  });
});

it('stamps are the same at every instance, with RS256 too', () => {
  const one = createSessionStamps(createRsaKeys(rsaPem.privateKey, rsaPem.publicKey));
  const other = createSessionStamps(createRsaKeys(rsaPem.privateKey, rsaPem.publicKey));
  const sealed = one.seal('a.b.c', 1_700_000_000_999);
  expect(other.open(sealed)).toEqual({ token: 'a.b.c', usedAt: 1_700_000_000_000 });
  for (const broken of ['', '...', 'a.b.c', sealed.slice(0, -1), `${sealed}x`, `x${sealed}`])
    expect(other.open(broken)).toBeNull();
});

/** What browsers say of a request that another page made. */
const ELSEWHERE: [string, Record<string, string>][] = [
  ['another site', { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example.com' }],
  ['another port of this host', { 'Sec-Fetch-Site': 'same-site', Origin: 'http://127.0.0.1:1' }],
  ['another port, over plain http', { Origin: 'http://127.0.0.1:1' }],
  ['an origin that hides', { Origin: 'null' }],
];
const OWN: [string, Record<string, string>][] = [
  ['our own page', { 'Sec-Fetch-Site': 'same-origin' }],
  ['no browser', {}],
  ['an origin of CORS_ORIGINS', { 'Sec-Fetch-Site': 'same-site', Origin: APP }],
];

describe('reading with the cookie of the dashboard', () => {
  it.each(ELSEWHERE)('from %s is refused, and is no use of it', async (_, headers) => {
    const { cookie } = await signIn();
    for (const path of [
      '/admin/tokens',
      '/admin/tokens/export?format=csv',
      '/admin/events/stream',
    ]) {
      const response = await get(cookie, path).set(headers);
      expect(response.status).toBe(403);
      expect(response.headers['set-cookie']).toBeUndefined();
    }
  });

  it('is possible from the address bar', async () => {
    const { cookie } = await signIn();
    const response = await get(cookie, '/admin/tokens').set('Sec-Fetch-Site', 'none');
    expect(response.status).toBe(200);
  });
});

describe("the cookies of FusionAuth's dialect", () => {
  let refreshToken: string;
  let cookie: string;
  beforeEach(async () => {
    const response = await t
      .http()
      .post('/api/login')
      .send({ loginId: 'ann@example.com', password: PASSWORD });
    refreshToken = response.body.refreshToken;
    cookie = cookieOf(response.headers['set-cookie'], 'refresh_token');
    expect(cookie).toBe(`refresh_token=${refreshToken}`);
  });
  const isGood = async () =>
    (await t.http().post('/api/jwt/refresh').send({ refreshToken })).status === 200;
  const AUTHORITY = {
    fieldErrors: {},
    generalErrors: [{ code: '[forbidden]', message: expect.stringContaining('CORS_ORIGINS') }],
  };

  it.each(ELSEWHERE)('are none for a logout or an exchange from %s', async (_, headers) => {
    for (const path of ['/api/logout?global=true', '/api/logout', '/api/jwt/refresh']) {
      const response = await t.http().post(path).set('Cookie', cookie).set(headers);
      expect([path, response.status]).toEqual([path, 403]);
      expect(response.body).toEqual(AUTHORITY);
      expect(response.headers['set-cookie']).toBeUndefined();
    }
    expect(await isGood()).toBe(true);
  });

  it.each(OWN)('are good for an exchange and a logout from %s', async (_, headers) => {
    const exchanged = await t.http().post('/api/jwt/refresh').set('Cookie', cookie).set(headers);
    expect(exchanged.status).toBe(200);
    const next = cookieOf(exchanged.headers['set-cookie'], 'refresh_token');
    expect(next).toBe(`refresh_token=${exchanged.body.refreshToken}`);
    const out = await t.http().post('/api/logout?global=true').set('Cookie', next).set(headers);
    expect(out.status).toBe(200);
    expect(String(out.headers['set-cookie'])).toContain('refresh_token=;');
    t.clock.now += MINUTE;
    expect(await isGood()).toBe(false);
  });

  it.each(ELSEWHERE)(
    'are neither set nor cleared by what knows its token, from %s',
    async (_, headers) => {
      const login = await t
        .http()
        .post('/api/login')
        .set(headers)
        .send({ loginId: 'ann@example.com', password: PASSWORD });
      const exchanged = await t
        .http()
        .post('/api/jwt/refresh')
        .set(headers)
        .set('Cookie', cookie)
        .send({ refreshToken: login.body.refreshToken });
      const out = await t
        .http()
        .post('/api/logout')
        .set(headers)
        .set('Cookie', cookie)
        .send({ refreshToken: exchanged.body.refreshToken });
      for (const response of [login, exchanged, out]) {
        expect(response.status).toBe(200);
        expect(response.headers['set-cookie']).toBeUndefined();
      }
      // The token that was named, not that of the cookie.
      expect(await isGood()).toBe(true);
      const gone = { refreshToken: exchanged.body.refreshToken };
      await t.http().post('/api/jwt/refresh').send(gone).expect(400);
    },
  );
});
