/**
 * Which users may not use anything any more, in memory for the check: those who are disabled or gone
 * in the collection `users`, whoever did that there. Looked at every few seconds; what they held is
 * revoked durably, so that enabling them again revives nothing.
 */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import type { RevocationContext } from '../audit/report.js';
import type { Revoker } from '../revocation/revoke.js';
import type { RevocationIndex } from '../revocation/revocation-index.js';
import type { Operation } from '../store/cluster/log.js';
import { USER } from '../store/ids.js';
import { ACTIVE_STATUS } from '../store/records.js';
import type { KnownUserStore } from '../store/users/known.js';
import type { TokenStore } from '../store/tokens/tokens.js';
import type { UserStore } from '../store/users/users.js';
import type { Claims } from '../tokens/claims.js';

export interface Standing {
  /** The holder of a token in use: from now on it is looked whether that user still exists. */
  noteUse(claims: Claims): void;
  /** From now on nothing of this user is good. */
  block(userId: string): void;
  isBlocked(userId: string): boolean;
  unblock(userId: string): void;
  /**
   * Blocks those who are disabled, whether that is due or not; what they hold is revoked at the next
   * refresh. @param isSilent nobody is told. @throws ServiceError 503
   */
  look(isSilent: boolean): Promise<void>;
  /** Looks at the users, where that is due. @throws ServiceError 503: then nobody knows. */
  refresh(): Promise<void>;
}

