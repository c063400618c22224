/** Marking the records that a cut-off revoked, so that lists and counts say so too. */
import { unavailable } from '../../errors.js';
import type { SealContext, StoreContext } from '../database/context.js';
import { isAtEnd } from '../database/operations.js';
import { hitBy, indexOfScope } from '../cutoffs/filter.js';
import type { Cutoff } from '../cutoffs/cutoffs.js';
import { mayBeForgotten } from '../database/sealed-ids.js';
import type { TokenModel } from './model.js';

export interface CutoffMarks {
  /** Marks, in batches, what the cut-off revoked; yields how many each batch marked. It can be repeated. */
  markRevoked(cutoff: Cutoff): AsyncIterable<number>;
}

const BATCH = 500;
const SCAN_MS = 3_600_000;
/** Work behind the requests may take its time: on a busy machine, or to pass by a million that are marked already. */
const PATIENCE_MS = 300_000;

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
      // What can be signed again with a date after the cut-off is kept in memory by its id, everywhere.
      const recordedAt = { $cond: [isForgotten, {}, { recordedAt: '$$NOW' }] };
      const cursor = model.collection.find<{ _id: unknown }>(
        { ...hitBy(cutoff), revocation: null },
        {
          projection: { _id: 1 },
          hint: indexOfScope(cutoff),
          batchSize: BATCH,
          maxTimeMS: SCAN_MS,
        },
      );
      try {
        while (await run(() => cursor.hasNext(), PATIENCE_MS)) {
          const ids = cursor.readBufferedDocuments().map(({ _id }) => _id);
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
        if (!isAtEnd(cursor))
          throw unavailable('The marking of revoked tokens broke off; it goes on by itself.');
      } finally {
        await cursor.close();
      }
    },
  };
}
