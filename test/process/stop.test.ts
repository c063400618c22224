/** How the process ends: by which signals, at which moment, what its clients see of it, and what it leaves behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { SECRET } from '../support/harness.js';
import {
  engineHostsOf,
  isAlive,
  makeFolder,
  removeFolder,
  type ServiceProcess,
  startProcess,
  until,
} from '../support/process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PASSWORD = 'the administrator of this test';
/** For conditions that come soon, on a machine however busy. */
const SOON_MS = 60_000;
jest.setTimeout(2 * SOON_MS);

let folder: string;
/** Whatever a test started, to be gone after it. */
const started = new Set<ChildProcess>();
beforeEach(() => {
  folder = makeFolder();
  mkdirSync(temporary());
});
afterEach(() => {
  for (const child of started) if (isRunning(child)) child.kill('SIGKILL');
  started.clear();
  removeFolder(folder);
});

const temporary = () => join(folder, 'tmp');
/** Without what newer versions of npm keep there for themselves. */
const leftovers = () => readdirSync(temporary()).filter((name) => name !== 'node-compile-cache');
const environment = (env: Record<string, string> = {}) => ({
  DATA_DIR: join(folder, 'data'),
  TMPDIR: temporary(),
  GLOBAL_SECRET: SECRET,
  ADMIN_PASSWORD: PASSWORD,
  ...env,
});

async function start(env: Record<string, string> = {}): Promise<ServiceProcess> {
  const service = await startProcess(environment(env));
  started.add(service.child);
  return service;
}

interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

/** Any command, with the service's environment. */
function run(command: string, args: readonly string[], env: Record<string, string> = {}): Running {
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], PORT: '0', HOST: '127.0.0.1', ...environment(env) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.add(child);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, pid: child.pid ?? 0, output: () => output, ended };
}

const runService = (env: Record<string, string> = {}) =>
  run(process.execPath, ['dist/main.js'], env);

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

