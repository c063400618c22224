/** Sign-in under attack: who is counted as one, who waits where, and who gets in all the same. */
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import request from 'supertest';
import { addressKeys } from '../../src/auth/address-key.js';
import { createFailureCounter } from '../../src/auth/failure-counter.js';
import { createPasswordSignIn } from '../../src/auth/sign-in.js';
import { createTurns } from '../../src/auth/turns.js';
import { freshDatabase, PASSWORD, startTestService, type TestService } from '../support/harness.js';
import { until } from '../support/process.js';

const ALICE = 'alice@example.com';
const NOBODY = 'nobody@example.com';
const WRONG = 'not the right password';

describe('who counts as one', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7', null],
    ['::ffff:203.0.113.7', '203.0.113.7', null],
    ['::FFFF:cb00:7107', '203.0.113.7', null],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7', null],
    ['64:ff9b::203.0.113.7', '203.0.113.7', null],
    ['2001:db8:1:2::7', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:0DB8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:db8::1', '2001:db8:0:0::/64', '2001:db8:0::/48'],
    ['2001:db8:1:2:3:4:203.0.113.7', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['::1', '0:0:0:0::/64', '0:0:0::/48'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64', 'fe80:0:0::/48'],
    ['unknown', 'unknown', null],
  ])('%s is %s', (address, client, site) => {
    expect(addressKeys(address)).toEqual({ client, site });
  });

  it('is the network, however its address is written', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const { client, site } = addressKeys(address);
        expect(client).toMatch(/^([\da-f]{1,4}(:[\da-f]{1,4}){3}::\/64|\d+(\.\d+){3})$/);
        if (site !== null) expect(client.startsWith(site.replace('::/48', ':'))).toBe(true);
      }),
    );
  });
});

describe('the counter', () => {
  it('forgets after its window, and what was counted longest ago when it is full', () => {
    const clock = { now: 0 };
    const counter = createFailureCounter({ windowMs: 60_000, maxKeys: 3, clock: () => clock.now });
    for (const key of ['a', 'b', 'a', 'c']) counter.add(key);
    expect(['a', 'b', 'c'].map(counter.count)).toEqual([2, 1, 1]);
    clock.now = 59_001;
    expect([counter.secondsLeft('a'), counter.secondsLeft('never')]).toEqual([1, 1]);
    clock.now = 1;
    expect(counter.secondsLeft('a')).toBe(60);
    counter.takeBack('a');
    counter.takeBack('c');
    counter.takeBack('c');
    counter.add('d');
    expect(['a', 'b', 'c', 'd'].map(counter.count)).toEqual([1, 0, 0, 1]);
    clock.now = 60_000;
    expect(['a', 'd'].map(counter.count)).toEqual([0, 1]);
    counter.add('a');
    expect(counter.count('a')).toBe(1);
  });
});

