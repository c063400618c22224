/** The process: what it prints, how it stops, and what survives `kill -9` of the service and of its engine. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createJti } from '../../src/tokens/jti.js';
import { mint, SECRET } from '../support/harness.js';
import {
  engineHostsOf,
  isAlive,
  makeFolder,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  startProcess,
  until,
} from '../support/process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PASSWORD = 'the administrator of this test';
const run = promisify(execFile);

let folder: string;
const running = new Set<ServiceProcess>();
beforeEach(() => {
  folder = makeFolder();
});
afterEach(async () => {
  for (const service of running) if (service.child.exitCode === null) await service.end('SIGKILL');
  running.clear();
  removeFolder(folder);
});

const dataDir = () => join(folder, 'data');
async function start(env: Record<string, string> = {}): Promise<ServiceProcess> {
  const service = await startProcess({
    DATA_DIR: dataDir(),
    GLOBAL_SECRET: SECRET,
    ADMIN_PASSWORD: PASSWORD,
    ...env,
  });
  running.add(service);
  return service;
}

const basic = `Basic ${Buffer.from(`admin@localhost:${PASSWORD}`).toString('base64')}`;
const call = (service: ServiceProcess, method: string, path: string, authorization: string) =>
  fetch(`${service.address}${path}`, { method, headers: { authorization } });
const freshToken = (userId: string) =>
  mint({
    jti: createJti(Date.now()),
    _id: userId,
    iss: 'https://tiledesk.com',
    iat: Math.floor(Date.now() / 1000),
  });
const jti = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string })
    .jti;

describe('starting', () => {
  it('reads the headers past the hundredth, or says that it does not', async () => {
    const service = await start();
    const filler = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, '1']));
    const ask = (count: number, path: string) =>
      fetch(`${service.address}${path}`, { headers: { ...filler(count), authorization: basic } });
    expect((await ask(80, '/v3/jwt/history')).status).toBe(200);
    for (const path of ['/v3/jwt/history', '/auth/verify'])
      expect((await ask(150, path)).status).toBe(431);
  });

  it('prints the first administrator once, with a curl line that works as pasted', async () => {
    const env = { DATA_DIR: dataDir() };
    const first = await startProcess(env);
    running.add(first);
    const password = /password: (\S+)/.exec(first.stderr())?.[1] ?? '';
    expect(password).toMatch(/^[\w-]{20}$/);
    const curl = /^ +(curl .*)$/m.exec(first.stderr())?.[1] ?? '';
    const { stdout } = await run('sh', ['-c', curl]);
    expect(JSON.parse(stdout)).toMatchObject({
      success: true,
      user: { email: 'admin@localhost', role: 'admin' },
    });
    expect(statSync(join(dataDir(), 'signing-secret')).mode & 0o777).toBe(0o600);
    expect(statSync(dataDir()).mode & 0o777).toBe(0o700);
    const secret = readFileSync(join(dataDir(), 'signing-secret'), 'utf8').trim();
    const token = (JSON.parse(stdout) as { token: string }).token;
    expect(await first.end('SIGTERM')).toBe(0);
    expect(first.stdout()).not.toContain(password);

    const second = await startProcess(env);
    running.add(second);
    expect(second.stderr().trim().split('\n')).toEqual([
      expect.stringMatching(/^JWT History is ready at http:\/\/\S+ \(embedded engine in .*\)\.$/),
    ]);
    // What it says of its start; nothing that would need a look.
    expect(second.stdout().match(/"level":"\w+"/g)).toEqual(['"level":"info"', '"level":"info"']);
    expect((await call(second, 'GET', '/v3/jwt/history', token)).status).toBe(200);
    expect(readFileSync(join(dataDir(), 'signing-secret'), 'utf8').trim()).toBe(secret);
    expect(await second.end('SIGTERM')).toBe(0);
    expect(second.stderr() + second.stdout()).not.toContain(secret);
  });

  it('reports every problem of the configuration at once, with exit code 1 and without secrets', async () => {
    const { code, stderr, stdout } = await runToEnd({
      DATA_DIR: dataDir(),
      PORT: 'many',
      GLOBAL_SECRET: 'canary-short',
      LOG_LEVEL: 'loud',
      ADMIN_PASSWORD: 'canary',
    });
    expect(code).toBe(1);
    for (const name of ['PORT', 'GLOBAL_SECRET', 'LOG_LEVEL', 'ADMIN_PASSWORD'])
      expect(stderr).toContain(`- ${name}`);
    expect(stderr + stdout).not.toMatch(/canary|at .*\.ts/);
    expect(existsSync(dataDir())).toBe(false);
  });

  it('warns at each start about a weak secret that was allowed', async () => {
    const service = await start({ GLOBAL_SECRET: 'nodeauthsecret', ALLOW_WEAK_SECRET: 'true' });
    expect(service.stdout()).toContain('"level":"warn"');
    expect(service.stdout()).toContain('well-known');
    expect(service.stdout()).not.toContain('nodeauthsecret');
    await service.end('SIGTERM');
  });

  it('says so when another service has the data folder, and leaves that one alone', async () => {
    const first = await start();
    const { code, stderr } = await runToEnd({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET });
    expect(code).toBe(1);
    expect(stderr).toContain(dataDir());
    expect(stderr).toContain('DATA_DIR');
    expect((await call(first, 'GET', '/v3/jwt/history', basic)).status).toBe(200);
    await first.end('SIGTERM');
  });

  it('says so when the port is taken', async () => {
    const first = await start();
    const { code, stderr } = await runToEnd({
      DATA_DIR: join(folder, 'other'),
      PORT: new URL(first.address).port,
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Port \d+ is in use/);
    await first.end('SIGTERM');
  });

  it('refuses an emptied database rather than accept every revoked token again', async () => {
    const first = await start();
    await first.end('SIGTERM');
    removeFolder(join(dataDir(), 'db'));
    const { code, stderr } = await runToEnd({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET });
    expect(code).toBe(1);
    expect(stderr).toContain('Restore');
  });

  it('keeps a signing secret only if it is whole', async () => {
    const first = await startProcess({ DATA_DIR: dataDir() });
    running.add(first);
    await first.end('SIGTERM');
    writeFileSync(join(dataDir(), 'signing-secret'), 'short\n');
    const { code, stderr } = await runToEnd({ DATA_DIR: dataDir() });
    expect(code).toBe(1);
    expect(stderr).toContain('signing-secret');
  });
});

describe('stopping', () => {
  it('finishes what is in flight, exits with 0, and leaves no process or socket', async () => {
    const service = await start();
    const [host] = engineHostsOf(service.child.pid ?? 0);
    const socket = readlinkSync(join(dataDir(), 'engine.sock'));
    expect(existsSync(socket)).toBe(true);
    const inFlight = Promise.all(
      Array.from({ length: 20 }, () =>
        call(service, 'GET', '/v3/jwt/history', basic).then((r) => r.status),
      ),
    );
    await until('a request arrived', () => service.stdout().includes('"status"'));
    const code = service.end('SIGTERM');
    expect(new Set(await inFlight)).toEqual(new Set([200]));
    expect(await code).toBe(0);
    expect(isAlive(host ?? 0)).toBe(false);
    expect(existsSync(socket)).toBe(false);
    expect(readdirSync(dataDir())).not.toContain('engine.sock');
    await expect(call(service, 'GET', '/healthz', basic)).rejects.toThrow();
  });
});

describe('kill -9', () => {
  it('of the service, right after a revoke was answered: the token stays refused, 20 times', async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      const service = await start();
      const before = acknowledged.length;
      let killed = false;
      const client = async () => {
        while (!killed) {
          const token = freshToken('client');
          try {
            const revoked = await call(service, 'DELETE', `/v3/jwt/history/${jti(token)}`, token);
            await revoked.arrayBuffer();
            if (revoked.status === 200) acknowledged.push(token);
          } catch {
            return;
          }
        }
      };
      const clients = Promise.all(Array.from({ length: 8 }, client));
      await until('revokes were answered', () => acknowledged.length >= before + 8 + round);
      service.child.kill('SIGKILL');
      killed = true;
      await Promise.all([clients, service.end('SIGKILL')]);
    }
    const service = await start();
    const accepted = [];
    for (const token of acknowledged) {
      if ((await call(service, 'GET', '/v3/jwt/history', token)).status !== 401)
        accepted.push(jti(token));
    }
    expect(accepted).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(300);
    expect((await call(service, 'GET', '/v3/jwt/history', freshToken('client'))).status).toBe(200);
    await service.end('SIGTERM');
  });

  it('of the engine under load, 20 times: checks go on, writes get 503, nothing acknowledged is lost', async () => {
    const service = await start();
    const parent = service.child.pid ?? 0;
    const hosts = new Set<number>();
    const acknowledged: string[] = [];
    const answers = new Map<number, number>();
    const withoutRetryAfter: number[] = [];
    let checksDuringOutage = 0;
    let stopped = false;
    const writer = async () => {
      while (!stopped) {
        const token = freshToken('client');
        const answer = await call(service, 'DELETE', `/v3/jwt/history/${jti(token)}`, token);
        await answer.arrayBuffer();
        answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
        if (answer.status === 200) acknowledged.push(token);
        if (answer.status === 503 && answer.headers.get('retry-after') === null)
          withoutRetryAfter.push(503);
      }
    };
    const writers = Promise.all(Array.from({ length: 4 }, writer));
    const good = freshToken('client');
    const check = async (token: string) =>
      (await call(service, 'DELETE', '/v1/jwt/history/x', token)).status;
    let slowest = 0;
    for (let round = 0; round < 20; round += 1) {
      await until('revokes go through', () => acknowledged.length > round * 5);
      const host = await hostOf(parent);
      hosts.add(host);
      process.kill(host, 'SIGKILL');
      // A check needs no database: a good token gets as far as v1's demand for JSON, a revoked one doesn't.
      expect([await check(good), await check(acknowledged.at(-1) ?? '')]).toEqual([415, 401]);
      checksDuringOutage += 1;
      const before = acknowledged.length;
      slowest = Math.max(
        slowest,
        await until('revokes work again', () => acknowledged.length > before + 4),
      );
      const ready = await fetch(`${service.address}/readyz`);
      expect(ready.status).toBe(200);
    }
    stopped = true;
    await writers;
    // By itself, and not at the next of some slower rhythm; two seconds where nothing else is done.
    expect(slowest).toBeLessThan(20_000);
    expect(checksDuringOutage).toBe(20);
    expect(hosts.size).toBe(20);
    expect([...answers.keys()].toSorted((a, b) => a - b)).toEqual([200, 503]);
    expect(withoutRetryAfter).toEqual([]);
    const stillListed = await call(service, 'GET', '/readyz', basic);
    expect(stillListed.status).toBe(200);
    const last = await hostOf(parent);
    const socket = readlinkSync(join(dataDir(), 'engine.sock'));
    expect(await service.end('SIGTERM')).toBe(0);
    expect([...hosts, last].filter(isAlive)).toEqual([]);
    expect(existsSync(socket)).toBe(false);

    const restarted = await start();
    for (const token of acknowledged) {
      expect((await call(restarted, 'GET', '/v3/jwt/history', token)).status).toBe(401);
    }
    await restarted.end('SIGTERM');
  });

  async function hostOf(parent: number): Promise<number> {
    let found: number | undefined;
    await until('the host runs', () => (found = engineHostsOf(parent)[0]) !== undefined);
    return found ?? 0;
  }
});

describe('for people', () => {
  it('gives an administrator a new password while the service is stopped', async () => {
    const setAdmin = (...args: string[]) =>
      run(process.execPath, ['dist/cli/set-admin.js', ...args], {
        cwd: ROOT,
        env: { PATH: process.env['PATH'], DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET },
      });
    await expect(setAdmin()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Usage'),
    });
    const before = await start();
    const signIn = (password: string, at: ServiceProcess) =>
      fetch(`${at.address}/auth/signin`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: 'admin@localhost', password }),
      });
    const { token } = (await (await signIn(PASSWORD, before)).json()) as { token: string };
    await before.end('SIGTERM');
    const { stdout } = await setAdmin('admin@localhost');
    const password = /is now: (\S+)/.exec(stdout)?.[1] ?? '';
    const service = await start();
    await expect(setAdmin('admin@localhost')).rejects.toMatchObject({
      stderr: expect.stringContaining('already open'),
    });
    const as = (secret: string) =>
      call(
        service,
        'GET',
        '/admin/users',
        `Basic ${Buffer.from(`admin@localhost:${secret}`).toString('base64')}`,
      );
    expect([(await as(password)).status, (await as(PASSWORD)).status]).toEqual([200, 401]);
    // What was made with the old password has ended with it.
    expect((await call(service, 'GET', '/auth/verify', token)).status).toBe(401);
    await service.end('SIGTERM');
  });

  it('disables, enables and deletes a user while the service is stopped', async () => {
    const user = (...args: string[]) =>
      run(process.execPath, ['dist/cli/user.js', ...args], {
        cwd: ROOT,
        env: { PATH: process.env['PATH'], DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET },
      });
    expect((await user('--help')).stdout).toContain('Usage');
    for (const wrong of [[], ['disable'], ['ban', 'a@b.example'], ['disable', 'x', '--why', 'y']])
      await expect(user(...wrong)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Usage'),
      });
    const body = { email: 'alice@example.com', password: PASSWORD };
    const signIn = (at: ServiceProcess) =>
      fetch(`${at.address}/auth/signin`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const first = await start();
    const made = await fetch(`${first.address}/admin/users`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: basic },
      body: JSON.stringify(body),
    });
    expect(made.status).toBe(201);
    const { token } = (await (await signIn(first)).json()) as { token: string };
    await first.end('SIGTERM');

    await expect(user('disable', 'nobody@example.com')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no user nobody@example.com'),
    });
    expect((await user('disable', 'Alice@Example.com', '--reason', 'left')).stdout).toContain(
      'is disabled',
    );
    const second = await start();
    expect((await call(second, 'GET', '/auth/verify', token)).status).toBe(401);
    expect((await signIn(second)).status).toBe(401);
    const trail = await (await call(second, 'GET', '/admin/events', basic)).json();
    expect((trail as { events: unknown[] }).events).toContainEqual(
      expect.objectContaining({ type: 'user.disabled', by: 'system', via: 'cli', reason: 'left' }),
    );
    await second.end('SIGTERM');

    expect((await user('enable', 'alice@example.com')).stdout).toContain('is active again');
    const third = await start();
    expect((await call(third, 'GET', '/auth/verify', token)).status).toBe(401);
    expect((await signIn(third)).status).toBe(200);
    await third.end('SIGTERM');
    expect((await user('delete', 'alice@example.com')).stdout).toContain('is deleted');
    const fourth = await start();
    expect((await signIn(fourth)).status).toBe(401);
    await fourth.end('SIGTERM');
  });

  it('tells the whole story with `npm run demo`', async () => {
    const { stdout } = await run(process.execPath, ['dist/cli/demo.js'], {
      cwd: ROOT,
    });
    expect(stdout).toContain('"state":"revoked"');
    expect(stdout).toContain('401');
    expect(stdout).toContain('That is all.');
  });

  it('has a tour in the README that works line by line as pasted', async () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const tour = /<!-- tour -->\s+```sh\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    expect(tour).toContain('curl');
    const service = await start();
    const script = `URL='${service.address}'; EMAIL=admin@localhost; PASSWORD='${PASSWORD}'\n${tour}`;
    const { stdout } = await run('sh', ['-e', '-c', script]);
    expect(stdout).toContain('"state":"revoked"');
    expect(stdout.trim().split('\n').slice(-2)).toEqual([expect.stringMatching(/401$/), '200']);
    await service.end('SIGTERM');
  });
});
