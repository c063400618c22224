/** `npm run faults -- --count 200 [--seed N]`: one fault after the other on the built service under load; exits with 1 when a promise was broken. */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SECRET } from '../support/harness.js';
import {
  makeFolder,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  startProcess,
  until,
} from '../support/process.js';
import { FAULTS, type World } from './faults.js';
import { startLoad } from './load.js';

const USAGE = 'Usage: npm run faults -- [--count 200] [--seed N] [--only <part of a name>]';
const READY_WITHIN_MS = 120_000;
/** Room for a new database, and soon full. */
const DISK_MB = 900;
const CHECKED_EACH_TIME = 100;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '200' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h' },
  },
});
const count = Number(values.count);
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
if (values.help === true || !(count > 0) || !Number.isSafeInteger(seed)) {
  console.log(USAGE);
  process.exit(values.help === true ? 0 : 1);
}

const folder = makeFolder();
const disk = join(folder, 'disk');
const dataDir = join(disk, 'data');
mkdirSync(disk);
const hasSmallDisk = mount();
const environment = (where: string) => ({
  DATA_DIR: where,
  GLOBAL_SECRET: SECRET,
  ADMIN_PASSWORD: 'the administrator of this run',
  LOG_LEVEL: 'warn',
});

let service: ServiceProcess | null = null;
const random = createRandom(seed);
const load = startLoad(() => service?.address ?? null);
const world: World = {
  folder,
  dataDir,
  hasSmallDisk,
  load,
  random,
  service() {
    if (service === null) throw new Error('no service runs');
    return service;
  },
  async start() {
    service = await startProcess(environment(dataDir));
  },
  async end(signal) {
    const ending = service;
    service = null;
    await ending?.end(signal);
  },
  startOn: (where) => startProcess(environment(where)),
  refusedStart: () => runToEnd(environment(dataDir)),
};

const readyAfterMs = new Map<string, number[]>();
const startedAt = performance.now();
try {
  await world.start();
  await until('revokes work', () => load.acknowledged.length > 20, READY_WITHIN_MS);
  const names = Object.keys(FAULTS).filter(
    (name) => name.includes(values.only) && (hasSmallDisk || name !== 'full disk'),
  );
  for (let at = 1; at <= count; at += 1) {
    const name = pickFault(names);
    await FAULTS[name]?.(world);
    const ms = await until(
      `ready again after ${name} (number ${at}, seed ${seed})`,
      () => service !== null && load.worksAt(service.address),
      READY_WITHIN_MS,
    );
    readyAfterMs.set(name, [...(readyAfterMs.get(name) ?? []), ms]);
    await load.check(world.service().address, { newest: CHECKED_EACH_TIME });
    assertKept(`after ${name} (number ${at}, seed ${seed})`);
    if (at % 10 === 0) tell(`${at} faults`);
  }
  await world.end('SIGTERM');
  await load.stop();
  await world.start();
  await load.check(world.service().address);
  assertKept(`at the end (seed ${seed})`);
  tell(`All ${count} faults`);
  console.log(`Without ${hasSmallDisk ? 'exception' : 'a full disk (none can be mounted here)'}.`);
  for (const [name, times] of readyAfterMs)
    console.log(
      `  ${name}: ${times.length} times, ready again after ${Math.round(median(times))} ms, at most ${Math.round(Math.max(...times))}`,
    );
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof Error ? error.message : String(error));
  console.error(lastOutput().slice(-5000));
} finally {
  await world.end('SIGKILL');
  await load.stop();
  if (hasSmallDisk) execFileSync('umount', ['-l', disk]);
  removeFolder(folder);
}

function lastOutput(): string {
  return service === null ? '' : service.stdout();
}

function assertKept(when: string): void {
  if (load.accepted.size === 0) return;
  throw new Error(`${load.accepted.size} revoked tokens were accepted ${when}`);
}

function tell(what: string): void {
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const answers = [...load.answers].map(([status, times]) => `${status || 'none'}: ${times}`);
  console.log(
    `${what} in ${seconds} s, seed ${seed}: ${load.acknowledged.length} revokes acknowledged, ${load.accepted.size} accepted since (answers ${answers.join(', ')})`,
  );
}

/** Half a minute of waiting is for one in twenty. */
function pickFault(names: readonly string[]): string {
  const usual = names.filter((name) => name !== 'frozen engine that stays so');
  const among = usual.length === 0 || random() < 0.05 ? names : usual;
  return among[Math.floor(random() * among.length)] ?? '';
}

function mount(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m,mode=700`, 'none', disk], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

/** Mulberry32: the same faults for the same seed. */
function createRandom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
