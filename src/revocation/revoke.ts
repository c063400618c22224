/**
 * Revoking: the one use case behind every dialect and page. Store first (durably), own index
 * second, answer third; a failed write is a failed request (promises R1 and R3).
 */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import { DuplicateKeyError } from '../store/failures.js';
import { ANY_ISSUER, type Revocation, type TokenRecord } from '../store/records.js';
import { type RevokeOutcome, toRevokedEntry, type TokenStore } from '../store/tokens.js';
import type { RevocationIndex } from './revocation-index.js';

/** Who revokes, why, and through which door. */
export interface RevocationContext {
  readonly by: string;
  readonly via: string;
  readonly reason: string | null;
  readonly requestId: string;
}

export interface Revoker {
  /** Revokes a record. null = there is none (any more). @throws ServiceError 503: outcome unknown, repeat it. */
  revokeRecord(record: TokenRecord, context: RevocationContext): Promise<RevokeOutcome | null>;
  /** Revokes an id without a record, for whichever issuer: that writes a record holding just the revocation. */
  revokeUnseen(jti: string, context: RevocationContext): Promise<RevokeOutcome>;
}

interface Dependencies {
  readonly tokens: TokenStore;
  readonly index: RevocationIndex;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createRevoker({ tokens, index, clock, log }: Dependencies): Revoker {
  async function revokeById(id: string, context: RevocationContext): Promise<RevokeOutcome | null> {
    const result = await tokens.revoke(id, toRevocation(context));
    if (result !== null) finish(result, context);
    return result;
  }

  function toRevocation({ by, reason, via }: RevocationContext): Revocation {
    return { at: new Date(clock()), by, reason, via };
  }

  function finish({ outcome, record }: RevokeOutcome, context: RevocationContext): void {
    index.add(toRevokedEntry(record));
    log.info(
      {
        event: 'token.revoked',
        outcome,
        jti: record.jti,
        recordId: record.id,
        userId: record.userId,
        ...context,
      },
      'token revoked',
    );
  }

  return {
    revokeRecord: (record, context) => revokeById(record.id, context),

    async revokeUnseen(jti, context) {
      try {
        const record = await tokens.insert(unseenRecord(jti, toRevocation(context)));
        const result = { outcome: 'revoked', record } as const;
        finish(result, context);
        return result;
      } catch (error) {
        if (!(error instanceof DuplicateKeyError)) throw error;
      }
      const existing = (await tokens.findByJti(jti)).find((record) => record.issuer === ANY_ISSUER);
      const result = existing === undefined ? null : await revokeById(existing.id, context);
      if (result === null) throw new Error('the record of an unseen id vanished');
      return result;
    },
  };
}

function unseenRecord(jti: string, revocation: Revocation) {
  return {
    jti,
    kind: 'access',
    origin: 'registered',
    issuer: ANY_ISSUER,
    subject: null,
    audience: null,
    userId: null,
    applicationId: null,
    sessionId: null,
    cdata: null,
    device: null,
    issuedAt: null,
    expiresAt: null,
    lastUsedAt: null,
    revocation,
    purgeAt: null,
  } as const;
}
