/**
 * The way back for a cut-off that is in the future, set by a clock that was ahead or on the word of a
 * token that claimed to be: it refuses everything new of its scope. Lowered to now, and never below:
 * what was issued until now stays refused. What was recorded with a date after it is revoked by its id.
 */
import type { Report } from '../audit/report.js';
import { type Clock, MAX_AHEAD_MS } from '../clock.js';
import type { Store } from '../store/database/connect.js';
import type { Cutoff, CutoffScope } from '../store/cutoffs/cutoffs.js';
import type { RevocationIndex } from './revocation-index.js';
import type { RevocationContext } from '../audit/report.js';
import type { Revoker } from './revoke.js';

/**
 * Lowers the cut-offs of exactly this scope that are more than five minutes in the future. Other
 * instances follow when they next read. null = there is none.
 * @throws ServiceError 503: outcome unknown, repeat it.
 */
export type LowerCutoff = (
  scope: Pick<CutoffScope, 'userId' | 'applicationId'>,
  context: RevocationContext,
) => Promise<{ readonly from: Date; readonly at: Date } | null>;

interface Dependencies {
  readonly store: Pick<Store, 'tokens' | 'cutoffs'>;
  readonly index: Pick<RevocationIndex, 'followLowered'>;
  readonly revoker: Pick<Revoker, 'revokeRecord'>;
  readonly clock: Clock;
  readonly report: Report;
}

/** Records that are revoked side by side. */
const AT_ONCE = 100;

export function createLowerCutoff(deps: Dependencies): LowerCutoff {
  const { store, index, revoker, clock, report } = deps;

  /**
   * What the cut-off hits now, and no longer when it is lowered: recorded before, by a clock that was
   * ahead. Also what is marked: nobody but the cut-off may know it. Repeated, a revocation is read by all.
   */
  async function revokeAfter(at: Date, cutoff: Cutoff, context: RevocationContext): Promise<void> {
    for await (const batch of store.tokens.issuedBetween(cutoff, at, cutoff.at)) {
      for (let from = 0; from < batch.length; from += AT_ONCE) {
        await Promise.all(
          batch.slice(from, from + AT_ONCE).map((record) =>
            // Whoever signed out kept what was minted with the session.
            revoker.revokeRecord(record, context, { keepMinted: record.revocation !== null }),
          ),
        );
      }
    }
  }

  return async function lowerCutoff({ userId, applicationId }, context) {
    const now = new Date(clock());
    const beyond = new Date(now.getTime() + MAX_AHEAD_MS);
    const scope = { userId, applicationId };
    const everyKind = { ...scope, sessionsOnly: false };
    const at = (await store.tokens.newestIssuedAt(everyKind, now, beyond)) ?? now;
    const ahead = (await store.cutoffs.matching(userId, applicationId)).filter(
      (cutoff) =>
        cutoff.userId === userId && cutoff.applicationId === applicationId && cutoff.at > beyond,
    );
    // First: from the lowering on, nothing else refuses it.
    for (const cutoff of ahead) await revokeAfter(at, cutoff, context);
    const lowered = await store.cutoffs.lower(scope, { beyond, at });
    for (const cutoff of lowered) {
      index.followLowered(cutoff);
      report({ what: 'cutoff-lowered', cutoff, act: context });
    }
    if (lowered.length === 0) return null;
    return { from: latest(lowered, 'loweredFrom'), at: latest(lowered, 'at') };
  };
}

function latest(cutoffs: readonly Cutoff[], field: 'at' | 'loweredFrom'): Date {
  return new Date(Math.max(...cutoffs.map((cutoff) => cutoff[field]?.getTime() ?? 0)));
}
