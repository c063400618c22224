/**
 * Marks, behind the request, the records that a cut-off revoked, so that lists and later loads show
 * them. The cut-off itself is in force already; marking survives a restart, because the store knows
 * which cut-offs are still to be marked.
 */
import type { Report } from '../audit/report.js';
import type { Logger } from '../observability/logger.js';
import { type Cutoff, scopeKey } from '../store/cutoffs/cutoffs.js';
import type { Store } from '../store/database/connect.js';

export interface CutoffMarker {
  /** Starts marking what is pending, unless it runs already. */
  wake(): void;
  /** Resolves when nothing is pending any more, or marking failed (it is tried again by itself). */
  idle(): Promise<void>;
  /** The same, but no longer than some moments: lists wait for it, so that they count what is revoked. */
  settled(): Promise<void>;
  /** Ends after the batch under way, or leaves it behind when it takes long: it can be repeated. */
  stop(): Promise<void>;
}

interface Dependencies {
  readonly store: Pick<Store, 'tokens' | 'cutoffs'>;
  readonly log: Logger;
  readonly report: Report;
}

const PROGRESS_EVERY = 100_000;
const RETRY_AFTER_MS = 5000;
const STOP_WITHIN_MS = 2000;
const SETTLED_WITHIN_MS = 1000;

export function createCutoffMarker({ store, log, report }: Dependencies): CutoffMarker {
  let running: Promise<void> | null = null;
  let again = false;
  let stopped = false;
  let retry: NodeJS.Timeout | null = null;

  /** As it is now. */
  async function current(cutoff: Cutoff): Promise<Cutoff | undefined> {
    const found = await store.cutoffs.matching(cutoff.userId, cutoff.applicationId);
    return found.find((each) => scopeKey(each) === scopeKey(cutoff));
  }

  async function markPending(): Promise<void> {
    pending: for (const pending of await store.cutoffs.pending()) {
      // Those before it took their time, and it may have been lowered since.
      const cutoff = await current(pending);
      if (cutoff === undefined) continue;
      const { userId, applicationId, sessionsOnly } = cutoff;
      const scope = { userId, applicationId, sessionsOnly };
      let total = 0;
      for await (const count of store.tokens.markRevoked(cutoff)) {
        if (stopped) return;
        const before = total;
        total += count;
        if (Math.floor(before / PROGRESS_EVERY) < Math.floor(total / PROGRESS_EVERY)) {
          log.info({ total, ...scope }, 'marking revoked tokens');
        }
        // Lowered in the middle: what is issued since then is good.
        const now = await current(cutoff);
        if (now === undefined || now.at < cutoff.at) {
          again = true;
          continue pending;
        }
      }
      await store.cutoffs.setMarked(cutoff);
      if (total > 0) report({ what: 'marked', cutoff, count: total });
      log.info({ event: 'cutoff.marked', total, ...scope }, 'revoked tokens marked');
    }
  }

  async function run(): Promise<void> {
    do {
      again = false;
      try {
        await markPending();
      } catch (error) {
        if (stopped) return;
        log.warn(
          { err: error, delayMs: RETRY_AFTER_MS },
          'revoked tokens could not all be marked yet; they are refused all the same',
        );
        // Nobody else may wake it for weeks.
        retry = setTimeout(wake, RETRY_AFTER_MS).unref();
        return;
      }
    } while (again && !stopped);
  }

  function wake(): void {
    if (stopped) return;
    if (retry !== null) clearTimeout(retry);
    retry = null;
    if (running !== null) {
      again = true;
      return;
    }
    running = run().finally(() => {
      running = null;
    });
  }

  async function idleWithin(ms: number): Promise<void> {
    if (running === null) return;
    let limit: NodeJS.Timeout | undefined;
    await Promise.race([running, new Promise((resolve) => (limit = setTimeout(resolve, ms)))]);
    clearTimeout(limit);
  }

  return {
    wake,
    idle: async () => {
      await running;
    },
    settled: () => idleWithin(SETTLED_WITHIN_MS),
    async stop() {
      stopped = true;
      if (retry !== null) clearTimeout(retry);
      await idleWithin(STOP_WITHIN_MS);
    },
  };
}
