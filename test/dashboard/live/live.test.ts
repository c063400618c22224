/** The live stream: who is told what and how soon, who must not be, and that it ends with the session it came from. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import type { WireChange, WireToken } from '../../../src/dashboard/wire.js';
import { type Change, createFeed } from '../../../src/audit/feed.js';
import type { TokenRecord } from '../../../src/store/records.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../../support/harness.js';
import {
  listen,
  type Listening,
  openedStream,
  openStream,
  type StreamClient,
} from '../../support/event-stream.js';
import { until } from '../../support/process.js';

/** A second where nothing else is done; here, by itself and before any heartbeat. */
const WITHIN_MS = 10_000;
const APPLICATION = '10000000-0000-0002-0000-000000000001';

let t: TestService;
let listening: Listening;
let address: string;
let annId: string;
let bobId: string;

beforeAll(async () => {
  t = await startTestService();
  await t.createUser('admin@example.com', 'admin');
  annId = (await t.createUser('ann@example.com')).id;
  bobId = (await t.createUser('bob@example.com')).id;
  listening = await listen(t);
  address = listening.address;
});
afterAll(async () => {
  listening.close();
  await t.close();
});

async function watch(email: string, more: Record<string, string> = {}) {
  const authorization = await t.signIn(email);
  const client = await openedStream(address, { authorization, ...more });
  return { authorization, client };
}

const revoke = async (jti: string, authorization: string, at = t) => {
  const response = await at
    .http()
    .delete(`/v3/jwt/history/${jti}`)
    .set('Authorization', authorization);
  expect(response.status).toBe(200);
};

const verify = async (authorization: string, at = t) =>
  (await at.http().get('/auth/verify').set('Authorization', authorization)).status;

const isAbout = (jti: string, type: string) => (change: WireChange) =>
  change.type === type && 'token' in change && change.token.jti === jti;

/** @returns how long it took (ms). */
const told = (client: StreamClient, jti: string, type: string) =>
  until(`${type} of ${jti}`, () => client.changes().some(isAbout(jti, type)));

/** A change as the core publishes it, about a token that need not exist. */
async function changeOf(jti: string, more: Partial<TokenRecord> = {}): Promise<Change> {
  const [record] = await t.store.tokens.findByJti(jti);
  if (record === undefined) throw new Error('there is no such record');
  return { type: 'issued', record: { ...record, ...more } };
}

