/** The secrets of opaque tokens, in the collection `tokens`: only their SHA-256, and out of every record that leaves the store. */
import mongoose from 'mongoose';
import type { StoreContext } from '../database/context.js';
import { createGrouping } from '../database/grouping.js';
import { MAX_TIME_MS } from '../database/operations.js';
import type { NewTokenRecord, TokenRecord, UsedSecret } from '../records.js';
import { JTI_INDEX, type TokenDocument, type TokenModel, toRecord } from './model.js';

export interface SecretRecord {
  readonly record: TokenRecord;
  readonly secretHash: string;
  /** Of what all secrets of a refresh token have in common; null = not known (yet). */
  readonly familyHash: string | null;
  /** The last exchanges, oldest first, for clients that lost the answer. */
  readonly grace: readonly UsedSecret[];
}

export interface Exchange {
  readonly nextSecretHash: string;
  readonly familyHash: string;
  /** Absent = as it is. */
  readonly grace?: readonly UsedSecret[];
  readonly expiresAt: Date;
  readonly purgeAt: Date | null;
  readonly lastUsedAt: Date;
}

export interface SecretStore {
  /** Durable when it resolves. @throws DuplicateKeyError */
  insertSecret(
    record: NewTokenRecord,
    secretHash: string,
    familyHash?: string,
  ): Promise<TokenRecord>;
  findSecret(jti: string, issuer: string): Promise<SecretRecord | null>;
  /** Whether this is the hash of a secret that was exchanged before families were known. */
  wasExchanged(id: string, secretHash: string): Promise<boolean>;
  /**
   * Replaces the secret, if it still is this one and the token is neither revoked nor expired: one
   * atomic, durable write, so that of many parallel exchanges exactly one is told true. With the
   * same hash on both sides only the times are renewed.
   */
  exchangeSecret(id: string, secretHash: string, exchange: Exchange): Promise<boolean>;
  /**
   * Notes of each record that the secret with this hash was handed out: what led to it does so
   * until then. Not journaled: were it lost, it would do so until that secret is used.
   */
  noteAnswered(answered: readonly AnsweredExchange[]): Promise<void>;
}

export interface AnsweredExchange {
  /** Of the record. */
  readonly id: string;
  /** Of the secret that was handed out. */
  readonly secretHash: string;
  readonly until: Date;
}

interface Wanted {
  readonly id: string;
  readonly secretHash: string;
  readonly exchange: Exchange;
}

const MOST = 100;
/** An answer may wait for it. */
const NOTE_LIMIT_MS = 1000;
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
    async insertSecret(record, secretHash, familyHash) {
      const now = new Date(clock());
      const hashes = { secretHash, ...(familyHash === undefined ? {} : { familyHash }) };
      const document = await run(() =>
        model.create({ ...record, ...hashes, createdAt: now, updatedAt: now }),
      );
      return toRecord(document.toObject());
    },

    async findSecret(jti, issuer) {
      const found = (await run(() => findByJti(jti))).find(
        (document) => document.issuer === issuer,
      );
      if (found?.secretHash === undefined) return null;
      return {
        record: toRecord(found),
        secretHash: found.secretHash,
        familyHash: found.familyHash ?? null,
        // Once it was a single object.
        grace: Array.isArray(found.grace) ? found.grace : [],
      };
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

    async noteAnswered(answered) {
      await run(
        () =>
          collection.bulkWrite(
            answered.map(({ id, secretHash, until }) => ({
              updateOne: {
                filter: { _id: new mongoose.Types.ObjectId(id), secretHash: { $eq: secretHash } },
                update: { $set: { 'grace.$[open].until': until } },
                arrayFilters: [{ 'open.until': null }],
                hint: { _id: 1 },
              },
            })),
            { ordered: false, writeConcern: { w: 1, j: false } },
          ),
        NOTE_LIMIT_MS,
      );
    },
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
            update: changeOf(exchange),
            hint: { _id: 1 },
          },
        })),
        { ordered: false, writeConcern },
      ),
    );
    return matchedCount === wanted.length ? wanted.map(() => true) : findWinners(wanted);
  }

  /**
   * Nobody else brings the secret that a winner brought: whose it is now has won. Where the winner's
   * was given to a repeat, and exchanged, before this looks, the winner asks anew like one who lost.
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

function changeOf({ nextSecretHash, familyHash, grace, expiresAt, purgeAt, lastUsedAt }: Exchange) {
  return {
    $set: {
      secretHash: nextSecretHash,
      familyHash,
      ...(grace === undefined ? {} : { grace: [...grace] }),
      expiresAt,
      purgeAt,
      lastUsedAt,
      updatedAt: lastUsedAt,
    },
    $min: { firstUsedAt: lastUsedAt },
  };
}
