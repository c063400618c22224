/** What can happen to a cluster, each as an act on a running one that leaves it to recover by itself. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Span } from './checker.js';
import type { Database } from './database.js';
import type { Instance } from './instance.js';
import { type LinkMode, PASS, type WriteFault } from './link.js';
import type { Load } from './load.js';
import { until } from '../support/process.js';
import { askEverywhere } from './revoking.js';
import type { World } from './world.js';

export interface Scene {
  readonly world: World;
  readonly load: Load;
  readonly database: Database;
  /** The process that holds the engine. */
  readonly enginePid: () => number | null;
  /** When the run began: `performance.now()`, ms. */
  readonly startedAt: number;
  /** How long something lasts: in a short run the least. */
  readonly lasting: (leastMs: number) => number;
}

export interface FaultOutcome {
  /** The instance without the database. */
  readonly cut?: Span;
  /** Every write of the instance failed: nothing may be acknowledged by it. */
  readonly unwritable?: Span;
  /** Clocks differed. */
  readonly clockOff?: Omit<Span, 'instance'>;
  /** The database was away for everybody. */
  readonly wasAway?: true;
  /** Why it shows nothing: nothing came of what was done. */
  readonly withoutEffect?: string;
  /** Why it couldn't be done here. */
  readonly skipped?: string;
  readonly note?: string;
}

export type Fault = (scene: Scene) => Promise<FaultOutcome>;

/** Several leases, so that the others' acknowledgements are normal again within it. */
const CUT_MS = 2500;
const STOPPED_MS = 5000;
/** Requests are on their way when it goes on. */
const BEFORE_IT_GOES_ON_MS = 300;
const ALL_CUT_MS = 4000;
const CLOCK_OFF_MS = 10_000;
/** A cut-off of everything stands at the beginning of a database: a clock that is behind must be past it. */
const CLOCK_SAFE_AFTER_MS = CLOCK_OFF_MS + 3000;
const STORM = 3;

function cut(mode: LinkMode): Fault {
  return async ({ world, lasting }) => {
    const instance = anyOf(world);
    const from = performance.now();
    instance.link.setMode(mode);
    await delay(lasting(CUT_MS));
    instance.link.setMode(PASS);
    return { cut: { instance: instance.index, from, until: performance.now() } };
  };
}

/** @param toFault which of several there is this time. */
function failingWrites(...faults: readonly [WriteFault, ...WriteFault[]]): Fault {
  return async ({ world, lasting }) => {
    const { random, instances } = world;
    const halfOf = () => random.below(2) === 0;
    const fault = random.pick(faults);
    for (const { link } of instances) link.failWrites(fault, halfOf);
    await delay(lasting(1000));
    for (const { link } of instances) link.failWrites(null);
    const instance = anyOf(world);
    const from = performance.now();
    instance.link.failWrites(fault);
    await delay(lasting(1200));
    const mendedAt = performance.now();
    instance.link.failWrites(null);
    const hit = instances.reduce((sum, { link }) => sum + link.takeHits(), 0);
    if (hit === 0) return { withoutEffect: 'no write was hit' };
    const note = `${hit} writes: ${'codeName' in fault ? fault.codeName : 'no answer, the connection closed'}`;
    // Where the write was done and only the answer lost, a repeat may well succeed.
    if (fault.kind === 'unanswered') return { note };
    return { note, unwritable: { instance: instance.index, from, until: mendedAt } };
  };
}

async function restart(instance: Instance, aheadMs = 0): Promise<void> {
  await instance.kill();
  await instance.start(aheadMs);
}

