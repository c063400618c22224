/** The dashboard's session by cookie: what it opens, how it ends, and what another page can't make a browser do with it. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { PASSWORD } from '../../support/harness.js';
import { type Browser, cookieOf, listOf, openBrowser, startWithPage } from './page-client.js';

const { t, admin, close } = await startWithPage();
afterAll(close);

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
