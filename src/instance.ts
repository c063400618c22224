/** What runs on an open engine or server: store, service, listener, started in this order. */
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureAdministrator, type NewAdministrator } from './auth/first-administrator.js';
import { systemClock, untilSecondAfter } from './clock.js';
import type { Config } from './config/config.js';
import { createDrain } from './http/drain.js';
import { createGate } from './http/gate.js';
import type { Logger } from './observability/logger.js';
import { beginDatabase, reachStore, sweepPeriodically } from './process/database.js';
import type { Cleanup } from './process/end-all.js';
import { addressOf, listen } from './process/listen.js';
import { reportReady } from './process/start-report.js';
import type { Stopping } from './process/stop-requests.js';
import { watchEngine } from './process/watch-engine.js';
import { createService, type Service } from './service.js';
import { type DiskWatch, watchDisk } from './store/embedded/disk.js';
import type { Engine } from './store/embedded/engine.js';
import {
  assertSameDatabase,
  DatabaseLostError,
  markInitialized,
} from './store/embedded/initialized.js';
import { openWitness, type Witness } from './store/embedded/witness.js';
import { createRsaKeys, createSecretKeys, type SigningKeys } from './tokens/keys.js';
import { readOrMakeSecret } from './tokens/secret-file.js';

interface Options {
  readonly config: Config;
  readonly log: Logger;
  /** null = `config.mongodbUri` is used. */
  readonly engine: Engine | null;
  /** Calls its argument each time that the engine was started again. */
  readonly onEngineBack: (check: () => void) => void;
  /** What ends each part; called in reverse order. */
  readonly cleanups: Cleanup[];
  readonly stopping: Stopping;
}

export interface Running {
  /** Where it listens, as one would type it. */
  readonly address: string;
  /** Whom this start created, if anybody. */
  readonly newAdministrator: NewAdministrator | null;
}

/** @throws when anything it needs can't be had, or when it is asked to stop before it is ready. */
export async function startInstance({
  config,
  log,
  engine,
  onEngineBack,
  cleanups,
  stopping: { asked, hurry, failed },
}: Options): Promise<Running> {
  const store = await reachStore(config.mongodbUri ?? engine?.uri ?? '', config, log, asked);
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
    onEngineBack(watch.onEngineBack);
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
  // Nobody else can be using an engine of our own.
  await service.follower.start({ isAlone: engine !== null });
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
  service.clockJumps.start();
  service.marker.wake();
  gate.open(service.handler);

  // What is on its way then, or is sent by who hasn't heard of it yet, is still let in.
  cleanups.push(async () => {
    announceStop();
    const signal = AbortSignal.any([hurry, failed]);
    await delay(config.shutdownDelayMs, undefined, { signal }).catch(() => undefined);
  });
  const address = addressOf(server, config.host);
  reportReady(config, log, { address, server: store.server, index: service.index });
  return { address, newAdministrator };
}

function keysOf({ signing, dataDir }: Config): SigningKeys {
  if (signing.algorithm === 'RS256') return createRsaKeys(signing.privateKey, signing.publicKey);
  return createSecretKeys(signing.secret ?? readOrMakeSecret(dataDir));
}
