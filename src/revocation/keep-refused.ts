/**
 * A token that was refused because its date can't be believed is refused for ever: in time it would
 * look like any token from after the cut-off, and be accepted again.
 */
import { unavailable } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/database/connect.js';
import { DuplicateKeyError } from '../store/database/failures.js';
import type { NewTokenRecord } from '../store/records.js';
import type { Claims } from '../tokens/claims.js';
import type { RevocationIndex } from './revocation-index.js';
import { recordVanished, type Revoker } from './revoke.js';

interface Dependencies {
  readonly tokens: Pick<Store['tokens'], 'insert' | 'findByJti'>;
  readonly index: Pick<RevocationIndex, 'add'>;
  readonly revoker: Pick<Revoker, 'revokeRecord'>;
  /** What a token that has no record yet is recorded as. */
  readonly toRecord: (claims: Claims) => NewTokenRecord;
  readonly log: Logger;
}

const CONTEXT = {
  by: 'system',
  via: 'system',
  reason: 'it claims to come from the future, and may be older than what revoked its scope',
  requestId: '',
} as const;

export interface KeepRefused {
  /**
   * In force here at once, recorded behind the request. @throws ServiceError 503 when too many wait
   * to be recorded: then nobody may be told that it is revoked.
   */
  note(claims: Claims): void;
  /** Records what could not be recorded so far, unless that runs; doesn't throw. To be called every now and then. */
  retry(): Promise<void>;
  /** Resolves when all that was noted before is recorded, or was tried once more. Doesn't throw. */
  flush(): Promise<void>;
}

/** Side by side, in a few commands of the database. */
const AT_ONCE = 100;
const MAX_WAITING = 100_000;

export function createKeepRefused(deps: Dependencies): KeepRefused {
  const { tokens, index, revoker, toRecord, log } = deps;
  /** Refused from this memory only, until the database has taken them; what failed comes last. */
  const waiting = new Set<Claims>();
  let running: Promise<void> | null = null;
  let isFailing = false;

  async function revoke(claims: Claims): Promise<void> {
    const find = async () =>
      (await tokens.findByJti(claims.jti)).find(({ issuer }) => issuer === claims.issuer);
    let record = await find();
    if (record === undefined) {
      try {
        record = await tokens.insert(toRecord(claims));
      } catch (error) {
        if (!(error instanceof DuplicateKeyError)) throw error;
        record = await find();
      }
    }
    if (record === undefined) throw recordVanished();
    await revoker.revokeRecord(record, CONTEXT);
  }

  /** @returns whether it is recorded now. */
  async function attempt(claims: Claims): Promise<boolean> {
    try {
      await revoke(claims);
      waiting.delete(claims);
      return true;
    } catch (error) {
      // Behind the others, so that it doesn't hold them up.
      waiting.delete(claims);
      waiting.add(claims);
      if (!isFailing) {
        const { jti } = claims;
        log.warn({ err: error, jti }, 'a token that was refused is not recorded as revoked yet');
      }
      isFailing = true;
      return false;
    }
  }

  /** Each once; while the database is away, the first ones tell. */
  async function recordWaiting(): Promise<void> {
    const tried = new Set<Claims>();
    for (;;) {
      const batch: Claims[] = [];
      for (const claims of waiting) {
        if (batch.length === AT_ONCE || tried.has(claims)) break;
        batch.push(claims);
        tried.add(claims);
      }
      if (batch.length === 0) break;
      const isRecorded = await Promise.all(batch.map(attempt));
      if (!isRecorded.includes(true)) return;
    }
    if (waiting.size === 0) isFailing = false;
  }

  function retry(): Promise<void> {
    running ??= recordWaiting().finally(() => {
      running = null;
    });
    return running;
  }

  return {
    note(claims) {
      if (waiting.size >= MAX_WAITING)
        throw unavailable('Too many refused tokens are waiting to be recorded.');
      const { jti, issuer } = claims;
      // Known already: then it is recorded, or about to be.
      if (!index.add({ jti, issuer, expiresAt: null })) return;
      waiting.add(claims);
      void retry();
    },

    retry,

    async flush() {
      await running;
      await retry();
    },
  };
}