describe('what happens', () => {
  it('is told at once, to an administrator: issued, used after that, revoked, refused', async () => {
    const { client, authorization } = await watch('admin@example.com');
    const token = await t.signIn('ann@example.com');
    const jti = jtiOf(token);
    const took = [await told(client, jti, 'issued')];
    await revoke(jti, authorization);
    took.push(await told(client, jti, 'revoked'));
    expect(await verify(token)).toBe(401);
    // Refused attempts are written, then told, once a second.
    expect(await told(client, jti, 'refused')).toBeLessThan(2 * WITHIN_MS);
    for (const ms of took) expect(ms).toBeLessThan(WITHIN_MS);
    const [issued, revoked, refused] = client
      .changes()
      .flatMap((change) => ('token' in change && change.token.jti === jti ? [change.token] : []));
    expect(issued).toMatchObject({
      state: 'active',
      userId: annId,
      user: { email: 'ann@example.com', name: 'First Last' },
      isThisSession: false,
    });
    expect(revoked).toMatchObject({ state: 'revoked', revokedVia: 'tiledesk' });
    expect(refused).toMatchObject({ state: 'revoked', refusedCount: 1 });
    client.close();
  });

  it('is told of tokens that were adopted, registered and made as refresh tokens and API keys too', async () => {
    const { client, authorization } = await watch('admin@example.com');
    const adopted = mint({ jti: 'adopted-1', sub: annId });
    expect(await verify(`Bearer ${adopted}`)).toBe(204);
    await told(client, 'adopted-1', 'issued');
    await t
      .http()
      .post('/v3/jwt/history')
      .set('Authorization', authorization)
      .send({ jti: 'registered-1', userId: annId })
      .expect(201);
    await told(client, 'registered-1', 'issued');
    const login = await t
      .http()
      .post('/api/login')
      .send({ loginId: 'ann@example.com', password: PASSWORD, applicationId: APPLICATION });
    await told(client, (login.body as { refreshTokenId: string }).refreshTokenId, 'issued');
    await told(client, jtiOf((login.body as { token: string }).token), 'issued');
    const key = await t
      .http()
      .post('/admin/api-keys')
      .set('Authorization', authorization)
      .send({ name: 'robot' });
    await told(client, (key.body as { jti: string }).jti, 'issued');
    // Told once each, with nothing that could be used.
    expect(client.changes().filter(isAbout('adopted-1', 'issued'))).toHaveLength(1);
    const text = client.text();
    for (const secret of [adopted, (key.body as { key: string }).key, 'secretHash', PASSWORD])
      expect(text).not.toContain(secret);
    client.close();
  });

  it('is told of everything of a scope, and once more when its records say so', async () => {
    const { client, authorization } = await watch('admin@example.com');
    await t.signIn('bob@example.com');
    await t
      .http()
      .post('/admin/cutoffs')
      .set('Authorization', authorization)
      .send({ userId: bobId, reason: 'left' })
      .expect(201);
    const cutoffs = () => client.changes().filter(({ type }) => type === 'scope-revoked');
    await until('both', () => cutoffs().length === 2);
    expect(cutoffs()[0]).toEqual({
      type: 'scope-revoked',
      cutoff: { userId: bobId, applicationId: null, at: new Date(t.clock.now).toISOString() },
    });
    t.clock.now += 1000;
    client.close();
  });

  it('is told when another instance did it, as soon as this one knows', async () => {
    const other = await t.sibling();
    const { client, authorization } = await watch('admin@example.com');
    const token = await t.signIn('ann@example.com');
    await other.service.sync.refresh();
    await revoke(jtiOf(token), authorization, other);
    await t.service.sync.refresh();
    expect(await told(client, jtiOf(token), 'revoked')).toBeLessThan(WITHIN_MS);
    // The sync reads the last seconds again and again; that is no news.
    const count = client.changes().length;
    await t.service.sync.refresh();
    await told(client, jtiOf(await t.signIn('ann@example.com')), 'issued');
    expect(client.changes()).toHaveLength(count + 1);
    client.close();
    await other.close();
  });

  it('goes out in at most five messages a second', async () => {
    const { client, authorization } = await watch('admin@example.com');
    const change = await changeOf(jtiOf(authorization));
    const startedAt = performance.now();
    let published = 0;
    await until('a second and a half is over', () => {
      const elapsed = performance.now() - startedAt;
      if (elapsed > published * 50) {
        t.service.audit.feed.publish(change);
        published += 1;
      }
      return elapsed > 1500;
    });
    await until('all are told', () => client.changes().length >= published);
    const messages = client.events.filter(({ name }) => name === 'changes');
    // Each may be late on a busy machine: it's the number that counts.
    const seconds = (performance.now() - startedAt) / 1000;
    expect(messages.length).toBeLessThanOrEqual(5 * seconds + 2);
    expect(messages.length).toBeGreaterThan(2);
    client.close();
  });
});

describe('somebody who is no administrator', () => {
  it("is told of their own tokens and of nobody else's", async () => {
    const { client } = await watch('bob@example.com');
    const ann = await t.signIn('ann@example.com');
    await revoke(jtiOf(ann), ann);
    expect(await verify(ann)).toBe(401);
    await t.service.audit.flush();
    const own = await t.signIn('bob@example.com');
    await told(client, jtiOf(own), 'issued');
    const other = await t.signIn('ann@example.com');
    await revoke(jtiOf(own), own);
    await told(client, jtiOf(own), 'revoked');
    for (const change of client.changes()) expect(change).toHaveProperty('token.userId', bobId);
    for (const secret of [annId, 'ann@example.com', jtiOf(ann), jtiOf(other)])
      expect(client.text()).not.toContain(secret);
    client.close();
  });

  it('is asked to load anew when everything of an application is revoked, and not told of which', async () => {
    const { client } = await watch('bob@example.com');
    const admin = await t.signIn('admin@example.com');
    await t
      .http()
      .post('/admin/cutoffs')
      .set('Authorization', admin)
      .send({ applicationId: APPLICATION, reason: 'other', note: 'a secret of theirs' })
      .expect(201);
    await until('resync', () => client.events.some(({ name }) => name === 'resync'));
    expect(client.text()).not.toContain(APPLICATION);
    expect(client.text()).not.toContain('secret of theirs');
    t.clock.now += 1000;
    client.close();
  });

  it('may have twenty streams, not more', async () => {
    await t.createUser('eve@example.com');
    const authorization = await t.signIn('eve@example.com');
    const clients: StreamClient[] = [];
    for (let i = 0; i < 20; i += 1) clients.push(await openedStream(address, { authorization }));
    const refused = await openStream(address, { authorization });
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('10');
    clients.pop()?.close();
    await until('the place is free again', async () => {
      const again = await openStream(address, { authorization });
      again.close();
      return again.status === 200;
    });
    for (const client of clients) client.close();
  });
});

