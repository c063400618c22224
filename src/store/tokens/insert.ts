/** Inserting records into the collection `tokens`, those of the same moment together. */
import mongoose from 'mongoose';
import type { StoreContext } from '../database/context.js';
import { DuplicateKeyError, duplicatesIn } from '../database/failures.js';
import { createGrouping } from '../database/grouping.js';
import type { NewTokenRecord, TokenRecord } from '../records.js';
import { type TokenDocument, type TokenModel, toRecord } from './model.js';

export interface TokenInsert {
  /** Durable when it resolves. @throws DuplicateKeyError, ServiceError 503 */
  insert(record: NewTokenRecord): Promise<TokenRecord>;
  /** Deletes the record of a token that was never handed out; one that was revoked meanwhile stays. */
  discard(record: Pick<TokenRecord, 'id'>): Promise<void>;
}

const MOST = 100;

export function createTokenInsert(
  model: TokenModel,
  { clock, run, writeConcern }: StoreContext,
): TokenInsert {
  const fields = new Set(Object.keys(model.schema.paths));

  /** Each document's own failure, or null. */
  const insertOne = createGrouping<TokenDocument, DuplicateKeyError | null>(
    async (documents) => {
      try {
        // The driver's own: Mongoose's documents would cost as much as the write.
        await run(() =>
          model.collection.insertMany(documents as TokenDocument[], {
            ordered: false,
            ignoreUndefined: true,
            writeConcern,
          }),
        );
        return documents.map(() => null);
      } catch (error) {
        // Then all the others are there, and durable.
        if (!(error instanceof DuplicateKeyError)) throw error;
        const duplicates = duplicatesIn(error);
        return documents.map((_, i) => (duplicates.has(i) ? error : null));
      }
    },
    { most: MOST },
  );

  return {
    async insert(record) {
      for (const field of Object.keys(record)) {
        if (!fields.has(field)) throw new mongoose.Error.StrictModeError(field);
      }
      const now = new Date(clock());
      const document: TokenDocument = {
        _id: new mongoose.Types.ObjectId(),
        ...record,
        createdAt: now,
        updatedAt: now,
      };
      const failure = await run(() => insertOne(document));
      if (failure !== null) throw failure;
      return toRecord(document);
    },

    async discard({ id }) {
      await run(() =>
        model.deleteOne({ _id: id, revocation: null }, { hint: { _id: 1 }, writeConcern }),
      );
    },
  };
}
