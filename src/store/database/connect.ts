/** Opens the store: the connection, its time limits, the collections and their indexes. */
import mongoose, { type Connection } from 'mongoose';
import type { Clock } from '../../clock.js';
import { ServiceError } from '../../errors.js';
import { type ActivityStore, createActivityStore } from '../activity.js';
import { createInstanceStore, type InstanceStore } from '../cluster/instances.js';
import { createRevocationLog, type RevocationLog } from '../cluster/log.js';
import { createSideConnection } from '../cluster/side-connection.js';
import { type BeginningStore, createBeginningStore } from './beginning.js';
import { createCutoffStore, type CutoffStore } from '../cutoffs/cutoffs.js';
import { createEventStore, type EventStore } from '../events.js';
import type { Report } from './indexes.js';
import { ID_MENDINGS } from '../mending/ids.js';
import { timeMendings } from '../mending/times.js';
import { type MendingProgress, mendStore } from '../mending/mending.js';
import {
  createIdentityStore,
  type IdentityStore,
  loadSealSecret,
  type SealSecret,
} from './identity.js';
import { createKnownUserStore, type KnownUserStore } from '../users/known.js';
import { createOperations, MAX_TIME_MS, type Operations } from './operations.js';
import { toRefusal } from './refusals.js';
import { describeServer, type ServerInfo } from './server.js';
import { createTokenStore, type TokenStore } from '../tokens/tokens.js';
import { createUserStore, type UserStore } from '../users/users.js';
import { assertNotStandalone, assertUsable } from './usable.js';
import { writeConcernFor } from './write-concern.js';

export interface Store {
  readonly tokens: TokenStore;
  readonly users: UserStore;
  readonly cutoffs: CutoffStore;
  readonly events: EventStore;
  readonly activity: ActivityStore;
  readonly identity: IdentityStore;
  readonly seal: SealSecret;
  readonly beginning: BeginningStore;
  readonly knownUsers: KnownUserStore;
  /** On a connection of their own. */
  readonly instances: InstanceStore;
  readonly revocationLog: RevocationLog;
  /** What it is connected to. */
  readonly server: ServerInfo;
  /** The time by the database's clock. @throws ServiceError 503 */
  time(): Promise<Date>;
  /** Whether there is neither a token nor a user. */
  isEmpty(): Promise<boolean>;
  /** Asks the database for a sign of life. */
  ping(): Promise<boolean>;
  /**
   * Fails what is under way with 503 and connects anew, for when the database is known to have
   * died. The driver's own recovery can hang: its monitor may wait for ever on a socket that was
   * destroyed under its hands. @throws ServiceError 503 when that fails; it can be called again.
   */
  reconnect(): Promise<void>;
  /** After an outage that somebody noticed: asks for a sign of life, and connects anew when there is none. @throws ServiceError 503 */
  lookAfter(): Promise<void>;
  close(): Promise<void>;
}

interface StoreOptions {
  readonly uri: string;
  readonly clock: Clock;
  /** Wins over the address's own; without either it is `jwt-history`. */
  readonly database?: string;
  /** Whether a server that is neither a member of a replica set nor a mongos won't do. */
  readonly refuseStandalone?: boolean;
  /** Is told of what takes long, and of what isn't as it should be. */
  readonly report?: Report;
  /** Stored records are being mended, before the store is used for anything else. */
  readonly onMending?: (progress: MendingProgress) => void;
}

const DEFAULT_DATABASE = 'jwt-history';

/** Mongoose's and the driver's defaults wait 10 to 30 s for a database that is gone. */
const LIMITS = {
  serverSelectionTimeoutMS: 1000,
  connectTimeoutMS: 2000,
  waitQueueTimeoutMS: 2000,
  // How soon a database that came back is noticed; the default is half a second at best.
  minHeartbeatFrequencyMS: 100,
} as const;

const CLOSE_LIMIT_MS = 1000;
const SIGN_OF_LIFE_MS = 1000;

