/** The way to a database that may be used: waited for while it starts, begun when it is new, swept where it doesn't do that itself. */
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../clock.js';
import type { Config } from '../config/config.js';
import { ServiceError } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import type { Beginning } from '../store/database/beginning.js';
import { openStore, type Store } from '../store/database/connect.js';
import { StoreRefusedError } from '../store/database/refusals.js';
import type { MendingProgress } from '../store/mending/mending.js';

const SWEEP_EVERY_MS = 3_600_000;
const WAIT_FOR_DATABASE_MS = 30_000;

/**
 * Waits 30 s for a database that is starting at the same time, as with docker compose.
 * @throws StoreRefusedError at once; Error that names MONGODB_URI after that time, or at once when
 *   waiting would not help; what came last, or an AbortError, when `asked` fires.
 */
export async function reachStore(
  uri: string,
  { refuseStandalone }: Pick<Config, 'refuseStandalone'>,
  log: Logger,
  asked: AbortSignal,
): Promise<Store> {
  const deadline = performance.now() + WAIT_FOR_DATABASE_MS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openStore({
        uri,
        refuseStandalone,
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

/** A database that was never used before knows nothing of what was revoked: it begins with a cut-off. */
export async function beginDatabase(config: Config, store: Store, log: Logger): Promise<Beginning> {
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

/** The embedded engine's TTL monitor does not run. */
export function sweepPeriodically(store: Store, log: Logger): () => Promise<void> {
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