describe('the feed', () => {
  it('remembers a thousand changes, in order, and says when it no longer knows', async () => {
    const { record } = (await changeOf(jtiOf(await t.signIn('ann@example.com')))) as {
      record: TokenRecord;
    };
    const feed = createFeed();
    let heard = 0;
    const unsubscribe = feed.subscribe(() => (heard += 1));
    const publish = (count: number) => {
      for (let i = 0; i < count; i += 1)
        feed.publish({ type: 'issued', record: { ...record, jti: String(feed.newest + 1) } });
    };
    const jtis = (changes: readonly Change[] | null) =>
      changes?.map((change) => 'record' in change && Number(change.record.jti)) ?? null;
    publish(1000);
    expect(jtis(feed.between(0, 3))).toEqual([1, 2, 3]);
    expect(jtis(feed.between(997, 1000))).toEqual([998, 999, 1000]);
    expect(feed.between(0, 1000)).toHaveLength(1000);
    publish(1);
    expect(feed.between(0, 1)).toBeNull();
    expect(jtis(feed.between(1, 2))).toEqual([2]);
    expect(feed.between(1, 1001)).toHaveLength(1000);
    expect(feed.between(1001, 1001)).toEqual([]);
    expect(feed.between(1002, 1002)).toBeNull();
    expect(feed.positionOf(feed.idOf(7))).toBe(7);
    expect(createFeed().positionOf(feed.idOf(7))).toBeNull();
    expect(heard).toBe(1001);
    unsubscribe();
    publish(1);
    expect(heard).toBe(1001);
  });
});

describe('the request for the stream', () => {
  it('is answered so that nothing on the way stores or holds it back', async () => {
    const { client } = await watch('admin@example.com');
    expect(client.status).toBe(200);
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'x-request-id': expect.any(String),
    });
    expect(client.headers['content-encoding']).toBeUndefined();
    expect(client.text()).toMatch(/^retry:3000\n\n/);
    client.close();
  });

  const basic = `Basic ${Buffer.from(`admin@example.com:${PASSWORD}`).toString('base64')}`;
  it.each([
    ['no credentials', {}, '', 401],
    ['a token that is none', { authorization: 'Bearer nonsense' }, '', 401],
    ['a password, which has no end', { authorization: basic }, '', 403],
    ['a parameter that there is not', { authorization: 'admin' }, '?padding=1', 400],
    ['a strange host name', { authorization: 'admin', host: 'user:pass@[nowhere' }, '', 200],
  ])('%s → %#', async (_, given, query, status) => {
    const headers: Record<string, string> = { ...given };
    if (headers['authorization'] === 'admin')
      headers['authorization'] = await t.signIn('admin@example.com');
    const client = await openStream(address, headers, `/admin/events/stream${query}`);
    expect(client.status).toBe(status);
    client.close();
  });

  it('may not be HEAD or POST', async () => {
    const authorization = await t.signIn('admin@example.com');
    const path = '/admin/events/stream';
    const head = await t.http().head(path).set('Authorization', authorization);
    expect([head.status, head.headers['allow']]).toEqual([405, 'GET']);
    const post = await t.http().post(path).set('Authorization', authorization);
    expect(post.status).toBe(405);
  });
});

