/** The process: what it prints, what it says when it can't start, and how it stops. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { SECRET } from './support/harness.js';
import { askOnce, basic, useOwnServices } from './support/own-services.js';
import {
  engineHostsOf,
  isAlive,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  until,
} from './support/process.js';

const run = promisify(execFile);

describe('starting', () => {
  const { dataDir, start, startWith } = useOwnServices();

  it('prints the first administrator once, with a curl line that works as pasted', async () => {
    const env = { DATA_DIR: dataDir() };
    const first = await startWith(env);
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

    const second = await startWith(env);
    expect(second.stderr().trim().split('\n')).toEqual([
      expect.stringMatching(/^JWT History is ready at http:\/\/\S+ \(embedded engine in .*\)\.$/),
    ]);
    // What it says of its start; nothing that would need a look.
    expect(second.stdout().match(/"level":"\w+"/g)).toEqual(['"level":"info"', '"level":"info"']);
    const list = await askOnce(second, 'GET', '/v3/jwt/history', { authorization: token });
    expect(list.status).toBe(200);
    expect(readFileSync(join(dataDir(), 'signing-secret'), 'utf8').trim()).toBe(secret);
    expect(await second.end('SIGTERM')).toBe(0);
    expect(second.stderr() + second.stdout()).not.toContain(secret);
  });

  it('takes a signing secret only if it is whole', async () => {
    mkdirSync(dataDir(), { mode: 0o700 });
    writeFileSync(join(dataDir(), 'signing-secret'), 'short\n');
    const { code, stderr } = await runToEnd({ DATA_DIR: dataDir() });
    expect(code).toBe(1);
    expect(stderr).toContain('signing-secret');
    expect(readFileSync(join(dataDir(), 'signing-secret'), 'utf8')).toBe('short\n');
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
});

describe('one that runs, until it is stopped', () => {
  const { folder, dataDir, start } = useOwnServices('all');
  let service: ServiceProcess;
  beforeAll(async () => {
    service = await start();
  });
  const isWell = async () => {
    const list = await askOnce(service, 'GET', '/v3/jwt/history', { authorization: basic });
    return list.status === 200;
  };

  it('reads the headers past the hundredth, or says that it does not', async () => {
    const filler = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, '1']));
    const ask = (count: number, path: string) =>
      fetch(`${service.address}${path}`, { headers: { ...filler(count), authorization: basic } });
    expect((await ask(80, '/v3/jwt/history')).status).toBe(200);
    for (const path of ['/v3/jwt/history', '/auth/verify'])
      expect((await ask(150, path)).status).toBe(431);
  });

  it('is left alone by another that is started on its data folder, which says so', async () => {
    const { code, stderr } = await runToEnd({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET });
    expect(code).toBe(1);
    expect(stderr).toContain(dataDir());
    expect(stderr).toContain('DATA_DIR');
    expect(await isWell()).toBe(true);
  });

  it('is left alone by another that is started on its port, which says so', async () => {
    const { code, stderr } = await runToEnd({
      DATA_DIR: join(folder(), 'other'),
      PORT: new URL(service.address).port,
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Port \d+ is in use/);
    expect(await isWell()).toBe(true);
  });

  it('finishes what is in flight, exits with 0, and leaves no process or socket', async () => {
    const [host] = engineHostsOf(service.child.pid ?? 0);
    const socket = readlinkSync(join(dataDir(), 'engine.sock'));
    expect(existsSync(socket)).toBe(true);
    const logged = service.stdout().length;
    const inFlight = Promise.all(
      Array.from({ length: 20 }, () =>
        fetch(`${service.address}/v3/jwt/history`, { headers: { authorization: basic } }).then(
          (r) => r.status,
        ),
      ),
    );
    await until('a request arrived', () => service.stdout().slice(logged).includes('"status"'));
    const code = service.end('SIGTERM');
    expect(new Set(await inFlight)).toEqual(new Set([200]));
    expect(await code).toBe(0);
    expect(isAlive(host ?? 0)).toBe(false);
    expect(existsSync(socket)).toBe(false);
    expect(readdirSync(dataDir())).not.toContain('engine.sock');
    await expect(askOnce(service, 'GET', '/healthz')).rejects.toThrow();
  });

  it('starts no more on an emptied database, rather than accept every revoked token again', async () => {
    await service.end('SIGTERM');
    removeFolder(join(dataDir(), 'db'));
    const { code, stderr } = await runToEnd({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET });
    expect(code).toBe(1);
    expect(stderr).toContain('Restore');
  });
});
