/** How much may be minted: at every door that mints, by rate and by the number of what never expires; and that nothing is lost to it. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Response } from 'supertest';
import { createMintingLimits } from '../../src/auth/minting-limits.js';
import { ServiceError } from '../../src/errors.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  startTestService,
  type TestService,
} from '../support/harness.js';

const RATE = 2;
const DAY = 86_400_000;

let serial = 0;
const newEmail = () => `minter-${(serial += 1)}@example.com`;
const basic = (email: string) => `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}`;

interface Door {
  /** Where it is in the code. */
  readonly file: string;
  readonly perMinute: number;
  /** Asks once, as this user. */
  ask(t: TestService, email: string): Promise<Response>;
}

/** The refresh token that the user's exchange is to present. */
const refreshTokens = new Map<string, string>();

const doors: Record<string, Door> = {
  'GET /v1/token': {
    file: 'dialects/woleet/router.ts',
    perMinute: RATE,
    ask: async (t, email) => t.http().get('/v1/token').set('Authorization', basic(email)),
  },
  'POST /admin/api-keys': {
    file: 'dashboard/api/api-keys.ts',
    perMinute: RATE,
    ask: async (t, email) =>
      t
        .http()
        .post('/admin/api-keys')
        .set('Authorization', basic(email))
        .send({ name: 'key', expiresAt: new Date(t.clock.now + DAY).toISOString() }),
  },
  'POST /auth/signin': {
    file: 'dialects/tiledesk/sign-in.ts',
    perMinute: RATE * 10,
    ask: async (t, email) => t.http().post('/auth/signin').send({ email, password: PASSWORD }),
  },
  'POST /admin/session': {
    file: 'dashboard/api/session.ts',
    perMinute: RATE * 10,
    ask: async (t, email) => t.http().post('/admin/session').send({ email, password: PASSWORD }),
  },
  'POST /api/login': {
    file: 'dialects/fusionauth/sessions.ts',
    perMinute: RATE * 10,
    ask: async (t, email) =>
      t.http().post('/api/login').send({ loginId: email, password: PASSWORD }),
  },
  'POST /api/jwt/refresh': {
    file: 'dialects/fusionauth/sessions.ts',
    perMinute: RATE * 10,
    async ask(t, email) {
      const refreshToken = refreshTokens.get(email) ?? (await login(t, email)).refreshToken;
      const response = await t.http().post('/api/jwt/refresh').send({ refreshToken });
      refreshTokens.set(
        email,
        response.status === 200 ? String(response.body.refreshToken) : refreshToken,
      );
      return response;
    },
  },
};

async function login(t: TestService, email: string) {
  const response = await t.http().post('/api/login').send({ loginId: email, password: PASSWORD });
  expect(response.status).toBe(200);
  return response.body as { refreshToken: string; refreshTokenId: string };
}

const countOf = async (t: TestService, userId: string) =>
  (await t.store.tokens.count({ userIds: [userId] })).count;
const isGood = ({ status }: Response) => status === 200 || status === 201;

