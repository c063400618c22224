/** The collection `tokens`: one record for every token the service hands out or has seen. Listing is in `token-list.ts`. */
import type { StoreContext } from './context.js';
import { DuplicateKeyError } from './failures.js';
import {
  ANY_ISSUER,
  ISSUED_HERE,
  isIssuedHere,
  type NewTokenRecord,
  type Revocation,
  type TokenRecord,
} from './records.js';
import { createInsertToken, type InsertToken } from './token-inserts.js';
import { createTokenList, type TokenList } from './token-list.js';
import { createMarkingStore, type MarkingStore } from './token-marking.js';
import { createSecretStore, type SecretStore } from './token-secrets.js';
import {
  createTokenModel,
  JTI_INDEX,
  RECORDED_INDEX,
  REVOKED_INDEX,
  toRecord,
} from './token-model.js';

export interface RevokeOutcome {
  readonly outcome: 'revoked' | 'already-revoked';
  readonly record: TokenRecord;
}

/** What the revocation index needs of a revoked record. */
export interface RevokedEntry {
  readonly jti: string;
  readonly issuer: string;
  /** As signed, ms since the epoch; null = never. */
  readonly expiresAt: number | null;
}

/** A token that was seen in use. */
export interface SeenToken {
  readonly record: NewTokenRecord;
  readonly lastUsedAt: Date;
}

export interface TokenStore extends TokenList, SecretStore, MarkingStore {
  readonly insert: InsertToken;
  /** Notes the use of tokens; with `adopt`, those without a record get theirs. One batch, durable. */
  recordSeen(seen: readonly SeenToken[], adopt: boolean): Promise<void>;
  findById(id: string): Promise<TokenRecord | null>;
  isRecorded(jti: string, issuer: string): Promise<boolean>;
  /** All records with this jti, of whichever issuer, oldest first. */
  findByJti(jti: string): Promise<TokenRecord[]>;
  /**
   * Sets the revocation unless there is one: one atomic, durable write, so that of two concurrent
   * calls exactly one says `revoked`. The first revocation's values are kept. null = no such record.
   */
  revoke(id: string, revocation: Revocation): Promise<RevokeOutcome | null>;
  /**
   * Batches of revoked records: all, or those whose revocation was recorded since, by the database's
   * clock; without those whose token, issued here, expired before.
   */
  revoked(since: Date | null, expiredBefore: Date): AsyncIterable<RevokedEntry[]>;
  /** Deletes what `purgeAt` says is due; for engines whose TTL monitor does not run. */
  purgeDue(): Promise<number>;
}

const REVOKED_BATCH = 5000;
/** On a collection of millions, once. */
const INDEX_BUILD_MS = 3_600_000;
const LOAD_MS = 600_000;

type RevokedFields = Pick<TokenRecord, 'jti' | 'issuer' | 'origin' | 'expiresAt'>;

