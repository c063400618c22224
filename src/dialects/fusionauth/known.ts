/** Whom and what FusionAuth's dialect knows: a revoke of anything else is its 404, and revokes nothing. */
import type { TokenLookup } from '../../store/tokens/lookup.js';
import type { UserStore } from '../../store/users/users.js';

export interface Named {
  readonly userId?: string | undefined;
  readonly applicationId?: string | undefined;
}

interface Dependencies {
  readonly users: Pick<UserStore, 'findById'>;
  readonly tokens: Pick<TokenLookup, 'hasRecordOf'>;
}

/**
 * Known are users, and whoever holds or held a token that is recorded; applications with a recorded
 * token, in whatever state. Where both are named, each by itself.
 *
 * Asked before the cut-off is set. What is recorded by then is known, so it is hit; a token that is
 * recorded later is as good as issued after the answer, which said that nothing was revoked. The
 * other way round, cut-offs for made-up names would be kept, in every instance's memory, for ever.
 */
export function createIsKnown({ users, tokens }: Dependencies): (named: Named) => Promise<boolean> {
  return async function isKnown({ userId, applicationId }) {
    const isHolder =
      userId === undefined ||
      (await users.findById(userId)) !== null ||
      (await tokens.hasRecordOf({ userId }));
    return isHolder && (applicationId === undefined || tokens.hasRecordOf({ applicationId }));
  };
}
