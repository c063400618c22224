/** What is kept of what happened: the audit trail, attempts with revoked tokens, and the counts by the hour. */
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createActivity } from '../../src/audit/activity.js';
import { createRefusals } from '../../src/audit/refusals.js';
import { createTrail } from '../../src/audit/trail.js';
import type { WireActivity, WireAuditEvent } from '../../src/dashboard/wire.js';
import { unavailable } from '../../src/errors.js';
import { createLogger } from '../../src/observability/logger.js';
import type { HourOfActivity } from '../../src/store/activity.js';
import { createEventId, type NewAuditEvent } from '../../src/store/events.js';
import type { RefusedToken } from '../../src/store/tokens/uses.js';
import { openStore } from '../../src/store/database/connect.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  START,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';
import { until } from '../support/process.js';

const APPLICATION = '10000000-0000-0002-0000-000000000001';
const DAY_MS = 86_400_000;

let t: TestService;
let admin: string;
let adminId: string;
let annId: string;

beforeAll(async () => {
  t = await startTestService();
  adminId = (await t.createUser('admin@example.com', 'admin')).id;
  annId = (await t.createUser('ann@example.com')).id;
  admin = await t.signIn('admin@example.com');
});
afterAll(() => t.close());

const post = (path: string, body: object, requestId = 'request-1') =>
  t.http().post(path).set('Authorization', admin).set('X-Request-Id', requestId).send(body);

async function eventsOf(query: string): Promise<WireAuditEvent[]> {
  const response = await t.http().get(`/admin/events?${query}`).set('Authorization', admin);
  expect(response.status).toBe(200);
  return (response.body as { events: WireAuditEvent[] }).events;
}

const recordOf = async (jti: string, at = t) => {
  const [record] = await at.store.tokens.findByJti(jti);
  if (record === undefined) throw new Error(`no record of ${jti}`);
  return record;
};

function memoryLog() {
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    destination: new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    }),
  });
  return { log, lines };
}

