/** The process: reads the configuration, starts one instance, says where it is, and stops it on SIGTERM or SIGINT. */
import closeWithGrace from 'close-with-grace';
import { type Config, ConfigError, loadConfig } from './config.js';
import { createLogger } from './observability/logger.js';
import { type Instance, start } from './start.js';

const STOP_WITHIN_MS = 20_000;

await main();

async function main(): Promise<void> {
  const config = configOrExit();
  const log = createLogger({ level: config.logLevel });
  if (config.signing.algorithm === 'HS256' && config.signing.weakness !== null) {
    log.warn(
      `GLOBAL_SECRET ${config.signing.weakness}: anyone could sign tokens (ALLOW_WEAK_SECRET=true)`,
    );
  }
  try {
    const instance = await start(config, log);
    closeWithGrace({ delay: STOP_WITHIN_MS, logger: false }, async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'stopping after an unexpected error');
      else log.info({ signal }, 'stopping');
      await instance.stop();
    });
    announce(config, instance);
  } catch (error) {
    log.fatal({ err: error }, 'the start failed');
    exit(`JWT History can't start. ${error instanceof Error ? error.message : String(error)}`);
  }
}

function configOrExit(): Config {
  try {
    return loadConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    exit(error.message);
  }
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
