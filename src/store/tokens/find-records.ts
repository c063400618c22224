/** Finding records by an index that is named, as plain values. */
import type { QueryFilter } from 'mongoose';
import type { Run } from '../database/operations.js';
import type { TokenRecord } from '../records.js';
import { type Index, type TokenDocument, type TokenModel, toRecord } from './model.js';

interface How {
  readonly hint: Index;
  readonly sort?: Index;
  /** 0 = all. */
  readonly limit?: number;
}

/** @throws ServiceError 503 */
export async function findRecords(
  model: TokenModel,
  run: Run,
  where: QueryFilter<TokenDocument>,
  { hint, sort = {}, limit = 0 }: How,
): Promise<TokenRecord[]> {
  const found = await run(() => model.find(where).hint(hint).sort(sort).limit(limit).lean());
  return found.map(toRecord);
}
