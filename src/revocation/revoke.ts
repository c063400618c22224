/**
 * Revoking: the one use case behind every dialect and page. Store first (durably), own index
 * second, answer third; a failed write is a failed request (promises R1 and R3).
 */
import type { Clock } from '../clock.js';
import { type ServiceError, unavailable } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/connect.js';
import type { Cutoff, CutoffScope } from '../store/cutoffs.js';
import { DuplicateKeyError } from '../store/failures.js';
import { ANY_ISSUER, type Revocation, type TokenRecord } from '../store/records.js';
import { toRevokedEntry } from '../store/revoked-entry.js';
import type { RevokeOutcome } from '../store/token-revoking.js';
import type { CutoffMarker } from './cutoff-marker.js';
import type { RevocationIndex } from './revocation-index.js';

/** Who revokes, why, and through which door. */
export interface RevocationContext {
  readonly by: string;
  readonly via: string;
  readonly reason: string | null;
  readonly requestId: string;
  readonly eventInfo?: Readonly<Record<string, unknown>>;
}

export interface Revoker {
  /** Revokes a record. null = there is none (any more). @throws ServiceError 503: outcome unknown, repeat it. */
  revokeRecord(record: TokenRecord, context: RevocationContext): Promise<RevokeOutcome | null>;
  /**
   * Revokes everything of a scope that was issued until now: one atomic write, in force at once for
   * however many tokens; marking their records follows behind. What is issued a millisecond later works.
   * @param before only what was issued before then. @returns the cut-off now in force: issued at or before it is revoked.
   */
  revokeScope(scope: CutoffScope, context: RevocationContext, before?: Date): Promise<Date>;
  /** Revokes an id without a record, for whichever issuer: that writes a record holding just the revocation. */
  revokeUnseen(jti: string, context: RevocationContext): Promise<RevokeOutcome>;
}

interface Dependencies {
  readonly store: Pick<Store, 'tokens' | 'cutoffs'>;
  readonly marker: CutoffMarker;
  readonly index: RevocationIndex;
  readonly clock: Clock;
  readonly log: Logger;
  /** A record was revoked just now, and wasn't before; neither may wait or throw. */
  readonly onRevoked?: (record: TokenRecord, context: RevocationContext) => void;
  readonly onScopeRevoked?: (cutoff: Cutoff, context: RevocationContext) => void;
}

/**
 * 503: the record was there and is not any more, so nothing says that its token was revoked. Its
 * token may be good, and is recorded again when it is seen.
 */
export function recordVanished(): ServiceError {
  return unavailable(
    'The record of the token has just gone. Nothing is confirmed; repeat the request.',
  );
}

export function createRevoker(deps: Dependencies): Revoker {
  const { store, marker, index, clock, log } = deps;
  const { tokens, cutoffs } = store;

  async function revokeById(id: string, context: RevocationContext): Promise<RevokeOutcome | null> {
    const result = await tokens.revoke(id, toRevocation(context));
    if (result !== null) finish(result, context);
    return result;
  }

  function toRevocation({ eventInfo, ...context }: RevocationContext): Revocation {
    return { at: new Date(clock()), ...logged(context), ...(eventInfo ? { eventInfo } : {}) };
  }

  function finish({ outcome, record }: RevokeOutcome, context: RevocationContext): void {
    index.add(toRevokedEntry(record));
    if (outcome === 'revoked') deps.onRevoked?.(record, context);
    log.info(
      {
        event: 'token.revoked',
        outcome,
        jti: record.jti,
        recordId: record.id,
        userId: record.userId,
        ...logged(context),
      },
      'token revoked',
    );
  }

  /** Not before the newest token recorded, so that a clock that is behind lets nothing through. */
  async function untilNow(scope: CutoffScope): Promise<Date> {
    const newest = await tokens.newestIssuedAt(scope);
    return new Date(Math.max(clock(), newest?.getTime() ?? 0));
  }

  return {
    revokeRecord: (record, context) => revokeById(record.id, context),

    async revokeScope(scope, context, before) {
      const at = before === undefined ? await untilNow(scope) : new Date(before.getTime() - 1);
      const raised = await cutoffs.raise({ ...scope, at, ...logged(context) });
      index.raiseCutoff(scope, raised.at);
      deps.onScopeRevoked?.(raised, context);
      marker.wake();
      log.info(
        { event: 'scope.revoked', ...scope, ...logged(context) },
        'everything of a scope revoked',
      );
      return raised.at;
    },

    async revokeUnseen(jti, context) {
      const find = async () =>
        (await tokens.findByJti(jti)).find(({ issuer }) => issuer === ANY_ISSUER);
      try {
        await tokens.insert(unseenRecord(jti));
      } catch (error) {
        if (!(error instanceof DuplicateKeyError)) throw error;
      }
      const record = await find();
      const result = record === undefined ? null : await revokeById(record.id, context);
      if (result === null) throw new Error('the record of an unseen id vanished');
      return result;
    },
  };
}

/** `eventInfo` is the caller's text: it's kept with the revocation, not in the log. */
function logged({ by, reason, via, requestId }: RevocationContext) {
  return { by, reason, via, requestId };
}

/** It holds nothing but the revocation that follows. */
function unseenRecord(jti: string) {
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
    revocation: null,
    purgeAt: null,
  } as const;
}
