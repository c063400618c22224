/** The API of the dashboard: sessions by cookie, lists, revoking one and many, cut-offs, inspection, exports; and what others must not get from it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type {
  WireBulkLine,
  WireInspection,
  WirePreview,
  WireSession,
  WireSummary,
  WireToken,
  WireTokenDetail,
  WireTokenPage,
} from '../../../src/dashboard/wire.js';
import { csvCell } from '../../../src/dashboard/api/export.js';
import {
  mint,
  PASSWORD,
  SECRET,
  startTestService,
  type TestService,
} from '../../support/harness.js';

let t: TestService;
let admin: Browser;

beforeAll(async () => {
  t = await startTestService();
  await t.createUser('admin@example.com', 'admin');
  await t.createUser('ann@example.com');
  await t.createUser('bob@example.com');
  admin = await openBrowser(t, 'admin@example.com');
});
afterAll(() => t.close());

interface Browser {
  readonly session: WireSession;
  readonly cookie: string;
  get(path: string): ReturnType<ReturnType<TestService['http']>['get']>;
  post(path: string, body: object): ReturnType<ReturnType<TestService['http']>['post']>;
  delete(path: string): ReturnType<ReturnType<TestService['http']>['delete']>;
}

/** Signs in as the page does, and sends what a browser sends. */
async function openBrowser(at: TestService, email: string): Promise<Browser> {
  const response = await at
    .http()
    .post('/admin/session')
    .set('Sec-Fetch-Site', 'same-origin')
    .set('User-Agent', CHROME)
    .send({ email, password: PASSWORD });
  expect(response.status).toBe(201);
  const session = response.body as WireSession;
  const cookie = cookieOf(response.headers['set-cookie']);
  return {
    session,
    cookie,
    get: (path) => at.http().get(path).set('Cookie', cookie),
    post: (path, body) =>
      at
        .http()
        .post(path)
        .set('Cookie', cookie)
        .set('Sec-Fetch-Site', 'same-origin')
        .set('X-CSRF-Token', session.csrfToken)
        .send(body),
    delete: (path) =>
      at
        .http()
        .delete(path)
        .set('Cookie', cookie)
        .set('Sec-Fetch-Site', 'same-origin')
        .set('X-CSRF-Token', session.csrfToken),
  };
}

const CHROME =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';

function cookieOf(header: unknown): string {
  const [first = ''] = header as string[];
  return first.split(';')[0] ?? '';
}

async function listOf(browser: Browser, query = ''): Promise<WireTokenPage> {
  const response = await browser.get(`/admin/tokens?${query}`);
  expect(response.status).toBe(200);
  return response.body as WireTokenPage;
}

describe('the session', () => {
  it('is a token of the history in a cookie that no script reads and no other site sends', async () => {
    const response = await t
      .http()
      .post('/admin/session')
      .send({ email: 'ann@example.com', password: PASSWORD });
    expect(response.status).toBe(201);
    const [cookie = ''] = response.headers['set-cookie'] as unknown as string[];
    expect(cookie).toMatch(/^jwt_history_session=ey/);
    expect(cookie).toMatch(/; HttpOnly/);
    expect(cookie).toMatch(/; SameSite=Strict/);
    expect(cookie).not.toMatch(/; Secure/);
    expect(JSON.stringify(response.body)).not.toContain(cookieOf([cookie]).split('=')[1]);
    expect(JSON.stringify(response.body)).not.toContain('argon2');
    expect(response.body).toMatchObject({ isAdministrator: false, idleSeconds: 1800 });
  });

  it('marks itself in the list, with the device in words', async () => {
    const { tokens } = await listOf(admin);
    const own = tokens.filter((token) => token.isThisSession);
    expect(own.map(({ _id }) => _id)).toEqual([admin.session.tokenId]);
    expect(own[0]).toMatchObject({
      deviceLabel: 'Chrome 156 · macOS',
      user: { email: 'admin@example.com', name: 'First Last' },
      state: 'active',
    });
  });

  it.each([
    ['a wrong password', { email: 'ann@example.com', password: 'wrong password' }],
    ['an unknown user', { email: 'nobody@example.com', password: PASSWORD }],
  ])('says the same about %s, and never makes the browser ask by itself', async (_, body) => {
    const response = await t.http().post('/admin/session').send(body);
    expect(response.status).toBe(401);
    expect(response.body).toMatchObject({ msg: 'Wrong e-mail or password.' });
    expect(response.headers['www-authenticate']).not.toMatch(/basic/i);
    expect(response.headers['set-cookie']).toBeUndefined();
  });

  it('opens nothing but /admin', async () => {
    for (const path of ['/v3/jwt/history', '/auth/verify', '/api/jwt/refresh?userId=x']) {
      expect((await admin.get(path)).status).toBe(401);
    }
  });

  it('ends everywhere at once when it is revoked elsewhere', async () => {
    const browser = await openBrowser(t, 'ann@example.com');
    const authorization = await t.signIn('admin@example.com');
    const id = browser.session.tokenId;
    await t
      .http()
      .delete(`/v3/jwt/history/id/${id}`)
      .set('Authorization', authorization)
      .expect(200);
    const response = await browser.get('/admin/session');
    expect(response.status).toBe(401);
    expect(response.headers['www-authenticate']).not.toMatch(/basic/i);
  });

  it('ends when one signs out, and its token is refused from then on', async () => {
    const browser = await openBrowser(t, 'ann@example.com');
    const token = browser.cookie.split('=')[1]?.split('.').slice(0, 3).join('.') ?? '';
    const response = await browser.delete('/admin/session');
    expect(response.status).toBe(204);
    expect(String(response.headers['set-cookie'])).toMatch(/jwt_history_session=;/);
    await t.http().get('/auth/verify').set('Authorization', `JWT ${token}`).expect(401);
    expect((await browser.get('/admin/tokens')).status).toBe(401);
  });
});