describe('the audit trail', () => {
  it('says who revoked which token, why, through which door and in which request', async () => {
    const jti = jtiOf(await t.signIn('ann@example.com'));
    const { id } = await recordOf(jti);
    const revoked = await post(
      `/admin/tokens/${id}/revoke`,
      { reason: 'compromised', note: 'seen in a gist' },
      'request-revoke',
    );
    expect(revoked.status).toBe(200);
    const events = await eventsOf(`tokenId=${id}`);
    expect(events).toEqual([
      {
        _id: expect.stringMatching(/^[0-9a-f]{24}$/),
        at: new Date(t.clock.now).toISOString(),
        type: 'token.revoked',
        by: adminId,
        via: 'dashboard',
        reason: 'compromised: seen in a gist',
        requestId: 'request-revoke',
        tokenId: id,
        jti,
        userId: annId,
        applicationId: null,
        count: null,
      },
    ]);
    // Revoking it again changes nothing, so nothing is added.
    await post(`/admin/tokens/${id}/revoke`, { reason: 'left' });
    expect(await eventsOf(`tokenId=${id}`)).toEqual(events);
  });

  it('is also in the record itself, but not in what Tiledesk clients are answered', async () => {
    const token = await t.signIn('ann@example.com');
    const jti = jtiOf(token);
    const response = await t
      .http()
      .delete(`/v3/jwt/history/${jti}`)
      .set('Authorization', token)
      .set('X-Request-Id', 'request-of-ann');
    expect(response.status).toBe(200);
    expect(response.text).not.toContain('request-of-ann');
    expect((await recordOf(jti)).revocation).toEqual({
      at: new Date(t.clock.now),
      by: annId,
      via: 'tiledesk',
      reason: null,
      requestId: 'request-of-ann',
    });
  });

  it('has the request that set a cut-off, also in the records that it marked', async () => {
    const bob = await t.createUser('cutoff@example.com');
    const jti = jtiOf(await t.signIn('cutoff@example.com'));
    await post('/admin/cutoffs', { userId: bob.id, reason: 'left' }, 'request-cutoff');
    await t.service.marker.idle();
    expect((await recordOf(jti)).revocation).toMatchObject({ requestId: 'request-cutoff' });
    expect(await eventsOf(`userId=${bob.id}&type=scope.revoked`)).toMatchObject([
      { by: adminId, via: 'dashboard', reason: 'left', requestId: 'request-cutoff', tokenId: null },
    ]);
  });

  it.each([
    ['token.registered', '/v3/jwt/history', () => ({ jti: 'reg-1', userId: annId }), 'tiledesk'],
    ['user.created', '/admin/users', () => ({ email: 'new@example.com', password: PASSWORD })],
    ['api-key.created', '/admin/api-keys', () => ({ name: 'robot' })],
    [
      'password.changed',
      () => `/admin/users/${annId}/password`,
      () => ({ password: 'another password of ann' }),
      'dashboard',
    ],
  ] as [string, string | (() => string), () => object, string?][])(
    'has %s',
    async (type, path, body, via = 'admin') => {
      const requestId = `request-${type}`;
      const response = await post(typeof path === 'string' ? path : path(), body(), requestId);
      expect(response.status).toBeLessThan(300);
      const [newest] = await eventsOf(`type=${type}&limit=1`);
      expect(newest).toMatchObject({ type, by: adminId, via, requestId });
      t.clock.now += 1000;
      const text = JSON.stringify(await eventsOf('limit=100'));
      const { key } = response.body as { key?: string };
      for (const secret of [PASSWORD, 'another password of ann', key, admin, 'argon2', 'purgeAt'])
        if (secret !== undefined) expect(text).not.toContain(secret);
    },
  );

  it('has a bulk revoke and an export, with how many', async () => {
    await t.createUser('bulk@example.com');
    const ids = [];
    for (let i = 0; i < 3; i += 1)
      ids.push((await recordOf(jtiOf(await t.signIn('bulk@example.com')))).id);
    const selection = { ids };
    const { body } = await post('/admin/revocations/preview', selection);
    const { asOf } = body as { asOf: string };
    await post(
      '/admin/revocations',
      { selection, expectedCount: 3, asOf, reason: 'rotated' },
      'request-bulk',
    );
    expect(await eventsOf('type=bulk.revoked')).toMatchObject([
      { count: 3, reason: 'rotated', by: adminId, requestId: 'request-bulk' },
    ]);
    const each = (await eventsOf('type=token.revoked')).slice(0, 3);
    expect(new Set(each.map(({ tokenId }) => tokenId))).toEqual(new Set(ids));
    for (const event of each) expect(event.requestId).toBe('request-bulk');
    await t
      .http()
      .get('/admin/tokens/export?format=csv&q=bulk@example.com')
      .set('Authorization', admin)
      .expect(200);
    expect(await eventsOf('type=export.made')).toMatchObject([{ count: 3, by: adminId }]);
  });

  it('is listed newest first, in pages that neither repeat nor skip', async () => {
    for (let i = 0; i < 7; i += 1) {
      t.service.audit.trail.record({
        type: 'export.made',
        by: `exporter-${i}`,
        via: 'test',
        requestId: '',
        userId: 'paged',
        // Several in one millisecond.
        count: i,
      });
      if (i % 3 === 0) t.clock.now += 1;
    }
    const seen: (number | null)[] = [];
    let path = '/admin/events?userId=paged&limit=2';
    for (let page = 0; page < 10 && path !== ''; page += 1) {
      const response = await t.http().get(path).set('Authorization', admin);
      const { events, next } = response.body as { events: WireAuditEvent[]; next: string | null };
      seen.push(...events.map(({ count }) => count));
      const link = response.headers['link'];
      expect(next === null).toBe(link === undefined);
      path = /^<([^>]+)>; rel="next"$/.exec(link ?? '')?.[1] ?? '';
    }
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0]);
  });

  it.each([
    ['/admin/events?limit=0', 'limit'],
    ['/admin/events?limit=101', 'limit'],
    ['/admin/events?before=yesterday', 'before'],
    ['/admin/events?type=token.used', 'type'],
    ['/admin/events?tokenId=1', 'tokenId'],
    ['/admin/events?userId=a&userId=b', 'userId'],
    ['/admin/events?userId[$gt]=', 'userId'],
    ['/admin/activity?range=1y', 'range'],
  ])('refuses %s and names the parameter', async (path, field) => {
    const response = await t.http().get(path).set('Authorization', admin);
    expect(response.status).toBe(400);
    expect((response.body as { errors: { field: string }[] }).errors[0]?.field).toContain(field);
  });

  it.each(['/admin/events', '/admin/activity'])('%s is for administrators', async (path) => {
    await t.createUser(`plain${path.length}@example.com`);
    const plain = await t.signIn(`plain${path.length}@example.com`);
    expect((await t.http().get(path).set('Authorization', plain)).status).toBe(403);
    expect((await t.http().get(path)).status).toBe(401);
  });

  it('is deleted when it is as old as records may get, not before', async () => {
    const s = await startTestService({ RETENTION: '90d' });
    s.service.audit.trail.record({ type: 'export.made', by: 'x', via: 'test', requestId: '' });
    await s.service.audit.flush();
    s.clock.now += 90 * DAY_MS - 1;
    expect(await s.store.events.purgeDue()).toBe(0);
    s.clock.now += 1;
    expect(await s.store.events.purgeDue()).toBe(1);
    expect(await s.store.events.list({}, { limit: 10, before: null })).toEqual([]);
    await s.close();
  });

  it('is complete when the service has stopped', async () => {
    const database = freshDatabase();
    const s = await startTestService({}, database);
    await s.createUser('ann@example.com');
    const token = await s.signIn('ann@example.com');
    await s
      .http()
      .delete(`/v3/jwt/history/${jtiOf(token)}`)
      .set('Authorization', token);
    expect((await s.http().get('/auth/verify').set('Authorization', token)).status).toBe(401);
    await s.close();
    const store = await openStore({ uri: testMongodbUri(), clock: () => START, database });
    const events = await store.events.list({}, { limit: 10, before: null });
    expect(events.map(({ type }) => type)).toEqual(['token.revoked']);
    expect(await store.activity.since(new Date(0))).toMatchObject([
      { issued: 1, revoked: 1, refused: 1 },
    ]);
    expect(await store.tokens.findByJti(jtiOf(token))).toMatchObject([{ refusedCount: 1 }]);
    await store.close();
  });
});

