/**
 * The collection `tokens`: one record for every token the service hands out or has seen. One object
 * for the wiring; each file here has the few functions for one thing that is done to records, and
 * whoever uses them asks for these (`TokenLookup`, `TokenSearches`, …) or for less.
 */
import type { SealContext, StoreContext } from '../database/context.js';
import { ensureIndexes } from '../database/indexes.js';
import { createCutoffMarks, type CutoffMarks } from './cutoff-marks.js';
import { createCutoffScopeStore, type CutoffScopeStore } from './cutoff-scope.js';
import { createDescendantStore, type DescendantStore } from './descendants.js';
import { createEndlessStore, type EndlessStore } from './endless.js';
import { createTokenInsert, type TokenInsert } from './insert.js';
import { createRevokedLoad, type RevokedLoad } from './load-revoked.js';
import { createTokenLookup, type TokenLookup } from './lookup.js';
import { createTokenModel } from './model.js';
import { createTokenSearches, type SearchContext, type TokenSearches } from './query/search.js';
import { createTokenRevoke, type TokenRevoke } from './revoke.js';
import { createSecretStore, type SecretStore } from './secrets.js';
import { createUseStore, type UseStore } from './uses.js';

export interface TokenStore
  extends
    TokenLookup,
    TokenSearches,
    TokenInsert,
    TokenRevoke,
    UseStore,
    SecretStore,
    CutoffScopeStore,
    CutoffMarks,
    RevokedLoad,
    DescendantStore,
    EndlessStore {
  /** Deletes what `purgeAt` says is due; for engines whose TTL monitor does not run. */
  purgeDue(): Promise<number>;
}

export function createTokenStore(
  context: StoreContext & SearchContext & SealContext,
): TokenStore & { createIndexes(): Promise<void> } {
  const { connection, writeConcern, clock, run, report } = context;
  const model = createTokenModel(connection, writeConcern);

  return {
    ...createTokenLookup(model, context),
    ...createTokenSearches(model, context),
    ...createTokenInsert(model, context),
    ...createTokenRevoke(model, context),
    ...createUseStore(model, context),
    ...createSecretStore(model, context),
    ...createCutoffScopeStore(model, context),
    ...createCutoffMarks(model, context),
    ...createRevokedLoad(model, context),
    ...createDescendantStore(model, context),
    ...createEndlessStore(model, context),

    async purgeDue() {
      const { deletedCount } = await run(() =>
        model.deleteMany({ purgeAt: { $type: 'date', $lte: new Date(clock()) } }),
      );
      return deletedCount;
    },

    createIndexes: () => ensureIndexes(model.collection, model.schema.indexes(), { run, report }),
  };
}
