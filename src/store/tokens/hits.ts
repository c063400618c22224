/** What a cut-off may hit, for saying how much it does; and whether there is anything of a scope at all. */
import { unavailable } from '../../errors.js';
import { MAX_TIME_MS } from '../database/operations.js';
import type { StoreContext } from '../database/context.js';
import type { Cutoff } from '../cutoffs/cutoffs.js';
import { indexOfScope, within } from '../cutoffs/filter.js';
import type { TokenDocument, TokenModel } from './model.js';

/** As much of a record as tells whether a cut-off hits it, and whom it hits. */
export type HitCandidate = Pick<
  TokenDocument,
  'kind' | 'userId' | 'applicationId' | 'sessionId' | 'issuedAt'
>;

export interface HitStore {
  /**
   * Everything that the cut-off may hit, newest first, in batches: of its scope, not expired, and
   * neither revoked nor certainly younger. What this very cut-off has marked meanwhile is among it.
   * @throws ServiceError 503 when it takes longer than `withinMs` in all.
   */
  hitCandidates(
    cutoff: Cutoff,
    limits: { readonly withinMs: number },
  ): AsyncIterable<readonly HitCandidate[]>;
  /** Whether there is a record of this user or of this application, in whatever state. */
  hasRecordOf(
    whose: { readonly userId: string } | { readonly applicationId: string },
  ): Promise<boolean>;
}

const BATCH = 1000;

export function createHitStore(
  model: TokenModel,
  { run, clock }: Pick<StoreContext, 'run' | 'clock'>,
): HitStore {
  return {
    async *hitCandidates(cutoff, { withinMs }) {
      const endAt = performance.now() + withinMs;
      const cursor = model.collection.find<HitCandidate>(mayHit(cutoff, new Date(clock())), {
        projection: { _id: 0, kind: 1, userId: 1, applicationId: 1, sessionId: 1, issuedAt: 1 },
        hint: indexOfScope(cutoff),
        batchSize: BATCH,
        maxTimeMS: withinMs,
      });
      const more = () => {
        const leftMs = endAt - performance.now();
        if (leftMs <= 0) throw unavailable('The time for counting what a cut-off hit is over.');
        return run(() => cursor.hasNext(), leftMs);
      };
      try {
        while (await more()) yield cursor.readBufferedDocuments();
        // A cursor that was closed, as by a reconnect, says the same as one that is at its end.
        if (cursor.killed || cursor.id?.isZero() !== true)
          throw unavailable('The counting of what a cut-off hit broke off.');
      } finally {
        // Nobody waits for it: an answer is waiting to go out.
        void run(() => cursor.close()).catch(() => undefined);
      }
    },

    async hasRecordOf(whose) {
      const scope = { userId: null, applicationId: null, sessionsOnly: false, ...whose };
      const found = await run(() =>
        model
          .findOne(within(scope))
          .hint(indexOfScope(scope))
          .select({ _id: 1 })
          .maxTimeMS(MAX_TIME_MS)
          .lean(),
      );
      return found !== null;
    },
  };
}

function mayHit(cutoff: Cutoff, now: Date) {
  const { requestId, setAt } = cutoff;
  const own = { 'revocation.at': setAt, 'revocation.requestId': requestId };
  return {
    ...within(cutoff),
    expiresAt: { $not: { $lte: now } },
    $and: [
      { $or: [{ revocation: null }, ...(setAt && requestId !== undefined ? [own] : [])] },
      // One whose age nobody knows is too old; one of a session is as old as that.
      { $or: [{ issuedAt: { $not: { $gt: cutoff.at } } }, { sessionId: { $type: 'string' } }] },
      ...(cutoff.sessionsOnly
        ? [{ $or: [{ kind: 'refresh' }, { sessionId: { $type: 'string' } }] }]
        : []),
    ],
  };
}
