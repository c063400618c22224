/**
 * Exchanging a refresh token for an access token and its own successor. The used secret goes on
 * leading to its successor until an exchange of it has been answered, and for the grace after that:
 * so nothing is consumed by an exchange that failed, or whose outcome nobody knows.
 */
import type { Report } from '../audit/report.js';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../clock.js';
import { unavailable } from '../errors.js';
import { createRecent } from '../recent.js';
import { ACTIVE_STATUS, type TokenRecord, type User } from '../store/records.js';
import type { SecretRecord, SecretStore } from '../store/tokens/secrets.js';
import type { AnswerNotes } from './answers.js';
import { formatOpaqueToken, hashFamily, hashSecret } from './opaque.js';
import { purgeTime } from './record-of-claims.js';
import { rotate, type Standing } from './rotation.js';
import { stateOf } from './state.js';

export interface Session {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: Date;
  readonly refreshToken: string;
  readonly refreshTokenId: string;
  readonly refreshTokenExpiresAt: Date;
}

export type ExchangeResult =
  | { readonly outcome: 'exchanged'; readonly session: Session }
  /** Unknown, expired, revoked, or, without a grace, lost to a parallel exchange. */
  | { readonly outcome: 'refused' }
  /** A secret that was exchanged before came back: the session is to be revoked. */
  | { readonly outcome: 'reused'; readonly record: TokenRecord };

/** A refresh token's record with the secret that was presented, and what that is to it. */
export interface Presented extends SecretRecord {
  readonly secret: string;
  readonly standing: Standing;
}

export interface IssuedAccess {
  readonly token: string;
  readonly record: TokenRecord;
  readonly expiresAt: Date;
}

interface Dependencies {
  readonly secrets: Pick<SecretStore, 'exchangeSecret'>;
  readonly answers: AnswerNotes;
  readonly findPresented: (refreshToken: string) => Promise<Presented | null>;
  readonly findUser: (id: string) => Promise<User | null>;
  /** Once for each exchange. @throws what refuses it; nothing is consumed then. */
  readonly onExchange?: ((userId: string, spareMs: number) => void) | undefined;
  readonly issueAccess: (
    user: User,
    session: TokenRecord,
    sessionEnd: Date,
    maxSeconds: number | null,
  ) => Promise<IssuedAccess>;
  readonly isRevoked: (record: TokenRecord) => boolean;
  /** Before it is refused as revoked: resolves when every instance refuses it. @throws ServiceError 503 */
  readonly whenRefused: (record: TokenRecord) => Promise<void>;
  readonly discard: (record: TokenRecord) => Promise<void>;
  readonly report: Report;
  readonly endOfSession: () => Date;
  readonly clock: Clock;
  readonly retentionSeconds: number;
  readonly oneTimeUse: boolean;
  readonly graceSeconds: number;
}

type Attempt =
  | ExchangeResult
  /** Somebody else exchanged it meanwhile, or may be about to. */
  | { readonly outcome: 'overtaken' }
  | { readonly outcome: 'look-again' };

const REFUSED = { outcome: 'refused' } as const;
const OVERTAKEN = { outcome: 'overtaken' } as const;
const LOOK_AGAIN = { outcome: 'look-again' } as const;

/** For that long an exchange may be under way: what its writes may take at most, and then some. */
const UNDER_WAY_MS = 8000;
/** What was answered is known to every instance long before. */
const KNOWN_AFTER_MS = 2000;
const PATIENCE_MS = UNDER_WAY_MS + 2000;
const LOOK_AGAIN_MS = 20;
const MOST_FAILED = 1000;