/** Whether the process has its handlers of signals by now; Node has one of its own for SIGTERM, and none for SIGHUP. */
function hearsSignals(pid: number): boolean {
  const caught = /^SigCgt:\s+([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (BigInt(`0x${caught ?? '0'}`) & 1n) !== 0n;
}

/** For NODE_OPTIONS: what runs in the process before ours. */
const loading = (code: string) => `--import=data:text/javascript,${encodeURIComponent(code)}`;

const portOf = ({ address }: ServiceProcess) => Number(new URL(address).port);

describe('npm start', () => {
  it('ends on SIGTERM with the service, which leaves no process and no file', async () => {
    const npm = run('npm', ['start', '--silent']);
    await until('it is ready', () => npm.output().includes('ready at'), SOON_MS);
    const [service = 0] = descendantsOf(npm.pid).filter((pid) => engineHostsOf(pid).length > 0);
    expect(service).toBeGreaterThan(0);
    const everyone = descendantsOf(npm.pid);
    npm.child.kill('SIGTERM');
    await until('npm has ended', () => !isRunning(npm.child), SOON_MS);
    const orphans = everyone.filter(isAlive);
    for (const pid of orphans) process.kill(pid, 'SIGKILL');
    expect(orphans).toEqual([]);
    expect(npm.child.exitCode).toBe(0);
    expect(leftovers()).toEqual([]);
  });
});

describe('a stop that is asked for before the start is complete', () => {
  it.each([
    ['nothing but the signal handler is there', ({ pid }: Running) => hearsSignals(pid)],
    ['the engine is starting', ({ pid }: Running) => engineHostsOf(pid).length > 0],
    ['the engine is open', () => leftovers().length > 0],
  ])('ends it when %s, and leaves nothing behind', async (_when, isTime) => {
    const service = runService();
    await until('it is time', () => isTime(service), SOON_MS);
    const hosts = engineHostsOf(service.pid);
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.output()).not.toMatch(/ready at|fatal/);
    expect(hosts.filter(isAlive)).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it('ends it while it waits for a database that is not there', async () => {
    const service = runService({ MONGODB_URI: 'mongodb://127.0.0.1:9/x' });
    await until('it waits', () => service.output().includes('does not answer yet'), SOON_MS);
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.output()).toContain('"signal":"SIGTERM"');
    expect(service.output()).not.toContain("can't start");
  });
});

describe('a running service', () => {
  it('goes on after SIGHUP, and when nobody reads what it prints any more', async () => {
    const service = await start();
    service.child.stdout?.destroy();
    service.child.stderr?.destroy();
    service.child.kill('SIGHUP');
    const status = () => fetch(`${service.address}/v3/jwt/history`).then((answer) => answer.status);
    for (let round = 0; round < 5; round += 1) expect(await status()).toBe(401);
    expect(await service.end('SIGTERM')).toBe(0);
  });

  it('hurries when it is asked again, and leaves nothing behind', async () => {
    const service = await start({ DATA_DIR: join(folder, 'x'.repeat(120)) });
    const [host = 0] = engineHostsOf(service.child.pid ?? 0);
    expect(leftovers()).not.toEqual([]);
    // A request whose body never comes.
    const socket = connect(portOf(service), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'POST /auth/signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    );
    const ended = service.end('SIGTERM');
    await until(
      'it has ended',
      () => {
        service.child.kill('SIGTERM');
        return !isRunning(service.child);
      },
      SOON_MS,
    );
    expect(await ended).toBe(0);
    expect(isAlive(host)).toBe(false);
    expect(leftovers()).toEqual([]);
    socket.destroy();
  });

  it('answers for SHUTDOWN_DELAY after it was asked to stop, while /readyz says no, and then ends', async () => {
    const service = await start({ SHUTDOWN_DELAY: '2' });
    const port = portOf(service);
    expect(await statusOf(port, '/readyz')).toBe(200);
    const stoppedAt = performance.now();
    const ended = service.end('SIGTERM');
    await until('it says no', async () => (await statusOf(port, '/readyz')) === 503, SOON_MS);
    const seen: string[] = [];
    await until(
      'the port is closed',
      async () => {
        const statuses = [await statusOf(port, '/readyz'), await statusOf(port, '/auth/verify')];
        if (!statuses.includes(null)) seen.push(String(statuses));
        return statuses[0] === null;
      },
      SOON_MS,
    );
    expect(performance.now() - stoppedAt).toBeGreaterThanOrEqual(2000);
    expect(new Set(seen)).toEqual(new Set(['503,401']));
    expect(await ended).toBe(0);
  });

  it('is stopped by force only later by SHUTDOWN_DELAY, and waits for nothing when it is asked again', async () => {
    const tell = `const { setTimeout } = globalThis; globalThis.setTimeout = (act, ms, ...rest) => {
      process.stderr.write('limit ' + ms + '\\n');
      return setTimeout(act, ms, ...rest);
    };`;
    const service = await start({ SHUTDOWN_DELAY: '5m', NODE_OPTIONS: loading(tell) });
    const ended = service.end('SIGTERM');
    await until('it stops', () => service.stdout().includes('service.stopping'), SOON_MS);
    expect(await statusOf(portOf(service), '/auth/verify')).toBe(401);
    await until(
      'it has ended',
      () => {
        service.child.kill('SIGTERM');
        return !isRunning(service.child);
      },
      SOON_MS,
    );
    expect(await ended).toBe(0);
    const limits = service.stderr().match(/^limit (3?2[02]000)$/gm);
    expect(limits).toEqual(['limit 322000', 'limit 320000']);
  });

  it('lets nobody in for SHUTDOWN_DELAY when an error that nobody caught ends it', async () => {
    const bug = `process.on('SIGUSR2', () => { throw new Error('a bug'); });`;
    const service = await start({ SHUTDOWN_DELAY: '5m', NODE_OPTIONS: loading(bug) });
    expect(await service.end('SIGUSR2')).toBe(1);
    expect(service.stdout()).toContain('stopped, after an unexpected error');
    expect(service.stdout()).not.toContain('by force');
  });

  it('with a hundred clients on connections that stay open: none is reset, each is told, and it ends at once', async () => {
    const startedAt = performance.now();
    const service = await start();
    /** How fast this machine is just now. */
    const startMs = performance.now() - startedAt;
    const port = portOf(service);
    const seen = { answered: 0, told: 0, refused: 0, failures: [] as string[] };
    const clients = Array.from({ length: 100 }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let goesOn = true; goesOn;) {
        const outcome = await ask(port, agent);
        if (outcome === 'ECONNREFUSED') {
          seen.refused += 1;
          goesOn = false;
        } else if (outcome === 'close') {
          seen.told += 1;
        } else if (outcome === 'keep-alive') {
          seen.answered += 1;
        } else {
          seen.failures.push(outcome);
          goesOn = false;
        }
      }
      agent.destroy();
    });
    // Beside them, connections that nobody uses any more, or that were never used.
    const idle = new Agent({ keepAlive: true });
    await ask(port, idle);
    const unused = connect(port, '127.0.0.1');
    unused.on('error', () => undefined);
    await until('all are busy', () => seen.answered > 1000, SOON_MS);
    const stoppedAt = performance.now();
    expect(await service.end('SIGTERM')).toBe(0);
    const stopMs = performance.now() - stoppedAt;
    await Promise.all(clients);
    expect(seen).toMatchObject({ failures: [], refused: 100 });
    expect(seen.told).toBeGreaterThanOrEqual(100);
    // 2 s where the machine has nothing else to do.
    expect(stopMs).toBeLessThan(2000 + startMs);
    idle.destroy();
    unused.destroy();
  });
});

describe('what is left in the temporary folder', () => {
  it('after Ctrl-C of the demo: nothing', async () => {
    const demo = run(process.execPath, ['dist/cli/demo.js']);
    await until('it runs', () => demo.output().includes('JTI='), SOON_MS);
    const hosts = engineHostsOf(demo.pid);
    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(1);
    expect(demo.output()).toContain('The demo was interrupted.');
    expect(hosts.filter(isAlive)).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it('after kill -9 with a long path of DATA_DIR: nothing', async () => {
    const service = await start({ DATA_DIR: join(folder, 'x'.repeat(120)) });
    expect(
      leftovers()
        .map((name) => name.replace(/-\w+$/, ''))
        .toSorted(),
    ).toEqual(['embedded-mongodb', 'jwt-history-link']);
    await service.end('SIGKILL');
    await until('the engine has left', () => leftovers().length === 0, SOON_MS);
  });

  it('after a second start on the same folder: what the first one needs, and it goes on', async () => {
    const env = { DATA_DIR: join(folder, 'x'.repeat(120)) };
    const first = await start(env);
    const before = leftovers();
    const second = runService(env);
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain('already open');
    expect(leftovers()).toEqual(before);
    expect(await first.end('SIGTERM')).toBe(0);
    expect(leftovers()).toEqual([]);
  });

  it('after kill -9 of the service and of its engine: what the next start takes away', async () => {
    const env = { DATA_DIR: join(folder, 'x'.repeat(120)) };
    const first = await start(env);
    const [host = 0] = engineHostsOf(first.child.pid ?? 0);
    process.kill(host, 'SIGSTOP');
    await first.end('SIGKILL');
    process.kill(host, 'SIGKILL');
    await until('it is gone', () => !isAlive(host), SOON_MS);
    expect(leftovers()).not.toEqual([]);
    const second = await start(env);
    expect(await second.end('SIGTERM')).toBe(0);
    expect(leftovers()).toEqual([]);
  });
});

describe('too few files that may be open', () => {
  it('are one clear line at the start', async () => {
    const command = `ulimit -n 200; exec ${process.execPath} dist/main.js`;
    const service = run('sh', ['-c', command]);
    expect(await service.ended).toBe(1);
    expect(service.output().trim().split('\n')).toEqual([
      expect.stringMatching(/^JWT History can't start\. Only 200 files may .*ulimit -n 1024/),
    ]);
    expect(leftovers()).toEqual([]);
  });
});

/** On a connection of its own; null = it can't be had. */
function statusOf(port: number, path: string): Promise<number | null> {
  return new Promise((resolve) => {
    const req = request({ host: '127.0.0.1', port, path, agent: false }, (res) => {
      res.resume();
      resolve(res.statusCode ?? null);
    });
    req.once('error', () => resolve(null));
    req.end();
  });
}

/** How the answer leaves the connection, or the code of the error. */
function ask(port: number, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const req = request({ host: '127.0.0.1', port, path: '/auth/verify', agent }, (res) => {
      res.resume();
      res.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      res.once('end', () => resolve(res.headers.connection ?? 'none'));
    });
    req.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    req.end();
  });
}

function descendantsOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => parentOf(each) === pid);
  return [...children, ...children.flatMap(descendantsOf)];
}

function parentOf(pid: number): number | null {
  try {
    const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return parent === undefined ? null : Number(parent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return null;
  }
}
