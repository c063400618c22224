/** One service process of the cluster, on an address that stays the same however often it is started. */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type ServiceProcess, startProcess } from '../support/process.js';
import { type Link, openLink } from './proxy.js';

export interface Instance {
  readonly index: number;
  readonly port: number;
  readonly link: Link;
  /** From the moment it is started: whoever asks too early gets no answer. */
  isUp(): boolean;
  /** Resolves when it says that it is ready. @param aheadMs how far its wall clock is ahead. */
  start(aheadMs?: number): Promise<void>;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  /** The end of what it has logged, over all its lives. */
  log(): string;
  close(): Promise<void>;
}

interface Dependencies {
  readonly index: number;
  readonly folder: string;
  /** The path of the engine's socket. */
  readonly socketPath: string;
  readonly database: string;
  readonly settings: Readonly<Record<string, string>>;
  /** The built service: `dist/main.js`. */
  readonly main: string;
}

const CLOCK = new URL('./shifted-clock.mjs', import.meta.url).href;
const KEPT_LOG = 4000;

export async function createInstance(deps: Dependencies): Promise<Instance> {
  const { index, socketPath, database, settings, main } = deps;
  const dataDir = join(deps.folder, `instance-${index}`);
  mkdirSync(dataDir, { mode: 0o700 });
  const link = await openLink(socketPath);
  const port = await freePort();
  let running: ServiceProcess | null = null;
  let starting: Promise<ServiceProcess> | null = null;
  let earlier = '';
  let isClosed = false;

  const logOf = (service: ServiceProcess | null) =>
    service === null ? '' : service.stdout() + service.stderr();

  async function end(): Promise<void> {
    const service = running ?? (await starting?.catch(() => null)) ?? null;
    running = null;
    starting = null;
    await service?.end('SIGKILL');
    earlier = (earlier + logOf(service)).slice(-KEPT_LOG);
  }

  return {
    index,
    port,
    link,
    isUp: () => running !== null || starting !== null,
    async start(aheadMs = 0) {
      // A run that was interrupted may still be on its way to a start.
      if (isClosed) throw new Error(`instance ${index} is closed`);
      const clock = {
        NODE_OPTIONS: `--import=${CLOCK}`,
        CLUSTER_CLOCK_AHEAD_MS: String(aheadMs),
      };
      const env = {
        ...settings,
        DATA_DIR: dataDir,
        MONGODB_URI: `mongodb://127.0.0.1:${link.port}/${database}?directConnection=true`,
        PORT: String(port),
        ...(aheadMs === 0 ? {} : clock),
      };
      starting = startProcess(env, main);
      running = await starting;
    },
    kill: end,
    signal: (name) => void running?.child.kill(name),
    log: () => (earlier + logOf(running)).slice(-KEPT_LOG),
    async close() {
      isClosed = true;
      await end();
      await link.close();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
