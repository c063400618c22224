/**
 * What is done to an account so that nothing made before outlives it: a new password, disabling,
 * enabling, deleting. The one place for API, dashboard and command line.
 */
import type { Trail } from '../audit/trail.js';
import type { Logger } from '../observability/logger.js';
import type { RevocationContext } from '../audit/report.js';
import type { Propagate } from '../revocation/cluster/propagate.js';
import type { Revoker } from '../revocation/revoke.js';
import type { AuditType } from '../store/events.js';
import { ACTIVE_STATUS, type User } from '../store/records.js';
import type { UserStore } from '../store/users/users.js';
import type { Standing } from './standing.js';

/**
 * Each resolves when everything that the user held is refused, by every instance; only enabling takes
 * the others some seconds. null = there is no such user.
 * @throws ServiceError 503: outcome unknown; repeating it is safe.
 */
export interface Accounts {
  setPassword(id: string, passwordHash: string, context: RevocationContext): Promise<User | null>;
  /** Makes this user an administrator with this password; creates it if need be. */
  setAdministrator(email: string, passwordHash: string, context: RevocationContext): Promise<User>;
  disable(id: string, context: RevocationContext): Promise<User | null>;
  /** What was issued before stays refused. */
  enable(id: string, context: RevocationContext): Promise<User | null>;
  remove(id: string, context: RevocationContext): Promise<User | null>;
}

interface Dependencies {
  readonly users: Pick<
    UserStore,
    'findById' | 'findByEmail' | 'setPassword' | 'setAdministrator' | 'setStatus' | 'remove'
  >;
  readonly revoker: Pick<Revoker, 'revokeScope'>;
  readonly standing: Pick<Standing, 'block' | 'unblock' | 'isBlocked'>;
  /** Forgets which passwords were right, of this user. */
  readonly forgetVerified: (userId: string) => void;
  /** Tells the other instances. */
  readonly propagate: Pick<Propagate, 'tell'>;
  readonly trail: Pick<Trail, 'record'>;
  readonly log: Logger;
}

/** Tiledesk's word for an account that is switched off. */
const DISABLED_STATUS = 0;

export function createAccounts(deps: Dependencies): Accounts {
  const { users, revoker, standing, trail, log } = deps;

  /** The account first: nothing is minted any more then, so that what is revoked now is everything. */
  async function revokeAll(
    id: string,
    context: RevocationContext,
    what: 'blocked' | 'password' = 'password',
  ): Promise<void> {
    deps.forgetVerified(id);
    await Promise.all([
      deps.propagate.tell([{ what, userId: id }]),
      revoker.revokeScope({ userId: id, applicationId: null, sessionsOnly: false }, context),
    ]);
  }

  function report(type: AuditType, userId: string, context: RevocationContext): void {
    const { by, via, reason, requestId } = context;
    trail.record({ type, userId, by, via, reason, requestId });
    log.info({ event: type, userId, by, via, reason, requestId }, type.replace('.', ' '));
  }

  return {
    async setPassword(id, passwordHash, context) {
      const user = await users.setPassword(id, passwordHash);
      if (user === null) return null;
      await revokeAll(user.id, context);
      report('password.changed', user.id, context);
      return user;
    },

    async setAdministrator(email, passwordHash, context) {
      const before = await users.findByEmail(email);
      // It may be disabled: then there must be no moment in which something old is good.
      if (before !== null) await revokeAll(before.user.id, context);
      const user = await users.setAdministrator(email, passwordHash);
      standing.unblock(user.id);
      await revokeAll(user.id, context);
      report(before === null ? 'user.created' : 'password.changed', user.id, context);
      return user;
    },

    async disable(id, context) {
      const user = await users.setStatus(id, DISABLED_STATUS);
      if (user === null) return null;
      standing.block(user.id);
      await revokeAll(user.id, context, 'blocked');
      report('user.disabled', user.id, context);
      return user;
    },

    async enable(id, context) {
      const before = await users.findById(id);
      if (before === null) return null;
      // While it is still disabled, so that there is no moment in which something old is good.
      const wasDisabled = before.status !== ACTIVE_STATUS || standing.isBlocked(before.id);
      if (wasDisabled) await revokeAll(before.id, context);
      const user = await users.setStatus(id, ACTIVE_STATUS);
      if (user === null) return null;
      standing.unblock(user.id);
      if (wasDisabled) report('user.enabled', user.id, context);
      return user;
    },

    async remove(id, context) {
      // Disabled first: whatever fails on the way, repeating it goes on from there.
      const user = await users.setStatus(id, DISABLED_STATUS);
      if (user === null) return null;
      standing.block(user.id);
      await revokeAll(user.id, context, 'blocked');
      await users.remove(user.id);
      // Whoever enabled it in between has let something out.
      standing.block(user.id);
      await revokeAll(user.id, context, 'blocked');
      report('user.deleted', user.id, context);
      return user;
    },
  };
}