describe('requests that another page makes the browser send', () => {
  const change = (browser: Browser) =>
    t
      .http()
      .post(`/admin/tokens/${browser.session.tokenId}/revoke`)
      .set('Cookie', browser.cookie)
      .send({ reason: 'requested' });

  it.each([
    ['from another site', { 'Sec-Fetch-Site': 'cross-site' }, true],
    ['from another port of this host', { 'Sec-Fetch-Site': 'same-site' }, true],
    ['typed into the address bar', { 'Sec-Fetch-Site': 'none' }, true],
    ['with another origin', { Origin: 'http://127.0.0.1:1' }, true],
    ['with the origin null', { Origin: 'null' }, true],
    ['without the CSRF token', { 'Sec-Fetch-Site': 'same-origin' }, false],
  ])('%s change nothing', async (_, headers, withToken) => {
    const request = change(admin).set(headers as Record<string, string>);
    if (withToken) void request.set('X-CSRF-Token', admin.session.csrfToken);
    expect((await request).status).toBe(403);
    expect((await admin.get('/admin/session')).status).toBe(200);
  });

  it('with the CSRF token of another session change nothing', async () => {
    const other = await openBrowser(t, 'ann@example.com');
    const response = await change(admin)
      .set('Sec-Fetch-Site', 'same-origin')
      .set('X-CSRF-Token', other.session.csrfToken);
    expect(response.status).toBe(403);
  });

  it('cannot sign in either', async () => {
    const response = await t
      .http()
      .post('/admin/session')
      .set('Sec-Fetch-Site', 'cross-site')
      .send({ email: 'ann@example.com', password: PASSWORD });
    expect(response.status).toBe(403);
    expect(response.headers['set-cookie']).toBeUndefined();
  });
});