export function createTokenStore(
  context: StoreContext,
): TokenStore & { createIndexes(): Promise<void> } {
  const { connection, writeConcern, clock, run } = context;
  const model = createTokenModel(connection, writeConcern);

  async function recordSeen(seen: readonly SeenToken[], adopt: boolean): Promise<void> {
    if (seen.length === 0) return;
    const now = new Date(clock());
    const operations = seen.map(({ record, lastUsedAt }) => {
      const { jti, issuer, lastUsedAt: _, ...rest } = record;
      return {
        updateOne: {
          filter: { jti, issuer },
          update: {
            $max: { lastUsedAt },
            ...(adopt ? { $setOnInsert: { ...rest, createdAt: now, updatedAt: now } } : {}),
          },
          upsert: adopt,
        },
      };
    });
    try {
      await run(() => model.bulkWrite(operations, { ordered: false, writeConcern }));
    } catch (error) {
      // Two instances adopting one token at once: the other one's record is as good.
      if (!(error instanceof DuplicateKeyError)) throw error;
    }
  }

  async function findById(id: string): Promise<TokenRecord | null> {
    if (!isRecordId(id)) return null;
    const found = await run(() => model.findOne({ _id: id }).lean());
    return found === null ? null : toRecord(found);
  }

  async function findByJti(jti: string): Promise<TokenRecord[]> {
    assertText('jti', jti);
    const found = await run(() => model.find({ jti }).sort({ _id: 1 }).lean());
    return found.map(toRecord);
  }

  async function isRecorded(jti: string, issuer: string): Promise<boolean> {
    assertText('jti', jti);
    const found = await run(() =>
      model
        .findOne({ jti, $or: [{ issuer }, { issuer: ANY_ISSUER, userId: { $type: 'string' } }] })
        .hint(JTI_INDEX)
        .select({ _id: 1 })
        .lean(),
    );
    return found !== null;
  }

  async function revoke(id: string, revocation: Revocation): Promise<RevokeOutcome | null> {
    assertText('id', id);
    if (!isRecordId(id)) return null;
    // Always a write, even when there is nothing to change: a bare read could see a revocation
    // that another client's write has not made durable yet, and acknowledge it too early.
    const before = await run(() =>
      model
        .findOneAndUpdate(
          { _id: id },
          [
            {
              $set: {
                revocation: {
                  $ifNull: [
                    '$revocation',
                    // By the database's clock: the instances' may differ, and they read by this.
                    { $mergeObjects: [{ $literal: revocation }, { recordedAt: '$$NOW' }] },
                  ],
                },
                // Like the index, the record forgets only what was issued here.
                purgeAt: { $cond: [{ $in: ['$origin', ISSUED_HERE] }, '$purgeAt', null] },
                updatedAt: {
                  $cond: [
                    { $eq: [{ $ifNull: ['$revocation', null] }, null] },
                    revocation.at,
                    '$updatedAt',
                  ],
                },
              },
            },
          ],
          { returnDocument: 'before', updatePipeline: true, writeConcern },
        )
        .lean(),
    );
    if (before === null) return null;
    if (before.revocation) return { outcome: 'already-revoked', record: toRecord(before) };
    return {
      outcome: 'revoked',
      record: toRecord({ ...before, revocation, updatedAt: revocation.at }),
    };
  }

  async function* revoked(since: Date | null, expiredBefore: Date): AsyncGenerator<RevokedEntry[]> {
    // The driver's own cursor: Mongoose's documents would cost several times as much.
    const cursor = model.collection.find<RevokedFields>(
      {
        ...(since === null
          ? { 'revocation.at': { $type: 'date' } }
          : { 'revocation.recordedAt': { $gte: since } }),
        $nor: [{ origin: { $in: ISSUED_HERE }, expiresAt: { $lt: expiredBefore } }],
      },
      {
        projection: { _id: 0, jti: 1, issuer: 1, origin: 1, expiresAt: 1 },
        hint: since === null ? REVOKED_INDEX : RECORDED_INDEX,
        batchSize: REVOKED_BATCH,
        maxTimeMS: LOAD_MS,
      },
    );
    try {
      while (await run(() => cursor.hasNext())) {
        yield cursor.readBufferedDocuments().map(toRevokedEntry);
      }
    } finally {
      await cursor.close();
    }
  }

  async function purgeDue(): Promise<number> {
    const due = await run(() =>
      model.deleteMany({ purgeAt: { $type: 'date', $lte: new Date(clock()) } }),
    );
    return due.deletedCount;
  }

  return {
    ...createTokenList(model, context),
    ...createSecretStore(model, context),
    ...createMarkingStore(model, context),
    insert: createInsertToken(model, context),
    recordSeen,
    findById,
    findByJti,
    isRecorded,
    revoke,
    revoked,
    purgeDue,
    createIndexes: () => run(() => model.createIndexes(), INDEX_BUILD_MS),
  };
}

/**
 * A revocation may be forgotten only when its token can't be good any more: for tokens issued here.
 * Of others, another one with the same jti and a later expiry may exist, or the expiry was typed in.
 */
export function toRevokedEntry({ jti, issuer, origin, expiresAt }: RevokedFields): RevokedEntry {
  return { jti, issuer, expiresAt: isIssuedHere(origin) ? (expiresAt?.getTime() ?? null) : null };
}

/** 24 hexadecimal digits, as printed. Mongoose would also take any 12 characters for an ObjectId. */
export function isRecordId(id: string): boolean {
  return /^[0-9a-f]{24}$/i.test(id);
}

/** An empty filter on a revoke would mean everyone: it is a bug, and it must not get to the database. */
function assertText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '')
    throw new TypeError(`${name} must be a non-empty string`);
}
