/**
 * Asks the store, not memory, whether a caller's credentials are still good: before anything is
 * minted or granted, because this instance may not have heard yet of what another one revoked.
 */
import { forbidden, unauthenticated } from '../errors.js';
import type { Clock } from '../clock.js';
import { DuplicateKeyError } from '../store/database/failures.js';
import {
  ACTIVE_STATUS,
  ANY_ISSUER,
  type NewTokenRecord,
  type TokenRecord,
  type User,
} from '../store/records.js';
import type { CutoffStore } from '../store/cutoffs/cutoffs.js';
import { type Operation, toldOf } from '../store/cluster/log.js';
import { toRevokedEntry } from '../store/tokens/revoked-entry.js';
import type { TokenStore } from '../store/tokens/tokens.js';
import type { UserStore } from '../store/users/users.js';
import type { Claims } from '../tokens/claims.js';
import { hasExpired, isCutOff, isInScope } from '../tokens/state.js';
import type { Principal } from './principal.js';

export interface ConfirmedCaller {
  readonly userId: string;
  /** The record of the token that it came with; null = it came with a password. */
  readonly parent: TokenRecord | null;
  /** null = the holder is none of our users. */
  readonly user: User | null;
}

/**
 * @throws ServiceError 401 when the token, its session, its user or the password is no longer good,
 *   403 when an administrator is needed and this isn't one (any more), 503 when the store can't say.
 */
export type ConfirmCaller = (
  principal: Principal,
  needed?: 'administrator',
) => Promise<ConfirmedCaller>;

interface Dependencies {
  readonly tokens: Pick<TokenStore, 'findByJtis' | 'insert'>;
  readonly cutoffs: Pick<CutoffStore, 'matching'>;
  readonly users: Pick<UserStore, 'findById' | 'findWithPassword'>;
  /** What a token that has no record yet is recorded as. */
  readonly toRecord: (claims: Claims) => NewTokenRecord;
  /** Puts in force, here and everywhere, what a record says. @throws ServiceError 503 */
  readonly learn: (operations: readonly Operation[], refused: Claims) => Promise<void>;
  /** Forgets which passwords were right, of this user. */
  readonly forgetVerified: (userId: string) => void;
  readonly clock: Clock;
  readonly ownIssuer: string;
}

export function createConfirmCaller(deps: Dependencies): ConfirmCaller {
  const { tokens, cutoffs, users, clock, ownIssuer } = deps;

  async function confirmToken(claims: Claims): Promise<ConfirmedCaller> {
    const { jti, sessionId, issuer, userId, applicationId } = claims;
    const [records, matching, user] = await Promise.all([
      tokens.findByJtis(sessionId === null ? [jti] : [jti, sessionId]),
      cutoffs.matching(userId, applicationId),
      users.findById(userId),
    ]);
    const own = records.filter(
      (record) => record.jti === jti && [issuer, ANY_ISSUER].includes(record.issuer),
    );
    const session = records.filter(
      (record) =>
        record.jti === sessionId && [issuer, ownIssuer, ANY_ISSUER].includes(record.issuer),
    );
    const revoked = [...own, ...session].filter(({ revocation }) => revocation !== null);
    const subject = { ...claims, isSession: sessionId !== null };
    const hits = matching.filter(
      (cutoff) => isInScope(cutoff, subject) && isCutOff(subject, cutoff.at.getTime()),
    );
    const isInactive = user !== null && user.status !== ACTIVE_STATUS;
    // Who is refused here must be refused everywhere.
    await deps.learn(
      [
        ...revoked.map(toOperation),
        ...hits.map((cutoff) => ({ what: 'cut-off' as const, cutoff: toldOf(cutoff) })),
        ...(isInactive ? [{ what: 'blocked' as const, userId }] : []),
      ],
      claims,
    );
    if (revoked.length + hits.length > 0 || isInactive || hasExpired(claims.expiresAt, clock()))
      throw unauthenticated();
    const record = own.find((each) => each.issuer === issuer) ?? (await recordNow(claims));
    return { userId, parent: record, user };
  }

  /** What it mints falls with it, so from now on it has a record, whatever the policy for others. */
  async function recordNow(claims: Claims): Promise<TokenRecord> {
    try {
      return await tokens.insert(deps.toRecord(claims));
    } catch (error) {
      if (!(error instanceof DuplicateKeyError)) throw error;
    }
    // Adopted at the same moment.
    const found = (await tokens.findByJtis([claims.jti])).find(
      ({ issuer }) => issuer === claims.issuer,
    );
    if (found === undefined) throw unauthenticated();
    if (found.revocation === null) return found;
    await deps.learn([toOperation(found)], claims);
    throw unauthenticated();
  }

  /** What counts is the password now, not the one that was right when it was looked at. */
  async function confirmPassword(
    principal: Extract<Principal, { kind: 'password' }>,
  ): Promise<ConfirmedCaller> {
    const found = await users.findWithPassword(principal.userId);
    const isGood =
      found !== null &&
      found.user.status === ACTIVE_STATUS &&
      found.passwordHash === principal.passwordHash;
    if (!isGood) {
      // Whatever is remembered of it is out of date: the next try is looked at anew.
      deps.forgetVerified(principal.userId);
      throw unauthenticated();
    }
    return { userId: principal.userId, parent: null, user: found.user };
  }

  return async function confirmCaller(principal, needed) {
    const caller =
      principal.kind === 'password'
        ? await confirmPassword(principal)
        : await confirmToken(principal.claims);
    if (needed === 'administrator' && caller.user?.role !== 'admin') throw forbidden();
    return caller;
  };
}

function toOperation(record: TokenRecord): Operation {
  return { what: 'revoked', entry: toRevokedEntry(record) };
}
