/** The built service in a process of its own: started on a folder and a free port, asked over HTTP, stopped with SIGTERM. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '../src/store/embedded/engine.js';
import { built, DIST } from './built-parts.js';

export const ADMIN = { email: 'admin@bench.example', password: 'administrator of the bench' };

const START_WITHIN_MS = 60_000;
const REQUEST_WITHIN_MS = 30_000;
const POLL_EVERY_MS = 5;

export interface BuiltService {
  readonly address: string;
  readonly pid: number | null;
  /** From spawn to the first 200 of `/readyz`. */
  readonly readyAfterMs: number;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** @throws when it doesn't end with code 0. */
  stop(): Promise<void>;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** What it has logged so far. */
  log(): string;
}

export interface CallOptions {
  /** The value of the `Authorization` header. */
  readonly authorization?: string;
  readonly body?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** From sending to the last byte. */
  readonly ms: number;
}

/** @param settings is all the configuration it gets: nothing of the caller's environment reaches it. */
export async function startBuiltService(
  dataDir: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<BuiltService> {
  const main = join(DIST, 'main.js');
  if (!existsSync(main)) throw new Error('There is no dist/main.js. Run `npm run build` first.');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const logFile = join(dataDir, 'bench-service.log');
  const log = openSync(logFile, 'w', 0o600);
  const startedAt = performance.now();
  const child = spawn(process.execPath, [main], {
    env: { PORT: '0', HOST: '127.0.0.1', TMPDIR: tmpdir(), DATA_DIR: dataDir, ...settings },
    stdio: ['ignore', log, 'pipe'],
  });
  closeSync(log);
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
    child.once('error', (error) => resolve(error.message));
  });
  let stderr = '';
  const announced = new Promise<string>((resolve) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      const address = /JWT History is ready at (http:\/\/\S+)/.exec(stderr)?.[1];
      if (address !== undefined) resolve(address);
    });
  });
  const agent = new Agent({ keepAlive: true });

  async function stop(): Promise<void> {
    agent.destroy();
    child.kill('SIGTERM');
    const end = await exited;
    if (end !== 'code 0') fail(`The service ended with ${end}; its log is ${logFile}. ${stderr}`);
  }

  async function kill(): Promise<void> {
    agent.destroy();
    child.kill('SIGKILL');
    await exited;
  }

  try {
    const address = await Promise.race([
      announced,
      exited.then((end) => fail(`The service ended with ${end} at the start. ${stderr}`)),
      delay(START_WITHIN_MS, undefined, { ref: false }).then(() =>
        fail(`The service did not start within ${START_WITHIN_MS} ms. ${stderr}`),
      ),
    ]);
    const call: BuiltService['call'] = (method, path, options) =>
      send(agent, method, new URL(path, address), options);
    while ((await call('GET', '/readyz')).status !== 200) await delay(POLL_EVERY_MS);
    const readyAfterMs = performance.now() - startedAt;
    return {
      address,
      pid: child.pid ?? null,
      readyAfterMs,
      call,
      stop,
      kill,
      log: () => readFileSync(logFile, 'utf8'),
    };
  } catch (error) {
    await kill();
    throw error;
  }
}

function fail(message: string): never {
  throw new Error(message.trimEnd());
}

function send(
  agent: Agent,
  method: string,
  url: URL,
  { authorization, body }: CallOptions = {},
): Promise<Answer> {
  const headers = {
    ...(authorization === undefined ? {} : { authorization }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const sentAt = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, agent, headers }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => (text += part));
      res.on('error', reject);
      res.on('end', () =>
        resolve({ status: res.statusCode ?? 0, text, ms: performance.now() - sentAt }),
      );
    });
    sent.setTimeout(REQUEST_WITHIN_MS, () => sent.destroy(new Error(`no answer from ${url.href}`)));
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Signs in; the value for the `Authorization` header. */
export async function signIn(
  service: BuiltService,
  email: string,
  password: string,
): Promise<string> {
  const { status, text } = await service.call('POST', '/auth/signin', {
    body: { email, password },
  });
  if (status !== 200) throw new Error(`Signing ${email} in was answered ${status}: ${text}`);
  return (JSON.parse(text) as { token: string }).token;
}

/** Runs `use` with the service and stops it; a failure of `use` isn't hidden by one of the stop. */
export async function using<T>(
  service: BuiltService,
  use: (service: BuiltService) => Promise<T>,
): Promise<T> {
  let result: T;
  try {
    result = await use(service);
  } catch (error) {
    await service.stop().catch((stopError: unknown) => console.error(stopError));
    throw error;
  }
  await service.stop();
  return result;
}

/** Runs `use` with the embedded engine on the folder. */
export async function withEngine<T>(
  dataDir: string,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  const { startEngine } = await built('store/embedded/engine.js');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const engine = await startEngine({ dataDir });
  try {
    return await use(engine);
  } finally {
    await engine.stop();
  }
}

export interface SharedEngine {
  readonly service: BuiltService;
  readonly engine: Engine;
  /** What the service was started with. */
  readonly settings: Readonly<Record<string, string>>;
  /** An administrator's. */
  readonly authorization: string;
}

/** Runs `use` with the service on an engine that the caller can use too. */
export async function withSharedEngine<T>(
  given: Readonly<Record<string, string>>,
  use: (shared: SharedEngine) => Promise<T>,
): Promise<T> {
  return withTemporaryFolder((folder) =>
    withEngine(join(folder, 'engine'), async (engine) => {
      const settings = {
        MONGODB_URI: engine.uri,
        GLOBAL_SECRET: randomBytes(48).toString('base64'),
        ADMIN_EMAIL: ADMIN.email,
        ADMIN_PASSWORD: ADMIN.password,
        LOG_LEVEL: 'warn',
        ...given,
      };
      return using(await startBuiltService(join(folder, 'service'), settings), async (service) => {
        const authorization = await signIn(service, ADMIN.email, ADMIN.password);
        return use({ service, engine, settings, authorization });
      });
    }),
  );
}

/** Runs `use` with an empty folder, and removes it whatever happens. */
export async function withTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'jwt-history-bench-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
