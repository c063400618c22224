/** What a caller presents: the `Authorization` grammar, password hashes, and signing in with them over HTTP. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import bcrypt from 'bcrypt';
import * as fc from 'fast-check';
import mongoose from 'mongoose';
import { parseAuthorization, tokenOfParameter } from '../../src/auth/credentials.js';
import { createPasswordHasher } from '../../src/auth/password-hash.js';
import { createPasswordSignIn } from '../../src/auth/sign-in.js';
import { ServiceError } from '../../src/errors.js';
import type { User } from '../../src/store/records.js';
import type { UserStore } from '../../src/store/users/users.js';
import { isCompactJws, MAX_TOKEN_LENGTH } from '../../src/tokens/compact-jws.js';
import {
  freshDatabase,
  mint,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';

const TOKEN = mint({ jti: 'token-1', sub: 'user-1' });
const API_KEY = `0195518e-1a2b-7c3d-8e4f-5a6b7c8d9e0f.${'Ab-_5'.repeat(8)}xyz`;
const MALFORMED = { scheme: 'malformed' };
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const basicOf = (...bytes: number[]) => `Basic ${Buffer.from(bytes).toString('base64')}`;

/** The last of 43 characters has two unused bits. */
function otherSpelling(token: string): string {
  const code = Buffer.from(`AAA${token.slice(-1)}`, 'base64url').readUInt8(2);
  const other = Buffer.from([0, 0, code + 1]).toString('base64url');
  return token.slice(0, -1) + other.slice(-1);
}