describe('the list', () => {
  it('pages there and back without a gap, by cursor and by Link', async () => {
    const all = (await listOf(admin, 'limit=100')).tokens.map(({ _id }) => _id);
    expect(all.length).toBeGreaterThan(5);
    const seen: string[] = [];
    let page = await listOf(admin, 'limit=2');
    expect(page.previous).toBeNull();
    let last = page;
    for (;;) {
      seen.push(...page.tokens.map(({ _id }) => _id));
      last = page;
      if (page.next === null) break;
      const response = await admin.get(`/admin/tokens?limit=2&cursor=${page.next}`);
      expect(response.headers['link']).toMatch(/rel="prev"/);
      page = response.body as WireTokenPage;
    }
    expect(seen).toEqual(all);
    const before = await listOf(admin, `limit=2&cursor=${last.previous}`);
    const at = all.length - last.tokens.length;
    expect(before.tokens.map(({ _id }) => _id)).toEqual(all.slice(at - 2, at));
  });

  it.each([
    ['sort=nonsense', 'sort'],
    ['state=gone', 'state'],
    ['cursor=AAAA', 'cursor'],
    ['issuedFrom=yesterday', 'issuedFrom'],
    ['neverExpires=false', 'neverExpires'],
    ['limit=0', 'limit'],
    ['page[$gt]=1', 'page'],
    ['state=active&state=revoked', 'state'],
  ])('%s is a 400 that names the parameter', async (query, field) => {
    const response = await admin.get(`/admin/tokens?${query}`);
    expect(response.status).toBe(400);
    expect(JSON.stringify((response.body as { errors: unknown }).errors)).toContain(field);
  });

  it('refuses a cursor of another order', async () => {
    const { next } = await listOf(admin, 'limit=1');
    const response = await admin.get(`/admin/tokens?limit=1&sort=expiresAt&cursor=${next}`);
    expect(response.status).toBe(400);
  });

  it('shows someone who is no administrator their own tokens only, whatever they ask for', async () => {
    const ann = await openBrowser(t, 'ann@example.com');
    for (const query of ['', `userId=${admin.session.user._id}`, 'q=admin', 'q=bob']) {
      const { tokens } = await listOf(ann, query);
      expect(tokens.filter(({ userId }) => userId !== ann.session.user._id)).toEqual([]);
    }
    expect((await listOf(ann)).tokens.length).toBeGreaterThan(0);
    const foreign = admin.session.tokenId;
    expect((await ann.get(`/admin/tokens/${foreign}`)).status).toBe(404);
    const revoke = await ann.post(`/admin/tokens/${foreign}/revoke`, { reason: 'requested' });
    expect(revoke.status).toBe(404);
    const bulk = await ann.post('/admin/revocations/preview', { ids: [foreign] });
    expect(bulk.body).toMatchObject({ count: 0 });
    const cutoff = { userId: admin.session.user._id, reason: 'requested' };
    expect((await ann.post('/admin/cutoffs', cutoff)).status).toBe(403);
    const anyApplication = {
      userId: ann.session.user._id,
      applicationId: 'whatever',
      reason: 'requested',
    };
    expect((await ann.post('/admin/cutoffs', anyApplication)).status).toBe(403);
    expect((await ann.post('/admin/cutoffs', { everything: true, reason: 'left' })).status).toBe(
      403,
    );
    for (const path of ['/admin/users', '/admin/activity?range=24h', '/admin/events']) {
      expect((await ann.get(path)).status).toBe(403);
    }
    expect((await ann.post('/admin/inspect', { token: 'x' })).status).toBe(403);
    expect(
      (await ann.post(`/admin/users/${foreign}/password`, { password: 'x'.repeat(9) })).status,
    ).toBe(403);
    expect((await admin.get('/admin/session')).status).toBe(200);
  });
});

describe('the cards', () => {
  it('count what their filters find', async () => {
    await t.signIn('ann@example.com');
    const summary = (await admin.get('/admin/summary').expect(200)).body as WireSummary;
    const active = await listOf(admin, 'state=active');
    expect(summary.active).toEqual({ count: active.count, countIs: 'exact' });
    expect(summary.expiringSoon.count).toBeGreaterThan(0);
    expect((await admin.get('/admin/summary?today=now')).status).toBe(400);
  });
});

