/** Parts `startup` (from `node dist/main.js` to the first 200 of `/readyz`, and where that time goes) and `load` (of a long revocation list). */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { DIST, openCore } from './built-parts.js';
import { startBuiltService, withEngine, withTemporaryFolder } from './built-service.js';
import { asChild, runChild } from './children.js';
import {
  atMost,
  createSamples,
  type Effort,
  median,
  type PartResult,
  progress,
  summaryTable,
} from './results.js';
import { makeRevokedDatabase } from './token-documents.js';

const FIRST_RUN = 'first run, empty folder';
const NEXT_RUN = 'existing embedded database';
const NPM_START = 'the same with `npm start`, to the line that says so';

export async function measureStartup({ rounds }: Effort): Promise<PartResult> {
  return withTemporaryFolder(async (folder) => {
    const existing = join(folder, 'first-0');
    const ready: Record<string, number[]> = { [FIRST_RUN]: [], [NEXT_RUN]: [], [NPM_START]: [] };
    const steps = createSamples<'ms' | 'cpuMs'>([]);
    for (let round = 0; round < rounds; round += 1) {
      ready[FIRST_RUN]?.push(await startOnce(join(folder, `first-${round}`)));
      ready[NEXT_RUN]?.push(await startOnce(existing));
      ready[NPM_START]?.push(await npmStartOnce(existing));
      for (const [name, code, before, after] of stepsOf(join(folder, 'engine-only')))
        steps.add(name, timeOf(code, before, after));
      progress(`startup, round ${round + 1} of ${rounds}`);
    }
    const target = (name: string, most: number) =>
      atMost(`${name}, ms`, median(ready[name] ?? []), most);
    return {
      tables: [
        summaryTable('from spawn to the first 200 of /readyz, ms', ready),
        steps.table('where the time goes', {
          ms: steps.median('ms'),
          'all rounds': steps.range('ms'),
          'CPU ms': steps.median('cpuMs'),
        }),
      ],
      figures: { ready, steps: steps.all },
      targets: [target(FIRST_RUN, 2000), target(NEXT_RUN, 1000), target(NPM_START, 1000)],
    };
  });
}

async function startOnce(folder: string): Promise<number> {
  const service = await startBuiltService(folder);
  await service.stop();
  return service.readyAfterMs;
}

/** What `npm start` adds: npm itself, and asking whether what is built is up to date. */
async function npmStartOnce(dataDir: string): Promise<number> {
  const startedAt = performance.now();
  const npm = spawn('npm', ['start', '--silent'], {
    cwd: join(DIST, '..'),
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1', DATA_DIR: dataDir },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(npm, 'exit');
  let said = '';
  for await (const chunk of npm.stderr) {
    said += String(chunk);
    if (said.includes('ready at')) break;
  }
  if (!said.includes('ready at')) throw new Error(`npm start: ${said}`);
  const took = performance.now() - startedAt;
  npm.kill('SIGTERM');
  await ended;
  return took;
}

type Step = readonly [name: string, code: string, before?: string, after?: string];

/**
 * The dependencies (what several share is counted in each), and what `start()` does, on a folder
 * whose database the first round makes.
 */
function stepsOf(dataDir: string): readonly Step[] {
  const manifest = JSON.parse(readFileSync(join(DIST, '..', 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const from = (name: string) => `await import('${pathToFileURL(join(DIST, name)).href}')`;
  const folder = `const dataDir = ${JSON.stringify(dataDir)}; (await import('node:fs')).mkdirSync(dataDir, { recursive: true })`;
  const setUp = `${folder};
    const { startEngine } = ${from('store/embedded/engine.js')};
    const { openStore } = ${from('store/database/connect.js')}`;
  const engine = 'const engine = await startEngine({ dataDir })';
  const store = 'const store = await openStore({ uri: engine.uri, clock: Date.now })';
  const loader = `${folder}; const { loadEngine } = ${from('store/embedded/load.js')}`;
  const hasher = `const { createPasswordHasher } = ${from('auth/password-hash.js')}`;
  const imports = Object.keys(manifest.dependencies).map(
    (name) => [`  import of ${name}`, `await import('${name}')`] as const,
  );
  return [
    ['import of the whole service', from('start.js')],
    ...imports,
    ['start of the engine in its process', engine, setUp, 'await engine.stop()'],
    ['  of which: loading the native library', `loadEngine(dataDir + '/.engine')`, loader],
    [
      'opening the store, with its indexes',
      store,
      `${setUp}; ${engine}`,
      'await store.close(); await engine.stop()',
    ],
    ['hash of one password (first run only)', `await createPasswordHasher().hash('x')`, hasher],
  ];
}

/** How long `code` takes in a fresh process, after `before`, and how long its processor. */
function timeOf(code: string, before = '', after = ''): { ms: number; cpuMs: number } {
  const script = `${before};
    const startedAt = performance.now();
    const cpuBefore = process.cpuUsage();
    ${code};
    const { user, system } = process.cpuUsage(cpuBefore);
    const ms = performance.now() - startedAt;
    ${after};
    process.stdout.write(JSON.stringify({ ms, cpuMs: (user + system) / 1000 }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: join(DIST, '..'),
    encoding: 'utf8',
  });
  return JSON.parse(output) as { ms: number; cpuMs: number };
}

const LOADED = 1_000_000;
const DATABASE = 'bench-load';

interface Loaded {
  readonly seconds: number;
  readonly entries: number;
  readonly longestPauseMs: number;
  readonly cpuSeconds: number;
  /** Of the whole process, at any time. */
  readonly peakMemoryMb: number;
}

export async function measureLoad({ rounds, divisor }: Effort): Promise<PartResult> {
  const records = LOADED / divisor;
  const name = records.toLocaleString('en');
  const samples = createSamples<keyof Loaded>([name]);
  await withTemporaryFolder((folder) =>
    withEngine(folder, async ({ uri }) => {
      await makeRevokedDatabase(uri, DATABASE, records);
      for (let round = 1; round <= rounds; round += 1) {
        const loaded = await runChild<Loaded>(import.meta.url, uri);
        if (loaded.entries !== records) throw new Error(`${loaded.entries} entries were loaded`);
        samples.add(name, loaded);
        progress(`load, round ${round} of ${rounds}: ${loaded.seconds.toFixed(2)} s`);
      }
    }),
  );
  const { median: of, range } = samples;
  return {
    tables: [
      samples.table('revoked records in the embedded engine', {
        'sync.load() s': of('seconds'),
        'all rounds': range('seconds'),
        "the service's CPU s": of('cpuSeconds'),
        'longest pause of the event loop ms': of('longestPauseMs'),
        'memory at most MB': of('peakMemoryMb'),
      }),
    ],
    figures: { records, rounds: samples.all[name] },
    targets: [atMost(`load of ${name} revoked ids, s`, of('seconds')(name), 5)],
  };
}

await asChild(import.meta.url, async (uri: string): Promise<Loaded> => {
  const settings = { MONGODB_URI: uri, GLOBAL_SECRET: randomBytes(48).toString('base64') };
  const { service, store } = await openCore(settings, DATABASE);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await service.sync.load();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  delay.disable();
  const loaded = {
    seconds,
    entries: service.index.size,
    longestPauseMs: delay.max / 1e6,
    cpuSeconds: (user + system) / 1e6,
    peakMemoryMb: process.resourceUsage().maxRSS / 1024,
  };
  await store.close();
  return loaded;
});