describe('a client that comes back', () => {
  it('is told what it missed, once, and then what is new', async () => {
    const { client, authorization } = await watch('admin@example.com');
    const first = await t.signIn('ann@example.com');
    await told(client, jtiOf(first), 'issued');
    const lastId = client.lastId();
    client.close();
    await revoke(jtiOf(first), authorization);
    const missed = await t.signIn('ann@example.com');
    const back = await openedStream(address, { authorization, 'last-event-id': lastId });
    await told(back, jtiOf(missed), 'issued');
    const fresh = await t.signIn('ann@example.com');
    await told(back, jtiOf(fresh), 'issued');
    expect(back.changes().map((change) => 'token' in change && change.token.jti)).toEqual([
      jtiOf(first),
      jtiOf(missed),
      jtiOf(fresh),
    ]);
    expect(back.events.map(({ name }) => name)).not.toContain('resync');
    back.close();
  });

  it("is not told what isn't theirs", async () => {
    const { client, authorization } = await watch('bob@example.com');
    const lastId = client.lastId();
    client.close();
    const ann = await t.signIn('ann@example.com');
    const own = await t.signIn('bob@example.com');
    const back = await openedStream(address, { authorization, 'last-event-id': lastId });
    await told(back, jtiOf(own), 'issued');
    expect(back.text()).not.toContain(jtiOf(ann));
    expect(back.text()).not.toContain(annId);
    back.close();
  });

  it('is asked to load anew when more was missed than is remembered', async () => {
    const { client, authorization } = await watch('bob@example.com');
    const lastId = client.lastId();
    client.close();
    const ann = await changeOf(jtiOf(await t.signIn('ann@example.com')));
    // Something of an earlier test may come in between.
    const publish = (count: number) => {
      for (let i = 0; i < count; i += 1) t.service.audit.feed.publish(ann);
    };
    publish(900);
    const inTime = await openedStream(address, { authorization, 'last-event-id': lastId });
    await until('its place', () => inTime.lastId() !== lastId);
    expect(inTime.events).toEqual([]);
    inTime.close();
    publish(200);
    const late = await openedStream(address, { authorization, 'last-event-id': lastId });
    await until('resync', () => late.events.length > 0);
    expect(late.events.map(({ name }) => name)).toEqual(['resync']);
    late.close();
  });

  it.each(['', 'nonsense', '00000000-1', '1', '9'.repeat(500)])(
    'is asked to load anew when its id is none of ours: %j',
    async (id) => {
      const authorization = await t.signIn('admin@example.com');
      const client = await openedStream(address, { authorization, 'last-event-id': id });
      await until('resync', () => client.events.length > 0);
      expect(client.events[0]?.name).toBe('resync');
      client.close();
    },
  );

  it('is asked to load anew, not drowned, when very much happens at once', async () => {
    const { client, authorization } = await watch('admin@example.com');
    const { client: bob } = await watch('bob@example.com');
    const change = await changeOf(jtiOf(authorization));
    for (let i = 0; i < 3000; i += 1) t.service.audit.feed.publish(change);
    // Once in five seconds.
    await until('resync', () => client.events.some(({ name }) => name === 'resync'));
    await until('resync', () => bob.events.some(({ name }) => name === 'resync'));
    expect(client.changes().length).toBeLessThanOrEqual(200);
    // And goes on after it.
    const token = await t.signIn('ann@example.com');
    await told(client, jtiOf(token), 'issued');
    client.close();
    bob.close();
  });
});

describe('the stream ends with its own session', () => {
  const ended = async (client: StreamClient) => {
    const took = await until('it ended', () => client.hasEnded);
    expect(client.events.at(-1)?.name).toBe('end');
    return took;
  };

  it('when its token is revoked: nothing is told after that', async () => {
    const { client, authorization } = await watch('bob@example.com');
    const admin = await t.signIn('admin@example.com');
    await revoke(jtiOf(authorization), admin);
    expect(await ended(client)).toBeLessThan(WITHIN_MS);
    const after = await t.signIn('bob@example.com');
    expect(client.text()).not.toContain(jtiOf(after));
    expect((await openStream(address, { authorization })).status).toBe(401);
  });

  it('when another instance revoked it', async () => {
    const other = await t.sibling();
    const { client, authorization } = await watch('bob@example.com');
    const admin = await t.signIn('admin@example.com');
    await other.service.sync.refresh();
    await revoke(jtiOf(authorization), admin, other);
    await t.service.sync.refresh();
    expect(await ended(client)).toBeLessThan(WITHIN_MS);
    await other.close();
  });

  it('when everything of its user is revoked, here or by another instance', async () => {
    const other = await t.sibling();
    const admin = await t.signIn('admin@example.com');
    for (const instance of [t, other]) {
      const { client } = await watch('bob@example.com');
      await instance.service.sync.refresh();
      await instance
        .http()
        .post('/admin/cutoffs')
        .set('Authorization', admin)
        .send({ userId: bobId, reason: 'left' })
        .expect(201);
      if (instance === other) await t.service.sync.refresh();
      expect(await ended(client)).toBeLessThan(WITHIN_MS);
      t.clock.now += 1000;
    }
    await other.close();
  });

  it('when its API key is revoked', async () => {
    const admin = await t.signIn('admin@example.com');
    const key = await t
      .http()
      .post('/admin/api-keys')
      .set('Authorization', admin)
      .send({ name: 'watcher' });
    const { key: authorization, jti } = key.body as { key: string; jti: string };
    const client = await openedStream(address, { authorization });
    await revoke(jti, admin);
    expect(await ended(client)).toBeLessThan(WITHIN_MS);
  });

  it('when it expires', async () => {
    const iat = Math.ceil(t.clock.now / 1000);
    const expiring = mint({ jti: 'short', sub: bobId, iat, exp: iat + 60 });
    const client = await openedStream(address, { authorization: `Bearer ${expiring}` });
    t.clock.now += 59_000;
    await told(client, jtiOf(await t.signIn('bob@example.com')), 'issued');
    expect(client.hasEnded).toBe(false);
    t.clock.now += 3000;
    expect(await ended(client)).toBeLessThan(2 * WITHIN_MS);
  });
});

