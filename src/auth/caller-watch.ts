/**
 * Watches the caller of an answer that takes long: it ends soon after the token is revoked, the
 * password changed, the user disabled or no longer an administrator.
 */
import { forbidden, unauthenticated } from '../errors.js';
import { ACTIVE_STATUS } from '../store/records.js';
import type { UserStore } from '../store/users/users.js';
import type { Claims } from '../tokens/claims.js';
import type { ConfirmCaller } from './confirm-caller.js';
import type { Principal } from './principal.js';

export interface CallerWatch {
  /** Fires, with the reason, when the caller is no longer good, or nobody can say. */
  readonly signal: AbortSignal;
  stop(): void;
}

/** @param wasAdministrator when the answer began; it ends when the caller is none any more. */
export type WatchCaller = (principal: Principal, wasAdministrator: boolean) => CallerWatch;

interface Dependencies {
  /** Neither expired nor revoked, from memory. @throws ServiceError 503 when that can't be known. */
  readonly isUsable: (claims: Claims) => boolean;
  readonly confirmCaller: ConfirmCaller;
  readonly users: Pick<UserStore, 'findById'>;
}

const LOOK_EVERY_MS = 500;

export function createWatchCaller({ isUsable, confirmCaller, users }: Dependencies): WatchCaller {
  function assertUsable(principal: Principal): void {
    if (principal.kind === 'token' && !isUsable(principal.claims)) throw unauthenticated();
  }

  async function askStore(principal: Principal, wasAdministrator: boolean): Promise<void> {
    if (principal.kind === 'password') {
      await confirmCaller(principal, wasAdministrator ? 'administrator' : undefined);
      return;
    }
    const user = await users.findById(principal.userId);
    if (user !== null && user.status !== ACTIVE_STATUS) throw unauthenticated();
    if (wasAdministrator && user?.role !== 'admin') throw forbidden();
  }

  return function watchCaller(principal, wasAdministrator) {
    const gone = new AbortController();
    let isAsking = false;

    async function look(): Promise<void> {
      assertUsable(principal);
      // Memory is asked even while the store takes long.
      if (isAsking) return;
      isAsking = true;
      try {
        await askStore(principal, wasAdministrator);
      } finally {
        isAsking = false;
      }
    }

    const timer = setInterval(() => {
      look().catch((error: unknown) => gone.abort(error));
    }, LOOK_EVERY_MS).unref();
    return { signal: gone.signal, stop: () => clearInterval(timer) };
  };
}
