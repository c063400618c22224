/** What can happen to an installation, each as an act on a running service that leaves it to come back by itself, or starts it again. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { engineHostsOf, type Ended, type ServiceProcess, until } from '../support/process.js';
import type { Load } from './load.js';

export interface World {
  readonly folder: string;
  readonly dataDir: string;
  /** The data directory lies on a small disk of its own. */
  readonly hasSmallDisk: boolean;
  readonly load: Load;
  service(): ServiceProcess;
  /** Starts the service again, on its folder. */
  start(): Promise<void>;
  /** Ends it; the clients meet nobody then. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts another one on another folder. */
  startOn(dataDir: string): Promise<ServiceProcess>;
  /** A start that must not succeed. */
  refusedStart(): Promise<Ended>;
  random(): number;
}

export const FAULTS: Readonly<Record<string, (world: World) => Promise<void>>> = {
  async 'kill -9 of the service'(world) {
    await world.end('SIGKILL');
    await world.start();
  },

  async 'kill -9 of the engine'(world) {
    for (const host of hostsOf(world)) kill(host, 'SIGKILL');
  },

  async 'kill -9 of both'(world) {
    const hosts = hostsOf(world);
    const ended = world.end('SIGKILL');
    for (const host of hosts) kill(host, 'SIGKILL');
    await ended;
    await world.start();
  },

  async 'stop and start'(world) {
    await world.end('SIGTERM');
    await world.start();
  },

  async 'frozen engine that goes on'(world) {
    const hosts = hostsOf(world);
    for (const host of hosts) kill(host, 'SIGSTOP');
    await delay(200 + 3000 * world.random());
    for (const host of hosts) kill(host, 'SIGCONT');
  },

  /** It is replaced after half a minute. */
  async 'frozen engine that stays so'(world) {
    for (const host of hostsOf(world)) kill(host, 'SIGSTOP');
  },

  async 'frozen service that goes on'(world) {
    const pid = world.service().child.pid ?? 0;
    kill(pid, 'SIGSTOP');
    await delay(200 + 2000 * world.random());
    kill(pid, 'SIGCONT');
  },

  async 'full disk'(world) {
    const filler = join(world.dataDir, 'filler');
    try {
      execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=1M'], { stdio: 'ignore' });
    } catch {
      // It ends when the disk is full.
    }
    await delay(500 + 3000 * world.random());
    rmSync(filler, { force: true });
  },

  /** Once while it runs: what then starts on the copy knows what was revoked before, or refuses. */
  async 'copy of the folder, started beside it'(world) {
    const copy = join(world.folder, 'copy');
    const known = world.load.acknowledged.length;
    cpSync(world.dataDir, copy, { recursive: true, verbatimSymlinks: true });
    rmSync(join(copy, 'filler'), { force: true });
    const other = await world.startOn(copy).catch(() => null);
    if (other !== null) {
      await world.load.check(other.address, { until: known, newest: 200 });
      await other.end('SIGTERM');
    }
    rmSync(copy, { recursive: true });
  },

  async 'wrong folder'(world) {
    await world.end('SIGTERM');
    const wrong = join(world.folder, 'wrong');
    const other = await world.startOn(wrong);
    await world.load.check(other.address, { newest: 200 });
    await other.end('SIGTERM');
    rmSync(wrong, { recursive: true });
    await world.start();
  },

  async 'deleted socket'(world) {
    const link = join(world.dataDir, 'engine.sock');
    if (existsSync(link)) rmSync(dirname(readlinkSync(link)), { recursive: true, force: true });
  },

  async 'older files of the database'(world) {
    await world.end('SIGTERM');
    const [now, older] = [join(world.folder, 'now'), join(world.folder, 'older')];
    const database = join(world.dataDir, 'db');
    cpSync(database, older, { recursive: true });
    await world.start();
    await someMore(world);
    await world.end('SIGTERM');
    cpSync(database, now, { recursive: true });
    replace(database, older);
    const { code, stderr } = await world.refusedStart();
    if (code !== 1 || !stderr.includes('is older than what was acknowledged'))
      throw new Error(`a start on older files ended with ${code}: ${stderr}`);
    replace(database, now);
    await world.start();
  },
};

function hostsOf(world: World): number[] {
  return engineHostsOf(world.service().child.pid ?? 0);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has just ended, by an earlier fault.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Some more was acknowledged, which the older files don't have. */
async function someMore({ load }: World): Promise<void> {
  const before = load.acknowledged.length;
  await until('revokes work', () => load.acknowledged.length >= before + 20);
}

function replace(folder: string, by: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  cpSync(by, folder, { recursive: true });
  rmSync(by, { recursive: true });
}
