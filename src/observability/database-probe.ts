/** Asks the database for a sign of life every second, so that readiness is known without asking. */
import type { Logger } from './logger.js';

export interface DatabaseProbe {
  /** Whether the last question was answered in time; before the first one nothing speaks against it. */
  readonly answers: boolean;
  /** Asks once; never throws. */
  ask(): Promise<void>;
  /** Asks every second until stopped. */
  start(): void;
  stop(): void;
}

interface Dependencies {
  /** Whether there was a sign of life. */
  readonly ping: () => Promise<boolean>;
  readonly log: Logger;
}

const EVERY_MS = 1000;
/** Its own limit: one that hangs is noticed long before an operation on it is given up. */
const LIMIT_MS = 1000;

export function createDatabaseProbe({ ping, log }: Dependencies): DatabaseProbe {
  let answers = true;
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;

  function noteState(isAlive: boolean): void {
    if (isAlive !== answers && !stopped) {
      if (isAlive) log.info('the database answers again');
      else log.warn('the database does not answer');
    }
    answers = isAlive;
  }

  async function ask(): Promise<void> {
    const askedAt = performance.now();
    const limit = setTimeout(() => noteState(false), LIMIT_MS).unref();
    try {
      noteState((await ping()) && performance.now() - askedAt <= LIMIT_MS);
    } catch (error) {
      log.error({ err: error }, 'the database could not be asked for a sign of life');
      noteState(false);
    } finally {
      clearTimeout(limit);
    }
  }

  /** The next one only when this one has ended: questions don't pile up before a database that hangs. */
  function schedule(): void {
    if (stopped) return;
    timer = setTimeout(() => void ask().then(schedule), EVERY_MS).unref();
  }

  return {
    get answers() {
      return answers;
    },
    ask,
    start: schedule,
    stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
