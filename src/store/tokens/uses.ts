/** What is noted of a token after it was issued: that it was used, and that it was tried after its revocation. */
import type { StoreContext } from '../database/context.js';
import { DuplicateKeyError } from '../database/failures.js';
import { ANY_ISSUER, type NewTokenRecord, type TokenRecord } from '../records.js';
import { JTI_INDEX, type TokenModel, toRecord } from './model.js';

/** A token that was seen in use. */
export interface SeenToken {
  readonly record: NewTokenRecord;
  readonly lastUsedAt: Date;
}

/** A revoked token that was tried. */
export interface RefusedToken {
  readonly jti: string;
  readonly issuer: string;
  /** The last time. */
  readonly at: Date;
  /** How often since this was last recorded. */
  readonly count: number;
}

export interface UseStore {
  /**
   * Notes the use of tokens; with `adopt`, those without a record get theirs. One batch, durable.
   * @returns the new records (as far as known: not when another instance adopted some of the batch too).
   */
  recordSeen(seen: readonly SeenToken[], adopt: boolean): Promise<TokenRecord[]>;
  /** Notes that revoked tokens were tried; those without a record are left out. One batch, durable. */
  recordRefused(refused: readonly RefusedToken[]): Promise<void>;
}

export function createUseStore(
  model: TokenModel,
  { clock, run, writeConcern }: StoreContext,
): UseStore {
  return {
    async recordSeen(seen, adopt) {
      if (seen.length === 0) return [];
      const now = new Date(clock());
      const operations = seen.map(({ record, lastUsedAt }) => {
        const { jti, issuer, lastUsedAt: _, ...rest } = record;
        return {
          updateOne: {
            filter: { jti, issuer },
            update: {
              $max: { lastUsedAt },
              // Sets it when it is absent.
              $min: { firstUsedAt: lastUsedAt },
              ...(adopt ? { $setOnInsert: { ...rest, createdAt: now, updatedAt: now } } : {}),
            },
            upsert: adopt,
          },
        };
      });
      try {
        const { upsertedIds } = await run(() =>
          model.bulkWrite(operations, { ordered: false, writeConcern }),
        );
        return Object.entries(upsertedIds).flatMap(([at, id]) => {
          const adopted = seen[Number(at)];
          if (adopted === undefined) return [];
          const { record, lastUsedAt } = adopted;
          const used = { firstUsedAt: lastUsedAt, lastUsedAt };
          return toRecord({ _id: id, ...record, ...used, createdAt: now, updatedAt: now });
        });
      } catch (error) {
        // Two instances adopting one token at once: the other one's record is as good.
        if (!(error instanceof DuplicateKeyError)) throw error;
        return [];
      }
    },

    async recordRefused(refused) {
      if (refused.length === 0) return;
      const operations = refused.map(({ jti, issuer, at, count }) => ({
        updateMany: {
          filter: { jti: { $eq: jti }, issuer: { $in: [issuer, ANY_ISSUER] } },
          update: { $max: { lastRefusedAt: at }, $inc: { refusedCount: count } },
          hint: JTI_INDEX,
        },
      }));
      await run(() => model.bulkWrite(operations, { ordered: false, writeConcern }));
    },
  };
}