describe('the stream is closed, and the client may come again,', () => {
  const closed = async (client: StreamClient) => {
    await until('it is closed', () => client.hasEnded);
    expect(client.events.map(({ name }) => name)).not.toContain('end');
  };

  it('when nobody knows any more what is revoked', async () => {
    const s = await startTestService({ STALE_AFTER: '30s' });
    await s.createUser('admin@example.com', 'admin');
    const at = await listen(s);
    const authorization = await s.signIn('admin@example.com');
    const client = await openedStream(at.address, { authorization });
    s.clock.now += 31_000;
    await closed(client);
    expect((await openStream(at.address, { authorization })).status).toBe(503);
    at.close();
    await s.close();
  });

  it('when its administrator is none any more', async () => {
    const database = freshDatabase();
    const s = await startTestService({}, database);
    await s.createUser('admin@example.com', 'admin');
    const at = await listen(s);
    const authorization = await s.signIn('admin@example.com');
    const client = await openedStream(at.address, { authorization });
    const connection = await mongoose
      .createConnection(testMongodbUri(), { dbName: database })
      .asPromise();
    await connection.collection('users').updateMany({}, { $set: { role: null } });
    await connection.close();
    await closed(client);
    await s.createUser('ann@example.com');
    const back = await openedStream(at.address, { authorization });
    const ann = await s.signIn('ann@example.com');
    const own = await s.signIn('admin@example.com');
    await told(back, jtiOf(own), 'issued');
    expect(back.text()).not.toContain(jtiOf(ann));
    back.close();
    at.close();
    await s.close();
  });

  it('when it does not read: the others are served all the same', async () => {
    const { client: reader, authorization } = await watch('admin@example.com');
    const { client: hanging } = await watch('admin@example.com');
    hanging.pause();
    const large: Change = await changeOf(jtiOf(authorization), { cdata: 'x'.repeat(20_000) });
    const startedAt = performance.now();
    const cutOff = () => t.log().split('"route":"/admin/events/stream","status":499').length - 1;
    const before = cutOff();
    await until('it is cut off', () => {
      if (performance.now() - startedAt < 15_000) t.service.audit.feed.publish(large);
      return cutOff() > before;
    });
    expect(reader.hasEnded).toBe(false);
    const token = await t.signIn('ann@example.com');
    await told(reader, jtiOf(token), 'issued');
    expect(cutOff()).toBe(before + 1);
    reader.close();
    hanging.close();
  });

  it('when the service stops, which is not held up by it', async () => {
    const s = await startTestService();
    await s.createUser('admin@example.com', 'admin');
    const at = await listen(s);
    const authorization = await s.signIn('admin@example.com');
    const client = await openedStream(at.address, { authorization });
    s.service.announceStop();
    await closed(client);
    const refused = await openStream(at.address, { authorization });
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '10']);
    at.close();
    await s.close();
  });
});

it('shows each record as the list does', async () => {
  const { client, authorization } = await watch('admin@example.com');
  const token = await t.signIn('ann@example.com');
  await told(client, jtiOf(token), 'issued');
  const [change] = client.changes().filter(isAbout(jtiOf(token), 'issued'));
  const list = await t
    .http()
    .get(`/admin/tokens?q=${jtiOf(token)}`)
    .set('Authorization', authorization);
  const [listed] = (list.body as { tokens: WireToken[] }).tokens;
  expect(change).toEqual({ type: 'issued', token: listed });
  client.close();
});
