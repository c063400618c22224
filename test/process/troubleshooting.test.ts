/** README's table of what goes wrong: each row is brought about here, and what is seen then is what the row says. A row without its test fails. */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { startEngine } from '../../src/store/embedded/engine.js';
import { createJti } from '../../src/tokens/jti.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  SECRET,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';
import {
  engineHostsOf,
  makeFolder,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  startProcess,
  until,
} from '../support/process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const TABLE = /^## Troubleshooting\n+((?:\|.*\n)+)/m;
const rows = (TABLE.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1] ?? '')
  .trim()
  .split('\n')
  .slice(2)
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, see = '', mend = '']) => ({ see, mend }));

let folder: string;
const running = new Set<ServiceProcess>();
const services = new Set<TestService>();
beforeEach(() => {
  folder = makeFolder();
});
afterEach(async () => {
  for (const { child, end } of running) if (child.exitCode === null) await end('SIGKILL');
  running.clear();
  for (const t of services) await t.close();
  services.clear();
  removeFolder(folder);
});

const dataDir = () => join(folder, 'data');
const database = () => join(dataDir(), 'db');
const environment = (env: Record<string, string> = {}) => ({
  DATA_DIR: dataDir(),
  GLOBAL_SECRET: SECRET,
  ADMIN_PASSWORD: PASSWORD,
  ...env,
});

async function start(env: Record<string, string> = {}): Promise<ServiceProcess> {
  const service = await startProcess(environment(env));
  running.add(service);
  return service;
}

async function startHere(env: Record<string, string> = {}): Promise<TestService> {
  const t = await startTestService(env);
  services.add(t);
  return t;
}

/** What a start that must not succeed says. */
async function refusal(env: Record<string, string> = {}): Promise<string> {
  const { code, stderr } = await runToEnd(environment(env));
  expect(code).toBe(1);
  return stderr;
}

async function startAndStop(): Promise<void> {
  expect(await (await start()).end('SIGTERM')).toBe(0);
}

const tokenAt = (ms: number) =>
  mint({
    jti: createJti(ms),
    _id: 'holder',
    iss: 'https://tiledesk.com',
    iat: Math.floor(ms / 1000),
  });
const asBearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

async function revokeSome({ address }: ServiceProcess): Promise<void> {
  const token = tokenAt(Date.now());
  const path = `${address}/v3/jwt/history/${jtiOf(token)}`;
  const { status } = await fetch(path, { method: 'DELETE', ...asBearer(token) });
  expect(status).toBe(200);
}

