/** A database as a service finds it at its start: full of revoked records, with its indexes. */
import { built } from './dist.js';
import { progress } from './results.js';
import { connectDirectly, insertTokens } from './token-documents.js';

interface Options {
  readonly uri: string;
  readonly database: string;
  readonly records: number;
}

export async function makeRevokedDatabase({ uri, database, records }: Options): Promise<void> {
  const { openStore } = await built('store/database/connect.js');
  const startedAt = performance.now();
  const after = () => `${((performance.now() - startedAt) / 1000).toFixed(0)} s`;
  const connection = await connectDirectly(uri, database);
  try {
    await insertTokens(connection, records, {
      revoked: true,
      keep: false,
      onProgress: (inserted) =>
        progress(`${database}: ${inserted.toLocaleString('en')} records inserted, ${after()}`),
    });
  } finally {
    await connection.close();
  }
  // Makes the indexes, as every start does.
  await (await openStore({ uri, database, clock: Date.now })).close();
  progress(`${database}: ${records.toLocaleString('en')} records and their indexes, ${after()}`);
}
