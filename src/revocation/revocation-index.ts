/**
 * The revocation index: every revoked id and every cut-off, in memory, so that a check asks nobody.
 * Exact, never an LRU, without a size cap; ids leave only when their token has expired anyway.
 * Filling it and keeping it fresh is `sync.ts`.
 */
import { type Clock, MAX_AHEAD_MS } from '../clock.js';
import { unavailable } from '../errors.js';
import { type Cutoff, type CutoffScope, scopeKey } from '../store/cutoffs/cutoffs.js';
import type { TokenRecord } from '../store/records.js';
import { mayForget, type RevokedEntry } from '../store/tokens/revoked-entry.js';
import { cutoffSubjectOf, isCutOff } from '../tokens/state.js';
import { type CutoffTimes, createCutoffTable } from './cutoff-table.js';
import { createIdTable } from './id-table.js';

/** What a check asks about: the token, its holder, and the session that it came from. */
export interface RevocationQuestion {
  readonly issuer: string;
  readonly jti: string;
  /** The id of the refresh token that it came from. */
  readonly sessionId: string | null;
  readonly userId: string | null;
  readonly applicationId: string | null;
  /** A refresh token itself. */
  readonly isRefreshToken?: boolean;
  /** ms since the epoch, rounded down to the second where no more is known; null = not said. */
  readonly issuedAt: number | null;
  /** When the session began (ms), where its id tells. */
  readonly sessionIssuedAt: number | null;
}

export interface RevocationIndex {
  /** @throws ServiceError 503 while the index can't be relied on: never loaded, or not surely up to date. */
  isRevoked(question: RevocationQuestion): boolean;
  /** @returns whether it is new. */
  add(entry: RevokedEntry): boolean;
  /**
   * What the database said before an administrator lowered the cut-off, and comes after that, counts
   * as lowered too. @returns whether it is later than the one that was in force.
   */
  raiseCutoff(scope: CutoffScope & Pick<Cutoff, 'loweredFrom'>, at: Date): boolean;
  /**
   * Follows an administrator who lowered a cut-off that was in the future. One that isn't stays: no
   * late answer of the database takes back what was revoked since.
   */
  followLowered(cutoff: Cutoff): void;
  /**
   * Only knows of it: memory follows when the ids are in that nothing but the higher cut-off refused,
   * and no further than to this one.
   */
  noteLowered(cutoff: CutoffScope & Pick<Cutoff, 'at' | 'loweredFrom'>): void;
  /** From now on no token of these users is good, whenever it was issued: they are disabled or gone. */
  blockUsers(ids: Iterable<string>): void;
  unblockUsers(ids: Iterable<string>): void;
  /** The cut-offs in force for exactly this scope (ms since the epoch). */
  cutoffOf(scope: Pick<CutoffScope, 'userId' | 'applicationId'>): CutoffTimes;
  /** Everything revoked before `at` (ms) is in. Never moves back, unless the clock did. */
  markSynced(at: number): void;
  /** Removes what may leave, a slice at a time. */
  sweepSlice(): void;
  readonly isFresh: boolean;
  /** ms since the epoch; null = never. */
  readonly lastSyncedAt: number | null;
  /** Revoked ids in memory. */
  readonly size: number;
  /** Scopes with a cut-off. */
  readonly cutoffs: number;
}

interface Options {
  readonly clock: Clock;
  /** The issuer of our refresh tokens: `sid` names one of these, or one of the token's own issuer. */
  readonly ownIssuer: string;
  /** How long it goes on by itself after it was last filled; null = only while `holdsLease` says so. */
  readonly staleAfterMs: number | null;
  /** Whether everything that was acknowledged anywhere is surely in. */
  readonly holdsLease?: () => boolean;
  /** Ids from before (ms) never leave: their tokens are not sealed. All may leave when absent. */
  readonly sealedSince?: number;
}

/** Kept this long beyond the expiry, so that no difference between clocks un-revokes a token. */
export const LEEWAY_MS = 120_000;
const CLOCK_SLACK_MS = 1000;

