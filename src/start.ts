/** The start: the engine and everything else, stopped in the reverse order. What takes its time to load is loaded while the engine starts. */
import type { Config } from './config/config.js';
import type { Running } from './instance.js';
import type { Logger } from './observability/logger.js';
import { type Cleanup, endAll } from './process/end-all.js';
import { reportStarting } from './process/start-report.js';
import { NO_STOP_REQUESTS, type Stopping } from './process/stop-requests.js';
import { type Engine, startEngine } from './store/embedded/engine.js';

export interface Instance extends Running {
  /** Not ready → stops accepting → finishes what is in flight → closes the store. */
  stop(): Promise<void>;
}

/** So long a step of the start may go on when the process is asked to stop. */
const ABANDON_AFTER_MS = 3000;

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
  const cleanups: Cleanup[] = [];
  const stop = () => endAll(cleanups);
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
    await stop().catch((err: unknown) => {
      log.error({ event: 'service.not_ended', err }, 'what was started could not be ended cleanly');
    });
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
  cleanups: Cleanup[],
  { stop, fail, stopping }: PartsOptions,
): Promise<Instance> {
  const { asked } = stopping;
  asked.throwIfAborted();
  reportStarting(config, log);
  let checkDatabase = () => {};
  const opening: Promise<Engine | null> =
    config.mongodbUri === null
      ? startEngine({
          dataDir: config.dataDir,
          log,
          onRestart: () => checkDatabase(),
          // Damaged files make it end again and again, as soon as they are read.
          onCrash: fail,
        })
      : Promise.resolve(null);
  const loading = import('./instance.js');
  // Also when the start is given up before all is loaded.
  const open = opening.then((engine) => {
    if (engine) cleanups.push(engine.stop);
    return engine;
  });
  const [engine, { startInstance }] = await Promise.all([open, loading]);
  asked.throwIfAborted();
  const running = await startInstance({
    config,
    log,
    engine,
    onEngineBack: (check) => (checkDatabase = check),
    cleanups,
    stopping,
  });
  return { ...running, stop };
}
