/**
 * The collection `identity`: an id that a database is given once, so that another one in its place is
 * noticed, and the secret with which its instances seal the tokens that they issue.
 */
import { randomBytes } from 'node:crypto';
import type mongoose from 'mongoose';
import { MAX_AHEAD_MS } from '../../clock.js';
import type { StoreContext } from './context.js';

export interface IdentityStore {
  /** null = it was never given one. */
  find(): Promise<string | null>;
  /** Gives it this id unless it has one; durable. @returns the one it has. */
  give(id: string): Promise<string>;
}

/** Made once, the same for all instances. */
export interface SealSecret {
  /** 32 bytes. */
  readonly secret: Uint8Array;
  /**
   * Whatever was issued here from then on is sealed. Some minutes after the secret was made: an older
   * version that was stopped just before may have had a clock that was ahead.
   */
  readonly since: Date;
}

interface IdentityDocument {
  readonly _id: string;
  readonly value: string;
}

interface SealDocument extends IdentityDocument {
  readonly since: Date;
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

/** Reads it, or makes it; durable. @throws ServiceError 503 */
export async function loadSealSecret({
  connection,
  writeConcern,
  clock,
  run,
}: StoreContext): Promise<SealSecret> {
  const collection = connection.collection(
    'identity',
  ) as unknown as mongoose.mongo.Collection<SealDocument>;
  const found = await run(() =>
    collection.findOneAndUpdate(
      { _id: 'seal' },
      {
        $setOnInsert: {
          value: randomBytes(32).toString('base64url'),
          since: new Date(clock() + MAX_AHEAD_MS),
        },
      },
      { upsert: true, returnDocument: 'after', hint: { _id: 1 }, writeConcern },
    ),
  );
  const secret = Buffer.from(found?.value ?? '', 'base64url');
  if (found === null || secret.length !== 32 || !(found.since instanceof Date))
    throw new Error('the secret of the seals, _id "seal" in the collection identity, is damaged');
  return { secret, since: found.since };
}