export const FAULTS: Readonly<Record<string, Fault>> = {
  async 'kill -9 of an instance'({ world, load, lasting }) {
    const instance = anyOf(world);
    load.setStorm(STORM);
    await delay(300);
    await instance.kill();
    await delay(lasting(800));
    load.setStorm(1);
    await instance.start();
    return {};
  },

  async 'instance stopped for 5 s'({ world }) {
    const instance = anyOf(world);
    instance.signal('SIGSTOP');
    await delay(STOPPED_MS - BEFORE_IT_GOES_ON_MS);
    // What was revoked meanwhile waits at its door when it wakes up.
    void askEverywhere(world, world.pool.hot(), [instance]);
    await delay(BEFORE_IT_GOES_ON_MS);
    void askEverywhere(world, world.pool.hot(), [instance]);
    instance.signal('SIGCONT');
    return {};
  },

  'link dropped': cut({ kind: 'drop' }),
  'link into a black hole': cut({ kind: 'black-hole' }),
  'link held, then all at once': cut({ kind: 'hold' }),
  'link half open, answers lost': cut({ kind: 'lost-answers' }),
  'link half open, requests lost': cut({ kind: 'lost-requests' }),

  async 'connections reset'({ world, lasting }) {
    const instance = anyOf(world);
    const endAt = performance.now() + lasting(1500);
    while (performance.now() < endAt) {
      instance.link.reset();
      await delay(100 + world.random.below(300));
    }
    return {};
  },

  async 'all links cut for 4 s'({ world }) {
    const kind = world.random.pick(['drop', 'black-hole'] as const);
    for (const { link } of world.instances) link.setMode({ kind });
    await delay(ALL_CUT_MS);
    for (const { link } of world.instances) link.setMode(PASS);
    return { wasAway: true, note: kind };
  },

  async 'kill -9 of the engine'({ enginePid, database }) {
    const pid = enginePid();
    if (pid === null) throw new Error('no engine runs');
    process.kill(pid, 'SIGKILL');
    await until('another engine runs', () => ![pid, null].includes(enginePid()));
    await database.isBack();
    return { wasAway: true };
  },

  async 'cursor killed'({ world, database }) {
    const killed = await database.killCursors();
    if (killed > 0) return { note: `${killed} cursors` };
    for (const { link } of world.instances) link.reset();
    return { note: 'none is listed at the log: all connections were reset' };
  },

  async 'log overrun'({ world, database }) {
    const instance = anyOf(world);
    // One reader is behind; the others follow.
    instance.link.setMode({ kind: 'hold' });
    const hasLog = await database.overrunLog().finally(() => instance.link.setMode(PASS));
    return hasLog ? {} : { skipped: 'there is no capped collection `revocation_log`' };
  },

  async 'slow link'({ world, lasting }) {
    const { link } = anyOf(world);
    link.setMode({ kind: 'delay', ms: 200 });
    await delay(lasting(2000));
    link.setMode(PASS);
    return {};
  },

  async 'clock 10 s off'({ world, lasting, startedAt }) {
    const instance = anyOf(world);
    const aheadMs = world.random.pick([CLOCK_OFF_MS, -CLOCK_OFF_MS]);
    await delay(Math.max(0, startedAt + CLOCK_SAFE_AFTER_MS - performance.now()));
    const from = performance.now();
    await restart(instance, aheadMs);
    await delay(lasting(2000));
    await restart(instance);
    return { note: `${aheadMs / 1000} s`, clockOff: { from, until: performance.now() } };
  },

  async 'instance joins in a storm of revokes'({ world, load, lasting }) {
    const instance = anyOf(world);
    await instance.kill();
    load.setStorm(STORM);
    await delay(500);
    const started = instance.start();
    const asking = new AbortController();
    const asked = (async () => {
      while (!asking.signal.aborted) {
        await askEverywhere(world, world.pool.hot(), [instance]);
        await delay(20);
      }
    })();
    await started;
    await delay(lasting(1000));
    asking.abort();
    await asked;
    load.setStorm(1);
    return {};
  },

  'primary steps down': failingWrites(
    { kind: 'refused', code: 10_107, codeName: 'NotWritablePrimary' },
    { kind: 'refused', code: 189, codeName: 'PrimarySteppedDown' },
  ),
  'writes of uncertain concern': failingWrites(
    { kind: 'concern', code: 91, codeName: 'ShutdownInProgress' },
    { kind: 'concern', code: 64, codeName: 'WriteConcernTimeout' },
  ),
  'answers dropped after the write': failingWrites({ kind: 'unanswered' }),
};

function anyOf({ instances, random }: World): Instance {
  return random.pick(instances);
}
