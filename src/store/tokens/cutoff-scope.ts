/** Which records there are in a cut-off's scope: for choosing its time, and for saying how much it hits. */
import { unavailable } from '../../errors.js';
import type { StoreContext } from '../database/context.js';
import { isAtEnd } from '../database/operations.js';
import type { Cutoff, CutoffScope } from '../cutoffs/cutoffs.js';
import { indexOfScope, within, withinKind } from '../cutoffs/filter.js';
import type { TokenRecord } from '../records.js';
import { readBatches } from './batches.js';
import { findRecords } from './find-records.js';
import { DATE_INDEXES, type TokenDocument, type TokenModel, toRecord } from './model.js';

/** As much of a record as tells whether a cut-off hits it, and whom it hits. */
export type HitCandidate = Pick<
  TokenDocument,
  'kind' | 'userId' | 'applicationId' | 'sessionId' | 'issuedAt'
>;

export interface CutoffScopeStore {
  /** The latest `issuedAt` of the scope after `after`, and until `until`; null when there is none. */
  newestIssuedAt(scope: CutoffScope, after: Date, until: Date): Promise<Date | null>;
  /**
   * Those of the scope that say that they were issued more than `aheadMs` after `now`, and aren't
   * revoked. @param limit at most so many.
   */
  issuedAhead(
    scope: CutoffScope,
    by: { readonly now: Date; readonly aheadMs: number },
    limit: number,
  ): Promise<TokenRecord[]>;
  /** In batches, those of the scope that say that they were issued after `after`, and until `until`; revoked or not. */
  issuedBetween(scope: CutoffScope, after: Date, until: Date): AsyncIterable<TokenRecord[]>;
  /**
   * Everything that the cut-off may hit, newest first, in batches: of its scope, not expired, and
   * neither revoked nor certainly younger. What this very cut-off has marked meanwhile is among it.
   * @throws ServiceError 503 when it takes longer than `withinMs` in all.
   */
  hitCandidates(
    cutoff: Cutoff,
    limits: { readonly withinMs: number },
  ): AsyncIterable<readonly HitCandidate[]>;
}

const BATCH = 1000;

export function createCutoffScopeStore(
  model: TokenModel,
  { run, clock }: Pick<StoreContext, 'run' | 'clock'>,
): CutoffScopeStore {
  return {
    async newestIssuedAt(scope, after, until) {
      // Few are from the future, of whichever scope.
      const found = await run(() =>
        model
          .findOne({ ...withinKind(scope), issuedAt: { $gt: after, $lte: until } })
          .sort(DATE_INDEXES.issuedAt)
          .hint(DATE_INDEXES.issuedAt)
          .select({ issuedAt: 1 })
          .lean(),
      );
      return found?.issuedAt ?? null;
    },

    async issuedAhead(scope, { now, aheadMs }, limit) {
      const where = {
        ...withinKind(scope),
        // Recorded after it was issued, by the same clock: that bounds it by the scope's index.
        createdAt: { $gt: now },
        issuedAt: { $gt: new Date(now.getTime() + aheadMs) },
      };
      return findRecords(model, run, where, { hint: indexOfScope(scope), limit });
    },

    async *issuedBetween(scope, after, until) {
      const wanted = { ...withinKind(scope), issuedAt: { $gt: after, $lte: until } };
      // Few are from the future, of whichever scope.
      const found = readBatches<TokenDocument>(model, run, wanted, { hint: DATE_INDEXES.issuedAt });
      for await (const batch of found) yield batch.map(toRecord);
    },

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
        if (!isAtEnd(cursor)) throw unavailable('The counting of what a cut-off hit broke off.');
      } finally {
        // Nobody waits for it: an answer is waiting to go out.
        void run(() => cursor.close()).catch(() => undefined);
      }
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