describe('the trail while the database is away', () => {
  const act = { type: 'export.made', by: 'x', via: 'test', requestId: '' } as const;
  function createTestTrail() {
    const written: NewAuditEvent[] = [];
    const database = { isAway: true };
    const { log, lines } = memoryLog();
    const trail = createTrail({
      events: {
        async insertMany(events) {
          if (database.isAway) throw unavailable('away');
          written.push(...events);
        },
      },
      clock: () => START,
      log,
      retentionSeconds: 1,
    });
    return { trail, written, database, lines };
  }

  it('keeps what happens, and writes it in order when it is back, by itself', async () => {
    const { trail, written, database } = createTestTrail();
    for (let count = 0; count < 1200; count += 1) trail.record({ ...act, count });
    await expect(trail.flush()).rejects.toMatchObject({ code: 'unavailable' });
    database.isAway = false;
    await until('all are written', () => written.length >= 1200);
    expect(written.map(({ count }) => count)).toEqual(Array.from({ length: 1200 }, (_, i) => i));
    expect(new Set(written.map(({ id }) => id)).size).toBe(1200);
  });

  it('keeps ten thousand, and says how many it dropped', async () => {
    const { trail, written, database, lines } = createTestTrail();
    for (let count = 0; count < 10_003; count += 1) trail.record({ ...act, count });
    expect(lines.filter((line) => line.includes('are being dropped'))).toHaveLength(1);
    database.isAway = false;
    await trail.flush();
    expect(written).toHaveLength(10_000);
    expect(written.at(-1)?.count).toBe(9999);
    const said = lines.filter((line) => line.includes('were dropped'));
    expect(said).toHaveLength(1);
    expect(JSON.parse(said[0] ?? '')).toMatchObject({ level: 'error', count: 3 });
  });

  it('writes nothing twice when an answer was lost', async () => {
    const event = (by: string): NewAuditEvent => ({
      ...act,
      by,
      id: createEventId(),
      at: new Date(START),
      reason: null,
      tokenId: null,
      jti: null,
      userId: 'twice',
      applicationId: null,
      count: null,
      purgeAt: new Date(START + DAY_MS * 9999),
    });
    const [first, second] = [event('a'), event('b')];
    await t.store.events.insertMany([first]);
    await t.store.events.insertMany([first, second]);
    const found = await t.store.events.list({ userId: 'twice' }, { limit: 10, before: null });
    expect(found.map(({ by }) => by)).toEqual(['b', 'a']);
  });
});

