/** Marking the records that a cut-off revoked, so that lists and counts say so too. */
import type { Cutoff } from '../cutoffs/cutoffs.js';
import { hitBy, indexOfScope } from '../cutoffs/filter.js';
import type { SealContext, StoreContext } from '../database/context.js';
import { mayBeForgotten } from '../database/sealed-ids.js';
import { PATIENCE_MS, readBatches } from './batches.js';
import type { TokenModel } from './model.js';

export interface CutoffMarks {
  /** Marks, in batches, what the cut-off revoked; yields how many each batch marked. It can be repeated. */
  markRevoked(cutoff: Cutoff): AsyncIterable<number>;
}

export function createCutoffMarks(
  model: TokenModel,
  { run, writeConcern, sealedSince }: Pick<StoreContext, 'run' | 'writeConcern'> & SealContext,
): CutoffMarks {
  return {
    async *markRevoked(cutoff) {
      const { by, reason, via, requestId } = cutoff;
      const at = cutoff.setAt ?? cutoff.at;
      const revocation = { at, by, reason, via, ...(requestId === undefined ? {} : { requestId }) };
      const isForgotten = mayBeForgotten(sealedSince());
      // What can be signed again with a date after the cut-off is kept in memory by its id, everywhere;
      // so is what is from the future: a cut-off as far ahead may be lowered.
      const isPast = { $lte: ['$issuedAt', '$$NOW'] };
      const recordedAt = { $cond: [{ $and: [isForgotten, isPast] }, {}, { recordedAt: '$$NOW' }] };
      const found = readBatches<{ _id: unknown }>(
        model,
        run,
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
