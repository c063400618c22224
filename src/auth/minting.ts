/**
 * Minting for a caller: asked for before, and once more when the record is there, so that nobody
 * whose token or password has just been revoked is left with a child of it. The way to every token
 * that is handed out for credentials.
 */
import type { TokenRecord } from '../store/records.js';
import type { ConfirmCaller, ConfirmedCaller } from './confirm-caller.js';
import type { Principal } from './principal.js';

export interface Minting {
  /**
   * @param make records what is to be handed out, and says which records these are.
   * @throws ServiceError 401 or 403 when the caller is no longer good; nothing was minted then.
   * @throws ServiceError 503 when that can't be known: nothing is handed out.
   */
  mint<T extends { readonly records: readonly TokenRecord[] }>(
    principal: Principal,
    make: (caller: ConfirmedCaller) => Promise<T>,
    needed?: 'administrator',
  ): Promise<T>;
}

interface Dependencies {
  readonly confirmCaller: ConfirmCaller;
  /** Removes the record of a token that was never handed out. */
  readonly discard: (record: TokenRecord) => Promise<void>;
  /** It is about to be handed out; it may neither wait nor throw. */
  readonly onIssued: (record: TokenRecord) => void;
}

export function createMinting({ confirmCaller, discard, onIssued }: Dependencies): Minting {
  return {
    async mint(principal, make, needed) {
      const made = await make(await confirmCaller(principal, needed));
      try {
        await confirmCaller(principal, needed);
      } catch (error) {
        await Promise.all(made.records.map(discard));
        throw error;
      }
      for (const record of made.records) onIssued(record);
      return made;
    },
  };
}
