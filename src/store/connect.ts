/** Opens the store: the connection, its time limits, the collections and their indexes. */
import mongoose, { type Connection } from 'mongoose';
import type { Clock } from '../clock.js';
import { createCutoffStore, type CutoffStore } from './cutoffs.js';
import { run } from './failures.js';
import { createTokenStore, type TokenStore } from './tokens.js';
import { createUserStore, type UserStore } from './users.js';
import { writeConcernFor } from './write-concern.js';

export interface Store {
  readonly tokens: TokenStore;
  readonly users: UserStore;
  readonly cutoffs: CutoffStore;
  /** Asks the database for a sign of life. */
  ping(): Promise<boolean>;
  close(): Promise<void>;
}

interface StoreOptions {
  readonly uri: string;
  readonly clock: Clock;
  /** Wins over the address's own; without either it is `jwt-history`. */
  readonly database?: string;
}

const DEFAULT_DATABASE = 'jwt-history';

/** Mongoose's and the driver's defaults wait 10 to 30 s for a database that is gone. */
const LIMITS = {
  serverSelectionTimeoutMS: 1000,
  connectTimeoutMS: 2000,
  waitQueueTimeoutMS: 2000,
  socketTimeoutMS: 10_000,
} as const;

/** How long the server may work on one operation. */
const MAX_TIME_MS = 5000;

/**
 * Resolves once every unique index is there, so that no duplicate gets in before it.
 * @throws ServiceError 503 when the database can't be reached.
 */
export async function openStore({ uri, clock, database }: StoreOptions): Promise<Store> {
  const connection = mongoose.createConnection(uri, {
    ...LIMITS,
    dbName: database ?? databaseIn(uri) ?? DEFAULT_DATABASE,
    bufferCommands: false,
    autoIndex: false,
    autoCreate: false,
    maxPoolSize: 50,
    appName: 'jwt-history',
  });
  connection.set('maxTimeMS', MAX_TIME_MS);
  try {
    await run(() => connection.asPromise());
    return await open(connection, clock);
  } catch (error) {
    await connection.close(true);
    throw error;
  }
}

async function open(connection: Connection, clock: Clock): Promise<Store> {
  const writeConcern = await run(() => writeConcernFor(connection));
  const tokens = createTokenStore(connection, writeConcern, clock);
  const users = createUserStore(connection, writeConcern, clock);
  const cutoffs = createCutoffStore(connection, writeConcern);
  await Promise.all([tokens.createIndexes(), users.createIndexes()]);
  return {
    tokens,
    users,
    cutoffs,
    async ping() {
      try {
        await run(async () => connection.db?.command({ ping: 1 }));
        return connection.readyState === mongoose.ConnectionStates.connected;
      } catch {
        return false;
      }
    },
    close: () => connection.close(),
  };
}

/** The database that the address names; it may list several hosts, so it's no URL. */
function databaseIn(uri: string): string | null {
  const name = /^mongodb(?:\+srv)?:\/\/[^/?]+\/([^?]+)/.exec(uri)?.[1];
  return name === undefined ? null : decodeURIComponent(name);
}