export function createExchange(
  deps: Dependencies,
): (refreshToken: string, maxAccessSeconds: number | null) => Promise<ExchangeResult> {
  const { secrets, clock } = deps;
  /** Hashes of secrets whose exchange failed here: nobody is going to answer it. */
  const failedHere = createRecent<true>(MOST_FAILED);

  /**
   * What leads to its successor is open until that has been handed out. Is that long ago, then it's
   * asked for a while whether it is only about to be noted; without a grace, also whether the
   * exchange is still under way. What isn't answered by then never will be, and comes again.
   */
  function mayBeAnsweredYet({ standing }: Presented, waitedMs: number): boolean {
    if (standing.kind !== 'repeat' || standing.used.until !== null) return false;
    if (failedHere.has(standing.used.secretHash)) return false;
    const age = clock() - standing.used.exchangedAt.getTime();
    if (age < Math.min(deps.graceSeconds * 1000, KNOWN_AFTER_MS)) return false;
    const isUnderWay = deps.graceSeconds === 0 && age < UNDER_WAY_MS;
    return waitedMs < (isUnderWay ? UNDER_WAY_MS : KNOWN_AFTER_MS);
  }

  async function attempt(
    refreshToken: string,
    maxAccessSeconds: number | null,
    waitedMs: number,
    allow: (userId: string, presented: Presented) => void,
  ): Promise<Attempt> {
    const presented = await deps.findPresented(refreshToken);
    if (presented === null) return REFUSED;
    const { record, secret, standing } = presented;
    const state = stateOf(record, clock(), deps.isRevoked);
    if (state === 'revoked') {
      // With a made-up secret it's nobody's attempt to use this session.
      if (standing.kind !== 'foreign') deps.report({ what: 'refused', token: record });
      await deps.whenRefused(record);
      return REFUSED;
    }
    if (state === 'expired' || standing.kind === 'foreign') return REFUSED;
    if (standing.kind === 'used') return { outcome: 'reused', record };
    if (mayBeAnsweredYet(presented, waitedMs)) {
      await pause(LOOK_AGAIN_MS);
      return deps.graceSeconds === 0 ? OVERTAKEN : LOOK_AGAIN;
    }
    const user = record.userId === null ? null : await deps.findUser(record.userId);
    if (user === null || user.status !== ACTIVE_STATUS) return REFUSED;
    allow(user.id, presented);
    try {
      return await renew(presented, user, secret, maxAccessSeconds);
    } catch (error) {
      failedHere.set(hashSecret(secret), true);
      throw error;
    }
  }

  /**
   * How long the same secret surely goes on leading to a session: until its grace ends, or, where it
   * may be answered or exchanged at any moment, for one that begins now.
   */
  function spareOf({ standing }: Presented): number {
    const until = standing.kind === 'repeat' ? standing.used.until : null;
    return until === null ? deps.graceSeconds * 1000 : until.getTime() - clock();
  }

  /** The atomic step: whoever finds the secret unchanged has won; everybody else looks anew. */
  async function renew(
    presented: Presented,
    user: User,
    secret: string,
    maxAccessSeconds: number | null,
  ): Promise<Attempt> {
    const { record, standing } = presented;
    const now = clock();
    const rotation =
      standing.kind === 'current' && deps.oneTimeUse
        ? rotate(presented, secret, now, deps.graceSeconds)
        : null;
    const next = rotation?.successor ?? (standing.kind === 'repeat' ? standing.current : secret);
    const nextHash = hashSecret(next);
    const expiresAt = deps.endOfSession();
    // Side by side, so that the disk is waited for once. Nothing leaves before both are durable.
    const [exchanging, issuing] = await Promise.allSettled([
      secrets.exchangeSecret(record.id, presented.secretHash, {
        nextSecretHash: nextHash,
        familyHash: hashFamily(next),
        ...(rotation === null ? {} : { grace: rotation.grace }),
        expiresAt,
        purgeAt: purgeTime(expiresAt, deps.retentionSeconds),
        lastUsedAt: new Date(now),
      }),
      deps.issueAccess(user, record, expiresAt, maxAccessSeconds),
    ]);
    const hasWon = exchanging.status === 'fulfilled' && exchanging.value;
    // By the revocations known now: one may have come while this was written.
    const isRevoked = deps.isRevoked(record);
    if ((!hasWon || isRevoked) && issuing.status === 'fulfilled') {
      await deps.discard(issuing.value.record);
    }
    if (exchanging.status === 'rejected') throw exchanging.reason;
    if (!hasWon) return OVERTAKEN;
    if (issuing.status === 'rejected') throw issuing.reason;
    if (isRevoked) {
      await deps.whenRefused(record);
      return REFUSED;
    }
    if (rotation !== null || presented.grace.some(({ until }) => until === null)) {
      const until = new Date(clock() + deps.graceSeconds * 1000);
      deps.answers.note({ id: record.id, secretHash: nextHash, until });
      // Without a grace nobody is to come in between. The answer is given whatever comes of it.
      if (deps.graceSeconds === 0) await deps.answers.flush();
    }
    deps.report({ what: 'issued', record: issuing.value.record });
    return {
      outcome: 'exchanged',
      session: {
        accessToken: issuing.value.token,
        accessTokenExpiresAt: issuing.value.expiresAt,
        refreshToken: formatOpaqueToken({ jti: record.jti, secret: next }),
        refreshTokenId: record.jti,
        refreshTokenExpiresAt: expiresAt,
      },
    };
  }

  return async (refreshToken, maxAccessSeconds) => {
    const startedAt = performance.now();
    let waitedMs = 0;
    let wasOvertaken = false;
    let isAllowed = false;
    const allow = (userId: string, presented: Presented) => {
      if (!isAllowed) deps.onExchange?.(userId, spareOf(presented));
      isAllowed = true;
    };
    while (waitedMs < PATIENCE_MS) {
      const result = await attempt(refreshToken, maxAccessSeconds, waitedMs, allow);
      if (result.outcome === 'overtaken') wasOvertaken = true;
      else if (result.outcome !== 'look-again') {
        // One that was good when this began, and lost to another exchange, is no sign of theft.
        return wasOvertaken && result.outcome === 'reused' ? REFUSED : result;
      }
      waitedMs = performance.now() - startedAt;
    }
    throw unavailable(
      'This refresh token is being exchanged elsewhere. Nothing is confirmed; repeat the request.',
    );
  };
}
