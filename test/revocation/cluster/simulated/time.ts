/**
 * Virtual time, and processes that live in it. What is to happen waits in a queue; one thing happens
 * at a time, and whatever awaits it goes on until nothing can, before the next one does.
 */

export interface Process {
  /** Of all that ever were, from 0 on. */
  readonly number: number;
  readonly isAlive: boolean;
  /** Nothing of it runs now: what comes for it waits. */
  readonly isStopped: boolean;
  /** In which moment its code runs, ms; later than everybody else's when it has just been stopped. */
  now(): number;
  /** By its own clock, which began anywhere. */
  monotonic(): number;
  /** Runs this in it. @param kind timers may all be late, and then come before what was received. */
  at(when: number, kind: 'timer' | 'received', run: () => void): Cancel;
  sleep(ms: number): Promise<void>;
  /** For so long nothing of it runs. */
  stopFor(ms: number): void;
  /** Nothing of it ever runs again; what it has sent is on its way. */
  end(): void;
}

type Cancel = () => void;

interface Event {
  at: number;
  rank: number;
  readonly order: number;
  readonly process: InnerProcess | null;
  readonly isTimer: boolean;
  run: (() => void) | null;
}

interface InnerProcess extends Process {
  isAlive: boolean;
  stoppedUntil: number;
  timersFirst: boolean;
}

export type Time = ReturnType<typeof createTime>;

/** The same numbers (0 to 1) for the same seed: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Options {
  readonly random: () => number;
  /** Asked each time that a process looks at its clock: for how long it is stopped right there, ms. */
  readonly stopsFor: () => number;
  /** Something of it has run, or could again. */
  readonly onStep: (process: Process) => void;
}

export function createTime({ random, stopsFor, onStep }: Options) {
  const queue: Event[] = [];
  let now = 0;
  let order = 0;
  let processes = 0;
  /** While somebody only looks, nothing happens. */
  let isLooking = false;

  function push(event: Event): void {
    let at = queue.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = queue[above];
      if (parent === undefined || isBefore(parent, event)) break;
      queue[at] = parent;
      at = above;
    }
    queue[at] = event;
  }

  function pop(): Event | undefined {
    const first = queue[0];
    const last = queue.pop();
    if (first === undefined || last === undefined || queue.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const [left, right] = [queue[below], queue[below + 1]];
      if (left !== undefined && right !== undefined && isBefore(right, left)) below += 1;
      const child = queue[below];
      if (child === undefined || isBefore(last, child)) break;
      queue[at] = child;
      at = below;
    }
    queue[at] = last;
    return first;
  }

  function add(
    when: number,
    run: () => void,
    process: InnerProcess | null,
    isTimer: boolean,
  ): Cancel {
    order += 1;
    const event: Event = { at: Math.max(when, now), rank: 0, order, process, isTimer, run };
    push(event);
    return () => {
      event.run = null;
    };
  }

  async function happen(event: Event): Promise<void> {
    const { process, run } = event;
    if (run === null || process?.isAlive === false) return;
    if (process === null) {
      run();
      return;
    }
    if (process.stoppedUntil > now) {
      event.at = process.stoppedUntil;
      event.rank = event.isTimer === process.timersFirst ? 0 : 1;
      push(event);
      return;
    }
    run();
    await new Promise((resolve) => setImmediate(resolve));
    if (process.isAlive && process.stoppedUntil <= now) onStep(process);
  }

  function createProcess(): Process {
    const offset = Math.round(random() * 1e6);
    const process: InnerProcess = {
      number: processes,
      isAlive: true,
      stoppedUntil: -Infinity,
      timersFirst: false,
      get isStopped() {
        return process.stoppedUntil > now;
      },
      now: () => Math.max(now, process.stoppedUntil),
      monotonic() {
        const ms = isLooking ? 0 : stopsFor();
        if (ms > 0) process.stopFor(ms);
        return process.now() + offset;
      },
      at: (when, kind, run) => add(when, run, process, kind === 'timer'),
      sleep: (ms) =>
        new Promise((resolve) => {
          process.at(process.now() + ms, 'timer', resolve);
        }),
      stopFor(ms) {
        process.stoppedUntil = process.now() + ms;
        process.timersFirst = random() < 0.5;
        // Whoever asks it in the moment in which it goes on may be the first of all that waited.
        order += 1;
        const run = () => {
          if (process.isAlive && process.stoppedUntil <= now) onStep(process);
        };
        push({ at: process.stoppedUntil, rank: -1, order, process: null, isTimer: false, run });
      },
      end() {
        process.isAlive = false;
      },
    };
    processes += 1;
    return process;
  }

  return {
    get now() {
      return now;
    },
    createProcess,
    /** Of nobody's process: the network, the database, whoever watches. */
    at: (when: number, run: () => void) => void add(when, run, null, false),
    /** What this does stops nobody. */
    look<T>(looking: () => T): T {
      const wasLooking = isLooking;
      isLooking = true;
      try {
        return looking();
      } finally {
        isLooking = wasLooking;
      }
    },
    async runUntil(end: number): Promise<void> {
      for (;;) {
        const next = queue[0];
        if (next === undefined || next.at > end) break;
        pop();
        now = next.at;
        await happen(next);
      }
      now = end;
    },
  };
}

function isBefore(a: Event, b: Event): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.rank === b.rank ? a.order < b.order : a.rank < b.rank;
}
