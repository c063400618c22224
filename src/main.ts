/** The process: reads the configuration, starts one instance, says where it is, and stops it when it is asked to. */
import { setFlagsFromString } from 'node:v8';
import type { Config } from './config/config.js';
import { assertEnoughOpenFiles } from './process/open-files.js';
import type { Logger } from './observability/logger.js';
import type { Instance } from './start.js';
import {
  listenForStopRequests,
  type StopReason,
  type StopRequests,
} from './process/stop-requests.js';

/** Longer once it runs, by what it is to wait for. */
let stopWithinMs = 20_000;
const INCOMPLETE =
  'A package is missing: install again with `npm ci`. (With --omit=optional, needed parts are left out too; to leave out only the embedded engine, see "Without the embedded engine" in docs/deployment.md.)';

/**
 * V8 lets garbage grow to several times of what is alive before it looks for it: a flood of refused
 * sign-ins took 430 MB of which 100 were alive. With half as much again it takes 260.
 */
setFlagsFromString('--heap-growing-percent=50');

// Before all that takes its time, such as loading the rest: whoever asks meanwhile is heard.
const requests = listenForStopRequests();
// Also when the start doesn't end: what is half begun may hang while it is taken down.
requests.asked.addEventListener('abort', () => {
  setTimeout(
    () => exit('JWT History was stopped by force: it took too long.'),
    stopWithinMs + 2000,
  ).unref();
});
await main(requests).catch((error: unknown) => exit(failureOf(error)));

async function main({ first, ...stopping }: StopRequests): Promise<void> {
  assertEnoughOpenFiles();
  const { readConfig, createLogger, flushCounts, start } = await load();
  const config = readConfig();
  const log = createLogger({ level: config.logLevel });
  const logToEnd = { log, flushCounts };
  if (config.signing.algorithm === 'HS256' && config.signing.weakness !== null) {
    log.warn(
      `GLOBAL_SECRET ${config.signing.weakness}: anyone could sign tokens (ALLOW_WEAK_SECRET=true)`,
    );
  }
  let instance: Instance;
  try {
    instance = await start(config, log, stopping);
  } catch (error) {
    const asked = stopping.asked.aborted ? await first : null;
    // Node also calls it uncaught when what was being loaded can't be.
    if (asked !== null && asked.err !== error) await end(asked, logToEnd, async () => undefined);
    log.fatal({ event: 'service.stopped', err: error }, 'the start failed');
    exit(failureOf(error));
  }
  stopWithinMs += config.shutdownDelayMs;
  announce(config, instance);
  await end(await first, logToEnd, instance.stop);
}

interface LogToEnd {
  readonly log: Logger;
  /** Writes what was only counted. */
  readonly flushCounts: (log: Logger) => void;
}

async function end(
  { signal, err }: StopReason,
  { log, flushCounts }: LogToEnd,
  stop: () => Promise<void>,
): Promise<never> {
  const [level, why] =
    signal === undefined
      ? (['fatal', 'after an unexpected error'] as const)
      : (['info', `as asked by ${signal}`] as const);
  const startedAt = performance.now();
  function stopped(as: 'info' | 'fatal', message: string, code: number, error?: unknown): never {
    flushCounts(log);
    const ms = Math.round(performance.now() - startedAt);
    log[as]({ event: 'service.stopped', signal, ms, err: error }, message);
    process.exit(code);
  }
  log[level]({ event: 'service.stopping', signal, err }, `stopping, ${why}`);
  setTimeout(() => stopped('fatal', `stopped by force, ${why}: it took too long`, 1), stopWithinMs);
  try {
    await stop();
  } catch (error) {
    stopped('fatal', `stopped, ${why}, but not cleanly`, 1, error);
  }
  stopped(level, `stopped, ${why}`, signal === undefined ? 1 : 0);
}

/** All else that it consists of: loading it takes most of the start. */
async function load() {
  const [{ ConfigError, loadConfig }, { createLogger, flushCounts }, { start }] = await Promise.all(
    [import('./config/config.js'), import('./observability/logger.js'), import('./start.js')],
  );
  /** @throws Error for people when the configuration can't be used. */
  function readConfig(): Config {
    try {
      return loadConfig();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      // What level is wanted isn't known then.
      createLogger({ level: 'info' }).fatal({ event: 'service.stopped' }, error.message);
      exit(error.message);
    }
  }
  return { readConfig, createLogger, flushCounts, start };
}

/** The parts for this platform of `@node-rs/argon2` are optional packages; without them it can't be loaded. */
function failureOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const isIncomplete = /native binding|Cannot find (module|package)/.test(message);
  return `JWT History can't start. ${message}${isIncomplete ? `\n${INCOMPLETE}` : ''}`;
}

function exit(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** For people, on stderr: the log on stdout stays JSON, and the password stays out of it. */
function announce(config: Config, { address, newAdministrator }: Instance): void {
  const database = config.mongodbUri === null ? `embedded engine in ${config.dataDir}` : 'MongoDB';
  if (newAdministrator === null) {
    process.stderr.write(`JWT History is ready at ${address} (${database}).\n`);
    return;
  }
  const { email, generatedPassword, wasThere } = newAdministrator;
  const [shown, curl] =
    generatedPassword === null
      ? ['as in ADMIN_PASSWORD', `curl -s -u "${email}:$ADMIN_PASSWORD" ${address}/v3/jwt/history`]
      : [
          `${generatedPassword}   (shown only this once)`,
          `curl -s ${address}/auth/signin -H 'Content-Type: application/json' -d '${JSON.stringify({ email, password: generatedPassword })}'`,
        ];
  process.stderr.write(`
  JWT History is ready at ${address} (${database}).

  ${wasThere ? 'The first administrator is a user who was there before' : 'The first administrator was created'}:
    e-mail:   ${email}
    password: ${shown}

  Try it:
    ${curl}

`);
}
