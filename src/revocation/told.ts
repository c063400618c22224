/** A cut-off, as the other instances are told of it. */
import type { ToldCutoff } from '../store/cluster/log.js';
import type { Cutoff } from '../store/cutoffs/cutoffs.js';

/** Without who set it, and why. */
export function toldOf(cutoff: Cutoff): ToldCutoff {
  const { userId, applicationId, sessionsOnly, everyKind, at, loweredFrom } = cutoff;
  return {
    userId,
    applicationId,
    sessionsOnly,
    at,
    ...(everyKind === true ? { everyKind } : {}),
    ...(loweredFrom ? { loweredFrom } : {}),
  };
}
