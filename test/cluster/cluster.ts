/** Several instances of the built service on one embedded engine, each behind a link of its own; and clients for them. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { built } from '../../bench/built-parts.js';
import type { Random } from '../attack/random.js';
import { createDatabase, type Database } from './database.js';
import { createHistory } from './history.js';
import { createHttpClient, isOk } from './http.js';
import { createInstance, type Instance } from './instance.js';
import { createPool } from './pool.js';
import type { World } from './world.js';

export interface Cluster {
  readonly world: World;
  readonly database: Database;
  readonly enginePid: () => number | null;
}

export interface ClusterOptions {
  readonly instances: number;
  readonly accounts: number;
  readonly random: Random;
  /** The built service: `dist/main.js`. */
  readonly main: string;
}

const NAME = 'cluster';
const ADMIN = { email: 'root@cluster.example', password: 'the administrator of the cluster' };
const PASSWORD = 'the same for everybody here';
const SETTINGS = {
  ADMIN_EMAIL: ADMIN.email,
  ADMIN_PASSWORD: ADMIN.password,
  ALLOW_STANDALONE: 'true',
  LOG_LEVEL: 'warn',
  MINT_RATE: '0',
  MAX_ENDLESS_TOKENS: '0',
  SIGN_IN_ATTEMPTS: '100000',
  SIGN_IN_ATTEMPTS_PER_ACCOUNT: '100000',
  // A used refresh token that comes back revokes its session at once.
  REFRESH_TOKEN_GRACE: '0',
};

/**
 * Opens one in the folder.
 * @param onClose is given what is to be done at the end, in reverse order, also when this fails half-way.
 */
export async function openCluster(
  folder: string,
  options: ClusterOptions,
  onClose: (close: () => unknown) => void,
): Promise<Cluster> {
  const { startEngine } = await built('store/embedded/engine.js');
  const dataDir = join(folder, 'engine');
  mkdirSync(dataDir, { mode: 0o700 });
  const engine = await startEngine({ dataDir });
  onClose(() => engine.stop());
  const socketPath = decodeURIComponent(/^mongodb:\/\/([^/]+)\//.exec(engine.uri)?.[1] ?? '');
  const settings = {
    ...SETTINGS,
    GLOBAL_SECRET: randomBytes(48).toString('base64'),
  };
  const instances: Instance[] = [];
  for (let index = 0; index < options.instances; index += 1) {
    const instance = await createInstance({
      index,
      folder,
      socketPath,
      database: NAME,
      settings,
      main: options.main,
    });
    onClose(() => instance.close());
    instances.push(instance);
  }
  // The first one makes the administrator; two at once start as well, but that isn't looked at here.
  const [first, ...others] = instances;
  await first?.start();
  await Promise.all(others.map((instance) => instance.start()));
  const database = createDatabase(engine.uri, NAME);
  onClose(() => database.close());
  const accounts = await database.makeAccounts(options.accounts, PASSWORD);
  const http = createHttpClient();
  onClose(() => http.close());
  const world: World = {
    instances,
    history: createHistory(),
    pool: createPool(options.random),
    random: options.random,
    admin: await signInAsAdministrator(http, instances),
    password: PASSWORD,
    nextAccount() {
      const next = accounts.pop();
      if (next === undefined) throw new Error('there are no accounts left');
      return next;
    },
    giveBack: (account) => void accounts.unshift(account),
    answers: new Map(),
    http,
  };
  return { world, database, enginePid: () => engine.hostPid() };
}

async function signInAsAdministrator(
  http: ReturnType<typeof createHttpClient>,
  instances: readonly Instance[],
): Promise<string> {
  const answer = await http.ask(instances[0]?.port ?? 0, {
    method: 'POST',
    path: '/auth/signin',
    body: ADMIN,
  });
  if (!isOk(answer)) throw new Error(`the administrator was answered ${answer.status}`);
  return (JSON.parse(answer.text) as { token: string }).token;
}
