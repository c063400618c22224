/**
 * Refused attempts: tokens of ours that were presented after their revocation, and how often. Noted
 * by every check, so noting one is a look-up in a map: writing follows behind, each token once.
 */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import type { RefusedToken } from '../store/tokens/uses.js';
import { createWriteBehind } from '../store/write-behind.js';
import type { RefusedId } from './report.js';

export interface Refusals {
  /** Never waits and never throws. */
  note(token: RefusedId): void;
  /** Writes what was noted. @throws ServiceError 503; it stays noted. */
  flush(): Promise<void>;
}

interface Dependencies {
  readonly record: (seen: readonly RefusedToken[]) => Promise<void>;
  /** After the write, with what was written. */
  readonly onRecorded: (seen: readonly RefusedToken[]) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Noted extends RefusedId {
  at: number;
  count: number;
}

const FLUSH_AFTER_MS = 1000;
const BATCH = 500;
/** Different tokens that wait; further ones aren't counted. */
const MAX_TOKENS = 10_000;

export function createRefusals({ record, onRecorded, clock, log }: Dependencies): Refusals {
  let waiting = new Map<string, Noted>();
  const writer = createWriteBehind({
    write: writeAll,
    afterMs: FLUSH_AFTER_MS,
    retryAfterMs: FLUSH_AFTER_MS,
    onFailure: (error) =>
      log.warn({ err: error, pending: waiting.size }, 'refused tokens could not be recorded yet'),
  });

  function add({ jti, issuer, at, count }: Noted): void {
    const key = `${issuer}\n${jti}`;
    const noted = waiting.get(key);
    if (noted !== undefined) {
      noted.at = Math.max(noted.at, at);
      noted.count += count;
    } else if (waiting.size < MAX_TOKENS) {
      waiting.set(key, { jti, issuer, at, count });
    }
  }

  async function writeAll(): Promise<void> {
    const all = [...waiting.values()];
    waiting = new Map();
    for (let from = 0; from < all.length; from += BATCH) {
      const batch = all.slice(from, from + BATCH).map(({ at, ...rest }) => ({
        ...rest,
        at: new Date(at),
      }));
      try {
        await record(batch);
      } catch (error) {
        for (const noted of all.slice(from)) add(noted);
        throw error;
      }
      await onRecorded(batch);
    }
  }

  return {
    note({ jti, issuer }) {
      const noted = waiting.get(`${issuer}\n${jti}`);
      if (noted === undefined) {
        add({ jti, issuer, at: clock(), count: 1 });
        writer.noted();
        return;
      }
      noted.at = clock();
      noted.count += 1;
    },
    flush: writer.flush,
  };
}
