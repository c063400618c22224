/** One database for this service and a Tiledesk server: what that one wrote is used as it is, and stays usable for it. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseEnv, promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import bcrypt from 'bcrypt';
import mongoose from 'mongoose';
import { parseConfig } from '../../../src/config/config.js';
import { openStore } from '../../../src/store/database/connect.js';
import type { Run } from '../../../src/store/database/operations.js';
import { StoreRefusedError } from '../../../src/store/database/refusals.js';
import { createUserStore } from '../../../src/store/users/users.js';
import {
  freshDatabase,
  PASSWORD,
  SECRET,
  START,
  startTestService,
  type TestService,
  testMongodbUri,
} from '../../support/harness.js';
import { type Ended, runToEnd, type ServiceProcess, startProcess } from '../../support/process.js';

/** Of PASSWORD, made by bcrypt-nodejs 0.0.3 as Tiledesk's server makes its own. */
const TILEDESK_HASH = '$2a$10$2JHA7LNGR2C8h2w5iWptoediVXNBieJcigUnRwQTEDBhDfBxv1rbW';
const WRONG = 'not the right password';
const TILEDESK_ADMIN = 'admin@tiledesk.com';

interface Shared {
  readonly database: string;
  readonly uri: string;
  readonly raw: mongoose.Connection;
  readonly users: mongoose.Collection;
}

const opened: Shared[] = [];
const services: TestService[] = [];
const processes: ServiceProcess[] = [];
afterEach(async () => {
  for (const service of services.splice(0)) await service.close();
  for (const each of processes.splice(0)) await each.end('SIGKILL');
  for (const { raw } of opened.splice(0)) {
    await raw.dropDatabase();
    await raw.close();
  }
});

/** A database as Tiledesk's server leaves it. */
async function share(): Promise<Shared> {
  const database = freshDatabase();
  const raw = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
  const shared = {
    database,
    uri: testMongodbUri().replace('/?', `/${database}?`),
    raw,
    users: raw.collection('users'),
  };
  opened.push(shared);
  return shared;
}

function tiledeskUser(email: string, more: object = {}) {
  return {
    _id: new mongoose.Types.ObjectId() as unknown,
    email,
    password: TILEDESK_HASH,
    firstname: 'Tile',
    lastname: 'Desk',
    status: 100,
    emailverified: true,
    createdAt: new Date(START),
    updatedAt: new Date(START),
    __v: 0,
    ...more,
  };
}

async function addUsers({ users }: Shared, ...documents: object[]): Promise<void> {
  await users.insertMany(documents);
}

async function startBeside(
  { database }: Shared,
  env: Record<string, string> = {},
): Promise<TestService> {
  const service = await startTestService(env, database);
  services.push(service);
  return service;
}

async function hashOf({ users }: Shared, email: string): Promise<unknown> {
  return (await users.findOne({ email }))?.['password'];
}