describe('Authorization', () => {
  it.each([undefined, ''])('%j is nothing', (header) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'none' });
  });

  const a = 'alice@example.com';
  it.each([
    ['an e-mail and a password', basic(`${a}:secret`), a, 'secret'],
    ['a password with colons', basic(`${a}:se:cr:et:`), a, 'se:cr:et:'],
    ['a password of colons', basic(`${a}:::`), a, '::'],
    ['a password with spaces', basic(`${a}: se cret `), a, ' se cret '],
    // Who signs in with it is refused; it is well-formed all the same.
    ['an empty password', basic(`${a}:`), a, ''],
    ['UTF-8', basic('zoë@example.com:pässwörd€😀'), 'zoë@example.com', 'pässwörd€😀'],
    ['BaSiC', `BaSiC ${basic(`${a}:x`).slice(6)}`, a, 'x'],
    ['basic', `basic ${basic(`${a}:x`).slice(6)}`, a, 'x'],
    ['several spaces', `Basic    ${basic(`${a}:x`).slice(6)}  `, a, 'x'],
    ['base64 without its padding', basic(`${a}:xy`).replace(/=+$/, ''), a, 'xy'],
    ['+ and / in the base64', basic('>>>???:ÿÿ'), '>>>???', 'ÿÿ'],
    ['apikey in capitals, a user like any', basic('APIKEY:x'), 'APIKEY', 'x'],
    ['C1 controls, which RFC 7617 leaves', basic(`${a}:\u0085`), a, '\u0085'],
    ['a user that begins with U+FEFF', basic('\ufeffbob:x'), '\ufeffbob', 'x'],
  ])('Basic takes %s', (_name, header, email, password) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'basic', email, password });
  });

  it.each([
    ['the bare token', TOKEN],
    ['JWT', `JWT ${TOKEN}`],
    ['jwt', `jwt ${TOKEN}`],
    ['JwT', `JwT ${TOKEN}`],
    ['Bearer', `Bearer ${TOKEN}`],
    ['BEARER', `BEARER ${TOKEN}`],
    ['several spaces', `Bearer   ${TOKEN} `],
  ])('takes a token as %s', (_name, header) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'token', token: TOKEN });
  });

  it.each([
    ['the bare key', API_KEY],
    ['Bearer', `Bearer ${API_KEY}`],
    ['Basic apikey:<key>', basic(`apikey:${API_KEY}`)],
  ])('takes an API key as %s', (_name, header) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'api-key', key: API_KEY });
  });

  const alice = basic(`${a}:x`);
  it.each([
    ['Basic without a colon', basic(a)],
    ['Basic without a user', basic(':secret')],
    ['Basic with nothing in it', basic(':')],
    ['Basic with NUL in the user', basic('al\0ice:secret')],
    ['Basic with NUL in the password', basic(`${a}:se\0cret`)],
    ['Basic with NUL behind the password', basic(`${a}:secret\0`)],
    ['Basic with a line end', basic(`${a}:secret\r\nX: y`)],
    ['Basic with a tab', basic(`${a}:se\tcret`)],
    ['Basic with DEL', basic(`${a}:se\u007fcret`)],
    ['Basic with a byte that is no UTF-8', basicOf(0x61, 0x3a, 0xff)],
    ['Basic with overlong UTF-8', basicOf(0x61, 0x3a, 0xc0, 0xaf)],
    ['Basic with a surrogate in UTF-8', basicOf(0x61, 0x3a, 0xed, 0xa0, 0x80)],
    ['Basic with half a character', basicOf(0x61, 0x3a, 0xe2, 0x82)],
    ['Basic in Latin-1', `Basic ${Buffer.from(`${a}:é`, 'latin1').toString('base64')}`],
    ['Basic with base64url', `Basic ${Buffer.from('>>>???:ÿÿ').toString('base64url')}`],
    ['Basic with signs', 'Basic !!!!'],
    ['Basic with a space inside', `Basic ${alice.slice(6, 14)} ${alice.slice(14)}`],
    ['Basic with padding inside', 'Basic YQ==OmI='],
    ['Basic with much padding', `${basic(`${a}:xy`)}==`],
    ['Basic with padding only', 'Basic =='],
    ['Basic with plain text', `Basic ${a}:secret`],
    ['Basic with a token', `Basic ${TOKEN}`],
    ['Basic alone', 'Basic'],
    ['Basic and a space', 'Basic '],
    ['Basic and a tab', `Basic\t${alice.slice(6)}`],
    ['a space before Basic', ` ${alice}`],
    ['a scheme that contains Basic', `NotBasicAtAll ${alice.slice(6)}`],
    ['a scheme that begins with Basic', `Basics ${alice.slice(6)}`],
    ['a scheme that contains Bearer', `XBearer ${TOKEN}`],
    ['Token', `Token ${TOKEN}`],
    ['Digest', 'Digest username="alice"'],
    ['Negotiate', 'Negotiate YQ=='],
    ['Bearer alone', 'Bearer'],
    ['Bearer and a space', 'Bearer '],
    ['Bearer with null', 'Bearer null'],
    ['Bearer with undefined', 'Bearer undefined'],
    ['Bearer twice', `Bearer Bearer ${TOKEN}`],
    ['Bearer with a colon', `Bearer: ${TOKEN}`],
    ['Bearer and a tab', `Bearer\t${TOKEN}`],
    ['Bearer in quotes', `Bearer "${TOKEN}"`],
    ['two parts of a token', TOKEN.slice(0, TOKEN.lastIndexOf('.'))],
    ['a token with padding', `Bearer ${TOKEN}=`],
    ['a token in another spelling of the same bytes', `Bearer ${otherSpelling(TOKEN)}`],
    ['two tokens', `${TOKEN},${TOKEN}`],
    ['two credentials', `Bearer ${TOKEN}, ${alice}`],
    ['two credentials, the other way round', `${alice}, Bearer ${TOKEN}`],
    ['two credentials without a space', `${alice},${alice}`],
    ['two words', `${TOKEN} ${TOKEN}`],
    ['a short API key', API_KEY.slice(0, -1)],
    ['a long API key', `${API_KEY}A`],
    ['an API key and a line end', `${API_KEY}\n`],
    ['apikey with something else', basic('apikey:secret')],
    ['apikey with a token', basic(`apikey:${TOKEN}`)],
    ['apikey with nothing', basic('apikey:')],
    ['a null character', '\0'],
    ['the name of a property', '__proto__'],
    ['the name of a property and more', `constructor ${TOKEN}`],
  ])('refuses %s', (_name, header) => {
    expect(parseAuthorization(header)).toEqual(MALFORMED);
  });

  it('takes the longest token, and refuses what is longer than any credential', () => {
    const longest = `AAAA.AAAA.${'A'.repeat(MAX_TOKEN_LENGTH - 10)}`;
    expect(parseAuthorization(`Bearer ${longest}`)).toEqual({ scheme: 'token', token: longest });
    for (const header of [
      `Bearer ${longest}A`,
      'A'.repeat(16_384),
      `${'A'.repeat(8000)}.`.repeat(2),
      `Bearer ${'A'.repeat(16_384)}`,
      `Bearer${' '.repeat(16_384)}${TOKEN}`,
      ' '.repeat(16_384),
      `Basic ${'A'.repeat(16_384)}`,
      // At the cap, where it is still parsed.
      'A'.repeat(MAX_TOKEN_LENGTH + 16),
      `Basic ${'='.repeat(MAX_TOKEN_LENGTH + 10)}`,
    ]) {
      expect(parseAuthorization(header)).toEqual(MALFORMED);
    }
  });

  it('gives back every e-mail and password without control characters', () => {
    const text = fc
      .oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'grapheme' }),
        fc.string({ unit: fc.constantFrom(...' :@=+/aé😀') }),
      )
      .map((some) => some.replaceAll(/[\u0000-\u001f\u007f]/g, ''));
    const user = text
      .map((some) => some.replaceAll(':', ''))
      .filter((some) => some !== '' && some !== 'apikey');
    fc.assert(
      fc.property(user, text, (email, password) => {
        expect(parseAuthorization(basic(`${email}:${password}`))).toEqual({
          scheme: 'basic',
          email,
          password,
        });
      }),
      { numRuns: 500 },
    );
  });

  it('never throws, and a token is always a compact JWS', () => {
    const seen = new Set<string>();
    const units = fc
      .array(fc.nat({ max: 0xffff }), { maxLength: 40 })
      .map((codes) => String.fromCharCode(...codes));
    const dotted = fc
      .array(
        fc.base64String().map((some) => some.replace(/=+$/, '')),
        { maxLength: 4 },
      )
      .map((parts) => parts.join('.'));
    const value = fc.oneof(
      units,
      fc.string({ unit: 'binary' }),
      fc.base64String(),
      dotted,
      fc.string().map((some) => basic(`u:${some}`).slice(6)),
      fc.constantFrom(TOKEN, API_KEY),
    );
    const scheme = fc.constantFrom(
      '',
      '',
      'Basic ',
      'basic  ',
      'JWT ',
      'Bearer ',
      'bEARER  ',
      'X ',
    );
    fc.assert(
      fc.property(scheme, value, fc.constantFrom('', '', ' ', ',', '=', '\n'), (s, v, end) => {
        const parsed = parseAuthorization(s + v + end);
        seen.add(parsed.scheme);
        if (parsed.scheme === 'token') expect(isCompactJws(parsed.token)).toBe(true);
        if (parsed.scheme === 'basic') {
          expect(parsed.email).toMatch(/^[^:\p{Cs}]+$/u);
          expect(parsed.email + parsed.password).not.toMatch(/[\u0000-\u001f\u007f]/);
        }
      }),
      { numRuns: 2000 },
    );
    expect(seen).toEqual(new Set(['basic', 'token', 'api-key', 'none', 'malformed']));
  });
});

