/**
 * Reads the whole revocation list again now and then, cut-offs too: a revocation that became readable later than
 * the reads of what is new reach back would otherwise stay unknown here until the next start. A
 * batch at a time with rests between, beside everything else; it only ever adds.
 */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/database/connect.js';
import type { Cutoff } from '../store/cutoffs/cutoffs.js';
import type { RevokedEntry } from '../store/tokens/revoked-entry.js';
import { LEEWAY_MS, type RevocationIndex } from './revocation-index.js';

export interface Reread {
  /** Reads everything once. @throws ServiceError 503 when the store fails; what was read stays. */
  once(): Promise<void>;
  /** Goes on until stopped: every ten minutes at the latest, sooner after a failure. */
  start(): void;
  /** Ends after the batch under way, or leaves it behind when that takes long: it is only read. */
  stop(): Promise<void>;
}

interface Dependencies {
  readonly store: Pick<Store, 'tokens' | 'cutoffs'>;
  readonly index: Pick<RevocationIndex, 'add'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Takes in the cut-offs; it may neither wait nor throw. */
  readonly onCutoffs?: (batch: readonly Cutoff[]) => void;
  /** What was not in the index; it may neither wait nor throw. */
  readonly onFound?: (entries: readonly RevokedEntry[]) => void;
}

const EVERY_MS = 600_000;
/** Instances that were started together don't read together. */
const SPREAD = 0.25;
const RETRY_AFTER_MS = 60_000;
/** The rest after a batch, at least and in proportion to what it took: a fifth of one core at most. */
const LEAST_REST_MS = 20;
const REST_FACTOR = 4;
const STOP_WITHIN_MS = 2000;

export function createReread(deps: Dependencies): Reread {
  const { store, index, clock, log, onFound, onCutoffs } = deps;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;
  let endRest = () => {};

  function rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const resting = setTimeout(resolve, ms).unref();
      endRest = () => {
        clearTimeout(resting);
        resolve();
      };
    });
  }

  async function once(): Promise<void> {
    let total = 0;
    let count = 0;
    let workSince = performance.now();
    for await (const batch of store.tokens.revoked(null, new Date(clock() - LEEWAY_MS))) {
      if (stopped) return;
      const missed = batch.filter((entry) => index.add(entry));
      total += batch.length;
      count += missed.length;
      if (missed.length > 0) onFound?.(missed);
      await rest(Math.max(LEAST_REST_MS, REST_FACTOR * (performance.now() - workSince)));
      workSince = performance.now();
    }
    workSince = performance.now();
    for await (const batch of store.cutoffs.writtenSince(null)) {
      if (stopped) return;
      onCutoffs?.(batch);
      await rest(Math.max(LEAST_REST_MS, REST_FACTOR * (performance.now() - workSince)));
      workSince = performance.now();
    }
    // Some are new rather than late: they were revoked just before the reading began.
    log[count > 0 ? 'info' : 'debug']({ total, count }, 'the revocation list was read again');
  }

  async function onceOrReport(): Promise<number> {
    try {
      await once();
      return EVERY_MS * (1 - SPREAD * Math.random());
    } catch (error) {
      if (!stopped) {
        log.warn(
          { err: error, delayMs: RETRY_AFTER_MS },
          'the revocation list could not be read again; it will be tried again',
        );
      }
      return RETRY_AFTER_MS;
    }
  }

  function schedule(delayMs: number): void {
    if (stopped) return;
    timer = setTimeout(() => {
      running = onceOrReport().then(schedule);
    }, delayMs).unref();
  }

  return {
    once,
    start: () => schedule(EVERY_MS * (1 - SPREAD * Math.random())),
    async stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      endRest();
      let limit: NodeJS.Timeout | undefined;
      await Promise.race([
        running,
        new Promise((resolve) => (limit = setTimeout(resolve, STOP_WITHIN_MS))),
      ]);
      clearTimeout(limit);
    },
  };
}
