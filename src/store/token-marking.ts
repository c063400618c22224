/** What a cut-off needs of the collection `tokens`: the newest token of its scope, and marking what it revoked. */
import { unavailable } from '../errors.js';
import type { StoreContext } from './context.js';
import { hitBy, indexOfScope, within } from './cutoff-filter.js';
import type { Cutoff, CutoffScope } from './cutoffs.js';
import type { TokenModel } from './token-model.js';

export interface MarkingStore {
  /**
   * The latest `issuedAt` among the newest records of the scope; null when there are none.
   * @param notAfter what claims to be from later than this doesn't count.
   */
  newestIssuedAt(scope: CutoffScope, notAfter: Date): Promise<Date | null>;
  /** Marks, in batches, what the cut-off revoked; yields how many each batch marked. It can be repeated. */
  markRevoked(cutoff: Cutoff): AsyncIterable<number>;
}

const BATCH = 500;
/** Instances' clocks differ a little: the newest record need not be the one with the latest time. */
const NEWEST = 50;
const SCAN_MS = 3_600_000;
/** Work behind the requests may take its time: on a busy machine, or to pass by a million that are marked already. */
const PATIENCE_MS = 300_000;

export function createMarkingStore(
  model: TokenModel,
  { run, writeConcern }: Pick<StoreContext, 'run' | 'writeConcern'>,
): MarkingStore {
  return {
    async newestIssuedAt(scope, notAfter) {
      const newest = await run(() =>
        model
          .find(within(scope))
          .sort({ createdAt: -1, _id: -1 })
          .hint(indexOfScope(scope))
          .limit(NEWEST)
          .select({ issuedAt: 1 })
          .lean(),
      );
      const times = newest.flatMap(({ issuedAt }) =>
        issuedAt && issuedAt <= notAfter ? [issuedAt.getTime()] : [],
      );
      return times.length === 0 ? null : new Date(Math.max(...times));
    },

    async *markRevoked(cutoff) {
      const { by, reason, via, requestId } = cutoff;
      const at = cutoff.setAt ?? cutoff.at;
      const revocation = { at, by, reason, via, ...(requestId === undefined ? {} : { requestId }) };
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
                { $set: { revocation, updatedAt: at } },
                { hint: { _id: 1 }, writeConcern },
              ),
            PATIENCE_MS,
          );
          yield marked.modifiedCount;
        }
        // A cursor that was closed, as by a reconnect, says the same as one that is at its end.
        if (cursor.killed || cursor.id?.isZero() !== true)
          throw unavailable('The marking of revoked tokens broke off; it goes on by itself.');
      } finally {
        await cursor.close();
      }
    },
  };
}
