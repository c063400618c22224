/** Signing in over HTTP: what is answered, how often one may guess, and what is remembered of it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import bcrypt from 'bcrypt';
import mongoose from 'mongoose';
import { createPasswordHasher } from '../../src/auth/password-hash.js';
import { createPasswordSignIn } from '../../src/auth/sign-in.js';
import type { User } from '../../src/store/records.js';
import type { UserStore } from '../../src/store/users/users.js';
import {
  freshDatabase,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

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
