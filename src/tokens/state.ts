/**
 * The one rule for "is this token still good": whether it has expired, whether a cut-off hits it,
 * what state its record is in. Pure; every decider, list, inspector and timeline asks here.
 */
import { MAX_AHEAD_MS } from '../clock.js';
import type { CutoffScope } from '../store/cutoffs/cutoffs.js';
import { bareIdOf } from '../store/ids.js';
import type { TokenRecord } from '../store/records.js';
import type { TokenState } from '../store/tokens/query/filter.js';
import { timeOfJti } from './jti.js';

/** What a cut-off asks of a token. */
export interface CutoffSubject {
  readonly userId: string | null;
  readonly applicationId: string | null;
  /** A refresh token, or what came from one. */
  readonly isSession: boolean;
  /** ms since the epoch; null = nobody knows. */
  readonly issuedAt: number | null;
  /** When its session began (ms), where the session's id tells. */
  readonly sessionIssuedAt: number | null;
}

/** @param expiresAt (ms or Date) null = never. RFC 7519 section 4.1.4: not good on or after it. */
export function hasExpired(expiresAt: Date | number | null, now: number): boolean {
  return expiresAt !== null && Number(expiresAt) <= now;
}

/** Whether a cut-off of this scope speaks of this token at all. */
export function isInScope(scope: CutoffScope, token: CutoffSubject): boolean {
  return (
    isOfHolder(scope, token.userId) &&
    (scope.applicationId === null || scope.applicationId === token.applicationId) &&
    (!scope.sessionsOnly || token.isSession)
  );
}

function isOfHolder({ userId, everyKind }: CutoffScope, holder: string | null): boolean {
  if (userId === null || userId === holder) return true;
  return everyKind === true && holder !== null && bareIdOf(holder) === userId;
}

/**
 * Whether a token of the cut-off's scope is as old as the cut-off (ms) or older. A token is no
 * younger than its session, and one that says nothing of its age is too old.
 */
export function isCutOff(
  { issuedAt, sessionIssuedAt }: Pick<CutoffSubject, 'issuedAt' | 'sessionIssuedAt'>,
  at: number,
): boolean {
  if (at === -Infinity) return false;
  return issuedAt === null || Math.min(issuedAt, sessionIssuedAt ?? Infinity) <= at;
}

/** Some round the second up. */
const ROUNDED_MS = 1000;
/** Clocks that are set by the network differ by less. */
export const USUAL_AHEAD_MS = 5000;

/**
 * The earliest time (ms) at which a token that others signed may have been signed, by what it claims
 * when it is first seen. One from before `now` is believed. The clock of its signer is ahead if it
 * claims to come from later, and nobody knows since when it existed: by a second or a few, as
 * clocks are, else by as much as is allowed at all.
 */
export function earliestIssue(issuedAt: number, now: number): number {
  const ahead = issuedAt - now;
  if (ahead <= 0) return issuedAt;
  return issuedAt - ([ROUNDED_MS, USUAL_AHEAD_MS].find((usual) => ahead <= usual) ?? MAX_AHEAD_MS);
}

/** What cut-offs ask, of a token that is known by its record. */
export function cutoffSubjectOf(
  record: Pick<TokenRecord, 'kind' | 'userId' | 'applicationId' | 'sessionId' | 'issuedAt'>,
): CutoffSubject {
  return {
    userId: record.userId,
    applicationId: record.applicationId,
    isSession: record.kind === 'refresh' || record.sessionId !== null,
    issuedAt: record.issuedAt?.getTime() ?? null,
    sessionIssuedAt: record.sessionId === null ? null : timeOfJti(record.sessionId),
  };
}

/**
 * Revoked counts before expired, and what the record doesn't say yet (its session, a cut-off) is
 * asked of `isRevoked` last, so that lists show what the check would answer.
 * @throws what `isRevoked` throws (503 when it can't know).
 */
export function stateOf(
  record: TokenRecord,
  now: number,
  isRevoked: (record: TokenRecord) => boolean,
): TokenState {
  if (record.revocation !== null) return 'revoked';
  if (hasExpired(record.expiresAt, now)) return 'expired';
  return isRevoked(record) ? 'revoked' : 'active';
}
