/** What a cut-off needs of the collection `tokens`: the newest token of its scope, and marking what it revoked. */
import { unavailable } from '../../errors.js';
import type { SealContext, StoreContext } from '../database/context.js';
import { hitBy, indexOfScope, withinKind } from '../cutoffs/filter.js';
import type { Cutoff, CutoffScope } from '../cutoffs/cutoffs.js';
import type { TokenRecord } from '../records.js';
import { mayBeForgotten } from '../database/sealed-ids.js';
import {
  DATE_INDEXES,
  type Index,
  type TokenDocument,
  type TokenModel,
  toRecord,
} from './model.js';

export interface MarkingStore {
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
  /** Marks, in batches, what the cut-off revoked; yields how many each batch marked. It can be repeated. */
  markRevoked(cutoff: Cutoff): AsyncIterable<number>;
}

const BATCH = 500;
const SCAN_MS = 3_600_000;
/** Work behind the requests may take its time: on a busy machine, or to pass by a million that are marked already. */
const PATIENCE_MS = 300_000;

export function createMarkingStore(
  model: TokenModel,
  { run, writeConcern, sealedSince }: Pick<StoreContext, 'run' | 'writeConcern'> & SealContext,
): MarkingStore {
  async function* batchesOf<T extends object>(
    filter: object,
    options: { readonly hint: Index; readonly projection?: object },
  ): AsyncIterable<T[]> {
    const cursor = model.collection.find<T>(filter, {
      ...options,
      batchSize: BATCH,
      maxTimeMS: SCAN_MS,
    });
    try {
      while (await run(() => cursor.hasNext(), PATIENCE_MS)) yield cursor.readBufferedDocuments();
      // A cursor that was closed, as by a reconnect, says the same as one that is at its end.
      if (cursor.killed || cursor.id?.isZero() !== true)
        throw unavailable(
          'The reading of tokens broke off. Nothing is confirmed; repeat the request.',
        );
    } finally {
      await cursor.close();
    }
  }

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
      const found = await run(() =>
        model
          .find({
            ...withinKind(scope),
            // Recorded after it was issued, by the same clock: that bounds it by the scope's index.
            createdAt: { $gt: now },
            issuedAt: { $gt: new Date(now.getTime() + aheadMs) },
            revocation: null,
          })
          .hint(indexOfScope(scope))
          .limit(limit)
          .lean(),
      );
      return found.map(toRecord);
    },

    async *issuedBetween(scope, after, until) {
      const wanted = { ...withinKind(scope), issuedAt: { $gt: after, $lte: until } };
      // Few are from the future, of whichever scope.
      const found = batchesOf<TokenDocument>(wanted, { hint: DATE_INDEXES.issuedAt });
      for await (const batch of found) yield batch.map(toRecord);
    },

    async *markRevoked(cutoff) {
      const { by, reason, via, requestId } = cutoff;
      const at = cutoff.setAt ?? cutoff.at;
      const revocation = { at, by, reason, via, ...(requestId === undefined ? {} : { requestId }) };
      const isForgotten = mayBeForgotten(sealedSince());
      // What can be signed again with a date after the cut-off is kept in memory by its id, everywhere;
      // so is what is from the future: a cut-off as far ahead may be lowered.
      const isPast = { $lte: ['$issuedAt', '$$NOW'] };
      const recordedAt = { $cond: [{ $and: [isForgotten, isPast] }, {}, { recordedAt: '$$NOW' }] };
      const found = batchesOf<{ _id: unknown }>(
        { ...hitBy(cutoff), revocation: null },
        { projection: { _id: 1 }, hint: indexOfScope(cutoff) },
      );
      for await (const batch of found) {
        const ids = batch.map(({ _id }) => _id);
        const marked = await run(
          () =>
            model.collection.updateMany(
              { _id: { $in: ids as never[] }, revocation: null },
              [
                {
                  $set: {
                    revocation: { $mergeObjects: [{ $literal: revocation }, recordedAt] },
                    updatedAt: at,
                    purgeAt: { $cond: [isForgotten, '$purgeAt', null] },
                  },
                },
              ],
              { hint: { _id: 1 }, writeConcern },
            ),
          PATIENCE_MS,
        );
        yield marked.modifiedCount;
      }
    },
  };
}
