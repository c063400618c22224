/** The built service's own parts in this process: what is measured is what runs, not the sources through a loader. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as Authenticate from '../src/auth/authenticate.js';
import type * as PasswordHash from '../src/auth/password-hash.js';
import type * as Config from '../src/config/config.js';
import type * as Core from '../src/service.js';
import type * as Logger from '../src/observability/logger.js';
import type * as IdTable from '../src/revocation/id-table.js';
import type * as Cluster from '../src/revocation/cluster/cluster.js';
import type * as RevocationIndex from '../src/revocation/revocation-index.js';
import type * as Revoke from '../src/revocation/revoke.js';
import type * as Connect from '../src/store/database/connect.js';
import type * as Engine from '../src/store/embedded/engine.js';
import type * as Keys from '../src/tokens/keys.js';

interface Modules {
  readonly 'auth/authenticate.js': typeof Authenticate;
  readonly 'auth/password-hash.js': typeof PasswordHash;
  readonly 'config/config.js': typeof Config;
  readonly 'service.js': typeof Core;
  readonly 'observability/logger.js': typeof Logger;
  readonly 'revocation/cluster/cluster.js': typeof Cluster;
  readonly 'revocation/id-table.js': typeof IdTable;
  readonly 'revocation/revocation-index.js': typeof RevocationIndex;
  readonly 'revocation/revoke.js': typeof Revoke;
  readonly 'store/database/connect.js': typeof Connect;
  readonly 'store/embedded/engine.js': typeof Engine;
  readonly 'tokens/keys.js': typeof Keys;
}

export const DIST = fileURLToPath(new URL('../dist', import.meta.url));
/** The service's own; `openBuiltStore` opens others too. */
export const DATABASE = 'jwt-history';

/** @throws when it isn't built. */
export async function built<N extends keyof Modules>(name: N): Promise<Modules[N]> {
  const path = join(DIST, name);
  if (!existsSync(path)) throw new Error(`There is no dist/${name}. Run \`npm run build\` first.`);
  return (await import(pathToFileURL(path).href)) as Modules[N];
}

/** Makes the indexes too, as every start does. */
export async function openBuiltStore(uri: string, database = DATABASE, clock = Date.now) {
  const { openStore } = await built('store/database/connect.js');
  return openStore({ uri, database, clock });
}

/** The service without its listener, on `settings.MONGODB_URI`; its revocation list isn't loaded yet. */
export async function openCore(settings: Readonly<Record<string, string>>, database = DATABASE) {
  const { parseConfig } = await built('config/config.js');
  const { createSecretKeys, createRsaKeys } = await built('tokens/keys.js');
  const { createLogger } = await built('observability/logger.js');
  const { createService } = await built('service.js');
  const config = parseConfig({ LOG_LEVEL: 'warn', ...settings });
  const { signing } = config;
  if (signing.algorithm === 'HS256' && signing.secret === null) throw new Error('a secret is due');
  const keys =
    signing.algorithm === 'HS256'
      ? createSecretKeys(signing.secret ?? '')
      : createRsaKeys(signing.privateKey, signing.publicKey);
  const store = await openBuiltStore(config.mongodbUri ?? '', database);
  const log = createLogger({ level: config.logLevel });
  const service = createService({ config, keys, store, clock: Date.now, log });
  const close = async () => {
    await service.stop();
    await store.close();
  };
  return { service, store, keys, close };
}