describe('revoking one', () => {
  it('refuses it at once, keeps who and why, and shows both', async () => {
    const authorization = await t.signIn('bob@example.com');
    const [token] = (await listOf(admin, 'q=bob@example.com')).tokens;
    await t.http().get('/auth/verify').set('Authorization', authorization).expect(204);
    const response = await admin.post(`/admin/tokens/${token?._id}/revoke`, {
      reason: 'other',
      note: 'the laptop was stolen',
    });
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({
      state: 'revoked',
      revokedReason: 'other: the laptop was stolen',
      revokedVia: 'dashboard',
      isThisSession: false,
    });
    await t.http().get('/auth/verify').set('Authorization', authorization).expect(401);
    const detail = (await admin.get(`/admin/tokens/${token?._id}`)).body as WireTokenDetail;
    expect(detail.timeline.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['issued', 'first-used', 'last-used', 'revoked']),
    );
    expect(detail.timeline.find(({ what }) => what === 'revoked')).toMatchObject({
      by: 'admin@example.com',
      via: 'dashboard',
      requestId: expect.any(String),
    });
  });

  it.each([
    [{}, 'reason'],
    [{ reason: 'whim' }, 'reason'],
    [{ reason: 'other' }, 'note'],
    [{ reason: 'left', note: 'x'.repeat(201) }, 'note'],
  ])('%j is a 400 that names the field', async (body, field) => {
    const response = await admin.post(`/admin/tokens/${admin.session.tokenId}/revoke`, body);
    expect(response.status).toBe(400);
    expect(JSON.stringify((response.body as { errors: unknown }).errors)).toContain(field);
  });

  it('shows a session and what came from it, both refused when the session is', async () => {
    const login = await t
      .http()
      .post('/api/login')
      .send({ loginId: 'bob@example.com', password: PASSWORD, applicationId: 'shop' });
    expect(login.status).toBe(200);
    const { token, refreshTokenId } = login.body as { token: string; refreshTokenId: string };
    const session = (await listOf(admin, 'kind=refresh&applicationId=shop')).tokens.find(
      ({ jti }) => jti === refreshTokenId,
    );
    const detail = (await admin.get(`/admin/tokens/${session?._id}`)).body as WireTokenDetail;
    expect(detail.children.map(({ kind }) => kind)).toEqual(['access']);
    await admin.post(`/admin/tokens/${session?._id}/revoke`, { reason: 'left' }).expect(200);
    await t.http().get('/auth/verify').set('Authorization', `Bearer ${token}`).expect(401);
    const child = (await admin.get(`/admin/tokens/${detail.children[0]?._id}`))
      .body as WireTokenDetail;
    expect(child.token.state).toBe('revoked');
    expect(child.session?._id).toBe(session?._id);
  });
});