describe('turns', () => {
  type Lane = 'calm' | 'crowd' | 'slow';

  /** One at a time, nothing runs before `open`; `order` is what ran, refused and given up included. */
  function held(waiting: { perClient: number; inAll: number }) {
    const turn = createTurns<Lane>({
      atOnce: 1,
      waiting,
      lanes: {
        calm: { refusal: () => new Error('refused calm') },
        crowd: { refusal: () => new Error('refused crowd') },
        slow: { refusal: () => new Error('refused slow'), cost: 3 },
      },
    });
    const order: string[] = [];
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const all = [turn({ lane: 'calm', client: 'gate' }, () => gate)];
    const add = (
      name: string,
      client: string,
      lane: Lane | (() => Lane) = 'crowd',
      signal?: AbortSignal,
    ) => {
      const done = turn({ lane, client, signal }, async () => void order.push(name));
      all.push(done.catch((error: Error) => void order.push(`${name}: ${error.message}`)));
    };
    const finish = async () => {
      open();
      const ran = Promise.all(all).then(() => true);
      // Nothing here waits for a timer: whoever had no turn by then has none at all.
      const isOver = async () => {
        for (let turns = 0; turns < 1000; turns += 1) await nextTurn();
        return false;
      };
      if (!(await Promise.race([ran, isOver()]))) order.push('somebody was lost');
      return order;
    };
    return { add, finish, order };
  }

  it('go around the lanes, and around the clients of each', async () => {
    const { add, finish } = held({ perClient: 9, inAll: 9 });
    for (const name of ['a1', 'a2', 'a3']) add(name, 'a');
    for (const name of ['b1', 'b2']) add(name, 'b');
    add('c1', 'c');
    add('calm1', 'x', 'calm');
    add('calm2', 'x', 'calm');
    expect(await finish()).toEqual(['calm1', 'a1', 'calm2', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('are fewer in a lane that costs more, while others wait', async () => {
    const { add, finish } = held({ perClient: 9, inAll: 9 });
    for (const name of ['s1', 's2', 's3', 's4', 's5']) add(name, 's', 'slow');
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) add(name, 'a');
    expect(await finish()).toEqual('a1 s1 a2 a3 a4 s2 a5 s3 s4 s5'.split(' '));
  });

  it('make room for a client with few from the one with most', async () => {
    const { add, finish } = held({ perClient: 4, inAll: 6 });
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) add(name, 'a');
    add('b1', 'b');
    add('b2', 'b');
    add('c1', 'c');
    add('d1', 'd');
    // Nobody has more than these two by now.
    add('c2', 'c');
    add('calm', 'a', 'calm');
    const order = await finish();
    expect(order.filter((each) => each.includes('refused'))).toEqual(
      ['a5', 'a4', 'a3', 'c2'].map((name) => `${name}: refused crowd`),
    );
    expect(order.filter((each) => !each.includes('refused'))).toEqual([
      'calm',
      'a1',
      'b1',
      'c1',
      'd1',
      'a2',
      'b2',
    ]);
  });

  it('are not for who gave up, before or while waiting', async () => {
    const { add, finish, order } = held({ perClient: 1, inAll: 9 });
    const gone = new Error('gone');
    const leaver = new AbortController();
    add('late', 'a', 'crowd', AbortSignal.abort(gone));
    add('a1', 'a', 'crowd', leaver.signal);
    add('b1', 'b');
    leaver.abort(gone);
    await until('they gave up', () => order.length === 2);
    // Its place is free again.
    add('a2', 'a');
    expect(await finish()).toEqual(['late: gone', 'a1: gone', 'b1', 'a2']);
  });

  it('are taken where one belongs by then', async () => {
    const { add, finish } = held({ perClient: 9, inAll: 9 });
    let lane: Lane = 'calm';
    for (const name of ['a1', 'a2', 'a3']) add(name, 'a', () => lane);
    add('b1', 'b', 'calm');
    add('b2', 'b', 'calm');
    add('c1', 'c', 'crowd');
    lane = 'crowd';
    const order = await finish();
    expect(order.toSorted()).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'c1']);
    expect(order.indexOf('b1')).toBeLessThan(2);
    expect(order.indexOf('b2')).toBeLessThan(4);
  });

  it('lose nobody, when all of one client belong elsewhere by now', async () => {
    const { add, finish } = held({ perClient: 4, inAll: 6 });
    let changed = false;
    const from = (lane: Lane, to: Lane) => () => (changed ? to : lane);
    add('0', 'c', from('crowd', 'calm'));
    add('1', 'c', from('calm', 'crowd'));
    add('2', 'c', from('crowd', 'calm'));
    add('3', 'c', from('calm', 'crowd'));
    changed = true;
    expect((await finish()).toSorted()).toEqual(['0', '1', '2', '3']);
  });

  it('lose nobody, whatever comes', async () => {
    const step = fc.record({
      client: fc.constantFrom('a', 'b', 'c'),
      lane: fc.constantFrom<Lane>('calm', 'crowd'),
      changes: fc.boolean(),
      leaves: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { add, finish } = held({ perClient: 4, inAll: 6 });
        const leavers: AbortController[] = [];
        let changed = false;
        steps.forEach(({ client, lane, changes, leaves }, i) => {
          const controller = new AbortController();
          if (leaves) leavers.push(controller);
          const other = lane === 'calm' ? 'crowd' : 'calm';
          const now = () => (changes && changed ? other : lane);
          add(String(i), client, now, controller.signal);
        });
        changed = true;
        for (const leaver of leavers) leaver.abort(new Error('gone'));
        const order = await finish();
        expect(order.map((each) => Number.parseInt(each, 10)).toSorted((a, b) => a - b)).toEqual(
          steps.map((_, i) => i),
        );
      }),
    );
  });
});

