/** One running instance: engine, store, service, listener, started in this order and stopped in the reverse. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureAdministrator, type NewAdministrator } from './auth/first-administrator.js';
import { systemClock, untilSecondAfter } from './clock.js';
import type { Config } from './config/config.js';
import { ServiceError } from './errors.js';
import { createDrain } from './http/drain.js';
import { createGate } from './http/gate.js';
import type { Logger } from './observability/logger.js';
import { createService, type Service } from './service.js';
import type { Beginning } from './store/database/beginning.js';
import { openStore, type Store } from './store/database/connect.js';
import { type DiskWatch, watchDisk } from './store/embedded/disk.js';
import { type Engine, startEngine } from './store/embedded/engine.js';
import {
  assertSameDatabase,
  DatabaseLostError,
  markInitialized,
} from './store/embedded/initialized.js';
import { openWitness, type Witness } from './store/embedded/witness.js';
import type { MendingProgress } from './store/mending/mending.js';
import { reportReady, reportStarting } from './process/start-report.js';
import { NO_STOP_REQUESTS, type StopRequests } from './process/stop-requests.js';
import { StoreRefusedError } from './store/database/refusals.js';
import { createRsaKeys, createSecretKeys, type SigningKeys } from './tokens/keys.js';
import { readOrMakeSecret } from './tokens/secret-file.js';

export interface Instance {
  /** Where it listens, as one would type it. */
  readonly address: string;
  /** Whom this start created, if anybody. */
  readonly newAdministrator: NewAdministrator | null;
  /** Not ready → stops accepting → finishes what is in flight → closes the store. */
  stop(): Promise<void>;
}

const SWEEP_EVERY_MS = 3_600_000;
const WAIT_FOR_DATABASE_MS = 30_000;
/** What is on its way when the stop begins is still let in. */
const LINGER_MS = 250;
const ASK_AGAIN_MS = 500;
/** So long a step of the start may go on when the process is asked to stop. */
const ABANDON_AFTER_MS = 3000;

type Stopping = Pick<StopRequests, 'asked' | 'hurry'>;

interface PartsOptions {
  readonly stop: () => Promise<void>;
  /** Ends the start. */
  readonly fail: (error: Error) => void;
  readonly stopping: Stopping;
}

/**
 * @throws when anything it needs can't be had, or when it is asked to stop before it is ready;
 * whatever was started is stopped then.
 */
