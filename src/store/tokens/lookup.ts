/** Many records at once, by their ids. */
import type { StoreContext } from '../database/context.js';
import { isRecordId, type TokenRecord } from '../records.js';
import { JTI_INDEX, type TokenModel, toRecord } from './model.js';

export interface LookupStore {
  /** Each record once, in no order; what is no id, or has no record, is left out. For a thousand at most. */
  findByIds(ids: readonly string[]): Promise<TokenRecord[]>;
  /** All records with these jtis, of whichever issuers, in no order. For some hundred at a time. */
  findByJtis(jtis: readonly string[]): Promise<TokenRecord[]>;
}

export function createLookupStore(
  model: TokenModel,
  { run }: Pick<StoreContext, 'run'>,
): LookupStore {
  return {
    async findByIds(ids) {
      const known = [...new Set(ids.filter(isRecordId).map((id) => id.toLowerCase()))];
      if (known.length === 0) return [];
      const found = await run(() =>
        model
          .find({ _id: { $in: known } })
          .hint({ _id: 1 })
          .lean(),
      );
      return found.map(toRecord);
    },

    async findByJtis(jtis) {
      if (jtis.length === 0) return [];
      const found = await run(() =>
        model
          .find({ jti: { $in: [...jtis] } })
          .hint(JTI_INDEX)
          .lean(),
      );
      return found.map(toRecord);
    },
  };
}
