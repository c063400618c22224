/** The secrets of opaque tokens, in the collection `tokens`: only their SHA-256, and out of every record that leaves the store. */
import mongoose from 'mongoose';
import type { StoreContext } from './context.js';
import { createGrouping } from './grouping.js';
import { MAX_TIME_MS } from './operations.js';
import type { NewTokenRecord, TokenRecord } from './records.js';
import { JTI_INDEX, type TokenDocument, type TokenModel, toRecord } from './token-model.js';

export interface SecretRecord {
  readonly record: TokenRecord;
  readonly secretHash: string;
  /** For a client that lost the answer to its exchange; null = no grace. */
  readonly grace: Grace | null;
}

export interface Grace {
  /** The hash of the secret that may come once more. */
  readonly secretHash: string;
  /** Its successor, sealed with it. */
  readonly sealedSuccessor: string;
  readonly until: Date;
}

export interface Exchange {
  readonly nextSecretHash: string;
  readonly grace: Grace | null;
  readonly expiresAt: Date;
  readonly purgeAt: Date | null;
  readonly lastUsedAt: Date;
}

export interface SecretStore {
  /** Durable when it resolves. @throws DuplicateKeyError */
  insertSecret(record: NewTokenRecord, secretHash: string): Promise<TokenRecord>;
  findSecret(jti: string, issuer: string): Promise<SecretRecord | null>;
  /** Whether this is the hash of one of the last hundred secrets that were exchanged. */
  wasExchanged(id: string, secretHash: string): Promise<boolean>;
  /**
   * Replaces the secret, if it still is this one and the token is neither revoked nor expired: one
   * atomic, durable write, so that of many parallel exchanges exactly one is told true. With the
   * same hash on both sides only the times are renewed.
   */
  exchangeSecret(id: string, secretHash: string, exchange: Exchange): Promise<boolean>;
}

interface Wanted {
  readonly id: string;
  readonly secretHash: string;
  readonly exchange: Exchange;
}

const KEPT_HASHES = 100;
const MOST = 100;
/** Some kilobytes that only `wasExchanged` needs. */
const WITHOUT_USED = { usedSecretHashes: 0 } as const;

export function createSecretStore(
  model: TokenModel,
  { clock, run, writeConcern }: StoreContext,
): SecretStore {
  /** The driver's own: Mongoose would double the cost of an exchange. */
  const collection = model.collection as unknown as mongoose.mongo.Collection<TokenDocument>;

  const findByJti = createGrouping<string, readonly TokenDocument[]>(
    async (jtis) => {
      const found = await run(() =>
        collection
          .find(
            { jti: { $in: [...jtis] } },
            { projection: WITHOUT_USED, hint: JTI_INDEX, maxTimeMS: MAX_TIME_MS },
          )
          .toArray(),
      );
      return jtis.map((jti) => found.filter((document) => document.jti === jti));
    },
    { most: MOST },
  );
  const exchangeOne = createGrouping(exchangeAll, { most: MOST });

  return {
    async insertSecret(record, secretHash) {
      const now = new Date(clock());
      const document = await run(() =>
        model.create({ ...record, secretHash, createdAt: now, updatedAt: now }),
      );
      return toRecord(document.toObject());
    },

    async findSecret(jti, issuer) {
      const found = (await run(() => findByJti(jti))).find(
        (document) => document.issuer === issuer,
      );
      if (found?.secretHash === undefined) return null;
      return { record: toRecord(found), secretHash: found.secretHash, grace: found.grace ?? null };
    },

    async wasExchanged(id, secretHash) {
      const found = await run(() =>
        model
          .findOne({ _id: id, usedSecretHashes: { $eq: secretHash } })
          .hint({ _id: 1 })
          .select({ _id: 1 })
          .lean(),
      );
      return found !== null;
    },

    exchangeSecret: (id, secretHash, exchange) =>
      run(() => exchangeOne({ id, secretHash, exchange })),
  };

  /** One command for all: it says only how many found their secret unchanged. */
  async function exchangeAll(wanted: readonly Wanted[]): Promise<boolean[]> {
    const { matchedCount } = await run(() =>
      collection.bulkWrite(
        wanted.map(({ id, secretHash, exchange }) => ({
          updateOne: {
            filter: {
              _id: new mongoose.Types.ObjectId(id),
              secretHash: { $eq: secretHash },
              revocation: null,
              expiresAt: { $gt: new Date(clock()) },
            },
            update: changeOf(secretHash, exchange),
            hint: { _id: 1 },
          },
        })),
        { ordered: false, writeConcern },
      ),
    );
    return matchedCount === wanted.length ? wanted.map(() => true) : findWinners(wanted);
  }

  /**
   * Nobody else can have the secret that a winner brought, and nobody can exchange it before it is
   * handed out: whose it is now has won. Were it revoked meanwhile, it would be of no use.
   */
  async function findWinners(wanted: readonly Wanted[]): Promise<boolean[]> {
    const found = await run(() =>
      collection
        .find(
          {
            _id: { $in: wanted.map(({ id }) => new mongoose.Types.ObjectId(id)) },
            revocation: null,
            expiresAt: { $gt: new Date(clock()) },
          },
          { projection: { secretHash: 1 }, hint: { _id: 1 }, maxTimeMS: MAX_TIME_MS },
        )
        .toArray(),
    );
    const hashes = new Map(found.map(({ _id, secretHash }) => [_id.toHexString(), secretHash]));
    return wanted.map(({ id, exchange }) => hashes.get(id) === exchange.nextSecretHash);
  }
}

function changeOf(
  secretHash: string,
  { nextSecretHash, grace, expiresAt, purgeAt, lastUsedAt }: Exchange,
) {
  return {
    $set: {
      secretHash: nextSecretHash,
      grace,
      expiresAt,
      purgeAt,
      lastUsedAt,
      updatedAt: lastUsedAt,
    },
    $min: { firstUsedAt: lastUsedAt },
    ...(nextSecretHash === secretHash
      ? {}
      : { $push: { usedSecretHashes: { $each: [secretHash], $slice: -KEPT_HASHES } } }),
  };
}
