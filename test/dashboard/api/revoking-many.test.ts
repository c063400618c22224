/** Bulk revokes and cut-offs from the dashboard, and what its export gives of the tokens. */
import { afterAll, describe, expect, it } from '@jest/globals';
import type { WireBulkLine, WirePreview, WireToken } from '../../../src/dashboard/wire.js';
import { csvCell } from '../../../src/dashboard/api/export.js';
import { listOf, openBrowser, startWithPage } from './page-client.js';

const { t, admin: signedIn, close } = await startWithPage();
let admin = signedIn;
afterAll(close);

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