describe('revoking many', () => {
  async function fresh(count: number, userId: string): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      await admin
        .post('/v3/jwt/history', {})
        .set('Authorization', await adminToken())
        .send({ jti: `bulk-${userId}-${i}-${t.clock.now}`, userId })
        .expect(201);
    }
  }
  let token: Promise<string> | null = null;
  const adminToken = () => (token ??= t.signIn('admin@example.com'));

  async function linesOf(response: { text: string }): Promise<WireBulkLine[]> {
    return response.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as WireBulkLine);
  }

  it('looks first, then revokes just that, and says how far it is', async () => {
    await fresh(30, 'u-many');
    const filter = { userId: 'u-many' };
    const preview = (await admin.post('/admin/revocations/preview', { filter }))
      .body as WirePreview;
    expect(preview).toMatchObject({ count: 30, users: 1, includesThisSession: false });
    const response = await admin.post('/admin/revocations', {
      selection: { filter },
      expectedCount: 30,
      asOf: preview.asOf,
      reason: 'compromised',
    });
    expect(response.status).toBe(200);
    expect(response.headers['content-type']).toMatch(/ndjson/);
    const lines = await linesOf(response);
    expect(lines[0]).toEqual({ done: 0, total: 30 });
    const matched = { tokens: 30, users: 1, applications: 0 };
    expect(lines.at(-1)).toEqual({
      result: { matched, revoked: 30, alreadyRevoked: 0, failed: [] },
    });
    expect((await listOf(admin, 'userId=u-many&state=active')).count).toBe(0);
  });

  it('refuses with 409 what has grown since, and revokes nothing', async () => {
    await fresh(2, 'u-grows');
    const filter = { userId: 'u-grows' };
    const { asOf } = (await admin.post('/admin/revocations/preview', { filter }))
      .body as WirePreview;
    t.clock.now += 1000;
    await fresh(1, 'u-grows');
    const body = { selection: { filter }, expectedCount: 2, asOf, reason: 'left' };
    const response = await admin.post('/admin/revocations', body);
    expect(response.status).toBe(409);
    expect((response.body as { msg: string }).msg).toMatch(/from 2 to 3/);
    expect((await listOf(admin, 'userId=u-grows&state=active')).count).toBe(3);
  });

  it('takes ids, and says when this session is among them', async () => {
    const ids = [admin.session.tokenId];
    const preview = (await admin.post('/admin/revocations/preview', { ids })).body as WirePreview;
    expect(preview).toMatchObject({ count: 1, includesThisSession: true });
  });

  it.each([
    [{}, 400],
    [{ ids: [] }, 400],
    [{ ids: ['x'] }, 400],
    [{ filter: { stat: 'active' } }, 400],
    [{ filter: {}, ids: ['0'.repeat(24)] }, 400],
  ])('%j is %i', async (body, status) => {
    expect((await admin.post('/admin/revocations/preview', body)).status).toBe(status);
  });

  it('revokes everything of a user until now, and a sign-in afterwards works', async () => {
    const before = await t.signIn('bob@example.com');
    const bob = (await listOf(admin, 'q=bob@example.com')).tokens[0]?.userId ?? '';
    t.clock.now += 5;
    await admin.post('/admin/cutoffs', { userId: bob, reason: 'compromised' }).expect(201);
    await t.http().get('/auth/verify').set('Authorization', before).expect(401);
    t.clock.now += 5;
    const after = await t.signIn('bob@example.com');
    await t.http().get('/auth/verify').set('Authorization', after).expect(204);
  });

  it('revokes what was issued before a time, and nothing younger', async () => {
    const old = await t.signIn('bob@example.com');
    t.clock.now += 60_000;
    const before = new Date(t.clock.now).toISOString();
    const young = await t.signIn('ann@example.com');
    const body = { applicationId: 'no-such', before, reason: 'rotated' };
    expect((await admin.post('/admin/cutoffs', body)).status).toBe(201);
    await t.http().get('/auth/verify').set('Authorization', old).expect(204);
    const bob = (await listOf(admin, 'q=bob@example.com')).tokens[0]?.userId ?? '';
    await admin.post('/admin/cutoffs', { userId: bob, before, reason: 'rotated' }).expect(201);
    await t.http().get('/auth/verify').set('Authorization', old).expect(401);
    await t.http().get('/auth/verify').set('Authorization', young).expect(204);
  });

  it('keeps who revoked and why when a later cut-off moves nothing', async () => {
    await fresh(1, 'u-kept');
    await admin.post('/admin/cutoffs', { userId: 'u-kept', reason: 'compromised' }).expect(201);
    const before = '2020-01-01T00:00:00Z';
    await admin.post('/admin/cutoffs', { userId: 'u-kept', before, reason: 'rotated' }).expect(201);
    await t.service.marker.idle();
    const [kept] = (await listOf(admin, 'userId=u-kept')).tokens;
    expect(kept).toMatchObject({ state: 'revoked', revokedReason: 'compromised' });
  });

  it('says of what was issued before a time that it was revoked today', async () => {
    await fresh(1, 'u-before');
    t.clock.now += 3_600_000;
    // Half an hour without a request has ended the session.
    admin = await openBrowser(t, 'admin@example.com');
    const before = new Date(t.clock.now - 60_000).toISOString();
    await admin
      .post('/admin/cutoffs', { userId: 'u-before', before, reason: 'rotated' })
      .expect(201);
    await t.service.marker.idle();
    const [marked] = (await listOf(admin, 'userId=u-before')).tokens;
    expect(marked?.revokedAt).toBe(new Date(t.clock.now).toISOString());
  });

  it('takes an id once, however it is written', async () => {
    await fresh(1, 'u-twice');
    const id = (await listOf(admin, 'userId=u-twice')).tokens[0]?._id ?? '';
    const ids = [id, id.toUpperCase(), id];
    const preview = await admin.post('/admin/revocations/preview', { ids });
    expect(preview.body).toMatchObject({ count: 1 });
  });

  it.each([
    [{ reason: 'left' }, 'everything'],
    [{ reason: 'left', everything: true, userId: 'u' }, 'everything'],
    [{ reason: 'left', userId: 'u', before: '2999-01-01T00:00:00Z' }, 'before'],
    [{ userId: 'u' }, 'reason'],
  ])('a cut-off %j is a 400 that names the field', async (body, field) => {
    const response = await admin.post('/admin/cutoffs', body);
    expect(response.status).toBe(400);
    expect(JSON.stringify((response.body as { errors: unknown }).errors)).toContain(field);
  });
});

