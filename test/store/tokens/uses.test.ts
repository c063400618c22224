/** What is noted of a token after it was issued. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openStore, type Store } from '../../../src/store/database/connect.js';
import { ANY_ISSUER } from '../../../src/store/records.js';
import { freshDatabase, START, testMongodbUri } from '../../support/harness.js';
import { newRecord } from '../../support/store-conformance.js';

const HOUR = 3_600_000;

let store: Store;
beforeAll(async () => {
  store = await openStore({ uri: testMongodbUri(), clock: () => START, database: freshDatabase() });
});
afterAll(() => store.close());

it('notes the first use once, and how often a revoked token was tried', async () => {
  const record = newRecord('tried');
  const at = (hours: number) => new Date(START + hours * HOUR);
  const { id, ...inserted } = await store.tokens.insert(record);
  expect(inserted).toMatchObject({ firstUsedAt: null, lastRefusedAt: null, refusedCount: 0 });
  const anyIssuer = await store.tokens.insert(newRecord('tried', { issuer: ANY_ISSUER }));
  const other = await store.tokens.insert(newRecord('tried', { issuer: 'https://other.example' }));
  for (const hours of [1, 3, 2]) {
    await store.tokens.recordSeen([{ record, lastUsedAt: at(hours) }], false);
  }
  await store.tokens.recordRefused([]);
  await store.tokens.recordRefused([
    { jti: 'tried', issuer: record.issuer, at: at(5), count: 2 },
    { jti: 'tried', issuer: record.issuer, at: at(4), count: 1 },
    { jti: 'never-recorded', issuer: record.issuer, at: at(4), count: 1 },
  ]);
  expect(await store.tokens.findById(id)).toMatchObject({
    firstUsedAt: at(1),
    lastUsedAt: at(3),
    lastRefusedAt: at(5),
    refusedCount: 3,
  });
  expect(await store.tokens.findById(anyIssuer.id)).toMatchObject({ refusedCount: 3 });
  expect(await store.tokens.findById(other.id)).toEqual(other);
  expect(await store.tokens.findByJti('never-recorded')).toEqual([]);
});
