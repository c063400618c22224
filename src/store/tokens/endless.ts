/** How many tokens of a holder are good for ever, without reading the others. */
import type { StoreContext } from '../database/context.js';
import { countKeys } from './count-keys.js';
import { type Index, KEYS_ENDLESS_INDEX, MINTED_ENDLESS_INDEX, type TokenModel } from './model.js';

export interface EndlessStore {
  /**
   * Tokens minted by `GET /v1/token` and API keys of this holder that are neither revoked nor ever
   * expire. Each of the two kinds is counted up to `most`.
   */
  countEndless(userId: string, most: number): Promise<number>;
}

export function createEndlessStore(
  model: TokenModel,
  { run }: Pick<StoreContext, 'run'>,
): EndlessStore {
  return {
    async countEndless(userId, most) {
      const count = (of: object, hint: Index) => {
        const query = { userId: { $eq: userId }, expiresAt: null, revocation: null, ...of };
        return countKeys(model, run, { query, hint, limit: most });
      };
      const [minted, keys] = await Promise.all([
        count({ origin: 'woleet' }, MINTED_ENDLESS_INDEX),
        count({ kind: 'api-key' }, KEYS_ENDLESS_INDEX),
      ]);
      return minted + keys;
    },
  };
}
