/** How many tokens of a holder are good for ever, without reading the others. */
import type { StoreContext } from '../database/context.js';
import { type Index, MINTED_ENDLESS_INDEX, KEYS_ENDLESS_INDEX, type TokenModel } from './model.js';

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
  async function count(query: Readonly<Record<string, unknown>>, hint: Index, limit: number) {
    const command = { count: model.collection.collectionName, query, hint, limit };
    const answer = await run(async () => model.db.db?.command(command));
    if (typeof answer?.['n'] !== 'number') throw new Error('the database did not count');
    return answer['n'];
  }

  return {
    async countEndless(userId, most) {
      const live = { userId: { $eq: userId }, expiresAt: null, revocation: null };
      const [minted, keys] = await Promise.all([
        count({ ...live, origin: 'woleet' }, MINTED_ENDLESS_INDEX, most),
        count({ ...live, kind: 'api-key' }, KEYS_ENDLESS_INDEX, most),
      ]);
      return minted + keys;
    },
  };
}
