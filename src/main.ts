/** The process: reads the configuration, starts one instance, says where it is, and stops it when it is asked to. */
import type { Config } from './config.js';
import { assertEnoughOpenFiles } from './open-files.js';
import type { Logger } from './observability/logger.js';
import type { Instance } from './start.js';
import { listenForStopRequests, type StopReason, type StopRequests } from './stop-requests.js';

const STOP_WITHIN_MS = 20_000;
const INCOMPLETE =
  'A package is missing: install again with `npm ci`. (With --omit=optional, needed parts are left out too; to leave out only the embedded engine, see "Without the embedded engine" in docs/deployment.md.)';

// Before all that takes its time, such as loading the rest: whoever asks meanwhile is heard.
const requests = listenForStopRequests();
await main(requests).catch((error: unknown) => exit(failureOf(error)));

async function main({ first, ...stopping }: StopRequests): Promise<void> {
  assertEnoughOpenFiles();
  const { readConfig, createLogger, start } = await load();
  const config = readConfig();
  const log = createLogger({ level: config.logLevel });
  if (config.signing.algorithm === 'HS256' && config.signing.weakness !== null) {
    log.warn(
      `GLOBAL_SECRET ${config.signing.weakness}: anyone could sign tokens (ALLOW_WEAK_SECRET=true)`,
    );
  }
  let instance: Instance;
  try {
    instance = await start(config, log, stopping);
  } catch (error) {
    if (stopping.asked.aborted) await end(await first, log, async () => undefined);
    log.fatal({ err: error }, 'the start failed');
    exit(failureOf(error));
  }
  announce(config, instance);
  await end(await first, log, instance.stop);
}

async function end({ signal, err }: StopReason, log: Logger, stop: () => Promise<void>) {
  if (signal === undefined) log.fatal({ err }, 'stopping after an unexpected error');
  else log.info({ signal }, 'stopping');
  setTimeout(() => process.exit(1), STOP_WITHIN_MS);
  await stop();
  process.exit(signal === undefined ? 1 : 0);
}

/** All else that it consists of: loading it takes most of the start. */
async function load() {
  const [{ ConfigError, loadConfig }, { createLogger }, { start }] = await Promise.all([
    import('./config.js'),
    import('./observability/logger.js'),
    import('./start.js'),
  ]);
  /** @throws Error for people when the configuration can't be used. */
  function readConfig(): Config {
    try {
      return loadConfig();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      exit(error.message);
    }
  }
  return { readConfig, createLogger, start };
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