describe('a token that is tried after its revocation', () => {
  const revoke = (jti: string, authorization = admin) =>
    t.http().delete(`/v3/jwt/history/${jti}`).set('Authorization', authorization).expect(200);

  it('is counted once for each attempt, whichever way it came', async () => {
    await t.createUser('refused@example.com');
    const token = await t.signIn('refused@example.com');
    const jti = jtiOf(token);
    await revoke(jti);
    t.clock.now += 5000;
    const firstAt = t.clock.now;
    const paths = ['/auth/verify', '/v3/jwt/history', '/api/jwt/validate', '/admin/tokens'];
    for (const path of paths)
      expect((await t.http().get(path).set('Authorization', token)).status).toBe(401);
    await t.service.audit.flush();
    expect(await recordOf(jti)).toMatchObject({
      refusedCount: 4,
      lastRefusedAt: new Date(firstAt),
    });
    t.clock.now += 1000;
    await t.http().get('/auth/verify').set('Authorization', token);
    await t.service.audit.flush();
    await t.service.audit.flush();
    const record = await recordOf(jti);
    expect(record).toMatchObject({ refusedCount: 5, lastRefusedAt: new Date(firstAt + 1000) });
    // Neither its use nor its revocation changed by that.
    expect(record.updatedAt).toEqual(record.revocation?.at);
    expect(record.lastUsedAt).toBeNull();
  });

  it('is counted when it was its session, or a cut-off, that was revoked', async () => {
    const login = async () => {
      const response = await t.http().post('/api/login').send({
        loginId: 'refused@example.com',
        password: PASSWORD,
        applicationId: APPLICATION,
      });
      return response.body as { token: string; refreshToken: string; refreshTokenId: string };
    };
    const one = await login();
    await revoke(one.refreshTokenId);
    await t.http().get('/auth/verify').set('Authorization', `Bearer ${one.token}`).expect(401);
    const body = { refreshToken: one.refreshToken };
    for (let i = 0; i < 2; i += 1)
      expect((await t.http().post('/api/jwt/refresh').send(body)).status).toBe(400);
    // Not a secret that never was one: whoever guesses isn't the token's holder.
    const guessed = `${one.refreshTokenId}.${'A'.repeat(43)}`;
    await t.http().post('/api/jwt/refresh').send({ refreshToken: guessed }).expect(400);
    await t.service.audit.flush();
    expect(await recordOf(jtiOf(one.token))).toMatchObject({ refusedCount: 1 });
    expect(await recordOf(one.refreshTokenId)).toMatchObject({ refusedCount: 2 });

    const two = await login();
    await post('/admin/cutoffs', { applicationId: APPLICATION, reason: 'rotated' });
    t.clock.now += 1000;
    await t.http().get('/auth/verify').set('Authorization', `Bearer ${two.token}`).expect(401);
    await t.service.audit.flush();
    expect(await recordOf(jtiOf(two.token))).toMatchObject({ refusedCount: 1 });
  });

  it('is counted for API keys', async () => {
    const { body } = await post('/admin/api-keys', { name: 'refused' });
    const { key, jti } = body as { key: string; jti: string };
    await t.http().get('/auth/verify').set('Authorization', key).expect(204);
    await revoke(jti);
    await t.http().get('/auth/verify').set('Authorization', key).expect(401);
    await t.http().get('/admin/users').set('Authorization', key).expect(401);
    await t.service.audit.flush();
    expect(await recordOf(jti)).toMatchObject({ refusedCount: 2 });
  });

  it('is not counted when it merely expired, was forged, or is inspected', async () => {
    const iat = Math.floor(t.clock.now / 1000);
    const text = mint({ jti: 'expires', sub: annId, iat, exp: iat + 60 });
    await t.http().get('/auth/verify').set('Authorization', `Bearer ${text}`).expect(204);
    await t.service.usage.flush();
    const forged = mint({ jti: 'expires', sub: annId, iat }, {}, 'x'.repeat(40));
    await t.http().get('/auth/verify').set('Authorization', `Bearer ${forged}`).expect(401);
    await revoke('expires');
    await post('/admin/inspect', { token: text });
    t.clock.now += 61_000;
    await t.http().get('/auth/verify').set('Authorization', `Bearer ${text}`).expect(401);
    await t.service.audit.flush();
    expect(await recordOf('expires')).toMatchObject({ refusedCount: 0, lastRefusedAt: null });
  });

  it('is counted by the hour, but gets no record, when it is unknown and such are refused', async () => {
    const s = await startTestService({ UNKNOWN_TOKENS: 'deny' });
    const unknown = `Bearer ${mint({ jti: 'nobody-knows', sub: 'somebody' })}`;
    for (let i = 0; i < 2; i += 1)
      expect((await s.http().get('/auth/verify').set('Authorization', unknown)).status).toBe(401);
    await s.service.audit.flush();
    expect(await s.store.tokens.findByJti('nobody-knows')).toEqual([]);
    expect(await s.service.audit.activity.buckets(1)).toMatchObject([{ issued: 0, refused: 2 }]);
    await s.close();
  });
});