describe('inspecting', () => {
  const inspect = async (token: string) =>
    (await admin.post('/admin/inspect', { token }).expect(200)).body as WireInspection;

  it('says whether a token would be accepted and why not, and finds its record', async () => {
    const authorization = await t.signIn('ann@example.com');
    const good = await inspect(authorization);
    expect(good).toMatchObject({ accepted: true, reason: null });
    expect(good.token?.user?.email).toBe('ann@example.com');
    await admin.post(`/admin/tokens/${good.token?._id}/revoke`, { reason: 'left' }).expect(200);
    expect(await inspect(authorization)).toMatchObject({ accepted: false, reason: 'revoked' });
  });

  it.each([
    ['garbage', 'malformed'],
    [mint({ jti: 'x', sub: 'u' }, {}, `${SECRET}-another`), 'bad-signature'],
    [mint({ sub: 'u' }), 'bad-claims'],
    [mint({ jti: 'old', sub: 'u', exp: 1 }), 'expired'],
    [`01890000-0000-7000-8000-000000000000.${'A'.repeat(43)}`, 'unknown'],
  ])('%.20s… is %s, and is neither adopted nor logged', async (token, reason) => {
    expect(await inspect(token)).toMatchObject({ accepted: false, reason, token: null });
    expect(t.log()).not.toContain(token.length > 10 ? token : 'no such text');
  });
});

describe('users and keys', () => {
  it('sets a password: the old one and every token end at once', async () => {
    const user = await t.createUser('carl@example.com');
    const authorization = await t.signIn('carl@example.com');
    const basic = () => t.http().get('/v3/jwt/history').auth('carl@example.com', PASSWORD);
    expect((await basic()).status).toBe(200);
    t.clock.now += 5;
    const path = `/admin/users/${user.id}/password`;
    expect((await admin.post(path, { password: 'short' })).status).toBe(400);
    await admin.post(path, { password: 'a new password for carl' }).expect(204);
    await t.http().get('/auth/verify').set('Authorization', authorization).expect(401);
    expect((await basic()).status).toBe(401);
    expect(t.log()).not.toContain('a new password for carl');
    const unknown = `/admin/users/${'0'.repeat(24)}/password`;
    expect((await admin.post(unknown, { password: 'long enough' })).status).toBe(404);
  });

  it('forgets the old password at every instance', async () => {
    const user = await t.createUser('eve@example.com');
    const other = await t.sibling();
    try {
      await other.http().get('/v3/jwt/history').auth('eve@example.com', PASSWORD).expect(200);
      t.clock.now += 5;
      await admin
        .post(`/admin/users/${user.id}/password`, { password: 'a new password for eve' })
        .expect(204);
      await other.service.sync.refresh();
      await other.http().get('/v3/jwt/history').auth('eve@example.com', PASSWORD).expect(401);
    } finally {
      await other.close();
    }
  });

  it('finds users by the beginning of their e-mail', async () => {
    const response = await admin.get('/admin/users?search=ANN');
    expect(
      (response.body as { users: { email: string }[] }).users.map(({ email }) => email),
    ).toEqual(['ann@example.com']);
  });
});

describe('the export', () => {
  it('streams what the filter matches, as CSV and as NDJSON', async () => {
    const csv = await admin.get('/admin/tokens/export?format=csv&userId=u-many');
    expect(csv.status).toBe(200);
    expect(csv.headers['content-disposition']).toMatch(/attachment; filename="tokens-.*\.csv"/);
    expect(csv.text.split('\r\n')).toHaveLength(32);
    const ndjson = await admin.get('/admin/tokens/export?format=ndjson&userId=u-many').buffer();
    const records = ndjson.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as WireToken);
    expect(records).toHaveLength(30);
    expect(ndjson.text).not.toContain('secretHash');
  });

  it.each([
    ['=1+1', `"'=1+1"`],
    ['+1', `"'+1"`],
    ['-1', `"'-1"`],
    ['@a', `"'@a"`],
    ['\tx', `"'\tx"`],
    ['a "b", c', '"a ""b"", c"'],
    [null, ''],
    [3, '3'],
  ])('makes %j harmless', (value, cell) => {
    expect(csvCell(value)).toBe(cell);
  });
});

describe('the page', () => {
  it('comes with a policy that lets nothing else in, compressed, and is revalidated', async () => {
    const response = await t.http().get('/').set('Accept-Encoding', 'gzip');
    expect(response.status).toBe(200);
    expect(response.headers['content-encoding']).toBe('gzip');
    expect(response.headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect(response.text).not.toMatch(/<script(?![^>]*src=)|style=|https?:\/\//);
    const again = await t
      .http()
      .get('/')
      .set('If-None-Match', response.headers['etag'] ?? '');
    expect(again.status).toBe(304);
    for (const path of ['/page/main.js', '/page/style.css', '/page/icon.svg']) {
      expect((await t.http().get(path)).status).toBe(200);
    }
  });
});
