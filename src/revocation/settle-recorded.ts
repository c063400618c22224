/**
 * Revokes what was recorded only after its scope, session or id had been revoked: whoever marked the
 * records can't have seen it, and a record that doesn't say so would let its token in again once the
 * date that it claims has passed.
 */
import type { Logger } from '../observability/logger.js';
import type { TokenRecord } from '../store/records.js';
import { questionOf, type RevocationIndex } from './revocation-index.js';
import type { Revoker } from './revoke.js';

interface Dependencies {
  readonly index: Pick<RevocationIndex, 'isRevoked' | 'isFresh'>;
  readonly revoker: Pick<Revoker, 'revokeRecord'>;
  readonly log: Logger;
}

export interface SettleRecorded {
  /** It has just been recorded; neither waits nor throws. */
  note(record: TokenRecord): void;
  /**
   * To be called before the revocation list is read, and what it returns when that has been read: it
   * holds by then whatever was revoked before those were recorded that had been noted. Neither throws.
   */
  beginRead(): () => Promise<void>;
  /** Noted, and not known to be settled. */
  readonly pending: number;
}

const CONTEXT = {
  by: 'system',
  via: 'system',
  reason: 'its scope, session or id had been revoked before it was recorded',
  requestId: '',
} as const;
/** Records that are revoked side by side. */
const AT_ONCE = 100;

export function createSettleRecorded({ index, revoker, log }: Dependencies): SettleRecorded {
  /** What was revoked just before, elsewhere, may not be known here yet. */
  const waiting = new Map<string, TokenRecord>();

  /** Said once of each, not at every try. */
  const warned = new WeakSet<TokenRecord>();

  /** @returns whether it is revoked now, if it must be. */
  async function settle(record: TokenRecord): Promise<boolean> {
    try {
      if (!index.isFresh) return false;
      if (!index.isRevoked(questionOf(record))) return true;
      await revoker.revokeRecord(record, CONTEXT);
      waiting.delete(record.id);
      return true;
    } catch (error) {
      if (!warned.has(record))
        log.warn({ err: error, jti: record.jti }, 'a revoked token could not be marked as revoked');
      warned.add(record);
      return false;
    }
  }

  return {
    note(record) {
      if (record.revocation !== null) return;
      waiting.set(record.id, record);
      void settle(record);
    },

    beginRead() {
      const noted = [...waiting.values()];
      return async () => {
        for (let at = 0; at < noted.length; at += AT_ONCE) {
          await Promise.all(
            noted.slice(at, at + AT_ONCE).map(async (record) => {
              if (await settle(record)) waiting.delete(record.id);
            }),
          );
        }
      };
    },

    get pending() {
      return waiting.size;
    },
  };
}