/**
 * Resolves once every unique index is there, so that no duplicate gets in before it, and everything
 * stored is in today's form.
 * @throws ServiceError 503 when the database can't be reached.
 * @throws StoreRefusedError when it can, and waiting for what is missing wouldn't help.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { uri, clock, database, report = () => undefined, onMending } = options;
  const operations = createOperations();
  const connection = mongoose.createConnection();
  const dbName = database ?? databaseIn(uri) ?? DEFAULT_DATABASE;
  const side = createSideConnection({ uri, database: dbName });
  connection.set('maxTimeMS', MAX_TIME_MS);
  const connect = () =>
    operations.run(() =>
      connection.openUri(uri, {
        ...LIMITS,
        dbName,
        bufferCommands: false,
        autoIndex: false,
        autoCreate: false,
        // Never a secondary: it may not have a revocation yet that was acknowledged.
        readPreference: 'primary',
        maxPoolSize: 50,
        appName: 'jwt-history',
      }),
    );
  try {
    await connect();
    const { run } = operations;
    const hello = await assertUsable(connection, run);
    if (options.refuseStandalone) assertNotStandalone(hello);
    const writeConcern = writeConcernFor(hello);
    const context = { connection, writeConcern, clock, run, report };
    // Until it is known, nothing is forgotten.
    let sealedSince = Infinity;
    const cutoffs = createCutoffStore(context);
    const collections = {
      tokens: createTokenStore({
        ...context,
        unmarked: cutoffs.unmarked,
        sealedSince: () => sealedSince,
      }),
      users: createUserStore(context),
      cutoffs,
      events: createEventStore(context),
      activity: createActivityStore(context),
      identity: createIdentityStore(context),
      knownUsers: createKnownUserStore(context),
    };
    const { tokens, users, events } = collections;
    await Promise.all([tokens, users, events, cutoffs].map(({ createIndexes }) => createIndexes()));
    const seal = await loadSealSecret(context);
    const mendings = [...ID_MENDINGS, ...timeMendings(seal.since)];
    await mendStore(context, mendings, onMending ?? (() => undefined));
    sealedSince = seal.since.getTime();
    const server = await describeServer(connection, hello, run);
    const own = lifecycle(connection, connect, operations, side.close);
    const beginning = createBeginningStore({ ...context, cutoffs, time: own.time });
    const instances = createInstanceStore({ side, writeConcern });
    const revocationLog = createRevocationLog({ side, writeConcern });
    return { ...collections, instances, revocationLog, seal, beginning, server, ...own };
  } catch (error) {
    await connection.close(true);
    throw toRefusal(error) ?? error;
  }
}

function lifecycle(
  connection: Connection,
  connect: () => Promise<unknown>,
  { run, interrupt }: Operations,
  closeSide: () => Promise<void>,
): Pick<Store, 'ping' | 'time' | 'isEmpty' | 'reconnect' | 'lookAfter' | 'close'> {
  let closed = false;
  let reconnecting: Promise<void> | null = null;
  let renewals = 0;

  async function reconnect(): Promise<void> {
    if (closed) return;
    interrupt();
    // Not by force: Mongoose never opens a connection again that was closed by force.
    await run(() => connection.close(), CLOSE_LIMIT_MS).catch(() => undefined);
    if (!closed) await connect();
    renewals += 1;
  }

  function reconnectOnce(): Promise<void> {
    reconnecting ??= reconnect().finally(() => {
      reconnecting = null;
    });
    return reconnecting;
  }

  return {
    async time() {
      const [answer] = await run(
        async () =>
          connection.db?.aggregate<{ now: Date }>([{ $documents: [{ now: '$$NOW' }] }]).toArray() ??
          [],
      );
      if (!(answer?.now instanceof Date)) throw new Error('the database did not tell the time');
      return answer.now;
    },

    async isEmpty() {
      const names = ['tokens', 'users'];
      const found = await Promise.all(
        names.map((name) => run(() => connection.collection(name).findOne({}))),
      );
      return found.every((document) => document === null);
    },

    async ping() {
      try {
        await run(async () => connection.db?.command({ ping: 1 }));
        return connection.readyState === mongoose.ConnectionStates.connected;
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        return false;
      }
    },

    reconnect: reconnectOnce,

    async lookAfter() {
      const before = renewals;
      try {
        await run(async () => connection.db?.command({ ping: 1 }), SIGN_OF_LIFE_MS);
      } catch {
        // Renewed meanwhile, it works: renewing it once more would only fail what is under way.
        if (renewals === before) await reconnectOnce();
      }
    },

    async close() {
      closed = true;
      await reconnecting?.catch(() => undefined);
      await Promise.all([connection.close(), closeSide()]);
    },
  };
}

/** The database that the address names; it may list several hosts, so it's no URL. */
function databaseIn(uri: string): string | null {
  const name = /^mongodb(?:\+srv)?:\/\/[^/?]+\/([^?]+)/.exec(uri)?.[1];
  return name === undefined ? null : decodeURIComponent(name);
}