/** Each brings its row about, and gives what is seen. */
const scenarios: Record<string, () => Promise<string>> = {
  'The configuration has … problem(s)': async () => {
    const said = await refusal({ PORT: 'many', STALE_AFTER: 'soon' });
    expect(said).toMatch(/^ {2}- PORT: .*give a whole number from 0 to 65535\.$/m);
    expect(said).toMatch(/^ {2}- STALE_AFTER: .*; give .*\.$/m);
    return said;
  },

  'The data directory … is already open in another process': async () => {
    await start();
    const said = await refusal();
    expect(said).toContain(dataDir());
    return said;
  },

  "The embedded database engine can't be had here": async () => {
    // As installed, but without that package.
    const copy = join(folder, 'copy');
    cpSync(join(ROOT, 'dist'), join(copy, 'dist'), { recursive: true });
    cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'));
    mkdirSync(join(copy, 'node_modules'));
    for (const name of readdirSync(join(ROOT, 'node_modules')))
      if (name !== '@0q')
        symlinkSync(join(ROOT, 'node_modules', name), join(copy, 'node_modules', name));
    const said = await outputOf(process.execPath, ['dist/main.js'], copy);
    expect(said).toContain('MONGODB_URI');
    return said;
  },

  'The database refuses: …': async () => {
    const name = freshDatabase();
    await inDatabase(name, async (connection) => {
      // A view where a collection is to be.
      await connection.createCollection('other');
      await connection.createCollection('tokens', { viewOn: 'other', pipeline: [] });
    });
    return refusal({ MONGODB_URI: addressOf(name) });
  },

  '… is a standalone server': async () => {
    const env = { MONGODB_URI: addressOf(freshDatabase()), NODE_ENV: 'production' };
    const said = await refusal(env);
    await start({ ...env, ALLOW_STANDALONE: 'true' });
    return said;
  },

  'collection …: …': async () => {
    const name = freshDatabase();
    await inDatabase(name, async (connection) => {
      const twice = { jti: 'x', issuer: 'y' };
      await connection.collection('tokens').insertMany([{ ...twice }, { ...twice }]);
    });
    const said = await refusal({ MONGODB_URI: addressOf(name) });
    expect(said).toMatch(/collection tokens: .* use a database of its own; otherwise delete/);
    return said;
  },

  '… held data before and is empty now, or another one': async () => {
    await startAndStop();
    removeFolder(database());
    const said = await refusal();
    expect(said).toContain('npm run database -- accept-restore');
    return said;
  },

  '… is older than what was acknowledged here': async () => {
    await startAndStop();
    cpSync(database(), join(folder, 'kept'), { recursive: true });
    const service = await start();
    await revokeSome(service);
    await service.end('SIGTERM');
    removeFolder(database());
    cpSync(join(folder, 'kept'), database(), { recursive: true });
    const said = await refusal();
    expect(said).toContain('npm run database -- accept-restore');
    return said;
  },

  "Can't open the database in …: the engine ended with …": async () => {
    const service = await start();
    await revokeSome(service);
    await service.end('SIGTERM');
    for (const name of readdirSync(database()))
      if (name.startsWith('collection-')) truncateSync(join(database(), name), 2048);
    const said = await refusal();
    expect(said).toMatch(/missing, damaged.*backup/);
    return said;
  },

  'only … MB are free there': async () => {
    const starting = startEngine({ dataDir: dataDir(), freeBytes: () => 312 * 1024 * 1024 });
    const said = await starting.then(String, String);
    expect(said).toContain('needs 500 MB');
    return said;
  },

  'the embedded engine was ended, as …': async () => {
    const service = await start();
    rmSync(readlinkSync(join(dataDir(), 'engine.sock')));
    await until('it is back', () => service.stdout().includes('engine is back'));
    return service.stdout();
  },

  'the embedded engine ended with … (in the log)': async () => {
    const service = await start();
    const [host = 0] = engineHostsOf(service.child.pid ?? 0);
    process.kill(host, 'SIGKILL');
    await until('it is back', () => service.stdout().includes('engine is back'));
    return service.stdout();
  },

  'a new database begins … (in the log)': async () => {
    const service = await start();
    const early = tokenAt(Date.now() - 60_000);
    expect((await fetch(`${service.address}/auth/verify`, asBearer(early))).status).toBe(401);
    expect(service.stdout()).toContain(dataDir());
    return service.stdout();
  },

  'There is no database in …': async () => {
    const said = await outputOf(process.execPath, [
      join(ROOT, 'dist/cli/set-admin.js'),
      'you@example.com',
    ]);
    expect(said).toContain(dataDir());
    expect(existsSync(dataDir())).toBe(false);
    return said;
  },

  '401 with a token that should be good': async () => {
    const t = await startHere();
    const token = (claims: object, secret = SECRET) =>
      mint({ _id: 'x', iss: 'https://tiledesk.com', iat: seconds(), ...claims }, {}, secret);
    const seconds = () => Math.floor(t.clock.now / 1000);
    const jti = () => createJti(t.clock.now);
    const revoked = token({ jti: jti() });
    const http = t.http();
    await http.delete(`/v3/jwt/history/${jtiOf(revoked)}`).set('Authorization', revoked);
    const bad = {
      revoked,
      expired: token({ jti: jti(), exp: seconds() - 600 }),
      'has no jti': token({}),
      'another key': token({ jti: jti() }, 'another-secret-of-more-than-32-bytes'),
    };
    expect((await verify(t, token({ jti: jti() }))).status).toBe(204);
    const answers = Object.values(bad).map(async (each) => {
      const { status, headers, text } = await verify(t, each);
      return JSON.stringify([status, headers['www-authenticate'], text]);
    });
    expect(new Set(await Promise.all(answers)).size).toBe(1);
    return `${(await verify(t, revoked)).status} with a token that should be good`;
  },

  '`clock.jumped` in the log': async () => {
    const later = `process.on('SIGUSR2', () => { const { now } = Date; Date.now = () => now() + 8000; });`;
    const service = await start({
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(later)}`,
    });
    service.child.kill('SIGUSR2');
    await until('it is noticed', () => service.stdout().includes('clock.jumped'));
    const readiness = await fetch(`${service.address}/readyz`);
    expect(await readiness.json()).toMatchObject({ status: 'ready', clockJumps: 1 });
    return `${service.stdout().match(/clock\.jumped/)?.[0]} in the log`;
  },

  '503 with `Retry-After`': async () => {
    const t = await startHere({ STALE_AFTER: '30s' });
    t.clock.now += 31_000;
    const { status, headers } = await verify(t, tokenAt(t.clock.now));
    const readiness = await t.http().get('/readyz');
    expect(readiness.status).toBe(503);
    expect(readiness.body).toMatchObject({
      reasons: [expect.stringContaining('revocation list is not loaded, or not up to date')],
    });
    return `${status} with ${Object.keys(headers).find((name) => name === 'retry-after')}`;
  },

  '`/readyz` says `degraded`': async () => {
    const service = await start({ STALE_AFTER: '30s' });
    const [host = 0] = engineHostsOf(service.child.pid ?? 0);
    process.kill(host, 'SIGSTOP');
    let said = '';
    try {
      await until('it is degraded', async () => {
        const answer = await fetch(`${service.address}/readyz`);
        said = `/readyz says ${((await answer.json()) as { status: string }).status}`;
        return answer.status === 200 && said.endsWith('degraded');
      });
      const token = tokenAt(Date.now() + 1000);
      expect((await fetch(`${service.address}/auth/verify`, asBearer(token))).status).toBe(204);
    } finally {
      process.kill(host, 'SIGCONT');
    }
    return said;
  },

  'checks now answer 503, because … (in the log)': async () => {
    const t = await startHere({ STALE_AFTER: '30s' });
    t.clock.now += 31_000;
    await verify(t, tokenAt(t.clock.now));
    expect(t.log()).toMatch(/because what was revoked in the last 31 s is unknown/);
    await t.service.sync.refresh();
    t.service.outages.look();
    expect(t.log()).toMatch(/checks answer again after \d+ s/);
    return t.log();
  },

  '`cutoff.future` in the log': async () => {
    const t = await startHere();
    const { id: userId } = await t.createUser('root@example.com', 'admin');
    await t.store.cutoffs.raise({
      userId,
      applicationId: null,
      sessionsOnly: false,
      at: new Date('2099-01-01'),
      by: 'root',
      reason: null,
      via: 'test',
    });
    await t.service.sync.refresh();
    const line = t
      .log()
      .split('\n')
      .find((each) => each.includes('cutoff.future'));
    t.clock.now += 1;
    expect((await verify(t, await signedIn(t))).status).toBe(401);
    const lowered = await t
      .http()
      .post('/admin/cutoffs/lower')
      .auth('root@example.com', PASSWORD)
      .send({ userId, reason: 'rotated' });
    expect(lowered.status).toBe(200);
    t.clock.now += 1;
    expect((await verify(t, await signedIn(t))).status).toBe(204);
    return `${(JSON.parse(line ?? '{}') as { event?: string }).event} in the log`;
  },

  '429 elsewhere': async () => {
    const t = await startHere({ MINT_RATE: '1' });
    await t.createUser('root@example.com', 'admin');
    const mintOne = () => t.http().get('/v1/token').auth('root@example.com', PASSWORD);
    expect((await mintOne()).status).toBe(200);
    const { status, headers, body } = await mintOne();
    expect(headers['retry-after']).toMatch(/^\d+$/);
    expect(body.msg).toMatch(/try again in \d+ s/);
    return `${status} elsewhere`;
  },

  '429 at sign-in': async () => {
    const t = await startHere({ SIGN_IN_ATTEMPTS: '2', TRUST_PROXY: '1' });
    const attempt = async (address: string) => {
      const body = { email: 'you@example.com', password: 'wrong' };
      return t.http().post('/auth/signin').set('X-Forwarded-For', address).send(body);
    };
    for (let i = 0; i < 2; i += 1) expect((await attempt('192.0.2.1')).status).toBe(401);
    const { status, headers } = await attempt('192.0.2.1');
    expect(headers['retry-after']).toMatch(/^\d+$/);
    // With TRUST_PROXY each client counts for itself.
    expect((await attempt('192.0.2.2')).status).toBe(401);
    expect(t.log()).toContain('signin.limited');
    return `${status} at sign-in`;
  },

  "The administrator's password is lost": async () => {
    const first = await start();
    const before = await signIn(first.address, 'admin@localhost', PASSWORD);
    expect(before.status).toBe(200);
    await first.end('SIGTERM');
    const said = await outputOf(process.execPath, [
      join(ROOT, 'dist/cli/set-admin.js'),
      'admin@localhost',
    ]);
    const password = /is now: (\S+)/.exec(said)?.[1] ?? '';
    const second = await start();
    expect((await signIn(second.address, 'admin@localhost', PASSWORD)).status).toBe(401);
    expect((await signIn(second.address, 'admin@localhost', password)).status).toBe(200);
    const check = await fetch(`${second.address}/auth/verify`, asBearer(before.token));
    expect(check.status).toBe(401);
    return "The administrator's password is lost";
  },

  'Only … files may be open at a time here': () =>
    outputOf('sh', ['-c', `ulimit -n 200; exec ${process.execPath} ${join(ROOT, 'dist/main.js')}`]),

  'JWT History is not built': async () => {
    cpSync(join(ROOT, 'src'), join(folder, 'src'), { recursive: true });
    return outputOf(process.execPath, ['src/build.mjs', '--before-run']);
  },

  '`fatal`, `error`, `warn` in the log': async () => {
    const t = await startHere({ STALE_AFTER: '30s' });
    t.clock.now += 31_000;
    const answers = [];
    for (let i = 0; i < 3; i += 1) answers.push(await verify(t, tokenAt(t.clock.now)));
    await t.service.stop();
    await t.close();
    services.delete(t);
    const lines = t
      .log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ level }) => ['fatal', 'error', 'warn'].includes(String(level)))
      .filter(({ msg }) => msg === 'The revocation list is not up to date.');
    expect(lines[0]).toMatchObject({ requestId: answers[0]?.headers['x-request-id'] });
    expect(lines.at(-1)).toMatchObject({ count: 2 });
    return 'fatal, error, warn in the log';
  },
};

const signedIn = async (t: TestService) =>
  (await t.signIn('root@example.com')).replace(/^JWT /, '');

async function verify(t: TestService, token: string) {
  return t.http().get('/auth/verify').set('Authorization', `Bearer ${token}`);
}

async function signIn(address: string, email: string, password: string) {
  const answer = await fetch(`${address}/auth/signin`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  const { token = '' } = (await answer.json()) as { token?: string };
  return { status: answer.status, token: token.replace(/^JWT /, '') };
}

/** What it prints until it ends. */
function outputOf(command: string, args: string[], cwd = folder): Promise<string> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], PORT: '0', ...environment() };
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('close', () => resolve(output));
  });
}

async function inDatabase(
  name: string,
  work: (connection: mongoose.mongo.Db) => Promise<void>,
): Promise<void> {
  const client = new mongoose.mongo.MongoClient(testMongodbUri());
  try {
    await work(client.db(name));
  } finally {
    await client.close();
  }
}

function addressOf(name: string): string {
  return testMongodbUri().replace('/?', `/${name}?`);
}

/** What the row says is seen: … stands for anything, and what is put in parentheses says where. */
function patternOf(see: string): RegExp {
  const text = see
    .replace(/ \(in the log\)$/, '')
    .replaceAll('`', '')
    .replace(' problem(s)', ' problem')
    .replace(' is empty now, or another one', ' is ');
  const parts = text.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(parts.join('.+'), 'i');
}

describe("README's table of troubles", () => {
  it('is found, and has a test for each row', () => {
    expect(rows.length).toBeGreaterThan(15);
    expect(Object.keys(scenarios).toSorted()).toEqual(rows.map(({ see }) => see).toSorted());
    expect(rows.filter(({ mend }) => mend === '')).toEqual([]);
  });

  it.each(rows)('$see', async ({ see }) => {
    const scenario = scenarios[see];
    if (scenario === undefined) throw new Error('this row has no test: see `scenarios`');
    expect(await scenario()).toMatch(patternOf(see));
  });
});
