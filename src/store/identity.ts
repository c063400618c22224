/** The collection `identity`: an id that a database is given once, so that another one in its place is noticed. */
import type mongoose from 'mongoose';
import type { StoreContext } from './context.js';

export interface IdentityStore {
  /** null = it was never given one. */
  find(): Promise<string | null>;
  /** Gives it this id unless it has one; durable. @returns the one it has. */
  give(id: string): Promise<string>;
}

interface IdentityDocument {
  readonly _id: string;
  readonly value: string;
}

const ONLY = { _id: 'database' } as const;

export function createIdentityStore({
  connection,
  writeConcern,
  run,
}: StoreContext): IdentityStore {
  const collection = () =>
    connection.collection('identity') as unknown as mongoose.mongo.Collection<IdentityDocument>;

  return {
    async find() {
      return (await run(() => collection().findOne(ONLY, { hint: { _id: 1 } })))?.value ?? null;
    },

    async give(id) {
      const found = await run(() =>
        collection().findOneAndUpdate(
          ONLY,
          { $setOnInsert: { value: id } },
          { upsert: true, returnDocument: 'after', hint: { _id: 1 }, writeConcern },
        ),
      );
      if (found === null) throw new Error('the database could not be given an identity');
      return found.value;
    },
  };
}