describe('the rate', () => {
  let t: TestService;
  beforeAll(async () => {
    t = await startTestService({ MINT_RATE: String(RATE) });
  });
  afterAll(() => t.close());

  it('is tried at every door that mints', () => {
    const folder = new URL('../../src/', import.meta.url);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const minting = files.filter(
      (file) =>
        file.endsWith('.ts') &&
        /\bmint(?:ing)?\.mint\(|\bsessions\.exchange\(/.test(
          readFileSync(new URL(file, folder), 'utf8'),
        ),
    );
    expect(minting.toSorted()).toEqual(
      [...new Set(Object.values(doors).map(({ file }) => file))].toSorted(),
    );
  });

  it.each(Object.keys(doors))('%s: so many, then 429 and no record, then again', async (name) => {
    const door = doors[name];
    if (door === undefined) throw new Error('a door was expected');
    const email = newEmail();
    const { id } = await t.createUser(email, 'admin');
    const seconds = 60 / door.perMinute;
    for (let i = 0; i < door.perMinute; i += 1) {
      const response = await door.ask(t, email);
      expect([i, isGood(response)]).toEqual([i, true]);
    }
    const before = await countOf(t, id);
    const refused = await door.ask(t, email);
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, String(seconds)]);
    const said = JSON.stringify(refused.body);
    expect(said).toContain(`try again in ${seconds} s`);
    expect(said).not.toContain(email);
    expect(await countOf(t, id)).toBe(before);
    // Somebody else has theirs.
    const other = newEmail();
    await t.createUser(other, 'admin');
    expect(isGood(await door.ask(t, other))).toBe(true);
    t.clock.now += seconds * 1000 - 5;
    expect((await door.ask(t, email)).status).toBe(429);
    t.clock.now += 5;
    expect(isGood(await door.ask(t, email))).toBe(true);
    expect((await door.ask(t, email)).status).toBe(429);
  });

  it('of what a stolen token mints shuts its holder out of nothing', async () => {
    const email = newEmail();
    const { id } = await t.createUser(email, 'admin');
    const token = await t.signIn(email);
    const ask = () => t.http().get('/v1/token').set('Authorization', token);
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(RATE);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(20 - RATE);
    for (const name of ['POST /auth/signin', 'POST /api/login', 'POST /admin/session']) {
      const response = await doors[name]?.ask(t, email);
      expect([name, response && isGood(response)]).toEqual([name, true]);
    }
    await t
      .http()
      .delete(`/v3/jwt/history/${jtiOf(token)}`)
      .set('Authorization', basic(email))
      .expect(200);
    // Both are of one holder, in whichever case another service writes the id.
    const shouted = mint({ jti: `shouted-${id}`, sub: 'user', _id: id.toUpperCase() });
    const response = await t.http().get('/v1/token').set('Authorization', `Bearer ${shouted}`);
    expect(response.status).toBe(429);
  });

  it('takes no session: what was refused is good afterwards, and so is the used one within its grace', async () => {
    const email = newEmail();
    await t.createUser(email);
    let { refreshToken } = await login(t, email);
    const exchange = (token: string) =>
      t.http().post('/api/jwt/refresh').send({ refreshToken: token });
    let used = refreshToken;
    for (let i = 0; i < RATE * 10; i += 1) {
      used = refreshToken;
      refreshToken = (await exchange(refreshToken).expect(200)).body.refreshToken;
    }
    await exchange(refreshToken).expect(429);
    // Its grace lasts for longer than it is told to wait: it comes again in time.
    await exchange(used).expect(429);
    t.clock.now += 3000;
    await exchange(used).expect(200);
    // Here it would come too late.
    t.clock.now += 5500;
    for (let i = 0; i < 3; i += 1) await exchange(used).expect(200);
    await exchange(refreshToken).expect(429);
    t.clock.now += 3000;
    await exchange(refreshToken).expect(200);
  });

  it('leaves exchanges alone where a used refresh token has no grace', async () => {
    const strict = await startTestService({ MINT_RATE: '1', REFRESH_TOKEN_GRACE: '0' });
    const email = newEmail();
    await strict.createUser(email);
    let { refreshToken } = await login(strict, email);
    for (let i = 0; i < 15; i += 1) {
      const response = await strict.http().post('/api/jwt/refresh').send({ refreshToken });
      expect(response.status).toBe(200);
      refreshToken = response.body.refreshToken;
    }
    await strict.close();
  });
});

describe('what never expires', () => {
  const MOST = 3;
  let t: TestService;
  let sibling: TestService;
  beforeAll(async () => {
    t = await startTestService({
      MINT_RATE: '0',
      MAX_ENDLESS_TOKENS: String(MOST),
      ACCESS_TOKEN_TTL: '0',
    });
    sibling = await t.sibling();
  });
  afterAll(async () => {
    await sibling.close();
    await t.close();
  });

  const endless: Record<string, (at: TestService, email: string) => Promise<Response>> = {
    'GET /v1/token': async (at, email) =>
      at.http().get('/v1/token').set('Authorization', basic(email)),
    'POST /admin/api-keys': async (at, email) =>
      at
        .http()
        .post('/admin/api-keys')
        .set('Authorization', basic(email))
        .send({ name: 'for ever' }),
  };
  const fill = async (email: string) => {
    for (let i = 0; i < MOST; i += 1) {
      const ask = Object.values(endless)[i % 2];
      const response = await ask?.(i === 0 ? sibling : t, email);
      expect(response && isGood(response)).toBe(true);
    }
  };

  it.each(Object.keys(endless))(
    '%s: so many of either kind, at whichever instance; then 429 says what to do, and it helps',
    async (name) => {
      const email = newEmail();
      const { id } = await t.createUser(email, 'admin');
      await fill(email);
      const before = await countOf(t, id);
      for (const at of [t, sibling]) {
        const refused = await endless[name]?.(at, email);
        expect([refused?.status, refused?.headers['retry-after']]).toEqual([429, '60']);
        expect(refused?.body).toMatchObject({ code: 'too-many-requests', success: false });
      }
      expect(await countOf(t, id)).toBe(before);
      const message = String((await endless[name]?.(t, email))?.body.msg);
      expect(message).toContain(`You have ${MOST} tokens and API keys that never expire`);
      const list = /GET (\S+)/.exec(message)?.[1] ?? '';
      const remove = /DELETE (\S+)/.exec(message)?.[1] ?? '';
      const listed = await t.http().get(list).set('Authorization', basic(email)).expect(200);
      expect(listed.body.tokens).toHaveLength(MOST);
      const { jti } = listed.body.tokens[0];
      await t
        .http()
        .delete(remove.replace('{jti}', String(jti)))
        .set('Authorization', basic(email))
        .expect(200);
      const again = await endless[name]?.(t, email);
      expect(again && isGood(again)).toBe(true);
      expect((await endless[name]?.(t, email))?.status).toBe(429);
    },
  );

  it('counts neither keys that expire, nor what others minted, nor sign-ins, and shuts nobody out of these', async () => {
    const email = newEmail();
    const { id } = await t.createUser(email, 'admin');
    const [other, stranger] = [newEmail(), newEmail()];
    await t.createUser(other, 'admin');
    await t.createUser(stranger);
    await fill(other);
    for (let i = 0; i < MOST + 1; i += 1) {
      await t.signIn(email);
      await login(t, email);
      await t
        .http()
        .post('/admin/api-keys')
        .set('Authorization', basic(email))
        .send({ name: 'a day', expiresAt: new Date(t.clock.now + DAY).toISOString() })
        .expect(201);
      // Adopted, and registered by an administrator.
      const adopted = mint({ jti: `adopted-${id}-${i}`, sub: 'user', _id: id });
      await t.http().get('/v3/jwt/history').set('Authorization', `Bearer ${adopted}`).expect(200);
      await t
        .http()
        .post('/v3/jwt/history')
        .set('Authorization', basic(other))
        .send({ jti: `registered-${id}-${i}`, userId: id })
        .expect(201);
    }
    await fill(email);
    expect((await endless['GET /v1/token']?.(t, email))?.status).toBe(429);
    expect((await endless['GET /v1/token']?.(t, stranger))?.status).toBe(200);
    await t.signIn(email);
    await login(t, email);
    await doors['POST /api/jwt/refresh']?.ask(t, email).then(({ status }) => {
      expect(status).toBe(200);
    });
  });

  it('is never more, however many ask at once', async () => {
    const email = newEmail();
    const { id } = await t.createUser(email);
    const token = await t.signIn(email);
    const ask = () => t.http().get('/v1/token').set('Authorization', token);
    const answers = await Promise.all(Array.from({ length: 12 }, ask));
    const minted = answers.filter(({ status }) => status === 200).length;
    expect(minted).toBeGreaterThan(0);
    expect(minted).toBeLessThanOrEqual(MOST);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(12 - minted);
    expect(await t.store.tokens.countEndless(id, 100)).toBe(minted);
    for (let i = minted; i < MOST; i += 1) await ask().expect(200);
    await ask().expect(429);
    // Everything of the user revoked at once: as soon as that is marked there is room again.
    await t.service.revoker.revokeRecord(
      (await t.store.tokens.findByJti(jtiOf(token)))[0] ?? fail(),
      { by: id, via: 'test', reason: null, requestId: '' },
    );
    expect(await t.store.tokens.countEndless(id, 100)).toBe(0);
  });

  it('and any number, where both limits are off', async () => {
    const free = await startTestService(
      { MINT_RATE: '0', MAX_ENDLESS_TOKENS: '0' },
      freshDatabase(),
    );
    const email = newEmail();
    await free.createUser(email);
    const token = await free.signIn(email);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => free.http().get('/v1/token').set('Authorization', token)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    await free.close();
  });
});