describe('noting refused tokens', () => {
  function createTestRefusals() {
    const recorded: RefusedToken[] = [];
    const database = { isAway: false };
    const clock = { now: START };
    const { log } = memoryLog();
    const refusals = createRefusals({
      async record(seen) {
        if (database.isAway) throw unavailable('away');
        recorded.push(...seen);
      },
      onRecorded: () => Promise.resolve(),
      clock: () => clock.now,
      log,
    });
    return { refusals, recorded, database, clock };
  }

  it('writes a flood of one token as one', async () => {
    const { refusals, recorded, clock } = createTestRefusals();
    for (let i = 0; i < 100_000; i += 1) {
      clock.now = START + i;
      refusals.note({ jti: 'a', issuer: 'i' });
    }
    await refusals.flush();
    expect(recorded).toEqual([
      { jti: 'a', issuer: 'i', at: new Date(START + 99_999), count: 100_000 },
    ]);
  });

  it('adds up what comes while the database is away, and forgets nothing of it', async () => {
    const { refusals, recorded, database } = createTestRefusals();
    database.isAway = true;
    refusals.note({ jti: 'a', issuer: 'i' });
    await expect(refusals.flush()).rejects.toMatchObject({ code: 'unavailable' });
    refusals.note({ jti: 'a', issuer: 'i' });
    refusals.note({ jti: 'a', issuer: 'another' });
    database.isAway = false;
    await refusals.flush();
    expect(recorded.map(({ issuer, count }) => [issuer, count])).toEqual([
      ['i', 2],
      ['another', 1],
    ]);
  });

  it('stops at ten thousand different tokens', async () => {
    const { refusals, recorded } = createTestRefusals();
    for (let i = 0; i < 10_010; i += 1) refusals.note({ jti: `t${i}`, issuer: '' });
    await refusals.flush();
    expect(recorded).toHaveLength(10_000);
  });
});

describe('activity', () => {
  const show = async (range: string, at = t, authorization = admin) => {
    const response = await at
      .http()
      .get(`/admin/activity?range=${range}`)
      .set('Authorization', authorization);
    expect(response.status).toBe(200);
    return (response.body as WireActivity).buckets;
  };

  it('has one bucket for each hour, none missing, and counts what all instances did', async () => {
    const s = await startTestService();
    const other = await s.sibling();
    await s.createUser('admin@example.com', 'admin');
    const authorization = await s.signIn('admin@example.com');
    const ann = await s.createUser('ann@example.com');
    await s.signIn('ann@example.com');
    s.clock.now += 2 * 3_600_000;
    const token = await other.signIn('ann@example.com');
    await other.signIn('ann@example.com');
    await other
      .http()
      .delete(`/v3/jwt/history/${jtiOf(token)}`)
      .set('Authorization', token);
    await other.http().get('/auth/verify').set('Authorization', token).expect(401);
    await other.service.audit.flush();
    // Two that are active still, by a cut-off.
    await s
      .http()
      .post('/admin/cutoffs')
      .set('Authorization', authorization)
      .send({ userId: ann.id, reason: 'left' })
      .expect(201);
    await s.service.marker.idle();
    for (const [range, hours] of [
      ['24h', 24],
      ['7d', 168],
      ['30d', 720],
    ] as const) {
      const buckets = await show(range, s, authorization);
      expect(buckets).toHaveLength(hours);
      const times = buckets.map(({ at }) => Date.parse(at));
      for (const [i, at] of times.entries()) expect(at).toBe((times[0] ?? 0) + i * 3_600_000);
      expect(times.at(-1)).toBe(Math.floor(s.clock.now / 3_600_000) * 3_600_000);
      expect(buckets.slice(-3)).toMatchObject([
        { issued: 2, revoked: 0, refused: 0 },
        { issued: 0, revoked: 0, refused: 0 },
        { issued: 2, revoked: 3, refused: 1 },
      ]);
      for (const { issued, revoked, refused } of buckets.slice(0, -3))
        expect([issued, revoked, refused]).toEqual([0, 0, 0]);
    }
    await other.close();
    await s.close();
  });

  it('is kept while the database is away, and written once it is back', async () => {
    const written: HourOfActivity[] = [];
    const database = { isAway: true };
    const { log } = memoryLog();
    const activity = createActivity({
      store: {
        async add(hour) {
          if (database.isAway) throw unavailable('away');
          written.push(hour);
        },
        since: () => Promise.resolve(written),
      },
      clock: () => START,
      log,
    });
    activity.count('issued');
    activity.count('issued', 2);
    await expect(activity.flush()).rejects.toMatchObject({ code: 'unavailable' });
    activity.count('refused', 5);
    database.isAway = false;
    await until('written', () => written.length > 0);
    expect(written).toEqual([
      { at: new Date('2026-03-01T12:00:00Z'), issued: 3, revoked: 0, refused: 5 },
    ]);
  });
});
