/** Reading many records behind the requests, batch by batch, and to the end or not at all. */
import { unavailable } from '../../errors.js';
import { isAtEnd, type Run } from '../database/operations.js';
import type { Index, TokenModel } from './model.js';

const BATCH = 500;
/** For the whole of it; a batch is waited for as long as below. */
const SCAN_MS = 3_600_000;
/** Work behind the requests may take its time: on a busy machine, or to pass by a million that don't match. */
export const PATIENCE_MS = 300_000;

/** @throws ServiceError 503 when it broke off before the end. */
export async function* readBatches<T extends object>(
  model: TokenModel,
  run: Run,
  filter: object,
  options: { readonly hint: Index; readonly projection?: object },
): AsyncIterable<T[]> {
  const cursor = model.collection.find<T>(filter, {
    ...options,
    batchSize: BATCH,
    maxTimeMS: SCAN_MS,
  });
  try {
    while (await run(() => cursor.hasNext(), PATIENCE_MS)) yield cursor.readBufferedDocuments();
    if (!isAtEnd(cursor))
      throw unavailable(
        'The reading of tokens broke off. Nothing is confirmed; repeat the request.',
      );
  } finally {
    await cursor.close();
  }
}
