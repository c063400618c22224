/** The collection `tokens`: one record for every token the service hands out or has seen. Listing is in `token-list.ts`, searching in `token-search.ts`. */
import type { SealContext, StoreContext } from '../database/context.js';
import { createGrouping } from '../database/grouping.js';
import { ensureIndexes } from '../database/indexes.js';
import { ANY_ISSUER, isRecordId, type Revocation, type TokenRecord } from '../records.js';
import { createDescendantStore, type DescendantStore } from './descendants.js';
import { createEndlessStore, type EndlessStore } from './endless.js';
import { createInsertToken, type InsertToken } from './insert.js';
import { createLookupStore, type LookupStore } from './lookup.js';
import { createHitStore, type HitStore } from './hits.js';
import { createMarkingStore, type MarkingStore } from './mark.js';
import { createTokenModel, JTI_INDEX, toRecord } from './model.js';
import { createRevokedStore, type RevokedStore } from './revoked-list.js';
import { createRevoking, type RevokeOutcome } from './revoke.js';
import { createTokenSearches, type SearchContext, type TokenSearches } from './query/search.js';
import { createSecretStore, type SecretStore } from './secrets.js';
import { createUseStore, type UseStore } from './uses.js';

export interface TokenStore
  extends
    LookupStore,
    TokenSearches,
    UseStore,
    SecretStore,
    MarkingStore,
    HitStore,
    RevokedStore,
    DescendantStore,
    EndlessStore {
  readonly insert: InsertToken;
  /** Deletes the record of a token that was never handed out; one that was revoked meanwhile stays. */
  discard(record: Pick<TokenRecord, 'id'>): Promise<void>;
  findById(id: string): Promise<TokenRecord | null>;
  /** Whether a token has a record, and whether that says that it is revoked. */
  isRecorded(
    jti: string,
    issuer: string,
    userId: string,
  ): Promise<'recorded' | 'revoked' | 'unknown'>;
  /** All records with this jti, of whichever issuer, oldest first. */
  findByJti(jti: string): Promise<TokenRecord[]>;
  /**
   * Sets the revocation unless there is one: one atomic, durable write, so that of two concurrent
   * calls exactly one says `revoked`. The first revocation's values are kept; repeated, it is read
   * once more by all who follow. null = no such record.
   */
  revoke(id: string, revocation: Revocation): Promise<RevokeOutcome | null>;
  /** Deletes what `purgeAt` says is due; for engines whose TTL monitor does not run. */
  purgeDue(): Promise<number>;
}

export function createTokenStore(
  context: StoreContext & SearchContext & SealContext,
): TokenStore & { createIndexes(): Promise<void> } {
  const { connection, writeConcern, clock, run, report } = context;
  const model = createTokenModel(connection, writeConcern);
  const setRevocation = createRevoking(model, context);

  async function findById(id: string): Promise<TokenRecord | null> {
    if (!isRecordId(id)) return null;
    const found = await run(() => model.findOne({ _id: id }).lean());
    return found === null ? null : toRecord(found);
  }

  async function findByJti(jti: string): Promise<TokenRecord[]> {
    assertText('jti', jti);
    return run(() => run(() => findTogether(jti)));
  }

  const findTogether = createGrouping<string, TokenRecord[]>(
    async (jtis) => {
      const found = await run(() =>
        model
          .find({ jti: { $in: [...new Set(jtis)] } })
          .sort({ _id: 1 })
          .hint(JTI_INDEX)
          .lean(),
      );
      const records = new Map<string, TokenRecord[]>(jtis.map((jti) => [jti, []]));
      for (const document of found) records.get(document.jti)?.push(toRecord(document));
      return jtis.map((jti) => records.get(jti) ?? []);
    },
    { most: 100 },
  );

  async function isRecorded(
    jti: string,
    issuer: string,
    userId: string,
  ): Promise<'recorded' | 'revoked' | 'unknown'> {
    const found = (await findByJti(jti)).filter(
      (record) => record.issuer === issuer || record.issuer === ANY_ISSUER,
    );
    if (found.some(({ revocation }) => revocation !== null)) return 'revoked';
    // Somebody else's is another token with its id, signed by whoever shares the key.
    return found.some((record) => record.userId === userId) ? 'recorded' : 'unknown';
  }

  async function revoke(id: string, revocation: Revocation): Promise<RevokeOutcome | null> {
    assertText('id', id);
    return isRecordId(id) ? setRevocation(id, revocation) : null;
  }

  async function discard({ id }: Pick<TokenRecord, 'id'>): Promise<void> {
    await run(() =>
      model.deleteOne({ _id: id, revocation: null }, { hint: { _id: 1 }, writeConcern }),
    );
  }

  async function purgeDue(): Promise<number> {
    const due = await run(() =>
      model.deleteMany({ purgeAt: { $type: 'date', $lte: new Date(clock()) } }),
    );
    return due.deletedCount;
  }

  return {
    ...createLookupStore(model, context),
    ...createTokenSearches(model, context),
    ...createUseStore(model, context),
    ...createSecretStore(model, context),
    ...createMarkingStore(model, context),
    ...createHitStore(model, context),
    ...createRevokedStore(model, context),
    ...createDescendantStore(model, context),
    ...createEndlessStore(model, context),
    insert: createInsertToken(model, context),
    findById,
    findByJti,
    isRecorded,
    revoke,
    discard,
    purgeDue,
    createIndexes: () => ensureIndexes(model.collection, model.schema.indexes(), { run, report }),
  };
}

/** An empty filter on a revoke would mean everyone: it is a bug, and it must not get to the database. */
function assertText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '')
    throw new TypeError(`${name} must be a non-empty string`);
}
