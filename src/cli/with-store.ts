/** What the commands work on: the store of the configured installation, without the service. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../clock.js';
import { type Config, loadConfig } from '../config/config.js';
import { openStore, type Store } from '../store/database/connect.js';
import { startEngine } from '../store/embedded/engine.js';

/** @throws what `work` throws, and Error when the database can't be opened. */
export async function withStore<T>(work: (store: Store, config: Config) => Promise<T>): Promise<T> {
  const config = loadConfig();
  const { mongodbUri, dataDir, refuseStandalone } = config;
  const log = { info: () => undefined, warn: (_: object, line: string) => console.error(line) };
  const engine = mongodbUri === null ? await startEngine({ dataDir, log }) : null;
  try {
    const uri = mongodbUri ?? engine?.uri ?? '';
    const store = await openStore({ uri, refuseStandalone, clock: systemClock });
    try {
      return await work(store, config);
    } finally {
      await store.close();
    }
  } finally {
    await engine?.stop();
  }
}

/**
 * In a mistyped folder, or an unmounted one, nothing is made: what is to be changed isn't there.
 * @throws Error when the configured database is the embedded engine's and isn't there.
 */
export function assertThereIsData(): void {
  const { mongodbUri, dataDir } = loadConfig();
  if (mongodbUri !== null || ['db', 'initialized'].some((name) => existsSync(join(dataDir, name))))
    return;
  throw new Error(
    `There is no database in ${dataDir}; nothing was made there. Check DATA_DIR and the working directory, or start the service once.`,
  );
}

/** @throws Error when there is nothing in the database, neither ours nor another service's. */
export async function assertHoldsSomething(
  store: Store,
  { mongodbUri, dataDir }: Config,
): Promise<void> {
  if (!(await store.beginning.isUnused()) || !(await store.isEmpty())) return;
  throw new Error(
    mongodbUri === null
      ? `The database in ${dataDir} is empty. Check DATA_DIR, or start the service once.`
      : 'The database on the MongoDB server is empty. Check the name in MONGODB_URI, or start the service once.',
  );
}