export async function start(
  config: Config,
  log: Logger,
  stopping: Stopping = NO_STOP_REQUESTS,
): Promise<Instance> {
  const cleanups: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  };
  let fail = (_error: Error) => {};
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  try {
    return await Promise.race([
      startParts(config, log, cleanups, { stop, fail, stopping }),
      failed,
      abandoned(stopping.asked),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Rejects when a step goes on for too long after the process was asked to stop: one may wait for a database. */
function abandoned(asked: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    asked.addEventListener(
      'abort',
      () => setTimeout(() => reject(asked.reason as Error), ABANDON_AFTER_MS).unref(),
      { once: true },
    );
  });
}

async function startParts(
  config: Config,
  log: Logger,
  cleanups: (() => Promise<unknown>)[],
  { stop, fail, stopping: { asked, hurry } }: PartsOptions,
): Promise<Instance> {
  asked.throwIfAborted();
  reportStarting(config, log);
  let engine: Engine | null = null;
  let onEngineBack = () => {};
  if (config.mongodbUri === null) {
    engine = await startEngine({
      dataDir: config.dataDir,
      log,
      onRestart: () => onEngineBack(),
      // Damaged files make it end again and again, as soon as they are read.
      onCrash: fail,
    });
    cleanups.push(engine.stop);
    asked.throwIfAborted();
  }
  const store = await reachStore(config.mongodbUri ?? engine?.uri ?? '', log, asked);
  cleanups.push(store.close);
  asked.throwIfAborted();
  const gate = createGate();
  let service: Service | null = null;
  let databaseId: string | null = null;
  let witness: Witness | null = null;
  let disk: DiskWatch | null = null;
  const lost = (error: DatabaseLostError) => {
    log.fatal({ err: error }, 'the database was lost; nothing is answered any more');
    gate.shut('the database was lost; restore it from a backup and start again');
    service?.announceStop();
  };
  if (engine) {
    const own = openWitness({ dataDir: config.dataDir, clock: systemClock, log });
    witness = own;
    cleanups.push(own.stop);
    disk = watchDisk({ dataDir: config.dataDir, log });
    cleanups.push(async () => disk?.stop());
    const assertSame = async () => {
      await assertSameDatabase(config.dataDir, store, databaseId);
      // At the start the loaded list is asked instead.
      if (databaseId !== null) await own.assertStored(store);
    };
    const watch = watchEngine({ store, assertSame, log }, (error) => {
      lost(error);
    });
    onEngineBack = watch.onEngineBack;
    cleanups.push(watch.stop);
    // Before anything is read from it, or written to it.
    await assertSame();
  }
  const { refusesUntil } = await beginDatabase(config, store, log);

  service = createService({
    config,
    keys: keysOf(config),
    store,
    clock: systemClock,
    log,
    ...(witness ? { witness } : {}),
    ...(disk ? { diskSpace: () => disk.space } : {}),
    onDatabaseLost: () =>
      lost(
        new DatabaseLostError(
          'The database is empty, or another one: what was revoked is lost. Restore it from the newest backup and start again; started without it, every token issued until now is refused.',
        ),
      ),
  });
  const { stop: stopService, announceStop } = service;
  cleanups.push(() =>
    stopService().catch((error: unknown) =>
      log.warn({ err: error }, 'the last uses of tokens could not be recorded'),
    ),
  );

  // Listening comes first: a port that is taken must not cost the generated password. Until
  // everything that can refuse the start has been asked, every request is answered 503.
  const server = createServer({ connectionsCheckingInterval: 100 }, gate.handler);
  const drain = createDrain(server);
  await listen(server, config);
  cleanups.push(() => drain.end(hurry));
  await service.sync.load();
  asked.throwIfAborted();
  witness?.assertKnown(service.index);
  asked.throwIfAborted();
  await witness?.start();
  const newAdministrator = await ensureAdministrator(store.users, service.hasher, {
    email: config.adminEmail,
    password: config.adminPassword,
  });
  if (engine) {
    databaseId = await markInitialized(config.dataDir, store);
    cleanups.push(sweepPeriodically(store, log));
  }
  // Other issuers know the time to the second: what they sign from now on is from a later one.
  if (refusesUntil !== null) await untilSecondAfter(refusesUntil);
  service.sync.start();
  service.probe.start();
  service.outages.start();
  service.marker.wake();
  gate.open(service.handler);

  cleanups.push(async () => {
    announceStop();
    await delay(LINGER_MS, undefined, { signal: hurry }).catch(() => undefined);
  });
  const address = addressOf(server, config.host);
  reportReady(config, log, { address, server: store.server, index: service.index });
  return { address, newAdministrator, stop };
}

/** A database that was never used before knows nothing of what was revoked: it begins with a cut-off. */
async function beginDatabase(config: Config, store: Store, log: Logger): Promise<Beginning> {
  const beginning = await store.beginning.begin();
  const { isNew, refusesUntil } = beginning;
  if (!isNew || refusesUntil === null) return beginning;
  const { signing, mongodbUri, dataDir } = config;
  const where =
    mongodbUri === null
      ? `in ${dataDir}; if one that holds data was expected, check DATA_DIR and what is mounted there`
      : 'on the MongoDB server; if one that holds data was expected, check the name in MONGODB_URI and the volume of the server';
  // With a secret that was made just now, nothing earlier could be good.
  const level = signing.algorithm === 'HS256' && signing.secret === null ? 'info' : 'warn';
  log[level](
    `a new database begins ${where}. It knows nothing of what was revoked before: every token issued until ${refusesUntil.toISOString()} is refused`,
  );
  return beginning;
}

/**
 * The embedded engine was started again: the connection is renewed, and it is asked whether it
 * still is the same database. One whose folder was deleted comes back empty, and what would be
 * revoked in it is lost when the real one is restored.
 */
function watchEngine(
  { store, assertSame, log }: { store: Store; assertSame: () => Promise<void>; log: Logger },
  onLost: (error: DatabaseLostError) => void,
): { onEngineBack: () => void; stop: () => Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;

  async function check(): Promise<void> {
    try {
      await store.reconnect();
    } catch (error) {
      // The following of the revocation list tries again until it succeeds.
      log.warn({ err: error }, 'the connection to the embedded engine could not be renewed');
    }
    while (!signal.aborted) {
      try {
        await assertSame();
        return;
      } catch (error) {
        if (error instanceof DatabaseLostError) {
          onLost(error);
          return;
        }
        if (!(error instanceof ServiceError))
          log.error({ err: error }, 'the database could not be recognized yet');
        await delay(ASK_AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  return {
    onEngineBack: () => void check(),
    stop: async () => stopping.abort(),
  };
}

/** Waits for a database that is starting at the same time, as with docker compose. */
async function reachStore(uri: string, log: Logger, asked: AbortSignal): Promise<Store> {
  const deadline = performance.now() + WAIT_FOR_DATABASE_MS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openStore({
        uri,
        clock: systemClock,
        report: (level, message) => log[level](message),
        onMending: reportTo(log),
      });
    } catch (error) {
      // Only what may pass by itself is waited for.
      if (error instanceof StoreRefusedError || asked.aborted) throw error;
      if (!(error instanceof ServiceError) || performance.now() > deadline)
        throw unreachable(error);
      log.warn({ err: error, attempt }, 'the database does not answer yet; trying again');
      await delay(500, undefined, { signal: asked });
    }
  }
}

function reportTo(log: Logger) {
  return ({ name, seen, mended, isDone }: MendingProgress) =>
    log.info(
      { event: 'store.mended', count: mended, total: seen },
      isDone ? `${name}: mended` : `${name}: being mended`,
    );
}

function unreachable(error: unknown): Error {
  const cause = error instanceof ServiceError ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Error(`The database can't be used: ${why}. Check MONGODB_URI.`, { cause: error });
}

function keysOf({ signing, dataDir }: Config): SigningKeys {
  if (signing.algorithm === 'RS256') return createRsaKeys(signing.privateKey, signing.publicKey);
  return createSecretKeys(signing.secret ?? readOrMakeSecret(dataDir));
}

/** The embedded engine's TTL monitor does not run. */
function sweepPeriodically(store: Store, log: Logger): () => Promise<void> {
  const sweep = () =>
    Promise.all([store.tokens.purgeDue(), store.events.purgeDue()]).then(
      ([count, events]) =>
        count + events > 0 && log.info({ count, events }, 'expired records deleted'),
      (error: unknown) => log.warn({ err: error }, 'expired records could not be deleted'),
    );
  let running: Promise<unknown> = sweep();
  const timer = setInterval(() => {
    running = sweep();
  }, SWEEP_EVERY_MS).unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}

/** Limits on what one client may hold open; Node's own are generous. */
async function listen(server: Server, { port, host }: Config): Promise<void> {
  server.headersTimeout = 10_000;
  server.requestTimeout = 15_000;
  server.keepAliveTimeout = 65_000;
  // Any other number would make those past it vanish without a word; the size is limited by Node,
  // and what is too many is refused (http/request-limits.ts).
  server.maxHeadersCount = 0;
  server.maxConnections = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(describeListenError(error, port)),
    );
    server.listen(port, host, () => resolve());
  });
}

function describeListenError(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`Port ${port} is in use. Set PORT to another one.`, { cause: error });
  if (error.code === 'EACCES')
    return new Error(`Port ${port} needs more rights. Set PORT to one above 1023.`, {
      cause: error,
    });
  return new Error(`Can't listen on port ${port}: ${error.message}. Check HOST and PORT.`, {
    cause: error,
  });
}

function addressOf(server: Server, host: string | undefined): string {
  const { port } = server.address() as AddressInfo;
  const name = host === undefined || host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
