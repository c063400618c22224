/** The secrets of opaque tokens, in the collection `tokens`: only their SHA-256, and out of every record that leaves the store. */
import type { StoreContext } from './context.js';
import type { NewTokenRecord, TokenRecord } from './records.js';
import { type TokenModel, toRecord } from './token-model.js';

export interface SecretRecord {
  readonly record: TokenRecord;
  readonly secretHash: string;
  /** Hashes of the secrets that were exchanged, the newest last; the last hundred. */
  readonly usedSecretHashes: readonly string[];
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
  /**
   * Replaces the secret, if it still is this one and the token is neither revoked nor expired: one
   * atomic, durable write, so that of many parallel exchanges exactly one gets the record, the
   * others null. With the same hash on both sides only the times are renewed.
   */
  exchangeSecret(id: string, secretHash: string, exchange: Exchange): Promise<TokenRecord | null>;
}

const KEPT_HASHES = 100;

export function createSecretStore(
  model: TokenModel,
  { clock, run, writeConcern }: StoreContext,
): SecretStore {
  return {
    async insertSecret(record, secretHash) {
      const now = new Date(clock());
      const document = await run(() =>
        model.create({ ...record, secretHash, createdAt: now, updatedAt: now }),
      );
      return toRecord(document.toObject());
    },

    async findSecret(jti, issuer) {
      const found = await run(() =>
        model
          .findOne({ jti: { $eq: jti }, issuer: { $eq: issuer }, secretHash: { $type: 'string' } })
          .lean(),
      );
      if (found?.secretHash === undefined) return null;
      return {
        record: toRecord(found),
        secretHash: found.secretHash,
        usedSecretHashes: found.usedSecretHashes ?? [],
        grace: found.grace ?? null,
      };
    },

    async exchangeSecret(
      id,
      secretHash,
      { nextSecretHash, grace, expiresAt, purgeAt, lastUsedAt },
    ) {
      const changed = await run(() =>
        model
          .findOneAndUpdate(
            {
              _id: id,
              secretHash: { $eq: secretHash },
              revocation: null,
              expiresAt: { $gt: new Date(clock()) },
            },
            {
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
            },
            { returnDocument: 'after', writeConcern },
          )
          .lean(),
      );
      return changed === null ? null : toRecord(changed);
    },
  };
}