describe('tokenOfParameter', () => {
  it.each([
    [TOKEN, TOKEN],
    [`JWT ${TOKEN}`, TOKEN],
    [`jwt   ${TOKEN} `, TOKEN],
    [`Bearer ${TOKEN}`, TOKEN],
    [`bEaReR ${TOKEN}`, TOKEN],
    // Anything else stays as it is, for the check to refuse.
    ['', ''],
    ['JWT', 'JWT'],
    ['JWT ', ''],
    [`JWT${TOKEN}`, `JWT${TOKEN}`],
    [`JWT\t${TOKEN}`, `JWT\t${TOKEN}`],
    [` JWT ${TOKEN}`, ` JWT ${TOKEN}`],
    [`Basic ${TOKEN}`, `Basic ${TOKEN}`],
    [`JWT Bearer ${TOKEN}`, `Bearer ${TOKEN}`],
    ['undefined', 'undefined'],
  ])('%j → %j', (value, token) => {
    expect(tokenOfParameter(value)).toBe(token);
  });
});

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

describe('signing in', () => {
  const database = freshDatabase();
  const WRONG = 'not the right password';
  const others: TestService[] = [];
  let raw: mongoose.Connection;
  let t: TestService;
  let alice: User;

  beforeAll(async () => {
    raw = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
    t = await startTestService({ SIGN_IN_ATTEMPTS: '1000' }, database);
    alice = await t.createUser('alice@example.com');
  });
  afterAll(async () => {
    await raw.close();
    for (const service of [...others, t]) await service.close();
  });

  const post = (email: string, password: string, at = t) =>
    at.http().post('/auth/signin').send({ email, password });
  const withBasic = (email: string, password: string, at = t) =>
    at
      .http()
      .get('/v3/jwt/history')
      .set('Authorization', basic(`${email}:${password}`));
  const storedHash = async (email: string) =>
    (await t.store.users.findByEmail(email))?.passwordHash;

  /** The same users, and three failures a minute. */
  async function startStrict(): Promise<TestService> {
    const strict = await t.sibling({ SIGN_IN_ATTEMPTS: '3' });
    others.push(strict);
    return strict;
  }

  async function createUserWithHash(email: string, passwordHash: string): Promise<User> {
    return t.store.users.insert({
      email,
      passwordHash,
      firstname: null,
      lastname: null,
      role: null,
    });
  }

  it('leaves a bcrypt hash as it is, which others may read too', async () => {
    const bcrypted = await bcrypt.hash(PASSWORD, 4);
    await createUserWithHash('tiledesk@example.com', bcrypted);
    expect((await post('tiledesk@example.com', WRONG)).status).toBe(401);
    const response = await post(' Tiledesk@Example.COM ', PASSWORD);
    expect(response.status).toBe(200);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.body).toMatchObject({
      success: true,
      token: expect.stringMatching(/^JWT ey/),
      user: { email: 'tiledesk@example.com' },
    });
    expect(response.text).not.toMatch(/password|\$2b|\$argon2/);
    expect(await storedHash('tiledesk@example.com')).toBe(bcrypted);
  });

  it.each([
    ['argon2id', '$2b$', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/],
    ['bcrypt', '$argon2id$', /^\$2a\$10\$/],
  ] as const)('replaces hashes only with PASSWORD_HASH=%s', async (form, before, after) => {
    const email = `re-formed-${form}@example.com`;
    const old =
      before === '$2b$'
        ? await bcrypt.hash(PASSWORD, 4)
        : await createPasswordHasher().hash(PASSWORD);
    await createUserWithHash(email, old);
    const configured = await t.sibling({ PASSWORD_HASH: form });
    others.push(configured);
    expect((await post(email, WRONG, configured)).status).toBe(401);
    expect(await storedHash(email)).toBe(old);
    expect((await post(email, PASSWORD, configured)).status).toBe(200);
    const renewed = await storedHash(email);
    expect(renewed).toMatch(after);

    t.clock.now += 31_000;
    expect((await post(email, PASSWORD, configured)).status).toBe(200);
    expect((await post(email, WRONG, configured)).status).toBe(401);
    expect((await post(email, PASSWORD)).status).toBe(200);
    expect(await storedHash(email)).toBe(renewed);
  });

  it('answers the same to an unknown user, a wrong password and an inactive account', async () => {
    const inactive = [0, 50, 101, -100];
    for (const status of inactive) {
      await t.createUser(`inactive${status}@example.com`);
      await raw
        .collection('users')
        .updateOne({ email: `inactive${status}@example.com` }, { $set: { status } });
    }
    await createUserWithHash('broken@example.com', 'garbage');

    const reference = await post('alice@example.com', WRONG);
    expect(reference.status).toBe(401);
    // Basic isn't read here, so a browser must not ask for it.
    expect(reference.headers['www-authenticate']).toBe('Bearer realm="Users"');
    expect(reference.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(reference.body).toMatchObject({
      code: 'unauthenticated',
      success: false,
      msg: 'Wrong e-mail or password.',
    });
    expect(reference.text).not.toMatch(/alice|inactive|argon2|token|stack/);

    const unauthorized = await withBasic('alice@example.com', WRONG);
    expect(unauthorized.status).toBe(401);
    const headersOf = (response: { headers: Record<string, string> }) =>
      Object.keys(response.headers).toSorted();
    for (const [email, password] of [
      ['nobody@example.com', PASSWORD],
      ['broken@example.com', PASSWORD],
      ...inactive.map((status) => [`inactive${status}@example.com`, PASSWORD] as const),
      ['alice@example.com', `${PASSWORD}\0`],
    ] as const) {
      const response = await post(email, password);
      expect([email, response.status, response.text]).toEqual([email, 401, reference.text]);
      expect(headersOf(response)).toEqual(headersOf(reference));
      if (password.includes('\0')) continue;
      const refused = await withBasic(email, password);
      expect([email, refused.status, refused.text]).toEqual([email, 401, unauthorized.text]);
    }
    expect(t.log()).not.toContain(PASSWORD);
    expect(t.log()).not.toContain(WRONG);
  });

  it('answers the same to a user whose stored hash can’t be read', async () => {
    await createUserWithHash('unreadable@example.com', '$argon2id$garbage');
    const reference = await post('alice@example.com', WRONG);
    const response = await post('unreadable@example.com', PASSWORD);
    expect([response.status, response.text]).toEqual([401, reference.text]);
  });

  it('has no use for an empty password', async () => {
    const response = await withBasic('alice@example.com', '');
    expect([response.status, response.body.code]).toEqual([401, 'unauthenticated']);
  });

  it('stops guessing after SIGN_IN_ATTEMPTS, but not who was just verified', async () => {
    const strict = await startStrict();
    await t.createUser('bob@example.com');
    // Right ones don't count.
    for (let i = 0; i < 5; i += 1) {
      expect((await withBasic('alice@example.com', PASSWORD, strict)).status).toBe(200);
    }
    for (let i = 0; i < 3; i += 1) {
      expect((await post('alice@example.com', `${WRONG} ${i}`, strict)).status).toBe(401);
    }

    for (const refused of [
      await post('alice@example.com', `${WRONG} 3`, strict),
      await withBasic('alice@example.com', `${WRONG} 4`, strict),
      await post('nobody@example.com', WRONG, strict),
      // Right, but not verified before: telling would be telling.
      await post('bob@example.com', PASSWORD, strict),
    ]) {
      expect(refused.status).toBe(429);
      expect(refused.headers['retry-after']).toMatch(/^([1-9]|[1-5]\d|60)$/);
      expect(refused.body).toMatchObject({
        code: 'too-many-requests',
        success: false,
        msg: `Too many failed sign-ins from this address. Try again in ${refused.headers['retry-after']} s.`,
      });
      expect(refused.text).not.toMatch(/alice|bob|token|stack/);
    }

    expect((await withBasic('alice@example.com', PASSWORD, strict)).status).toBe(200);
    expect((await post('alice@example.com', PASSWORD, strict)).status).toBe(200);
  });

  it('counts guesses that come all at once', async () => {
    const strict = await startStrict();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => withBasic('alice@example.com', `${WRONG} ${i}`, strict)),
    );
    const answered = (wanted: number) => answers.filter(({ status }) => status === wanted).length;
    expect({ 401: answered(401), 429: answered(429) }).toEqual({ 401: 3, 429: 5 });
  });

  it('remembers a verified credential for 30 seconds and no longer', async () => {
    await t.createUser('carol@example.com');
    expect((await withBasic('carol@example.com', PASSWORD)).status).toBe(200);
    const before = await t.store.users.findByEmail('carol@example.com');
    const changed = await t.store.users.replacePasswordHash(
      before?.user.id ?? '',
      before?.passwordHash ?? '',
      await t.service.hasher.hash('another password'),
    );
    expect(changed).toBe(true);

    t.clock.now += 29_999;
    expect((await withBasic('carol@example.com', PASSWORD)).status).toBe(200);
    t.clock.now += 1;
    expect((await withBasic('carol@example.com', PASSWORD)).status).toBe(401);
    expect((await withBasic('carol@example.com', 'another password')).status).toBe(200);
  });

  it('remembers just the pair, in whatever case the e-mail was written', async () => {
    const email = 'alice@example.com';
    expect((await withBasic(email, PASSWORD)).status).toBe(200);
    const asked: string[] = [];
    const { signIn } = createPasswordSignIn({
      users: spyingOnFind(t.store.users, async (found) => void asked.push(found)),
      hasher: t.service.hasher,
      clock: () => t.clock.now,
      attemptsPerMinute: 100,
      attemptsPerAccount: 100,
    });
    expect(await signIn(email, PASSWORD, 'here')).toMatchObject({ userId: alice.id });
    expect(await signIn(' ALICE@example.com', PASSWORD, 'there')).toMatchObject({
      userId: alice.id,
    });
    expect(asked).toHaveLength(1);
    expect(await signIn(email, PASSWORD.toUpperCase(), 'here')).toBeNull();
    expect(await signIn('bob@example.com', `${PASSWORD}.`, 'here')).toBeNull();
    expect(asked).toHaveLength(3);
    // Never looked up: no account can have such a password.
    expect(await signIn(email, 'x'.repeat(257), 'here')).toBeNull();
    expect(await signIn(email, `${PASSWORD}\0`, 'here')).toBeNull();
    expect(asked).toHaveLength(3);
  });

  it('forgets at once when told that a password has changed, even in the middle of a sign-in', async () => {
    const email = 'dave@example.com';
    const dave = await t.createUser(email);
    let changeMeanwhile = false;
    // Not in the middle: the sign-in has the hasher's turn then.
    const hashes = [
      await t.service.hasher.hash('another password'),
      await t.service.hasher.hash('another password'),
    ];
    const changePassword = async () => {
      const current = (await t.store.users.findByEmail(email))?.passwordHash ?? '';
      const next = hashes.pop() ?? '';
      expect(await t.store.users.replacePasswordHash(dave.id, current, next)).toBe(true);
    };
    const { signIn, forgetVerified } = createPasswordSignIn({
      users: spyingOnFind(t.store.users, async () => {
        if (!changeMeanwhile) return;
        changeMeanwhile = false;
        await changePassword();
        forgetVerified();
      }),
      hasher: t.service.hasher,
      clock: () => t.clock.now,
      attemptsPerMinute: 100,
      attemptsPerAccount: 100,
    });

    changeMeanwhile = true;
    // It was right when it was looked up …
    expect(await signIn(email, PASSWORD, 'here')).toMatchObject({ userId: dave.id });
    // … but must not be remembered.
    expect(await signIn(email, PASSWORD, 'here')).toBeNull();

    expect(await signIn(email, 'another password', 'here')).toMatchObject({ userId: dave.id });
    await changePassword();
    forgetVerified();
    await t.store.users.replacePasswordHash(
      dave.id,
      (await t.store.users.findByEmail(email))?.passwordHash ?? '',
      await t.service.hasher.hash(PASSWORD),
    );
    expect(await signIn(email, 'another password', 'here')).toBeNull();
    expect(await signIn(email, PASSWORD, 'here')).toMatchObject({ userId: dave.id });
  });

  it('forgets nobody else when one user is to be forgotten, nor a sign-in under way', async () => {
    const [email, other] = ['erin@example.com', 'frank@example.com'];
    const erin = await t.createUser(email);
    const frank = await t.createUser(other);
    let looked = 0;
    let meanwhile = () => {};
    const { signIn, forgetVerified } = createPasswordSignIn({
      users: spyingOnFind(t.store.users, async () => {
        looked += 1;
        meanwhile();
      }),
      hasher: t.service.hasher,
      clock: () => t.clock.now,
      attemptsPerMinute: 100,
      attemptsPerAccount: 100,
    });
    const lookedFor = async (name: string) => {
      const before = looked;
      await signIn(name, PASSWORD, 'here');
      return looked - before;
    };
    meanwhile = () => forgetVerified(frank.id);
    expect([await lookedFor(email), await lookedFor(other)]).toEqual([1, 1]);
    meanwhile = () => {};
    expect([await lookedFor(email), await lookedFor(other)]).toEqual([0, 1]);
    expect(await lookedFor(other)).toBe(0);
    forgetVerified(erin.id);
    expect([await lookedFor(email), await lookedFor(other)]).toEqual([1, 0]);
    forgetVerified();
    expect([await lookedFor(email), await lookedFor(other)]).toEqual([1, 1]);
  });
});

/** The real store, which tells when it has found a user, before it answers. */
function spyingOnFind(users: UserStore, found: (email: string) => Promise<void>): UserStore {
  return {
    ...users,
    async findByEmail(email) {
      const user = await users.findByEmail(email);
      await found(email);
      return user;
    },
  };
}
