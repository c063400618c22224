/** Watches the wall clock against the monotonic one: expiry, cut-offs and the times of records go by it, so a jump is told to the log, and counted. */
import type { Clock } from '../clock.js';
import type { Logger } from './logger.js';

export interface ClockJumps {
  /** How many there were since the start. */
  readonly count: number;
  /** Compares the clocks with what they said at the last look. */
  look(): void;
  /** Looks every second until stopped. */
  start(): void;
  stop(): void;
}

interface Dependencies {
  readonly clock: Clock;
  /** Milliseconds; nobody sets it. */
  readonly monotonic: Clock;
  readonly log: Logger;
  /** Is told of each jump, by how many milliseconds; ahead is positive. */
  readonly onJump?: (ms: number) => void;
}

const EVERY_MS = 1000;
/** A clock that is adjusted by and by moves by a tenth of a second in a second at most. */
const JUMP_MS = 5000;
/** Between the readings of the two clocks; a process that was held up there knows nothing of them. */
const HELD_UP_MS = 100;

export function createClockJumps({ clock, monotonic, log, onJump }: Dependencies): ClockJumps {
  let count = 0;
  /** How far the wall clock was ahead of the monotonic one; null before the first look. */
  let ahead: number | null = null;
  let timer: NodeJS.Timeout | null = null;

  function look(): void {
    const before = monotonic();
    const now = clock();
    if (monotonic() - before > HELD_UP_MS) return;
    const jumped = ahead === null ? 0 : now - before - ahead;
    ahead = now - before;
    if (Math.abs(jumped) <= JUMP_MS) return;
    count += 1;
    const ms = Math.round(jumped);
    const way = `${jumped > 0 ? 'ahead' : 'back'} by ${Math.round(Math.abs(jumped) / 1000)} s`;
    log.error(
      { event: 'clock.jumped', ms, total: count },
      `the wall clock jumped ${way}: tokens expire by it, and are issued by it; keep it in step (NTP)`,
    );
    onJump?.(ms);
  }

  return {
    get count() {
      return count;
    },
    look,
    start() {
      look();
      timer ??= setInterval(look, EVERY_MS).unref();
    },
    stop() {
      if (timer !== null) clearInterval(timer);
      timer = null;
    },
  };
}
