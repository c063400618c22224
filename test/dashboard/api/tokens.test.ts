/** The dashboard's list, its cards, one token revoked, and a token inspected. */
import { afterAll, describe, expect, it } from '@jest/globals';
import type {
  WireInspection,
  WireSummary,
  WireTokenDetail,
  WireTokenPage,
} from '../../../src/dashboard/wire.js';
import { mint, PASSWORD, SECRET } from '../../support/harness.js';
import { listOf, openBrowser, startWithPage } from './page-client.js';

const { t, admin, close } = await startWithPage();
afterAll(close);

describe('the list', () => {
  it('pages there and back without a gap, by cursor and by Link', async () => {
    for (const name of ['ann', 'bob', 'ann', 'bob', 'ann', 'bob'])
      await t.signIn(`${name}@example.com`);
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