interface Dependencies {
  readonly users: Pick<UserStore, 'inactiveIds' | 'findByIds'>;
  readonly knownUsers: KnownUserStore;
  readonly tokens: Pick<TokenStore, 'hasUnrevoked'>;
  readonly revoker: Pick<Revoker, 'revokeScope'>;
  readonly index: Pick<RevocationIndex, 'blockUsers' | 'unblockUsers'>;
  /** Forgets which passwords were right, of this user. */
  readonly forgetVerified: (userId: string) => void;
  /** Tells the other instances who is blocked here, from now on. */
  readonly tellBehind: (operations: readonly Operation[]) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

const INACTIVE_EVERY_MS = 5000;
const PRESENCE_EVERY_MS = 15_000;
/** Longer than the use of a token goes unnoted. */
const IN_USE_MS = 120_000;
const MAX_WATCHED = 200_000;
const BATCH = 1000;
/** Of those found disabled, so many are looked at in one go: after a start there may be very many. */
const REVOKED_AT_ONCE = 50;

interface Watched {
  seenAt: number;
  /** Whether there ever was such a user: ids of others who share the key are none of `users`. */
  isOurs: boolean;
}

export function createStanding(deps: Dependencies): Standing {
  const { users, knownUsers, tokens, revoker, index, clock, log } = deps;
  const watched = new Map<string, Watched>();
  /** Disabled, and gone. */
  const inactive = new Set<string>();
  const missing = new Set<string>();
  /** Found disabled; what they hold is still to be revoked. */
  const toRevoke = new Set<string>();
  /** Blocked or unblocked while a look was under way, which can't have seen that. */
  const changed = new Set<string>();
  let inactiveAt = -Infinity;
  let presenceAt = -Infinity;

  function block(set: Set<string>, userId: string): void {
    set.add(userId);
    index.blockUsers([userId]);
    deps.forgetVerified(userId);
  }

  /** Others may not have looked yet. */
  function blockFound(set: Set<string>, userId: string): void {
    block(set, userId);
    deps.tellBehind([{ what: 'blocked', userId }]);
  }

  function unblock(userId: string): void {
    inactive.delete(userId);
    missing.delete(userId);
    toRevoke.delete(userId);
    index.unblockUsers([userId]);
  }

  async function revokeAll(userId: string, reason: string, before?: Date): Promise<void> {
    const context: RevocationContext = { by: 'system', via: 'users', reason, requestId: '' };
    const scope = { userId, applicationId: null, sessionsOnly: false };
    await revoker.revokeScope(scope, context, before);
  }

  /** @returns all who are inactive. */
  async function blockInactive(tell: typeof deps.tellBehind): Promise<ReadonlySet<string>> {
    const found = new Set(await users.inactiveIds());
    const isNew = (userId: string) => !inactive.has(userId) && !changed.has(userId);
    const newOnes = [...found].filter(isNew);
    for (const userId of newOnes) {
      block(inactive, userId);
      toRevoke.add(userId);
    }
    if (newOnes.length > 0) tell(newOnes.map((userId) => ({ what: 'blocked', userId })));
    return found;
  }

  async function lookForInactive(): Promise<void> {
    const lastLook = inactiveAt;
    const startedAt = clock();
    changed.clear();
    const found = await blockInactive(deps.tellBehind);
    await lookAtLeft(
      [...inactive].filter((userId) => !found.has(userId) && !changed.has(userId)),
      lastLook,
    );
    for (const userId of [...toRevoke].slice(0, REVOKED_AT_ONCE)) {
      // Tokens in use need not have a record.
      if (watched.has(userId) || (await tokens.hasUnrevoked(userId)))
        await revokeAll(userId, 'the user was disabled');
      toRevoke.delete(userId);
    }
    inactiveAt = startedAt;
  }

  /** No longer disabled: active again, or gone. */
  async function lookAtLeft(userIds: readonly string[], lastLook: number): Promise<void> {
    if (userIds.length === 0) return;
    const present = new Map((await users.findByIds(userIds)).map((user) => [user.id, user]));
    for (const userId of userIds) {
      if (present.get(userId)?.status === ACTIVE_STATUS) {
        // Until the last look it was disabled: what is from before then stays refused.
        await revokeAll(userId, 'the user was disabled', new Date(lastLook));
        if (changed.has(userId)) continue;
        unblock(userId);
        log.info({ event: 'user.enabled', userId, via: 'users' }, 'a user is active again');
      } else if (!present.has(userId)) {
        // It was blocked, so everybody has been told.
        inactive.delete(userId);
        block(missing, userId);
      }
    }
  }

  async function lookForMissing(): Promise<void> {
    const now = clock();
    const inUse: string[] = [];
    for (const [userId, { seenAt, isOurs }] of watched) {
      if (now - seenAt <= IN_USE_MS) inUse.push(userId);
      // One of ours is kept in mind: their token may come again long after they have gone.
      else if (!isOurs) watched.delete(userId);
    }
    const asked = [...new Set([...inUse, ...missing])];
    for (let at = 0; at < asked.length; at += BATCH) {
      const batch = asked.slice(at, at + BATCH);
      const present = new Set((await users.findByIds(batch)).map(({ id }) => id));
      const isNew = (userId: string) => watched.get(userId)?.isOurs === false;
      // Durably, so that whoever vanishes while nobody looks is noticed later.
      await knownUsers.remember(batch.filter((userId) => isNew(userId) && present.has(userId)));
      const absent = batch.filter((userId) => isNew(userId) && !present.has(userId));
      const once = await knownUsers.among(absent);
      for (const userId of batch) {
        const known = watched.get(userId);
        if (known !== undefined && (present.has(userId) || once.has(userId))) known.isOurs = true;
        if (present.has(userId)) {
          if (missing.has(userId) && !inactive.has(userId)) unblock(userId);
        } else if (known?.isOurs === true && !missing.has(userId)) {
          blockFound(missing, userId);
          await revokeAll(userId, 'the user is gone');
          log.warn({ event: 'user.gone', userId, via: 'users' }, 'a user who held tokens is gone');
        }
      }
    }
    presenceAt = now;
  }

  return {
    noteUse({ userId, subjectType }) {
      if (subjectType !== USER || missing.has(userId)) return;
      const known = watched.get(userId);
      if (known !== undefined) {
        known.seenAt = clock();
      } else if (watched.size < MAX_WATCHED) {
        watched.set(userId, { seenAt: clock(), isOurs: false });
      }
    },

    isBlocked: (userId) => inactive.has(userId) || missing.has(userId),

    block(userId) {
      changed.add(userId);
      block(inactive, userId);
    },

    unblock(userId) {
      changed.add(userId);
      unblock(userId);
    },

    async look(isSilent) {
      await blockInactive(isSilent ? () => undefined : deps.tellBehind);
    },

    async refresh() {
      const isDue = (last: number, everyMs: number) => Math.abs(clock() - last) >= everyMs;
      if (isDue(inactiveAt, INACTIVE_EVERY_MS)) await lookForInactive();
      if (isDue(presenceAt, PRESENCE_EVERY_MS)) await lookForMissing();
    },
  };
}
