/** Loading the revoked records into the memory of an instance: read from an index alone. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SealContext, StoreContext } from '../database/context.js';
import { isAtEnd } from '../database/operations.js';
import { RECORDED_INDEX, REVOKED_INDEX, type TokenModel } from './model.js';
import { readRevokedEntries } from './revoked-bson.js';
import type { RevokedEntry } from './revoked-entry.js';

export interface RevokedLoad {
  /**
   * Batches of revoked records: all, or those whose revocation was recorded since, by the database's
   * clock; without those whose token, issued here, expired before.
   * @throws ServiceError 503 unless it got to the end.
   */
  revoked(since: Date | null, expiredBefore: Date): AsyncIterable<RevokedEntry[]>;
}

/** Larger ones cost more than they save: what they hold outlives the cheap garbage collection. */
const BATCH = 1000;
const LOAD_MS = 600_000;

export function createRevokedLoad(
  model: TokenModel,
  { run, sealedSince }: Pick<StoreContext, 'run'> & SealContext,
): RevokedLoad {
  return {
    async *revoked(since, expiredBefore) {
      const { filter, options } = revokedQuery(since);
      // Not Mongoose's cursor, and not decoded by the driver: either costs more than the database's work.
      const cursor = model.collection.find(filter, { ...options, raw: true });
      const fetch = () => {
        const fetched = run(async () => {
          const hasMore = await cursor.hasNext();
          if (!hasMore && !isAtEnd(cursor)) throw new Error('the list of revoked tokens broke off');
          return hasMore;
        });
        // Nobody may be waiting for it yet.
        fetched.catch(() => undefined);
        return fetched;
      };
      let fetched = fetch();
      try {
        while (await fetched) {
          const documents = cursor.readBufferedDocuments() as unknown as Buffer[];
          // The database works on the next batch while this one is taken in: the turn sends the request.
          fetched = fetch();
          await nextTurn();
          yield readRevokedEntries(documents, expiredBefore.getTime(), sealedSince());
        }
      } finally {
        await fetched.catch(() => undefined);
        await run(() => cursor.close()).catch(() => undefined);
      }
    },
  };
}

/**
 * No condition on what may be forgotten: the database would fetch every document for it (and does
 * not for these), and it costs less to leave it out here.
 */
export function revokedQuery(since: Date | null) {
  return {
    filter:
      since === null
        ? { 'revocation.at': { $type: 'date' } }
        : { 'revocation.recordedAt': { $gte: since } },
    options: {
      projection: { _id: 0, jti: 1, issuer: 1, origin: 1, expiresAt: 1 },
      hint: since === null ? REVOKED_INDEX : RECORDED_INDEX,
      batchSize: BATCH,
      maxTimeMS: LOAD_MS,
    },
  };
}
