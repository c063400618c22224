/** The collection `knownusers`: which ids of token holders were seen in `users`, so that one who vanishes is told from one who never was there. */
import type mongoose from 'mongoose';
import type { StoreContext } from '../database/context.js';
import { DuplicateKeyError } from '../database/failures.js';

export interface KnownUserStore {
  /** Durable when it resolves; repeating it changes nothing. For a thousand at most. @throws ServiceError 503 */
  remember(ids: readonly string[]): Promise<void>;
  /** Those of these who were ever remembered. For a thousand at most. @throws ServiceError 503 */
  among(ids: readonly string[]): Promise<ReadonlySet<string>>;
}

interface KnownUser {
  readonly _id: string;
}

export function createKnownUserStore({
  connection,
  writeConcern,
  run,
}: StoreContext): KnownUserStore {
  const collection = () =>
    connection.collection('knownusers') as unknown as mongoose.mongo.Collection<KnownUser>;

  return {
    async remember(ids) {
      if (ids.length === 0) return;
      try {
        await run(() =>
          collection().insertMany(
            ids.map((_id) => ({ _id })),
            { ordered: false, writeConcern },
          ),
        );
      } catch (error) {
        // They were known already; the others are written.
        if (!(error instanceof DuplicateKeyError)) throw error;
      }
    },

    async among(ids) {
      if (ids.length === 0) return new Set();
      const found = await run(() =>
        collection()
          .find({ _id: { $in: [...ids] } }, { hint: { _id: 1 } })
          .toArray(),
      );
      return new Set(found.map(({ _id }) => _id));
    },
  };
}
