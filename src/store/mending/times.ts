/**
 * Mends what was stored before tokens were sealed and dates were bounded: what is revoked is kept,
 * since its token can be signed again with a later expiry; and nothing was issued after it was recorded.
 */
import type { StoreContext } from '../database/context.js';
import { allDocuments, type Batch, type Mending, PATIENCE_MS } from './mending.js';
import type { TokenDocument } from '../tokens/model.js';

/** @param sealedSince as the secret of the seals is: with another one, what was sealed counts as others' tokens do. */
export function timeMendings(sealedSince: Date): readonly Mending[] {
  return [{ name: `times of tokens, sealed since ${sealedSince.toISOString()}`, mend: mendTokens }];
}

const FIELDS = ['issuedAt', 'createdAt', 'revocation', 'purgeAt'] as const;
type StoredToken = Pick<TokenDocument, '_id' | (typeof FIELDS)[number]>;

async function mendTokens(context: StoreContext, tell: (batch: Batch) => void): Promise<void> {
  const { connection, run, writeConcern } = context;
  const collection = connection.collection<TokenDocument>('tokens');
  for await (const batch of allDocuments<StoredToken>(context, 'tokens', FIELDS)) {
    const due = batch.flatMap(({ _id, issuedAt, createdAt, revocation, purgeAt }) => {
      const change = {
        ...(revocation && purgeAt ? { purgeAt: null } : {}),
        ...(issuedAt && issuedAt > createdAt ? { issuedAt: createdAt } : {}),
      };
      return Object.keys(change).length === 0 ? [] : [{ _id, change }];
    });
    if (due.length > 0) {
      await run(
        () =>
          collection.bulkWrite(
            due.map(({ _id, change }) => ({
              updateOne: { filter: { _id }, update: { $set: change }, hint: { _id: 1 } },
            })),
            { ordered: false, writeConcern },
          ),
        PATIENCE_MS,
      );
    }
    tell({ seen: batch.length, mended: due.length });
  }
}
