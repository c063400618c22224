/** `npm run demo`: a service on a temporary folder, and the whole story told with curl against it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseConfig } from '../config/config.js';
import { createLogger } from '../observability/logger.js';
import { type Instance, start } from '../start.js';
import { listenForStopRequests } from '../process/stop-requests.js';

/** Where there is no curl, as in the image. */
const CURL = fileURLToPath(new URL('./curl.js', import.meta.url));
const STAND_IN = 'command -v curl >/dev/null || curl() { "$NODE" "$CURL" "$@"; }';

const requests = listenForStopRequests();
const dataDir = mkdtempSync(join(tmpdir(), 'jwt-history-demo-'));
let instance: Instance | null = null;
try {
  instance = await start(
    parseConfig({ DATA_DIR: dataDir, PORT: '0', HOST: '127.0.0.1' }),
    createLogger({ level: 'silent' }),
    requests,
  );
  await Promise.race([tellStory(instance), interrupted()]);
} catch (error) {
  process.exitCode = 1;
  console.error(
    requests.asked.aborted
      ? 'The demo was interrupted.'
      : `The demo failed: ${error instanceof Error ? error.message : String(error)}`,
  );
} finally {
  await instance?.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
// What was interrupted may still wait for an answer.
process.exit();

async function interrupted(): Promise<never> {
  const { err } = await requests.first;
  throw new Error('interrupted', { cause: err });
}

async function tellStory({ address, newAdministrator }: Instance): Promise<void> {
  const shell = createShell({
    URL: address,
    EMAIL: newAdministrator?.email ?? '',
    PASSWORD: newAdministrator?.generatedPassword ?? '',
  });
  const signIn = `curl -s "$URL/auth/signin" -H 'Content-Type: application/json' -d "{\\"email\\":\\"$EMAIL\\",\\"password\\":\\"$PASSWORD\\"}"`;

  say(`A service runs at ${address}, on its embedded engine in a temporary folder.`);
  say('Somebody signs in at a laptop …');
  shell.set('LAPTOP', field(await shell.run(signIn), 'token'));
  say('… and on a phone.');
  shell.set('PHONE', field(await shell.run(signIn), 'token'));
  say('The list knows both tokens: who holds them, where they came from, whether they are good.');
  const list = JSON.parse(
    await shell.run(`curl -s "$URL/v3/jwt/history" -H "Authorization: $LAPTOP"`),
  ) as {
    jwts: { jti: string; state: string }[];
  };
  const phone = list.jwts[0]?.jti ?? '';
  if (list.jwts.length !== 2 || phone === '')
    throw new Error('two tokens were expected in the list');
  shell.set('JTI', phone);
  say('The phone is lost. Its token is taken back, from the laptop …');
  const revoked = await shell.run(
    `curl -s -X DELETE "$URL/v3/jwt/history/$JTI" -H "Authorization: $LAPTOP"`,
  );
  if (field(revoked, 'state') !== 'revoked') throw new Error('the token should be revoked');
  say('… and from now on it is refused,');
  const status = await shell.run(
    `curl -s -o /dev/null -w '%{http_code}' "$URL/v3/jwt/history" -H "Authorization: $PHONE"`,
  );
  if (status.trim() !== '401') throw new Error(`401 was expected, not ${status}`);
  say('while the laptop’s goes on working.');
  const still = await shell.run(
    `curl -s -o /dev/null -w '%{http_code}' "$URL/v3/jwt/history" -H "Authorization: $LAPTOP"`,
  );
  if (still.trim() !== '200') throw new Error(`200 was expected, not ${still}`);
  say('That is all. The service stops, and its folder is removed.');
}

function createShell(variables: Record<string, string>) {
  return {
    set(name: string, value: string) {
      variables[name] = value;
      console.log(`  ${name}=${value.length > 60 ? `${value.slice(0, 57)}...` : value}\n`);
    },
    /** Runs one command line, shows it and its output. The service lives in this process, so it must not block. */
    async run(command: string): Promise<string> {
      console.log(`  $ ${command}`);
      const output = await execute(command, variables);
      console.log(`  ${output.trim().slice(0, 700)}${output.length > 700 ? ' …' : ''}\n`);
      return output;
    },
  };
}

async function execute(command: string, variables: Record<string, string>): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('sh', ['-c', `${STAND_IN}\n${command}`], {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', NODE: process.execPath, CURL, ...variables },
    });
    return stdout;
  } catch (error) {
    throw new Error(`this command failed: ${command}`, { cause: error });
  }
}

function field(json: string, name: string): string {
  const value = (JSON.parse(json) as Record<string, unknown>)[name];
  if (typeof value !== 'string') throw new Error(`no ${name} in the answer: ${json}`);
  return value;
}

function say(sentence: string): void {
  console.log(`${sentence}\n`);
}
