/** The built service's own modules: what is measured is what runs, not the sources through a loader. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as AuthAuthenticate from '../src/auth/authenticate.js';
import type * as Config from '../src/config/config.js';
import type * as ObservabilityLogger from '../src/observability/logger.js';
import type * as IdTable from '../src/revocation/id-table.js';
import type * as RevocationIndex from '../src/revocation/revocation-index.js';
import type * as RevocationRevoke from '../src/revocation/revoke.js';
import type * as Service from '../src/service.js';
import type * as StoreConnect from '../src/store/database/connect.js';
import type * as TokensKeys from '../src/tokens/keys.js';
import { DIST } from './built-service.js';

interface Modules {
  readonly 'auth/authenticate.js': typeof AuthAuthenticate;
  readonly 'config/config.js': typeof Config;
  readonly 'observability/logger.js': typeof ObservabilityLogger;
  readonly 'revocation/id-table.js': typeof IdTable;
  readonly 'revocation/revocation-index.js': typeof RevocationIndex;
  readonly 'revocation/revoke.js': typeof RevocationRevoke;
  readonly 'service.js': typeof Service;
  readonly 'store/database/connect.js': typeof StoreConnect;
  readonly 'tokens/keys.js': typeof TokensKeys;
}

export async function built<N extends keyof Modules>(name: N): Promise<Modules[N]> {
  const path = join(DIST, name);
  if (!existsSync(path)) throw new Error(`There is no dist/${name}. Run \`npm run build\` first.`);
  return (await import(pathToFileURL(path).href)) as Modules[N];
}
