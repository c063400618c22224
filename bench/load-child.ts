/** The process that `./load.ts` starts: a service that loads its revocation list. */
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { send, taskOf } from './children.js';
import { built } from './dist.js';

export interface LoadTask {
  readonly uri: string;
  readonly database: string;
}

export interface LoadFigures {
  readonly seconds: number;
  readonly entries: number;
  readonly longestPauseMs: number;
  readonly cpuSeconds: number;
  /** Of the whole process, at any time. */
  readonly peakMemoryMb: number;
}

const { uri, database } = taskOf() as LoadTask;
const secret = randomBytes(48).toString('base64');
const { parseConfig } = await built('config/config.js');
const { createLogger } = await built('observability/logger.js');
const { createSecretKeys } = await built('tokens/keys.js');
const { openStore } = await built('store/database/connect.js');
const { createService } = await built('service.js');
const clock = Date.now;
const store = await openStore({ uri, database, clock });
const { index, sync } = createService({
  config: parseConfig({ MONGODB_URI: uri, GLOBAL_SECRET: secret, LOG_LEVEL: 'warn' }),
  keys: createSecretKeys(secret),
  store,
  clock,
  log: createLogger({ level: 'warn' }),
});
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const cpuBefore = process.cpuUsage();
const startedAt = performance.now();
await sync.load();
const seconds = (performance.now() - startedAt) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);
delay.disable();
send({
  seconds,
  entries: index.size,
  longestPauseMs: delay.max / 1e6,
  cpuSeconds: (user + system) / 1e6,
  peakMemoryMb: process.resourceUsage().maxRSS / 1024,
} satisfies LoadFigures);
await store.close();
