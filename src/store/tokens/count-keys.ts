/** Counting the keys of an index, with the plain command: half the cost of the pipeline behind `countDocuments`. */
import { MAX_TIME_MS, type Run } from '../database/operations.js';
import type { Index, TokenModel } from './model.js';

/** @param limit counts no further. @throws ServiceError 503 */
export async function countKeys(
  { collection, db }: TokenModel,
  run: Run,
  asked: { readonly query: object; readonly hint: Index; readonly limit: number },
): Promise<number> {
  const command = { count: collection.collectionName, ...asked, maxTimeMS: MAX_TIME_MS };
  const answer = await run(async () => db.db?.command(command));
  if (typeof answer?.['n'] !== 'number') throw new Error('the database did not count');
  return answer['n'];
}
