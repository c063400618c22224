/**
 * A token that was refused because its date can't be believed is refused for ever: in time it would
 * look like any token from after the cut-off, and be accepted again.
 */
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/connect.js';
import { DuplicateKeyError } from '../store/failures.js';
import type { NewTokenRecord } from '../store/records.js';
import type { Claims } from '../tokens/claims.js';
import type { RevocationIndex } from './revocation-index.js';
import type { Revoker } from './revoke.js';

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

/** @returns what neither waits nor throws: in force here at once, recorded behind the request. */
export function createKeepRefused(deps: Dependencies): (claims: Claims) => void {
  const { tokens, index, revoker, toRecord, log } = deps;

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
    if (record !== undefined) await revoker.revokeRecord(record, CONTEXT);
  }

  return function keepRefused(claims) {
    const { jti, issuer } = claims;
    // Known already: then it is recorded, or about to be.
    if (!index.add({ jti, issuer, expiresAt: null })) return;
    revoke(claims).catch((error: unknown) => {
      log.warn({ err: error, jti }, 'a token that was refused could not be recorded as revoked');
    });
  };
}
