/** One running instance: engine, store, service, listener, started in this order and stopped in the reverse. */
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureAdministrator, type NewAdministrator } from './auth/first-administrator.js';
import { systemClock, untilSecondAfter } from './clock.js';
import type { Config } from './config/config.js';
import { createDrain } from './http/drain.js';
import { createGate } from './http/gate.js';
import type { Logger } from './observability/logger.js';
import { createService, type Service } from './service.js';
import { type DiskWatch, watchDisk } from './store/embedded/disk.js';
import { type Engine, startEngine } from './store/embedded/engine.js';
import {
  assertSameDatabase,
  DatabaseLostError,
  markInitialized,
} from './store/embedded/initialized.js';
import { openWitness, type Witness } from './store/embedded/witness.js';
import { beginDatabase, reachStore, sweepPeriodically } from './process/database.js';
import { addressOf, listen } from './process/listen.js';
import { reportReady, reportStarting } from './process/start-report.js';
import { NO_STOP_REQUESTS, type StopRequests } from './process/stop-requests.js';
import { watchEngine } from './process/watch-engine.js';
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

/** What is on its way when the stop begins is still let in. */
const LINGER_MS = 250;
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

function keysOf({ signing, dataDir }: Config): SigningKeys {
  if (signing.algorithm === 'RS256') return createRsaKeys(signing.privateKey, signing.publicKey);
  return createSecretKeys(signing.secret ?? readOrMakeSecret(dataDir));
}