const basic = (email: string, password = PASSWORD) =>
  `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;

async function signInStatus(t: TestService, email: string, password = PASSWORD): Promise<number> {
  return (await t.http().post('/auth/signin').send({ email, password })).status;
}

function createUser(t: TestService, admin: string, email: string, password = PASSWORD) {
  return t.http().post('/admin/users').set('Authorization', basic(admin)).send({ email, password });
}

describe('passwords', () => {
  it('stay readable for Tiledesk: at sign-in, of new users, and when they are changed', async () => {
    const shared = await share();
    await addUsers(
      shared,
      tiledeskUser(TILEDESK_ADMIN, { role: 'admin' }),
      tiledeskUser('agent@example.com'),
    );
    const t = await startBeside(shared);

    expect(await signInStatus(t, 'agent@example.com', WRONG)).toBe(401);
    expect(await signInStatus(t, 'agent@example.com')).toBe(200);
    expect(await hashOf(shared, 'agent@example.com')).toBe(TILEDESK_HASH);

    const created = await createUser(t, TILEDESK_ADMIN, 'new@example.com');
    expect(created.status).toBe(201);
    // `$2b$` is refused by its bcrypt-nodejs.
    expect(await hashOf(shared, 'new@example.com')).toMatch(/^\$2a\$10\$/);
    expect(await signInStatus(t, 'new@example.com')).toBe(200);

    const changed = await t
      .http()
      .post(`/admin/users/${(created.body as { _id: string })._id}/password`)
      .set('Authorization', basic(TILEDESK_ADMIN))
      .send({ password: 'another password' });
    expect(changed.status).toBe(204);
    expect(await hashOf(shared, 'new@example.com')).toMatch(/^\$2a\$10\$/);
    expect(await signInStatus(t, 'new@example.com', 'another password')).toBe(200);
    expect(await signInStatus(t, 'new@example.com')).toBe(401);
  });

  it('are argon2id where nobody has bcrypt', async () => {
    const shared = await share();
    const t = await startBeside(shared);
    await t.createUser('root@example.com', 'admin');
    expect((await createUser(t, 'root@example.com', 'new@example.com')).status).toBe(201);
    expect(await hashOf(shared, 'new@example.com')).toMatch(/^\$argon2id\$/);
  });

  it('of a Tiledesk among many argon2id ones are found, wherever they are', async () => {
    const shared = await share();
    const many = (name: string) =>
      Array.from({ length: 150 }, (_, i) =>
        tiledeskUser(`${name}${i}@example.com`, { password: '$argon2id$v=19$m=19456,t=2,p=1$a$b' }),
      );
    await addUsers(shared, ...many('old'), tiledeskUser('agent@example.com'), ...many('young'));
    const t = await startBeside(shared);
    expect(await t.store.users.bcryptCost()).toBe(10);
    t.clock.now += 120_000;
    expect(await t.store.users.bcryptCost()).toBe(10);
  });

  it('that bcrypt would cut are refused, and the field is named', async () => {
    const shared = await share();
    await addUsers(shared, tiledeskUser(TILEDESK_ADMIN, { role: 'admin' }));
    const t = await startBeside(shared);
    for (const password of ['x'.repeat(73), `${'é'.repeat(36)}x`]) {
      const refused = await createUser(t, TILEDESK_ADMIN, 'long@example.com', password);
      expect(refused.status).toBe(400);
      expect(refused.body).toMatchObject({
        code: 'invalid-input',
        errors: [
          { field: 'password', message: expect.stringMatching(/^must have at most 72 bytes/) },
        ],
      });
      expect(refused.text).not.toContain('xxx');
    }
    expect(await shared.users.countDocuments({ email: 'long@example.com' })).toBe(0);
    const fits = await createUser(t, TILEDESK_ADMIN, 'long@example.com', 'é'.repeat(36));
    expect(fits.status).toBe(201);
    expect(await signInStatus(t, 'long@example.com', 'é'.repeat(36))).toBe(200);
  });

  it('are set however many sign-ins wait in line', async () => {
    const shared = await share();
    const t = await startBeside(shared);
    const root = await t.createUser('root@example.com', 'admin');
    const list = () => t.http().get('/admin/users').set('Authorization', basic('root@example.com'));
    expect((await list()).status).toBe(200);

    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const { verify } = t.service.hasher;
    const first = verify(() => gate.then(() => 'garbage'), WRONG);
    const crowd = Array.from({ length: 250 }, () => verify('garbage', WRONG));
    const settled = Promise.allSettled(crowd);
    const setting = Promise.all([
      createUser(t, 'root@example.com', 'second@example.com'),
      t
        .http()
        .post(`/admin/users/${root.id}/password`)
        .set('Authorization', basic('root@example.com'))
        .send({ password: PASSWORD }),
    ]);
    // By the time that these are answered, those two wait for their turn.
    for (let i = 0; i < 3; i += 1) expect((await list()).status).toBe(200);
    open();
    await first;
    const statuses = (await setting).map(({ status }) => status);
    expect(statuses).toEqual([201, 204]);
    // The line was full.
    expect((await settled).filter(({ status }) => status === 'rejected')).toHaveLength(50);
  });
});

describe('e-mails', () => {
  it('without a unique index: the first active user signs in, and nobody new gets the e-mail', async () => {
    const shared = await share();
    await shared.users.createIndex({ email: 1 });
    const [inactive, first, second] = [
      tiledeskUser('twin@example.com', { status: 50 }),
      tiledeskUser('twin@example.com'),
      tiledeskUser('twin@example.com', { password: await bcrypt.hash('of the second', 4) }),
    ];
    await addUsers(
      shared,
      tiledeskUser(TILEDESK_ADMIN, { role: 'admin' }),
      inactive,
      first,
      second,
      tiledeskUser('Capital@Example.com'),
      tiledeskUser('capital@example.com'),
    );
    const t = await startBeside(shared);

    for (let i = 0; i < 3; i += 1) {
      const found = await t.store.users.findByEmail('twin@example.com');
      expect(found?.user.id).toBe(String(first?._id));
    }
    expect(await signInStatus(t, 'twin@example.com')).toBe(200);
    expect(await signInStatus(t, 'twin@example.com', 'of the second')).toBe(401);
    expect(await signInStatus(t, 'CAPITAL@example.com')).toBe(200);

    const taken = await createUser(t, TILEDESK_ADMIN, 'twin@example.com');
    expect([taken.status, taken.body]).toMatchObject([
      409,
      { errors: [{ field: 'email', message: 'is taken by another user.' }] },
    ]);
    expect(await shared.users.countDocuments({ email: 'twin@example.com' })).toBe(3);
    // Of many at once at most one stays.
    const rush = await Promise.all(
      Array.from({ length: 6 }, () => createUser(t, TILEDESK_ADMIN, 'rush@example.com')),
    );
    const statuses = rush.map(({ status }) => status);
    expect(statuses.every((status) => status === 201 || status === 409)).toBe(true);
    const made = statuses.filter((status) => status === 201).length;
    expect(made).toBeLessThanOrEqual(1);
    expect(await shared.users.countDocuments({ email: 'rush@example.com' })).toBe(made);
    // The lists need no other index.
    const listed = await t
      .http()
      .get('/admin/users?search=twin')
      .set('Authorization', basic(TILEDESK_ADMIN));
    expect([listed.status, listed.body.count]).toEqual([200, 3]);
    expect(await t.store.users.idsByText('twin', 10)).toHaveLength(3);
  });

  it.each([
    ['plain', { email: 1 }, {}, false],
    ['unique', { email: 1 }, { unique: true }, true],
    ['unique, of another name', { email: 1 }, { unique: true, name: 'by_email' }, true],
    ['plain, of another name', { email: 1 }, { name: 'by_email' }, false],
    ['sparse', { email: 1 }, { sparse: true }, false],
    ['partial', { email: 1 }, { partialFilterExpression: { status: 100 } }, true],
    ['collated', { email: 1 }, { collation: { locale: 'en', strength: 2 } }, true],
    ['descending', { email: -1 }, {}, true],
    ['on something else under our name', { authUrl: 1 }, { name: 'email_1' }, true],
  ] as const)('start with an index that is %s', async (_what, key, options, isUnique) => {
    const shared = await share();
    await shared.users.createIndex(key, options);
    await addUsers(shared, tiledeskUser(TILEDESK_ADMIN, { role: 'admin' }));
    const before = await shared.users.listIndexes().toArray();
    const reports: string[] = [];
    const store = await openStore({
      uri: shared.uri,
      clock: () => START,
      report: (level, message) => reports.push(`${level} ${message}`),
    });
    try {
      expect((await store.users.findByEmail(TILEDESK_ADMIN))?.user.role).toBe('admin');
      expect(await store.users.list({ skip: 0, limit: 10 })).toMatchObject({ count: 1 });
      const again = tiledeskUser(TILEDESK_ADMIN);
      const twice = shared.users.insertOne(again as { _id: mongoose.Types.ObjectId });
      if (isUnique) await expect(twice).rejects.toMatchObject({ code: 11_000 });
      else expect((await twice).acknowledged).toBe(true);
    } finally {
      await store.close();
    }
    const warning =
      /^warn collection users: the index \w+ on email is not unique\..*db\.users\.dropIndex\('\w+'\)/;
    expect(reports).toEqual(isUnique ? [] : [expect.stringMatching(warning)]);
    // The other service's stay as they are.
    expect(await shared.users.listIndexes().toArray()).toEqual(expect.arrayContaining(before));
  });

  it('start with duplicates and no index, and the log says so once', async () => {
    const shared = await share();
    await addUsers(
      shared,
      tiledeskUser(TILEDESK_ADMIN, { role: 'admin' }),
      tiledeskUser('twin@example.com'),
      tiledeskUser('twin@example.com'),
    );
    const service = await startProcess({ MONGODB_URI: shared.uri, GLOBAL_SECRET: SECRET });
    processes.push(service);
    const answer = await fetch(`${service.address}/v3/jwt/history`, {
      headers: { authorization: basic('twin@example.com') },
    });
    expect(answer.status).toBe(200);
    expect(await service.end('SIGTERM')).toBe(0);
    const warnings = service
      .stdout()
      .split('\n')
      .filter((line) => line.includes('several users have the same e-mail'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('"level":"warn"');
    expect(service.stdout()).not.toContain('does not answer');
    expect(service.stdout()).not.toContain('twin@example.com');
  });

  it('are not blamed for another unique index of Tiledesk', async () => {
    const shared = await share();
    await shared.users.createIndex({ phone: 1 }, { unique: true });
    await addUsers(shared, tiledeskUser(TILEDESK_ADMIN, { role: 'admin' }));
    const t = await startBeside(shared);
    const refused = await createUser(t, TILEDESK_ADMIN, 'second@example.com');
    expect(refused.status).toBe(409);
    expect(refused.body.msg).toMatch(/^collection users: another service's unique index on phone/);
    expect(refused.text).not.toMatch(/email: is taken|E11000|dup key/);
  });

  it('may take an hour to be indexed', async () => {
    const shared = await share();
    const limits: (number | undefined)[] = [];
    const run: Run = async (operation, limitMs) => {
      limits.push(limitMs);
      return operation();
    };
    const store = createUserStore({
      connection: shared.raw,
      writeConcern: { w: 1, j: true },
      clock: () => START,
      run,
      report: () => undefined,
    });
    await store.createIndexes();
    expect(limits).toContain(3_600_000);
    expect((await shared.users.listIndexes().toArray()).map(({ name }) => name)).toContain(
      'email_1',
    );
  });
});

describe('ids', () => {
  const OBJECT_ID = '65f0c0ffee65f0c0ffee65f0';
  const UUID = '0b5f9a3e-1111-4222-8333-aabbccddeeff';
  let shared: Shared;
  let t: TestService;

  beforeAll(async () => {
    shared = await share();
    opened.pop();
    await addUsers(
      shared,
      tiledeskUser('root@example.com', {
        _id: new mongoose.Types.ObjectId(OBJECT_ID),
        role: 'admin',
      }),
      tiledeskUser('text@example.com', { _id: 'agent-7' }),
      tiledeskUser('upper@example.com', { _id: UUID.toUpperCase() }),
      tiledeskUser('binary@example.com', {
        _id: new mongoose.mongo.UUID('1b5f9a3e-1111-4222-8333-aabbccddeeff'),
      }),
      // The text of the administrator's id, and one that would be a guest's.
      tiledeskUser('twin@example.com', { _id: OBJECT_ID }),
      tiledeskUser('guest@example.com', { _id: 'guest:42', role: 'admin' }),
      tiledeskUser('number@example.com', { _id: 42, role: 'admin' }),
    );
    t = await startTestService({ SIGN_IN_ATTEMPTS: '1000' }, shared.database);
  });
  afterAll(async () => {
    await t.close();
    await shared.raw.dropDatabase();
    await shared.raw.close();
  });

  it.each([
    ['text@example.com', 'agent-7'],
    ['upper@example.com', UUID],
    ['binary@example.com', '1b5f9a3e-1111-4222-8333-aabbccddeeff'],
  ])('of %s: signs in, is found, and its password can be changed', async (email, id) => {
    const answer = await t.http().post('/auth/signin').send({ email, password: PASSWORD });
    expect([answer.status, answer.body.user?._id]).toEqual([200, id]);
    expect(await t.store.users.findById(id)).toMatchObject({ id, email });
    expect(await t.store.users.findByIds([id, id])).toMatchObject([{ id, email }]);
    if (id.length === 36) {
      expect(await t.store.users.findById(id.toUpperCase())).toMatchObject({ id, email });
    }
    const list = await t
      .http()
      .get('/v3/jwt/history')
      .set('Authorization', answer.body.token as string);
    expect([list.status, list.body.count]).toEqual([200, 1]);
    const changed = await t
      .http()
      .post(`/admin/users/${id}/password`)
      .set('Authorization', basic('root@example.com'))
      .send({ password: PASSWORD });
    expect(changed.status).toBe(204);
    expect(await hashOf(shared, email)).not.toBe(TILEDESK_HASH);
    expect(await signInStatus(t, email)).toBe(200);
  });

  it.each(['twin@example.com', 'guest@example.com', 'number@example.com'])(
    '%s, whose id could be taken for somebody else’s, is refused',
    async (email) => {
      const answer = await t.http().post('/auth/signin').send({ email, password: PASSWORD });
      expect(answer.status).toBe(401);
      const unknown = await t
        .http()
        .post('/auth/signin')
        .send({ email: 'nobody@example.com', password: PASSWORD });
      expect(answer.text).toBe(unknown.text);
    },
  );

  it('mean the ObjectId first, and never another name space', async () => {
    expect(await t.store.users.findById(OBJECT_ID)).toMatchObject({ email: 'root@example.com' });
    expect(await t.store.users.findByIds([OBJECT_ID.toUpperCase()])).toMatchObject([
      { email: 'root@example.com' },
    ]);
    for (const id of ['guest:42', '42', '', 'x'.repeat(200), '$where', '{}']) {
      expect([id, await t.store.users.findById(id)]).toEqual([id, null]);
      expect([id, await t.store.users.setPassword(id, 'hash')]).toEqual([id, null]);
    }
    const everyone = await t
      .http()
      .get('/admin/users')
      .set('Authorization', basic('root@example.com'));
    expect([everyone.status, everyone.body.users.length]).toEqual([200, 7]);
  });
});

describe('the first administrator', () => {
  const start = async ({ uri }: Shared, env: Record<string, string>) => {
    const service = await startProcess({ MONGODB_URI: uri, GLOBAL_SECRET: SECRET, ...env });
    processes.push(service);
    return service;
  };
  const users = async (shared: Shared) => {
    await addUsers(shared, tiledeskUser(TILEDESK_ADMIN), tiledeskUser('agent@example.com'));
    return shared;
  };

  it('is Tiledesk’s, when ADMIN_PASSWORD is theirs, and keeps the hash', async () => {
    const shared = await users(await share());
    const service = await start(shared, {
      ADMIN_EMAIL: TILEDESK_ADMIN,
      ADMIN_PASSWORD: PASSWORD,
      LOG_LEVEL: 'verbose',
    });
    const answer = await fetch(`${service.address}/admin/users`, {
      headers: { authorization: basic(TILEDESK_ADMIN) },
    });
    expect(answer.status).toBe(200);
    expect(await hashOf(shared, TILEDESK_ADMIN)).toBe(TILEDESK_HASH);
    expect(await shared.users.countDocuments({ email: TILEDESK_ADMIN })).toBe(1);
    expect(service.stderr()).toContain('The first administrator is a user who was there before');
    expect(service.stderr()).not.toContain(PASSWORD);
  });

  it.each([
    ['another password', { ADMIN_PASSWORD: 'of somebody who knows it not' }],
    ['none', {}],
  ])('is nobody who only has the e-mail: with %s the start fails at once', async (_what, env) => {
    const shared = await users(await share());
    const { stderr, code } = await refusedStart(shared, { ADMIN_EMAIL: TILEDESK_ADMIN, ...env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/ADMIN_EMAIL \(admin@tiledesk\.com\) belongs to a user .*set-admin/);
    expect(stderr).toMatch(/collection users .* role/);
    expect(await shared.users.countDocuments({ role: 'admin' })).toBe(0);
    expect(await shared.users.countDocuments({})).toBe(2);
  });

  it('who is new gets a hash that Tiledesk can read', async () => {
    const shared = await users(await share());
    await start(shared, { ADMIN_EMAIL: 'root@example.com', ADMIN_PASSWORD: PASSWORD });
    expect(await hashOf(shared, 'root@example.com')).toMatch(/^\$2a\$10\$/);
  });

  it('from the command line has a hash that Tiledesk can read', async () => {
    const shared = await users(await share());
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['dist/cli/set-admin.js', TILEDESK_ADMIN],
      {
        cwd: fileURLToPath(new URL('../../..', import.meta.url)),
        env: { PATH: process.env['PATH'], MONGODB_URI: shared.uri, GLOBAL_SECRET: SECRET },
      },
    );
    const password = /is now: (\S+)/.exec(stdout)?.[1] ?? '';
    const hash = await hashOf(shared, TILEDESK_ADMIN);
    expect(hash).toMatch(/^\$2a\$10\$/);
    expect(await bcrypt.compare(password, String(hash))).toBe(true);
    expect(await shared.users.countDocuments({ role: 'admin' })).toBe(1);
    expect(await shared.users.countDocuments({})).toBe(2);
  });

  it('can’t have a password that bcrypt would cut', async () => {
    const shared = await users(await share());
    const { stderr, code } = await refusedStart(shared, {
      ADMIN_EMAIL: 'root@example.com',
      ADMIN_PASSWORD: 'x'.repeat(73),
    });
    expect(code).toBe(1);
    expect(stderr).toContain('ADMIN_PASSWORD: must have at most 72 bytes');
    expect(stderr).not.toContain('xxx');
  });
});

async function refusedStart({ uri }: Shared, env: Record<string, string> = {}): Promise<Ended> {
  const ended = await runToEnd({ MONGODB_URI: uri, GLOBAL_SECRET: SECRET, ...env });
  // Waiting for what doesn't pass by itself would be half a minute of this.
  expect(ended.stdout).not.toContain('does not answer yet');
  return ended;
}

describe('what can’t be shared is named at once', () => {
  it('an index of ours that is there in another form', async () => {
    const shared = await share();
    await shared.raw.collection('tokens').createIndex({ jti: 1, issuer: 1 });
    const { stderr, code } = await refusedStart(shared);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /collection tokens: the index jti_1_issuer_1 is on \{ jti: 1, issuer: 1 \}.*db\.tokens\.dropIndex\('jti_1_issuer_1'\)/,
    );
  });

  it('a TTL index of another age', async () => {
    const shared = await share();
    await shared.raw.collection('audit').createIndex({ purgeAt: 1 }, { expireAfterSeconds: 60 });
    await expect(openStore({ uri: shared.uri, clock: () => START })).rejects.toThrow(
      /collection audit: the index purgeAt_1 .*"expireAfterSeconds":0/,
    );
  });

  it('another application’s tokens', async () => {
    const shared = await share();
    await shared.raw.collection('tokens').insertMany([{ value: 'a' }, { value: 'b' }]);
    const { stderr } = await refusedStart(shared);
    expect(stderr).toMatch(
      /collection tokens: several documents have the same \{ jti: 1, issuer: 1 \}.*database of its own/,
    );
  });

  it.each(['tokens', 'users', 'cutoffs', 'audit', 'activity'])(
    'a view in the place of %s',
    async (name) => {
      const shared = await share();
      await shared.raw.createCollection('source');
      await shared.raw.createCollection(name, { viewOn: 'source', pipeline: [] });
      const failure = openStore({ uri: shared.uri, clock: () => START });
      await expect(failure).rejects.toBeInstanceOf(StoreRefusedError);
      await expect(failure).rejects.toThrow(new RegExp(`^collection ${name}: .*view`));
    },
  );

  it('but an index name that is taken is no obstacle', async () => {
    const shared = await share();
    await shared.raw.collection('tokens').createIndex({ other: 1 }, { name: 'jti_1_issuer_1' });
    const store = await openStore({ uri: shared.uri, clock: () => START });
    await store.close();
    const indexes = await shared.raw.collection('tokens').listIndexes().toArray();
    expect(indexes).toContainEqual(
      expect.objectContaining({ name: 'jwt-history_jti_1_issuer_1', unique: true }),
    );
  });
});

describe('docs/beside-tiledesk.md', () => {
  const text = readFileSync(new URL('../../../docs/beside-tiledesk.md', import.meta.url), 'utf8');
  const shown = /```ini\n(.*?)```/s.exec(text)?.[1] ?? '';

  it('shows an .env that serves both', () => {
    const env = parseEnv(shown.replace(/^GLOBAL_SECRET=.*$/m, `GLOBAL_SECRET=${SECRET}`));
    expect(parseConfig(env as Record<string, string>)).toMatchObject({
      mongodbUri: 'mongodb://localhost:27017/tiledesk',
      adminEmail: TILEDESK_ADMIN,
      passwordHash: 'bcrypt',
      logLevel: 'debug',
    });
    // As Tiledesk's server reads them.
    for (const name of [
      'MONGODB_URI',
      'GLOBAL_SECRET',
      'ADMIN_EMAIL',
      'ADMIN_PASSWORD',
      'LOG_LEVEL',
    ]) {
      expect(Object.keys(env)).toContain(name);
    }
    expect(Object.keys(env)).not.toContain('PORT');
  });
});