function fail(): never {
  throw new Error('a record was expected');
}

describe('side by side near the limit of what never expires', () => {
  it('one that is recorded and not handed out yet counts once', async () => {
    let recorded = 8;
    const limits = createMintingLimits({
      perMinute: 0,
      maxEndless: 10,
      countEndless: async () => recorded,
      clock: Date.now,
    });
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const make = () => {
      recorded += 1;
      return released;
    };
    const first = limits.makeEndless('ann', make);
    await new Promise(setImmediate);
    expect(recorded).toBe(9);
    const second = limits.makeEndless('ann', make);
    const third = limits.makeEndless('ann', make);
    release();
    const results = await Promise.allSettled([first, second, third]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(recorded).toBe(10);
  });
});

describe('counting', () => {
  const limitsAt = (clock: { now: number }, perMinute: number) =>
    createMintingLimits({
      perMinute,
      maxEndless: 0,
      countEndless: async () => 0,
      clock: () => clock.now,
    });
  /** The seconds to wait; 0 = it was counted. */
  const wait = (take: () => void) => {
    try {
      take();
    } catch (error) {
      if (error instanceof ServiceError) return Number(error.headers['Retry-After']);
      throw error;
    }
    return 0;
  };

  it.each([1, 7, 60, 10_000])('gives %i a minute, at once or one by one, and no more', (rate) => {
    const clock = { now: Date.parse('2026-03-01') };
    const limits = limitsAt(clock, rate);
    const take = () => wait(() => limits.take('child', 'ann'));
    for (let i = 0; i < rate; i += 1) expect(take()).toBe(0);
    expect(take()).toBe(Math.ceil(60 / rate));
    let counted = 0;
    for (let ms = 0; ms < 120_000; ms += 500) {
      clock.now += 500;
      while (counted <= rate * 3 && take() === 0) counted += 1;
    }
    expect(counted).toBe(rate * 2);
  });

  it('goes on within a minute when the clock was put back', () => {
    const clock = { now: Date.parse('2026-03-01') };
    const limits = limitsAt(clock, 2);
    const take = () => wait(() => limits.take('child', 'ann'));
    expect([take(), take(), take()]).toEqual([0, 0, 30]);
    clock.now -= 365 * DAY;
    expect(take()).toBe(30);
    clock.now += 30_000;
    expect([take(), take()]).toEqual([0, 30]);
  });
});
