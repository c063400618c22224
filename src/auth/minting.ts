/**
 * Minting for a caller, within limits: asked for before, and once more when the record is there, so that nobody
 * whose token or password has just been revoked is left with a child of it. The way to every token
 * that is handed out for credentials.
 */
import type { Report } from '../audit/report.js';
import type { TokenRecord } from '../store/records.js';
import type { ConfirmCaller, ConfirmedCaller } from './confirm-caller.js';
import type { MintingDoor, MintingLimits } from './minting-limits.js';
import type { Principal } from './principal.js';

export interface Minting {
  /**
   * @param make records what is to be handed out, and says which records these are.
   * @throws ServiceError 401 or 403 when the caller is no longer good; nothing was minted then.
   * @throws ServiceError 429 when the holder has had too many, or has too many; nothing was minted then.
   * @throws ServiceError 503 when that can't be known: nothing is handed out.
   */
  mint<T extends { readonly records: readonly TokenRecord[] }>(
    principal: Principal,
    make: (caller: ConfirmedCaller) => Promise<T>,
    kind: MintingKind,
  ): Promise<T>;
}

export interface MintingKind {
  readonly door: MintingDoor;
  /** It is good for ever. A sign-in isn't asked for it: people must not be shut out. */
  readonly isEndless?: boolean;
  readonly needed?: 'administrator';
}

interface Dependencies {
  readonly confirmCaller: ConfirmCaller;
  readonly limits: Pick<MintingLimits, 'take' | 'makeEndless'>;
  /** Removes the record of a token that was never handed out. */
  readonly discard: (record: TokenRecord) => Promise<void>;
  readonly report: Report;
}

export function createMinting(deps: Dependencies): Minting {
  const { confirmCaller, limits, discard, report } = deps;
  return {
    async mint(principal, make, { door, isEndless = false, needed }) {
      limits.take(door, principal.userId);
      const caller = await confirmCaller(principal, needed);
      const made = isEndless
        ? await limits.makeEndless(caller.userId, () => make(caller))
        : await make(caller);
      try {
        await confirmCaller(principal, needed);
      } catch (error) {
        await Promise.all(made.records.map(discard));
        throw error;
      }
      for (const record of made.records) report({ what: 'issued', record });
      return made;
    },
  };
}
