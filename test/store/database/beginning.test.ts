/** A database that was never used before knows nothing of what was revoked in another one: what was issued before it began is refused. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { openStore, type Store } from '../../../src/store/database/connect.js';
import { createJti } from '../../../src/tokens/jti.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  SECRET,
  START,
  testMongodbUri,
} from '../../support/harness.js';
import { askOnce, basicOf } from '../../support/own-services.js';
import {
  makeFolder,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  startProcess,
} from '../../support/process.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const run = promisify(execFile);
const EVERYTHING = { userId: null, applicationId: null, sessionsOnly: false };

describe('the beginning of a database', () => {
  const stores: Store[] = [];
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
  });
  const open = async (database: string, now = START) => {
    const store = await openStore({ uri: testMongodbUri(), clock: () => now, database });
    stores.push(store);
    return store;
  };
  const everythingUntil = async (store: Store) =>
    (await store.cutoffs.all()).find(
      ({ userId, applicationId, sessionsOnly }) =>
        userId === null && applicationId === null && !sessionsOnly,
    )?.at;

  it('is noted once, with a cut-off that is never before the time by the database', async () => {
    const database = freshDatabase();
    const store = await open(database);
    expect(await store.beginning.isUnused()).toBe(true);
    const before = Date.now() - 1000;
    const { refusesUntil, isNew } = await store.beginning.begin();
    expect(isNew).toBe(true);
    // This clock says it is March.
    expect(refusesUntil?.getTime()).toBeGreaterThan(before);
    expect(await everythingUntil(store)).toEqual(refusesUntil);
    expect(await store.beginning.isUnused()).toBe(false);
    const later = await open(database, Date.now() + 3_600_000);
    expect(await later.beginning.begin()).toEqual({ refusesUntil, isNew: false });
    expect(await later.beginning.begin({ adoptEarlier: true })).toEqual({
      refusesUntil,
      isNew: false,
    });
    expect(await everythingUntil(later)).toEqual(refusesUntil);
  });

  it('is one for all instances that start at the same moment', async () => {
    const database = freshDatabase();
    const many = await Promise.all(
      Array.from({ length: 4 }, (_, i) => open(database, Date.now() + i * 60_000)),
    );
    const begun = await Promise.all(many.map(({ beginning }) => beginning.begin()));
    expect(begun.filter(({ isNew }) => isNew)).toHaveLength(1);
    const times = new Set(begun.map(({ refusesUntil }) => refusesUntil?.getTime()));
    expect([...times]).toEqual([(await everythingUntil(many[0] as Store))?.getTime()]);
  });

  it('is noticed to be gone, and what was lost is refused before anybody starts again', async () => {
    const database = freshDatabase();
    const [store, other] = [await open(database), await open(database)];
    await store.beginning.begin();
    await other.beginning.begin();
    expect(await store.beginning.look()).toBe('same');
    const direct = await mongoose
      .createConnection(testMongodbUri(), { dbName: database })
      .asPromise();
    await direct.dropDatabase();
    // Instances that live go on writing into it: that doesn't make it an old one.
    await direct.collection('tokens').insertOne({ jti: 'adopted', issuer: '' });
    await direct.close();
    const before = Date.now() - 1000;
    expect(await store.beginning.look()).toBe('another');
    expect(await other.beginning.look()).toBe('another');
    const later = await open(database);
    const { refusesUntil } = await later.beginning.begin();
    expect(refusesUntil?.getTime()).toBeGreaterThan(before);
    expect(await everythingUntil(later)).toEqual(refusesUntil);
    expect(await later.beginning.look()).toBe('same');
    expect(await store.beginning.look()).toBe('another');
  });

  it('is noticed to be older than it was, and what was issued until then is refused, once', async () => {
    const database = freshDatabase();
    const [store, other] = [await open(database), await open(database)];
    await store.beginning.begin({ adoptEarlier: true });
    await other.beginning.begin();
    await store.beginning.advance(false);
    await other.beginning.advance(false);
    expect([await store.beginning.look(), await other.beginning.look()]).toEqual(['same', 'same']);
    expect(await everythingUntil(store)).toBeUndefined();
    const direct = await mongoose
      .createConnection(testMongodbUri(), { dbName: database })
      .asPromise();
    // A backup from before either of them.
    const marks = { _id: /^mark:/ } as object;
    expect((await direct.collection('identity').deleteMany(marks)).deletedCount).toBe(2);
    await direct.close();
    // Whoever starts on it and goes on doesn't hide it.
    const late = await open(database);
    await late.beginning.begin();
    await late.beginning.advance(false);
    const before = Date.now() - 1000;
    expect([await store.beginning.look(), await store.beginning.look()]).toEqual(['older', 'same']);
    expect((await everythingUntil(store))?.getTime()).toBeGreaterThan(before);
    expect([await other.beginning.look(), await late.beginning.look()]).toEqual(['older', 'same']);
  });

  it('ends with the cut-off also when the first start ended before it was set', async () => {
    const database = freshDatabase();
    const store = await open(database);
    const { refusesUntil } = await store.beginning.begin();
    const direct = await mongoose
      .createConnection(testMongodbUri(), { dbName: database })
      .asPromise();
    await direct.collection('cutoffs').deleteMany({});
    await direct
      .collection<{ _id: string }>('identity')
      .updateOne({ _id: 'beginning' }, { $set: { isCutOff: false } });
    await store.beginning.begin();
    expect(await everythingUntil(store)).toEqual(refusesUntil);
    // And is left alone once it was set.
    await direct.collection('cutoffs').deleteMany({});
    await direct.close();
    await store.beginning.begin();
    expect(await everythingUntil(store)).toBeUndefined();
  });

  it.each<[string, (store: Store) => Promise<unknown>]>([
    [
      'a cut-off',
      (store) =>
        store.cutoffs.raise({
          ...EVERYTHING,
          userId: 'somebody',
          at: new Date(START),
          by: 'x',
          via: 'x',
          reason: null,
        }),
    ],
    ['an identity', (store) => store.identity.give('an id')],
  ])('was earlier where there is %s already, and refuses nothing', async (_, use) => {
    const store = await open(freshDatabase());
    await use(store);
    expect(await store.beginning.isUnused()).toBe(false);
    expect(await store.beginning.begin()).toEqual({ refusesUntil: null, isNew: true });
    expect(await everythingUntil(store)).toBeUndefined();
  });

  it('is no cut-off where earlier tokens are adopted, nor at a later start', async () => {
    const database = freshDatabase();
    const store = await open(database);
    expect(await store.beginning.begin({ adoptEarlier: true })).toEqual({
      refusesUntil: null,
      isNew: true,
    });
    expect(await (await open(database)).beginning.begin()).toEqual({
      refusesUntil: null,
      isNew: false,
    });
    expect(await everythingUntil(store)).toBeUndefined();
  });
});

describe('a service', () => {
  let folder: string;
  const running = new Set<ServiceProcess>();
  beforeEach(() => {
    folder = makeFolder();
  });
  afterEach(async () => {
    for (const { child, end } of running) if (child.exitCode === null) await end('SIGKILL');
    running.clear();
    removeFolder(folder);
  });

  const dataDir = () => join(folder, 'data');
  async function start(env: Record<string, string> = {}): Promise<ServiceProcess> {
    const service = await startProcess({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET, ...env });
    running.add(service);
    return service;
  }
  const status = async (service: ServiceProcess, method: string, path: string, token: string) =>
    (await askOnce(service, method, path, { authorization: `JWT ${token}` })).status;
  const verify = (service: ServiceProcess, token: string) =>
    status(service, 'GET', '/auth/verify', token);
  const revoke = (service: ServiceProcess, token: string) =>
    status(service, 'DELETE', `/v3/jwt/history/${jtiOf(token)}`, token);
  const command = (name: string, ...args: string[]) =>
    run(process.execPath, [`dist/cli/${name}.js`, ...args], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET },
    });

  it.each(['the folder was deleted', 'another folder was given'])(
    'accepts no revoked token when %s, and says loudly where its new database is',
    async (what) => {
      const first = await start();
      const [good, revoked] = [freshToken(), freshToken()];
      expect([await verify(first, good), await revoke(first, revoked)]).toEqual([204, 200]);
      await first.end('SIGTERM');
      if (what === 'the folder was deleted') removeFolder(dataDir());
      const elsewhere = join(folder, 'mistyped');
      const second = await start(
        what === 'the folder was deleted' ? {} : { DATA_DIR: relative(ROOT, elsewhere) },
      );
      expect([await verify(second, good), await verify(second, revoked)]).toEqual([401, 401]);
      // What is signed from now on works, also by others, who know the time to the second.
      expect(await verify(second, freshToken())).toBe(204);
      const warned = second
        .stdout()
        .split('\n')
        .find((line) => line.includes('a new database begins'));
      expect(warned).toContain('"level":"warn"');
      expect(warned).toContain(what === 'the folder was deleted' ? dataDir() : elsewhere);
      await second.end('SIGTERM');
      // Once: it isn't new any more.
      const third = await start(
        what === 'the folder was deleted' ? {} : { DATA_DIR: relative(ROOT, elsewhere) },
      );
      expect(third.stdout()).not.toContain('a new database');
      expect(await verify(third, revoked)).toBe(401);
      await third.end('SIGTERM');
    },
    180_000,
  );

  it('refuses the tokens of before when an operator accepts what a restore left, and knows the new ones', async () => {
    const first = await start();
    const token = freshToken();
    await revoke(first, token);
    await first.end('SIGTERM');
    removeFolder(join(dataDir(), 'db'));
    const { stderr } = await runToEnd({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET });
    expect(stderr).toContain(dataDir());
    expect(stderr).toContain('npm run database -- accept-restore');
    expect((await command('database', 'accept-restore')).stdout).toContain('is refused');
    const second = await start();
    expect([await verify(second, token), await verify(second, freshToken())]).toEqual([401, 204]);
    const events = await askOnce(second, 'GET', '/admin/events', {
      authorization: administrator(),
    });
    expect(await events.text()).toContain('a restored database');
    await second.end('SIGTERM');

    function administrator() {
      const password = /password: (\S+)/.exec(second.stderr())?.[1] ?? '';
      return basicOf('admin@localhost', password);
    }
  }, 180_000);

  it('keeps the tokens of before when an operator asks for it before the first start, and only then', async () => {
    const earlier = freshToken();
    expect((await command('database', 'adopt-earlier-tokens')).stdout).toContain(dataDir());
    const first = await start();
    expect(await verify(first, earlier)).toBe(204);
    expect(await revoke(first, earlier)).toBe(200);
    await first.end('SIGTERM');
    await expect(command('database', 'adopt-earlier-tokens')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has been used before'),
    });
    const second = await start();
    expect(await verify(second, earlier)).toBe(401);
    await second.end('SIGTERM');
  }, 180_000);

  it.each([
    ['set-admin', 'you@example.com'],
    ['user', 'disable', 'you@example.com'],
    ['database', 'accept-restore'],
  ])('has a command %s that makes nothing in a folder without a database', async (...args) => {
    const [name = '', ...rest] = args;
    await expect(command(name, ...rest)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`There is no database in ${dataDir()}`),
    });
    expect(existsSync(dataDir())).toBe(false);
    expect(readdirSync(folder)).toEqual(['package.json']);
  });

  function freshToken(): string {
    const claims = { jti: createJti(Date.now()), _id: 'holder', iss: 'https://tiledesk.com' };
    return mint({ ...claims, iat: Math.floor(Date.now() / 1000) });
  }
});
