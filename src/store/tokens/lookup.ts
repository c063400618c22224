/** Records by their ids and by what they say of themselves. */
import { indexOfScope, within } from '../cutoffs/filter.js';
import type { StoreContext } from '../database/context.js';
import { createGrouping } from '../database/grouping.js';
import { MAX_TIME_MS } from '../database/operations.js';
import { ANY_ISSUER, assertText, isRecordId, type TokenRecord } from '../records.js';
import { findRecords } from './find-records.js';
import { JTI_INDEX, type TokenModel, toRecord } from './model.js';

export interface TokenLookup {
  findById(id: string): Promise<TokenRecord | null>;
  /** All records with this jti, of whichever issuer, oldest first. */
  findByJti(jti: string): Promise<TokenRecord[]>;
  /** Each record once, in no order; what is no id, or has no record, is left out. For a thousand at most. */
  findByIds(ids: readonly string[]): Promise<TokenRecord[]>;
  /** All records with these jtis, of whichever issuers, in no order. For some hundred at a time. */
  findByJtis(jtis: readonly string[]): Promise<TokenRecord[]>;
  /** Whether a token has a record, and whether that says that it is revoked. */
  isRecorded(
    jti: string,
    issuer: string,
    userId: string,
  ): Promise<'recorded' | 'revoked' | 'unknown'>;
  /** Whether there is a record of this user or of this application, in whatever state. */
  hasRecordOf(
    whose: { readonly userId: string } | { readonly applicationId: string },
  ): Promise<boolean>;
}

export function createTokenLookup(
  model: TokenModel,
  { run }: Pick<StoreContext, 'run'>,
): TokenLookup {
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
      const how = { hint: JTI_INDEX, sort: { _id: 1 } } as const;
      const found = await findRecords(model, run, { jti: { $in: [...new Set(jtis)] } }, how);
      const records = new Map<string, TokenRecord[]>(jtis.map((jti) => [jti, []]));
      for (const record of found) records.get(record.jti)?.push(record);
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

  return {
    findById,
    findByJti,
    isRecorded,

    async findByIds(ids) {
      const known = [...new Set(ids.filter(isRecordId).map((id) => id.toLowerCase()))];
      if (known.length === 0) return [];
      return findRecords(model, run, { _id: { $in: known } }, { hint: { _id: 1 } });
    },

    async findByJtis(jtis) {
      if (jtis.length === 0) return [];
      return findRecords(model, run, { jti: { $in: [...jtis] } }, { hint: JTI_INDEX });
    },

    async hasRecordOf(whose) {
      const scope = { userId: null, applicationId: null, sessionsOnly: false, ...whose };
      const found = await run(() =>
        model
          .findOne(within(scope))
          .hint(indexOfScope(scope))
          .select({ _id: 1 })
          .maxTimeMS(MAX_TIME_MS)
          .lean(),
      );
      return found !== null;
    },
  };
}
