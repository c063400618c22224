/** What the log says of an outage, of failed sign-ins and of refused tokens: enough to know what happens, and never more than a disk can hold. */
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { accountHash } from '../../src/auth/sign-in-log.js';
import { createLogger, flushCounts } from '../../src/observability/logger.js';
import { createJti } from '../../src/tokens/jti.js';
import { jtiOf, mint, PASSWORD, startTestService, type TestService } from '../support/harness.js';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const parse = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);

let t: TestService;
/** Its store is gone: what was to be written last can't be. */
let isWithoutDatabase = false;
afterEach(async () => {
  const closed = t.close();
  if (isWithoutDatabase) await expect(closed).rejects.toThrow('does not answer');
  else await closed;
  isWithoutDatabase = false;
});

const linesOf = (event: string) => parse(t.log()).filter((line) => line['event'] === event);
const basic = (email: string, password: string) =>
  `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;

function token(): string {
  const now = t.clock.now;
  const iat = Math.floor(now / 1000);
  return mint({ jti: createJti(now), _id: 'holder', iss: 'https://tiledesk.com', iat });
}

describe('ten minutes without a database', () => {
  const STALE_AFTER_S = 30;
  const MINUTE_S = 60;
  /** What a thousand checks a second leave must not depend on how many they are. */
  const FEW_A_SECOND = 4;
  const MANY_A_SECOND = 40;

  let server: Server;
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  afterEach(async () => {
    agent.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  async function ask(path: string, address: string, authorization: string): Promise<number> {
    const { port } = server.address() as AddressInfo;
    return new Promise((resolve, reject) => {
      const headers = { authorization, 'x-forwarded-for': address };
      const req = request({ host: '127.0.0.1', port, path, headers, agent }, (res) => {
        res.resume().once('end', () => resolve(res.statusCode ?? 0));
      });
      req.once('error', reject).end();
    });
  }

  const DOORS = ['/auth/verify', '/v3/jwt/history', '/v2/jwt/history', '/api/jwt/refresh'];

  async function second(requests: number): Promise<Set<number>> {
    const statuses = await Promise.all(
      Array.from({ length: requests }, (_, i) =>
        ask(DOORS[i % DOORS.length] ?? '', `10.0.0.${i}`, `JWT ${token()}`),
      ),
    );
    t.clock.now += 1000;
    return new Set(statuses);
  }

  /** How many bytes a minute of so many checks a second leaves. */
  async function minute(perSecond: number): Promise<number> {
    const before = t.log().length;
    for (let s = 0; s < MINUTE_S; s += 1) expect([...(await second(perSecond))]).toEqual([503]);
    return t.log().length - before;
  }

  it('are told of once, with why and for how long, in less than a megabyte, however many ask', async () => {
    t = await startTestService({ STALE_AFTER: `${STALE_AFTER_S}s`, TRUST_PROXY: '1' });
    server = createServer(t.service.handler);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const known = token();
    expect(await ask('/auth/verify', '10.0.0.1', `JWT ${known}`)).toBe(204);
    await t.service.usage.flush();
    await t.store.close();
    isWithoutDatabase = true;
    t.clock.now += STALE_AFTER_S * 1000 + 1000;
    const before = t.log().length;

    const few = await minute(FEW_A_SECOND);
    const many = await minute(MANY_A_SECOND);
    for (let i = 0; i < 7; i += 1) await minute(FEW_A_SECOND);
    // Whoever tries with a password fails, too.
    for (let i = 0; i < 30; i += 1) {
      await ask('/v3/jwt/history', `10.0.1.${i}`, basic('someone@example.com', 'whatever it was'));
    }
    await minute(FEW_A_SECOND);
    const volume = t.log().length - before;

    // The ten minutes of a thousand a second, of which all but a minute leave no more than few do.
    expect(volume + 9 * many).toBeLessThan(1_000_000);
    expect(many).toBeLessThan(few * 2);
    const [stopped, ...more] = linesOf('checks.stopped');
    expect(more).toEqual([]);
    expect(stopped).toMatchObject({
      level: 'error',
      msg: 'checks now answer 503, because what was revoked in the last 31 s is unknown',
    });
    // Each refused request is counted, and few have a stack.
    const lines = parse(t.log().slice(before));
    const counted = lines.filter(({ msg }) => msg === 'The revocation list is not up to date.');
    const told = counted.reduce((sum, { count }) => sum + Number(count ?? 1), 0);
    expect(told).toBeGreaterThan(0.9 * MINUTE_S * MANY_A_SECOND);
    expect(lines.filter((line) => 'err' in line).length).toBeLessThan(100);

    t.service.index.markSynced(t.clock.now);
    expect(await ask('/auth/verify', '10.0.0.1', `JWT ${known}`)).toBe(204);
    // Looked at every second, or by whoever asks.
    t.service.outages.look();
    const [resumed, ...others] = linesOf('checks.resumed');
    expect(others).toEqual([]);
    expect(resumed).toMatchObject({
      level: 'info',
      msg: 'checks answer again after 600 s',
      ms: 600_000,
    });
    expect(resumed?.['count']).toBeGreaterThan(MINUTE_S * (9 * FEW_A_SECOND + MANY_A_SECOND) - 1);
  });
});

describe('sign-ins', () => {
  it('that fail leave the account as a hash, the address and why, at every door, and are counted', async () => {
    t = await startTestService({ SIGN_IN_ATTEMPTS: '1000' });
    await t.createUser('user@example.com');
    const { id } = await t.createUser('gone@example.com');
    await t.store.users.setStatus(id, 500);
    const wrong = { email: 'User@Example.com', password: 'wrong' };
    const doors: Record<string, () => Promise<{ status: number }>> = {
      'POST /auth/signin': async () => t.http().post('/auth/signin').send(wrong),
      'POST /admin/session': async () => t.http().post('/admin/session').send(wrong),
      'POST /api/login': async () =>
        t.http().post('/api/login').send({ loginId: wrong.email, password: wrong.password }),
      Basic: async () =>
        t.http().get('/v3/jwt/history').set('Authorization', basic(wrong.email, wrong.password)),
    };
    for (const [door, attempt] of Object.entries(doors)) {
      const before = linesOf('signin.failed').length;
      expect([door, [401, 404].includes((await attempt()).status)]).toEqual([door, true]);
      const [line, ...more] = linesOf('signin.failed').slice(before);
      expect([door, more]).toEqual([door, []]);
      expect([door, line]).toEqual([
        door,
        expect.objectContaining({
          level: 'info',
          account: accountHash('user@example.com'),
          address: '127.0.0.1',
          reason: 'wrong password',
        }),
      ]);
      t.clock.now += 60_001;
    }
    for (let i = 0; i < 7; i += 1) await doors['POST /auth/signin']?.();
    const reasonOf = async (email: string) => {
      await t.http().post('/auth/signin').send({ email, password: PASSWORD });
      return linesOf('signin.failed').at(-1)?.['reason'];
    };
    expect(await reasonOf('nobody@example.com')).toBe('no such account');
    expect(await reasonOf('gone@example.com')).toBe('the account is not active');
    await t.service.stop();
    expect(linesOf('signin.failed').at(-1)).toMatchObject({ reason: 'wrong password', count: 6 });
    expect(t.log()).not.toMatch(/example\.com.*signin|signin.*example\.com/i);
  });

  it('that come from everywhere leave a bounded number of lines', async () => {
    t = await startTestService({ TRUST_PROXY: '1', SIGN_IN_ATTEMPTS_PER_ACCOUNT: '100000' });
    for (let i = 0; i < 130; i += 1) {
      await t
        .http()
        .post('/auth/signin')
        .set('X-Forwarded-For', `10.1.${i}.1`)
        .send({ email: `someone-${i}@example.com`, password: 'wrong' });
    }
    await t.service.stop();
    const lines = linesOf('signin.failed');
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toMatchObject({ count: 30 });
    expect(lines.at(-1)).not.toHaveProperty('account');
  });

  it('that are refused with 429 are counted, by account and address', async () => {
    t = await startTestService({ SIGN_IN_ATTEMPTS: '3' });
    const attempt = () =>
      t.http().post('/auth/signin').send({ email: 'user@example.com', password: 'wrong' });
    for (let i = 0; i < 3; i += 1) expect((await attempt()).status).toBe(401);
    for (let i = 0; i < 20; i += 1) expect((await attempt()).status).toBe(429);
    await t.service.stop();
    const [first, rest, ...more] = linesOf('signin.limited');
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      level: 'info',
      account: accountHash('user@example.com'),
      address: '127.0.0.1',
      reason: expect.stringContaining('from this address'),
    });
    expect(rest).toMatchObject({ account: accountHash('user@example.com'), count: 19 });
  });
});

describe('a token that is refused again and again', () => {
  it('is one line a minute, with how often, at every door', async () => {
    t = await startTestService();
    await t.createUser('user@example.com');
    const revoked = await t.signIn('user@example.com');
    const jti = jtiOf(revoked);
    await t.http().delete(`/v3/jwt/history/${jti}`).set('Authorization', revoked);
    const refused = async (path: string) => {
      const { status } = await t.http().get(path).set('Authorization', revoked);
      expect([path, status]).toEqual([path, 401]);
    };
    for (const path of ['/v3/jwt/history', '/v1/token', '/admin/tokens', '/api/jwt/validate']) {
      const before = linesOf('token.refused').length;
      for (let i = 0; i < 5; i += 1) await refused(path);
      const lines = linesOf('token.refused').slice(before);
      expect([path, lines]).toEqual([
        path,
        [expect.objectContaining({ jti, reason: 'revoked', method: 'GET', route: path })],
      ]);
      t.clock.now += 60_001;
    }
    await refused('/auth/verify');
    // The four that were not written since the minute before last, and this one.
    expect(linesOf('token.refused').at(-1)).toMatchObject({ jti, count: 5 });
    expect(t.log()).not.toContain(revoked.slice(4));
  });
});

describe('lines about failures', () => {
  it('are written once a minute for each kind, with the stack, and counted; what is no failure is always written', async () => {
    t = await startTestService();
    const clock = { now: 1_000_000 };
    const written: Line[] = [];
    const log = createLogger({
      level: 'info',
      clock: () => clock.now,
      destination: new Writable({
        write(chunk, _encoding, done) {
          written.push(JSON.parse(String(chunk)) as Line);
          done();
        },
      }),
    });
    const messages = () => written.map(({ msg, count }) => [msg, count]);
    const warn = (n: number) => log.warn({ err: new Error(`try ${n}`) }, 'not yet');
    for (let i = 0; i < 50; i += 1) warn(i);
    expect(messages()).toEqual([['not yet', undefined]]);
    expect(written[0]).toMatchObject({ err: { message: 'try 0', stack: expect.anything() } });
    // Thrown elsewhere, it is another one.
    log.warn({ err: new TypeError('a bug') }, 'not yet');
    for (let i = 0; i < 3; i += 1) log.warn({ attempt: i }, 'no failure');
    for (let i = 0; i < 3; i += 1) log.fatal({ err: new Error('last') }, 'the end');
    for (let i = 0; i < 3; i += 1) log.info({ err: new Error('known') }, 'as expected');
    log.info('only text');
    expect(written).toHaveLength(12);
    clock.now += 60_000;
    warn(50);
    expect(messages().at(-1)).toEqual(['not yet', 50]);
    warn(51);
    flushCounts(log);
    expect(written.at(-1)).toMatchObject({ msg: 'not yet', count: 1, reason: 'Error: try 50' });
    // Of errors, some more may tell what they have in common.
    written.length = 0;
    for (let i = 0; i < 50; i += 1)
      log.error({ err: new Error('a bug'), requestId: String(i) }, 'x');
    flushCounts(log);
    expect(written).toHaveLength(11);
    expect(written.at(-1)).toMatchObject({ msg: 'x', count: 40 });
  });
});
