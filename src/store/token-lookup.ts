/** Many records at once, by their ids: for telling of tokens that are known by id only. */
import type { StoreContext } from './context.js';
import type { TokenRecord } from './records.js';
import { JTI_INDEX, type TokenModel, toRecord } from './token-model.js';

export interface LookupStore {
  /** All records with these jtis, of whichever issuers, in no order. For some hundred at a time. */
  findByJtis(jtis: readonly string[]): Promise<TokenRecord[]>;
}

export function createLookupStore(
  model: TokenModel,
  { run }: Pick<StoreContext, 'run'>,
): LookupStore {
  return {
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
