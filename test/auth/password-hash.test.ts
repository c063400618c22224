/** Password hashes: which are read, which are made, and how many at a time. */
import { describe, expect, it } from '@jest/globals';
import bcrypt from 'bcrypt';
import { createPasswordHasher } from '../../src/auth/password-hash.js';
import { ServiceError } from '../../src/errors.js';
import { PASSWORD } from '../support/harness.js';

describe('password hashes', () => {
  const hasher = createPasswordHasher();

  it('are argon2id, salted, and verify', async () => {
    const [one, two] = await Promise.all([hasher.hash(PASSWORD), hasher.hash(PASSWORD)]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(one).not.toBe(two);
    expect(one).not.toContain(PASSWORD);
    expect(await hasher.verify(one, PASSWORD)).toBe(true);
    for (const wrong of ['', `${PASSWORD} `, PASSWORD.toUpperCase(), PASSWORD.slice(0, -1), one]) {
      expect([wrong, await hasher.verify(one, wrong)]).toEqual([wrong, false]);
    }
  });

  it.each(['2a', '2b', '2y'] as const)('accepts bcrypt’s $%s$', async (version) => {
    const made = await bcrypt.hash('pässword', 4);
    const hash = made.replace('$2b$', `$${version}$`);
    expect(hash.startsWith(`$${version}$04$`)).toBe(true);
    expect(await hasher.verify(hash, 'pässword')).toBe(true);
    expect(await hasher.verify(hash, 'password')).toBe(false);
  });

  const weakArgon2id = '$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaA';
  const argon2i = '$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA';
  const argon2id = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA';
  const bcrypted = (head: string) => `${head}$${'a'.repeat(53)}`;

  it.each([weakArgon2id, argon2i, argon2id, bcrypted('$2a$10'), bcrypted('$2b$04'), 'plain', ''])(
    '%j stays, unless a form is configured',
    async (hash) => {
      const others = createPasswordHasher({ bcryptCost: async () => 10 });
      expect(await hasher.renew(hash, PASSWORD)).toBeNull();
      expect(await others.renew(hash, PASSWORD)).toBeNull();
    },
  );

  it.each([
    ['argon2id', argon2id, false],
    ['argon2id', weakArgon2id, true],
    ['argon2id', argon2i, true],
    ['argon2id', bcrypted('$2a$10'), true],
    ['argon2id', '', true],
    ['bcrypt', bcrypted('$2a$10'), false],
    ['bcrypt', bcrypted('$2a$12'), false],
    ['bcrypt', bcrypted('$2a$09'), true],
    // bcrypt-nodejs 0.0.3, Tiledesk's, reads `$2a$` only.
    ['bcrypt', bcrypted('$2b$10'), true],
    ['bcrypt', bcrypted('$2y$10'), true],
    ['bcrypt', argon2id, true],
  ] as const)('with %s configured, %j is replaced: %s', async (form, hash, isReplaced) => {
    const configured = createPasswordHasher({ form });
    const renewed = await configured.renew(hash, PASSWORD);
    expect(renewed !== null).toBe(isReplaced);
    if (renewed === null) return;
    expect(renewed.startsWith(form === 'bcrypt' ? '$2a$10$' : '$argon2id$v=19$m=19456')).toBe(true);
    expect(await hasher.verify(renewed, PASSWORD)).toBe(true);
    // Longer than bcrypt looks at: it may have been only the beginning that was right.
    expect(await configured.renew(hash, 'x'.repeat(73))).toBeNull();
  });

  it('take the form that the others have', async () => {
    const clock = { now: 0 };
    let cost: number | null = null;
    let asked = 0;
    const following = createPasswordHasher({
      clock: () => clock.now,
      async bcryptCost() {
        asked += 1;
        return cost;
      },
    });
    expect(await following.hash(PASSWORD)).toMatch(/^\$argon2id\$/);
    cost = 12;
    expect(await following.hash(PASSWORD)).toMatch(/^\$argon2id\$/);
    expect(asked).toBe(1);
    clock.now += 60_000;
    const hash = await following.hash(PASSWORD);
    expect(hash).toMatch(/^\$2a\$10\$/);
    expect(await following.verify(hash, PASSWORD)).toBe(true);
    expect(asked).toBe(2);
  });

  it('are not made when the store can’t say, and are once it can', async () => {
    const broken = new Error('no answer');
    let isBroken = true;
    const following = createPasswordHasher({
      bcryptCost: () => (isBroken ? Promise.reject(broken) : Promise.resolve(10)),
      clock: () => 0,
    });
    await expect(following.hash(PASSWORD)).rejects.toBe(broken);
    await expect(following.verify(null, PASSWORD)).rejects.toBe(broken);
    isBroken = false;
    expect(await following.hash(PASSWORD)).toMatch(/^\$2a\$10\$/);
  });

  it.each([
    ['73 letters', 'x'.repeat(73), /ADMIN_PASSWORD: must have at most 72 bytes \(it has 73\)/],
    ['37 letters of two bytes', 'é'.repeat(37), /at most 72 bytes \(it has 74\)/],
    ['a NUL', 'correct\0horse', /must not hold NUL/],
  ])('of bcrypt are refused, never cut: %s', async (_what, password, message) => {
    const configured = createPasswordHasher({ form: 'bcrypt' });
    await expect(configured.hash(password, 'ADMIN_PASSWORD')).rejects.toThrow(message);
    await expect(configured.hash(password)).rejects.toMatchObject({
      code: 'invalid-input',
      fields: [{ field: 'password' }],
    });
    expect(await configured.hash('é'.repeat(36))).toMatch(/^\$2a\$10\$/);
  });

  it('of nobody take the time of the others’ form', async () => {
    const seconds = async (cost: number | null) => {
      const following = createPasswordHasher({ bcryptCost: async () => cost });
      const began = process.cpuUsage();
      expect(await following.verify(null, PASSWORD)).toBe(false);
      const { user, system } = process.cpuUsage(began);
      return (user + system) / 1e6;
    };
    // Each step of the cost doubles the work: ten lie between these two, since what would serve an
    // attacker is cut at 14.
    const [cheap, dear] = [await seconds(4), await seconds(31)];
    expect(dear).toBeGreaterThan(5 * cheap);
  });

  it('match nobody where there is no user', async () => {
    for (const password of [PASSWORD, '', 'no such user']) {
      expect([password, await hasher.verify(null, password)]).toEqual([password, false]);
    }
  });

  it.each([
    '',
    PASSWORD,
    'garbage',
    '$1$salt$md5',
    '$2b$10$short',
    `$2b$10$${'!'.repeat(53)}`,
    `$2b$99$${'a'.repeat(53)}`,
    '$argon2',
    '$argon2id$garbage',
    '$argon2id$v=19$m=19456,t=2,p=1$not base64$!',
    '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ',
  ])('that are %j match nothing, and throw nothing', async (hash) => {
    await expect(hasher.verify(hash, PASSWORD)).resolves.toBe(false);
  });

  it('are worked on one at a time', async () => {
    const hash = await hasher.hash(PASSWORD);
    const orderOf = async (...hashes: string[]) => {
      const order: string[] = [];
      await Promise.all(
        hashes.map(async (given) => {
          await hasher.verify(given, PASSWORD);
          order.push(given === hash ? 'slow' : 'instant');
        }),
      );
      return order;
    };
    // A hash that can't match is answered at once, unless it has to wait for a place.
    expect(await orderOf('garbage', hash)).toEqual(['instant', 'slow']);
    expect(await orderOf(hash, 'garbage')).toEqual(['slow', 'instant']);
  });

  it('wait in line, and are refused beyond its end', async () => {
    const [atOnce, waiting, tooMany] = [1, 200, 7];
    const crowded = createPasswordHasher();
    const results = await Promise.allSettled(
      Array.from({ length: atOnce + waiting + tooMany }, () => crowded.verify('garbage', PASSWORD)),
    );
    expect(results.slice(0, atOnce + waiting)).toEqual(
      Array.from({ length: atOnce + waiting }, () => ({ status: 'fulfilled', value: false })),
    );
    const refused = results.slice(atOnce + waiting).map((result) => {
      return result.status === 'rejected' ? (result.reason as unknown) : null;
    });
    expect(refused).toHaveLength(tooMany);
    for (const error of refused) {
      expect(error).toBeInstanceOf(ServiceError);
      expect(error).toMatchObject({
        code: 'too-many-requests',
        status: 429,
        message: 'Too many sign-ins at once. Try again in a moment.',
        headers: { 'Retry-After': '2' },
      });
    }
    // Every place has been given back.
    expect(await crowded.verify(await crowded.hash(PASSWORD), PASSWORD)).toBe(true);
  });

  it('are made by turns with those who sign in, and refused in words of their own', async () => {
    const crowded = createPasswordHasher();
    const hash = await crowded.hash(PASSWORD);
    const order: string[] = [];
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const all = [
      crowded.verify(() => gate.then(() => 'garbage'), PASSWORD),
      ...['a', 'b', 'c'].map(async (name) => {
        await crowded.verify(hash, PASSWORD);
        order.push(name);
      }),
      ...['1', '2'].map(async (name) => {
        await crowded.hash(PASSWORD);
        order.push(name);
      }),
    ];
    await new Promise(setImmediate);
    open();
    await Promise.all(all);
    expect(order).toEqual(['1', 'a', '2', 'b', 'c']);

    const hold = crowded.verify(
      () => new Promise((resolve) => setImmediate(resolve, 'garbage')),
      PASSWORD,
    );
    const waiting = Array.from({ length: 201 }, () => crowded.hash('x'));
    const settled = await Promise.race(
      waiting.map((each) => each.catch((error: unknown) => error)),
    );
    expect(settled).toMatchObject({
      status: 429,
      message: 'Too many passwords are being set at once. Try again in a moment.',
    });
    await Promise.allSettled([hold, ...waiting]);
  });

  it('give their place back when they fail', async () => {
    const fresh = createPasswordHasher();
    const broken = Array.from({ length: 5 }, () => fresh.verify('$argon2id$garbage', PASSWORD));
    await Promise.allSettled(broken);
    expect(await fresh.verify(await fresh.hash(PASSWORD), PASSWORD)).toBe(true);
  });
});
