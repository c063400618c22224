/** What operators see: health, readiness, request ids, the log, and the headers of every answer. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { createLogger } from '../../src/observability/logger.js';
import { createService } from '../../src/service.js';
import { createSecretKeys } from '../../src/tokens/keys.js';
import { PASSWORD, SECRET, startTestService, type TestService } from '../support/harness.js';

let t: TestService;
beforeAll(async () => {
  t = await startTestService();
  await t.createUser('alice@example.com');
});
afterAll(() => t.close());

describe('operations', () => {
  it('answers health and readiness, and says no when stopping', async () => {
    const own = await startTestService({ STALE_AFTER: '', LEASE: '60s' });
    expect((await own.http().get('/readyz')).status).toBe(503);
    await own.service.follower.start();
    expect((await own.http().get('/healthz')).body).toEqual({ status: 'ok' });
    const ready = await own.http().get('/readyz');
    expect([ready.status, ready.body]).toEqual([
      200,
      {
        status: 'ready',
        checks: { running: true, revocationIndex: true, store: true },
        reasons: [],
      },
    ]);
    own.service.announceStop();
    const stopping = await own.http().get('/readyz');
    expect([stopping.status, stopping.body.checks.running]).toEqual([503, false]);
    expect(stopping.body).toMatchObject({
      status: 'not ready',
      reasons: ['the service is stopping'],
    });
    expect((await own.http().get('/healthz')).status).toBe(200);
    await own.close();
  });

  it('says in its readiness that it answers without a lease, where it may', async () => {
    const { status, body } = await t.http().get('/readyz');
    expect([status, body.status, body.staleAllowedSeconds]).toEqual([
      200,
      'ready',
      t.config.staleAfterSeconds,
    ]);
  });

  it('refuses with 503 until the index has been loaded', async () => {
    const token = await t.signIn('alice@example.com');
    const cold = createService({
      config: t.config,
      keys: createSecretKeys(SECRET),
      store: t.store,
      clock: () => t.clock.now,
      log: createLogger({ level: 'silent' }),
    });
    const response = await request(cold.handler).get('/v3/jwt/history').set('Authorization', token);
    expect(response.status).toBe(503);
    expect(response.headers['retry-after']).toBe('1');
    expect((await request(cold.handler).get('/readyz')).status).toBe(503);
    await cold.sync.load();
    expect(
      (await request(cold.handler).get('/v3/jwt/history').set('Authorization', token)).status,
    ).toBe(200);
  });

  it.each([
    [
      { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
      /^4bf92f3577b34da6a3ce929d0e0e4736$/,
    ],
    [{ 'x-request-id': 'my-id.1' }, /^my-id\.1$/],
    [{ 'x-request-id': 'bad id\tx' }, /^[0-9a-f-]{36}$/],
    [{ traceparent: '00-00000000000000000000000000000000-00f067aa0ba902b7-01' }, /^[0-9a-f-]{36}$/],
    [{}, /^[0-9a-f-]{36}$/],
  ])('returns a request id for %j', async (headers, expected) => {
    const response = await t.http().get('/healthz').set(headers);
    expect(response.headers['x-request-id']).toMatch(expected);
  });

  it('logs routes, never URLs, tokens or passwords', async () => {
    const token = await t.signIn('alice@example.com');
    await t.http().get('/v3/jwt/history?search=canary-in-the-query').set('Authorization', token);
    await t.http().get(`/nowhere/${token.slice(4)}`);
    await t
      .http()
      .post('/auth/signin')
      .send({ email: 'alice@example.com', password: 'canary-wrong' });
    await t
      .http()
      .post('/auth/signin')
      .set('Content-Type', 'application/json')
      .send('{"password":"canary-broken');
    const log = t.log();
    expect(log).toContain('"route":"/v3/jwt/history"');
    expect(log).toContain('"route":"unmatched"');
    expect(log).not.toMatch(/canary/);
    expect(log).not.toContain(token.slice(4));
    expect(log).not.toContain(PASSWORD);
    for (const line of log.trim().split('\n'))
      expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  it('sends security headers and no X-Powered-By', async () => {
    const { headers } = await t.http().get('/healthz');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['x-powered-by']).toBeUndefined();
    expect(headers['strict-transport-security']).toBeUndefined();
  });
});
