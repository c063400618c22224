/**
 * A token that was refused because its date can't be believed is refused for ever: in time it would
 * look like any token from after the cut-off, and be accepted again.
 */
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
  /** Neither waits nor throws: in force here at once, recorded behind the request. */
  note(claims: Claims): void;
  /** Records what could not be recorded so far; doesn't throw. To be called every now and then. */
  retry(): Promise<void>;
}

export function createKeepRefused(deps: Dependencies): KeepRefused {
  const { tokens, index, revoker, toRecord, log } = deps;
  /** Refused from this memory only, as long as the database doesn't take them. */
  const unrecorded = new Set<Claims>();

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

  async function attempt(claims: Claims): Promise<void> {
    try {
      await revoke(claims);
      unrecorded.delete(claims);
    } catch (error) {
      const isNew = !unrecorded.has(claims);
      unrecorded.add(claims);
      if (isNew) {
        const { jti } = claims;
        log.warn({ err: error, jti }, 'a token that was refused is not recorded as revoked yet');
      }
    }
  }

  return {
    note(claims) {
      const { jti, issuer } = claims;
      // Known already: then it is recorded, or about to be.
      if (index.add({ jti, issuer, expiresAt: null })) void attempt(claims);
    },

    async retry() {
      // One by one: while the database is away, the first failure tells.
      for (const claims of unrecorded) {
        await attempt(claims);
        if (unrecorded.has(claims)) return;
      }
    },
  };
}