describe('signing in under attack', () => {
  const database = freshDatabase();
  const others: TestService[] = [];
  let t: TestService;

  beforeAll(async () => {
    t = await startTestService({}, database);
    for (const email of [ALICE, 'bob@example.com']) await t.createUser(email);
  });
  afterAll(async () => {
    for (const service of [...others, t]) await service.close();
  });

  /** A process of its own, behind a proxy that says where a request comes from. */
  async function start(env: Record<string, string>): Promise<TestService> {
    const service = await t.sibling({ TRUST_PROXY: '1', ...env });
    others.push(service);
    return service;
  }

  const post = (at: TestService, from: string, email: string, password: string) =>
    at.http().post('/auth/signin').set('X-Forwarded-For', from).send({ email, password });
  const statusOf = async (...given: Parameters<typeof post>) => (await post(...given)).status;
  /** Past what is remembered of a verified password, and past the addresses' minute. */
  const aMinuteLater = (at: TestService) => (at.clock.now += 60_000);

  it('counts an IPv6 network as one address', async () => {
    const strict = await start({ SIGN_IN_ATTEMPTS: '3' });
    const statuses: number[] = [];
    for (let i = 1; i <= 8; i += 1) {
      statuses.push(await statusOf(strict, `2001:db8:1:2::${i}`, `user${i}@example.com`, WRONG));
    }
    expect(statuses).toEqual([401, 401, 401, 429, 429, 429, 429, 429]);
    expect(await statusOf(strict, '2001:db8:1:3::1', ALICE, PASSWORD)).toBe(200);
  });

  it('counts IPv4 inside IPv6 as IPv4', async () => {
    const strict = await start({ SIGN_IN_ATTEMPTS: '2' });
    expect(await statusOf(strict, '::ffff:203.0.113.7', NOBODY, WRONG)).toBe(401);
    expect(await statusOf(strict, '203.0.113.7', NOBODY, WRONG)).toBe(401);
    expect(await statusOf(strict, '::ffff:203.0.113.7', NOBODY, WRONG)).toBe(429);
    expect(await statusOf(strict, '::ffff:203.0.113.8', NOBODY, WRONG)).toBe(401);
  });

  it('lets a site of many networks fail ten times as often, and no more', async () => {
    const strict = await start({ SIGN_IN_ATTEMPTS: '1' });
    const statuses: number[] = [];
    for (let i = 1; i <= 12; i += 1) {
      statuses.push(await statusOf(strict, `2001:db8:1:${i}::1`, `user${i}@example.com`, WRONG));
    }
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    const refused = await post(strict, '2001:db8:1:99::1', ALICE, PASSWORD);
    expect(refused.status).toBe(429);
    expect(refused.body.msg).toBe('Too many failed sign-ins from this network. Try again in 60 s.');
    expect(await statusOf(strict, '2001:db8:2:1::1', ALICE, PASSWORD)).toBe(200);
  });

  it.each([
    ['an account that exists', ALICE],
    ['one that doesn’t', NOBODY],
  ])('counts by account, alike for %s', async (_name, email) => {
    const strict = await start({ SIGN_IN_ATTEMPTS: '10', SIGN_IN_ATTEMPTS_PER_ACCOUNT: '2' });
    const from = (i: number) => `198.51.100.${i}`;
    expect(await statusOf(strict, from(1), email, WRONG)).toBe(401);
    expect(await statusOf(strict, from(1), email.toUpperCase(), WRONG)).toBe(401);
    strict.clock.now += 20_000;
    const refused = await post(strict, from(1), email, WRONG);
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('40');
    expect(refused.body.msg).toBe('Too many failed sign-ins for this account. Try again in 40 s.');
    // Another account isn't affected, nor an address that hasn't failed, until it does.
    expect(await statusOf(strict, from(1), 'bob@example.com', PASSWORD)).toBe(200);
    for (let i = 2; i <= 19; i += 1)
      expect(await statusOf(strict, from(i), email, WRONG)).toBe(401);
    expect(await statusOf(strict, from(19), email, WRONG)).toBe(429);
    // Twenty by now, ten times the limit.
    const shut = await post(strict, from(20), email, PASSWORD);
    expect([shut.status, shut.headers['retry-after']]).toEqual([429, '880']);
    strict.clock.now += 880_000;
    expect(await statusOf(strict, from(20), email, WRONG)).toBe(401);
  });

  it('lets in who is known, and who is quiet, while the account is guessed at', async () => {
    const strict = await start({ SIGN_IN_ATTEMPTS: '5', SIGN_IN_ATTEMPTS_PER_ACCOUNT: '2' });
    const [home, elsewhere] = ['192.0.2.1', '192.0.2.2'];
    expect(await statusOf(strict, home, ALICE, PASSWORD)).toBe(200);
    aMinuteLater(strict);
    for (let i = 1; i <= 10; i += 1) await statusOf(strict, `198.51.100.${i}`, ALICE, WRONG);
    expect(await statusOf(strict, elsewhere, ALICE, PASSWORD)).toBe(200);
    aMinuteLater(strict);
    for (let i = 1; i <= 30; i += 1) await statusOf(strict, `198.51.100.${i}`, ALICE, WRONG);
    expect(await statusOf(strict, '192.0.2.3', ALICE, PASSWORD)).toBe(429);
    for (const known of [home, elsewhere]) {
      // What fails there doesn't count for the account, but for the address.
      expect(await statusOf(strict, known, ALICE, WRONG)).toBe(401);
      expect(await statusOf(strict, known, ALICE, PASSWORD)).toBe(200);
    }
    // Known for this account only.
    for (let i = 1; i <= 30; i += 1) {
      await statusOf(strict, `203.0.113.${i}`, 'bob@example.com', WRONG);
    }
    expect(await statusOf(strict, home, 'bob@example.com', PASSWORD)).toBe(429);
  });

  it('forgets an address that fails again and again', async () => {
    const strict = await start({ SIGN_IN_ATTEMPTS: '100', SIGN_IN_ATTEMPTS_PER_ACCOUNT: '1' });
    expect(await statusOf(strict, '192.0.2.1', ALICE, PASSWORD)).toBe(200);
    const statuses: number[] = [];
    for (let i = 0; i < 24; i += 1) {
      statuses.push(await statusOf(strict, '192.0.2.1', ALICE, `${WRONG} ${i}`));
    }
    const allowed = statuses.indexOf(429);
    expect(statuses.slice(0, allowed).every((status) => status === 401)).toBe(true);
    expect(allowed).toBeGreaterThan(10);
  });

  it('serves a quiet address soon, while 60 addresses guess over 240 connections', async () => {
    const strict = await start({ SIGN_IN_ATTEMPTS: '2' });
    let release = () => {};
    const gate = new Promise<string>((resolve) => (release = () => resolve('garbage')));
    // The hasher is busy until all have come.
    const hold = strict.service.hasher.verify(() => gate, WRONG);
    let came = 0;
    const server = createServer((req, res) => {
      came += 1;
      strict.service.handler(req, res);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const signIn = (from: string, email: string, password: string) =>
      request(server).post('/auth/signin').set('X-Forwarded-For', from).send({ email, password });
    let answered = 0;
    const guesses = Array.from({ length: 240 }, async (_, i) => {
      const { status } = await signIn(`198.51.100.${i % 60}`, `user${i}@example.com`, WRONG);
      answered += 1;
      return status;
    });
    await until('all guesses have come', () => came === 240);
    const quiet = signIn('192.0.2.9', ALICE, PASSWORD).then(({ status }) => ({
      status,
      answeredBefore: answered,
    }));
    release();
    const { status, answeredBefore } = await quiet;
    expect(status).toBe(200);
    // The first guess of each address may come before, and few of the rest (a fourth as many).
    expect(answeredBefore).toBeLessThanOrEqual(80);
    const statuses = await Promise.all(guesses);
    const number = (wanted: number) => statuses.filter((each) => each === wanted).length;
    expect({ 401: number(401), 429: number(429) }).toEqual({ 401: 120, 429: 120 });
    await hold;
    await new Promise((resolve) => server.close(resolve));
  });

  describe('whose client is gone', () => {
    let server: Server;
    let strict: TestService;

    beforeAll(async () => {
      strict = await start({ SIGN_IN_ATTEMPTS: '1' });
      server = createServer(strict.service.handler);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => new Promise((resolve) => server.close(resolve)));

    it('is not looked at, and leaves no count', async () => {
      const looked: string[] = [];
      const { signIn } = createPasswordSignIn({
        users: {
          ...strict.store.users,
          findByEmail(email) {
            looked.push(email);
            return strict.store.users.findByEmail(email);
          },
        },
        hasher: strict.service.hasher,
        clock: () => strict.clock.now,
        attemptsPerMinute: 1,
        attemptsPerAccount: 1,
      });
      const gone = new Error('gone');
      const leaver = new AbortController();
      const first = signIn('first@example.com', WRONG, '192.0.2.1');
      const left = signIn(ALICE, WRONG, '192.0.2.2', leaver.signal).catch(
        (error: unknown) => error,
      );
      leaver.abort(gone);
      expect([await first, await left]).toEqual([null, gone]);
      expect(await signIn(ALICE, PASSWORD, '192.0.2.2')).toMatchObject({ kind: 'password' });
      expect(looked).toEqual(['first@example.com', ALICE]);
    });

    it('over a real connection', async () => {
      let release = () => {};
      const gate = new Promise<string>((resolve) => (release = () => resolve('garbage')));
      const hold = strict.service.hasher.verify(() => gate, WRONG);
      const { port } = server.address() as AddressInfo;
      const body = JSON.stringify({ email: ALICE, password: WRONG });
      const requests = Array.from({ length: 5 }, () => {
        const outgoing = httpRequest({
          port,
          host: '127.0.0.1',
          method: 'POST',
          path: '/auth/signin',
          headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': '192.0.2.5' },
        });
        outgoing.on('error', () => {});
        outgoing.end(body);
        return outgoing;
      });
      const [last] = requests;
      if (last === undefined) throw new Error('there are five');
      await until('they are connected', () => requests.every((each) => each.writableFinished));
      for (const each of requests) each.destroy();
      const gone = () => strict.log().split('"status":499').length - 1;
      await until('the service has noticed', () => gone() === 5);
      release();
      await hold;
      expect(await statusOf(strict, '192.0.2.5', ALICE, WRONG)).toBe(401);
      expect(await statusOf(strict, '192.0.2.5', ALICE, WRONG)).toBe(429);
      expect(strict.log()).not.toMatch(/"level":(50|"error")/);
    });
  });
});