export function createRevocationIndex({
  clock,
  ownIssuer,
  staleAfterMs,
  holdsLease = () => false,
  sealedSince = -Infinity,
}: Options): RevocationIndex {
  const ids = createIdTable();
  const cutoffs = createCutoffTable();
  const blockedUsers = new Set<string>();
  /** What was lowered, by scope. */
  const lowered = new Map<string, { readonly from: number; readonly at: number }>();
  let syncedAt = -Infinity;

  /** A sync from the future means that the clock was set back: then nobody knows how old it is. */
  const isFresh = () => {
    // Then what was expired by the clock that was ahead may be missing, lease or not.
    if (clock() - syncedAt < -CLOCK_SLACK_MS) return false;
    if (holdsLease()) return true;
    if (staleAfterMs === null) return false;
    const age = clock() - syncedAt;
    return age <= staleAfterMs && age >= -CLOCK_SLACK_MS;
  };
  /** What was raised since it was lowered, here, counts also in an answer from before that. */
  function noteLowered(
    cutoff: CutoffScope & Pick<Cutoff, 'at' | 'loweredFrom'>,
  ): { readonly from: number; readonly at: number } | null {
    if (cutoff.loweredFrom === undefined) return null;
    const key = scopeKey(cutoff);
    const known = lowered.get(key);
    const from = cutoff.loweredFrom.getTime();
    const isSame = known !== undefined && from <= known.from;
    const at = Math.max(cutoff.at.getTime(), isSame ? known.at : -Infinity);
    if (known === undefined || from >= known.from) lowered.set(key, { from, at });
    return { from, at };
  }

  return {
    isRevoked(question) {
      if (!isFresh()) throw unavailable('The revocation list is not up to date.');
      const { issuer, jti, sessionId, userId, applicationId } = question;
      if (ids.has(issuer, jti)) return true;
      if (sessionId !== null && ids.has(issuer, sessionId, ownIssuer)) return true;
      if (userId !== null && blockedUsers.has(userId)) return true;
      const cutoff = cutoffs.effective({
        userId,
        applicationId,
        isSession: sessionId !== null || question.isRefreshToken === true,
      });
      return isCutOff(question, cutoff);
    },

    add({ issuer, jti, expiresAt }) {
      const isKept = expiresAt === null || !mayForget(jti, sealedSince);
      const leavesAt = isKept ? Infinity : expiresAt + LEEWAY_MS;
      return leavesAt > clock() && ids.add(issuer, jti, leavesAt);
    },

    raiseCutoff(scope, at) {
      const to = at.getTime();
      // Only one in the future is ever lowered.
      const known = to > clock() ? lowered.get(scopeKey(scope)) : undefined;
      const isOutdated =
        known !== undefined &&
        to <= known.from &&
        (scope.loweredFrom?.getTime() ?? -Infinity) < known.from;
      return cutoffs.raise(scope, isOutdated ? Math.min(to, known.at) : to);
    },

    followLowered(cutoff) {
      const times = noteLowered(cutoff);
      if (times !== null) cutoffs.lower(cutoff, { ...times, beyond: clock() + MAX_AHEAD_MS });
    },

    noteLowered: (cutoff) => void noteLowered(cutoff),

    blockUsers(users) {
      for (const id of users) blockedUsers.add(id);
    },

    unblockUsers(users) {
      for (const id of users) blockedUsers.delete(id);
    },
    cutoffOf: cutoffs.of,

    markSynced(at) {
      syncedAt = syncedAt > clock() + CLOCK_SLACK_MS ? at : Math.max(syncedAt, at);
    },

    sweepSlice: () => ids.sweepSlice(clock()),

    get isFresh() {
      return isFresh();
    },

    get lastSyncedAt() {
      return syncedAt === -Infinity ? null : syncedAt;
    },

    get size() {
      return ids.size;
    },

    get cutoffs() {
      return cutoffs.size;
    },
  };
}

/** The same question about a token that is known by its record. */
export function questionOf(record: TokenRecord): RevocationQuestion {
  const { userId, applicationId, issuedAt, sessionIssuedAt } = cutoffSubjectOf(record);
  return {
    issuer: record.issuer,
    jti: record.jti,
    sessionId: record.sessionId,
    userId,
    applicationId,
    isRefreshToken: record.kind === 'refresh',
    issuedAt,
    sessionIssuedAt,
  };
}
