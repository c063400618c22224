/** `/auth/verify`: who passes, what is told of them, what becomes of unknown tokens, and what happens without the database. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { parseConfig } from '../../../src/config/config.js';
import { createLogger } from '../../../src/observability/logger.js';
import { createService, type Service } from '../../../src/service.js';
import { openStore, type Store } from '../../../src/store/database/connect.js';
import { type Engine, startEngine } from '../../../src/store/embedded/engine.js';
import { createJti } from '../../../src/tokens/jti.js';
import { createSecretKeys } from '../../../src/tokens/keys.js';
import { jtiOf, mint, SECRET, START, startTestService } from '../../support/harness.js';
import { makeFolder, removeFolder } from '../../support/process.js';
import { startVerifying, visible } from './verify.js';

const { t, userId, verify, freshToken, revoke, refusalOf, close } = await startVerifying();
afterAll(close);

describe('a good token', () => {
  it.each(['get', 'head'] as const)(
    'passes with %s: 204, whose it is, and no body',
    async (method) => {
      const token = await t.signIn('alice@example.com');
      const response = await verify(token, {}, { method });
      expect(response.status).toBe(204);
      expect(response.headers).toMatchObject({
        'x-user-id': userId,
        'x-subject-type': 'user',
        'x-token-jti': jtiOf(token),
        'cache-control': 'no-store',
      });
      expect(response.headers).not.toHaveProperty('x-application-id');
      expect(response.headers).not.toHaveProperty('content-length');
      expect(response.text ?? '').toBe('');
    },
  );

  it.each(['JWT ', 'jwt ', 'Bearer ', ''])('passes as "%s<token>"', async (scheme) => {
    expect((await verify(`${scheme}${freshToken()}`)).status).toBe(204);
  });

  it('has its application named where it has one', async () => {
    const { headers } = await verify(freshToken({ applicationId: 'app-1' }));
    expect(headers['x-application-id']).toBe('app-1');
  });

  it.each([
    ['user-1', 'user-1'],
    ['a:b/c"d,e;f=g', 'a:b/c"d,e;f=g'],
    ['zoë', 'zo%C3%AB'],
    ['100%', '100%25'],
    ['%41', '%2541'],
    ['two words', 'two%20words'],
    ['日本😀', '%E6%97%A5%E6%9C%AC%F0%9F%98%80'],
    ['no\u00a0break', 'no%C2%A0break'],
  ])('has the id %j shown as %s', async (id, shown) => {
    const claims = { jti: `${id}-${createJti(START)}`, _id: id, applicationId: id };
    const { status, headers } = await verify(freshToken(claims));
    expect(status).toBe(204);
    expect([headers['x-user-id'], headers['x-application-id']]).toEqual([shown, shown]);
    // One rule reads them all.
    expect(decodeURIComponent(headers['x-token-jti'] ?? '')).toBe(claims.jti);
    expect(decodeURIComponent(headers['x-user-id'] ?? '')).toBe(id);
  });

  it('passes whatever the query says', async () => {
    for (const path of ['/auth/verify?x=1', '/auth/verify?', '/auth/verify?/private/page'])
      expect((await verify(freshToken(), {}, { path })).status).toBe(204);
    expect(
      (await verify(undefined, {}, { path: `/auth/verify?token=${freshToken()}` })).status,
    ).toBe(401);
  });
});

describe('revocation', () => {
  it('counts from the very next check', async () => {
    const token = await t.signIn('alice@example.com');
    expect((await verify(token)).status).toBe(204);
    await revoke(token);
    expect((await verify(token)).status).toBe(401);
  });

  it('of a token first seen here is possible by its jti, also a jti of any text', async () => {
    const token = freshToken({ jti: `zoë/% ${createJti(START)}` });
    expect((await verify(`JWT ${token}`)).status).toBe(204);
    await revoke(token);
    expect((await verify(`JWT ${token}`)).status).toBe(401);
  });
});

describe('out of date', () => {
  it('is 503 with Retry-After for what would pass, and 401 for what would not', async () => {
    const stale = await startTestService({ STALE_AFTER: '30s' });
    await stale.createUser('alice@example.com');
    const token = await stale.signIn('alice@example.com');
    stale.clock.now += 30_000;
    expect((await verify(token, {}, { service: stale })).status).toBe(204);
    stale.clock.now += 1;
    for (const method of ['get', 'head'] as const) {
      const response = await verify(token, {}, { service: stale, method });
      expect(visible(response)).toMatchObject({
        status: 503,
        text: '',
        headers: { 'retry-after': '1', 'cache-control': 'no-store', 'content-length': '0' },
      });
      expect(response.headers).not.toHaveProperty('x-user-id');
    }
    for (const header of [undefined, 'garbage', `JWT ${mint({ jti: 'a', _id: 'b', exp: 1 })}`])
      expect((await verify(header, {}, { service: stale })).status).toBe(401);
    await stale.service.sync.refresh();
    expect((await verify(token, {}, { service: stale })).status).toBe(204);
    await stale.close();
  });
});

describe('adoption', () => {
  it('of a token that was seen here only: it is in the list, with its device', async () => {
    const proxied = await t.sibling({ TRUST_PROXY: '1' });
    const token = freshToken({ applicationId: 'app-2' });
    const headers = { 'X-Forwarded-For': '192.0.2.1, 203.0.113.7', 'User-Agent': 'a browser' };
    expect((await verify(`JWT ${token}`, headers, { service: proxied })).status).toBe(204);
    await proxied.service.usage.flush();
    const listed = await t
      .http()
      .get('/v3/jwt/history?limit=100')
      .set('Authorization', await t.signIn('alice@example.com'));
    const record = (listed.body as { jwts: { jti: string }[] }).jwts.find(
      ({ jti }) => jti === jtiOf(token),
    );
    expect(record).toMatchObject({
      origin: 'adopted',
      userId,
      applicationId: 'app-2',
      state: 'active',
      device: { ip: '203.0.113.7', userAgent: 'a browser' },
      lastUsedAt: new Date(t.clock.now).toISOString(),
    });
    await proxied.close();
  });

  it.each([
    ['0', undefined],
    ['0', '203.0.113.7'],
    ['1', undefined],
    ['1', ''],
    ['1', '203.0.113.7'],
    ['1', '192.0.2.1, 203.0.113.7'],
    ['1', ' 192.0.2.1 ,  203.0.113.7 '],
    ['1', '2001:db8::7'],
    ['2', '192.0.2.1, 203.0.113.7, 198.51.100.1'],
    ['2', '203.0.113.7'],
    ['2', undefined],
  ])('notes the same address as every other route: TRUST_PROXY=%s, %j', async (hops, forwarded) => {
    const service = await t.sibling({ TRUST_PROXY: hops });
    const headers = forwarded === undefined ? {} : { 'X-Forwarded-For': forwarded };
    const addresses: unknown[] = [];
    for (const path of ['/auth/verify', '/v3/jwt/history']) {
      const token = freshToken();
      expect((await verify(token, headers, { service, path })).status).toBeLessThan(300);
      await service.service.usage.flush();
      const [record] = await t.store.tokens.findByJti(jtiOf(token));
      addresses.push(record?.device?.ip);
    }
    await service.close();
    expect(addresses[0]).toBe(addresses[1]);
    if (hops === '0') expect(addresses[0]).toBe('127.0.0.1');
  });
});

describe('UNKNOWN_TOKENS=deny', () => {
  it('refuses what has no record, alike, and lets it pass once it is registered', async () => {
    const denying = await t.sibling({ UNKNOWN_TOKENS: 'deny' });
    await denying.createUser('root@example.com', 'admin');
    const root = await denying.signIn('root@example.com');
    const check = (token: string | undefined) => verify(token, {}, { service: denying });
    expect((await check(root)).status).toBe(204);

    const token = freshToken();
    const unknown = await check(token);
    expect(unknown.status).toBe(401);
    expect(visible(unknown)).toEqual(visible(await check(undefined)));
    expect(refusalOf(jtiOf(token), denying.log())).toMatchObject([{ reason: 'unknown' }]);
    await denying.service.usage.flush();
    expect(await t.store.tokens.findByJti(jtiOf(token))).toEqual([]);

    const registered = await denying
      .http()
      .post('/v3/jwt/history')
      .set('Authorization', root)
      .send({ token });
    expect(registered.status).toBe(201);
    expect((await check(token)).status).toBe(204);
    expect((await check(token)).status).toBe(204);
    await revoke(token, denying);
    expect((await check(token)).status).toBe(401);
    await denying.close();
  });
});

describe('without the database', () => {
  const clock = { now: START };
  const now = () => clock.now;
  const folder = makeFolder();
  const cacheDir = fileURLToPath(new URL('../../../node_modules/.cache/engine', import.meta.url));
  let engine: Engine;
  let store: Store;
  /** One that adopts unknown tokens, and one that refuses them. */
  let adopting: Service;
  let denying: Service;

  beforeAll(async () => {
    engine = await startEngine({ dataDir: join(folder, 'data'), cacheDir });
    store = await openStore({ uri: engine.uri, clock: now });
    const serviceWith = (env: Record<string, string>) =>
      createService({
        config: parseConfig({ GLOBAL_SECRET: SECRET, STALE_AFTER: '30s', ...env }),
        keys: createSecretKeys(SECRET),
        store,
        clock: now,
        log: createLogger({ level: 'silent' }),
      });
    adopting = serviceWith({});
    denying = serviceWith({ UNKNOWN_TOKENS: 'deny' });
    for (const { sync } of [adopting, denying]) await sync.load();
  });
  afterAll(async () => {
    for (const service of [adopting, denying]) await service?.stop().catch(() => undefined);
    await store?.close();
    await engine?.stop();
    removeFolder(folder);
  });

  const check = (service: Service, token: string) =>
    request(service.handler).get('/auth/verify').set('Authorization', token);

  it('checks go on within STALE_AFTER, revoked tokens stay refused, then it is 503', async () => {
    const [known, revoked, unknown] = [freshToken(), freshToken(), freshToken()];
    for (const token of [known, revoked]) expect((await check(adopting, token)).status).toBe(204);
    await adopting.usage.flush();
    const deleted = await request(adopting.handler)
      .delete(`/v3/jwt/history/${jtiOf(revoked)}`)
      .set('Authorization', revoked);
    expect(deleted.status).toBe(200);
    await denying.sync.refresh();
    expect((await check(denying, known)).status).toBe(204);

    await engine.stop();
    clock.now += 29_000;
    for (const service of [adopting, denying]) {
      await expect(service.sync.refresh()).rejects.toMatchObject({ code: 'unavailable' });
      expect((await check(service, known)).status).toBe(204);
      expect((await check(service, revoked)).status).toBe(401);
      expect((await check(service, 'garbage')).status).toBe(401);
    }
    // To adopt can wait, to look up can't.
    expect((await check(adopting, unknown)).status).toBe(204);
    const lookedUp = await check(denying, unknown);
    expect([lookedUp.status, lookedUp.headers['retry-after']]).toEqual([503, '1']);

    clock.now += 1001;
    for (const service of [adopting, denying]) {
      for (const token of [known, unknown]) {
        const response = await check(service, token);
        expect([response.status, response.headers['retry-after']]).toEqual([503, '1']);
        expect(response.headers).not.toHaveProperty('x-user-id');
      }
      expect((await check(service, 'garbage')).status).toBe(401);
    }
    // What was accepted and not yet recorded is not forgotten.
    await expect(adopting.usage.flush()).rejects.toMatchObject({ code: 'unavailable' });
    expect(adopting.usage.pending).toBe(1);
  });
});
