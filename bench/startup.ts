/** How long the built service takes from `node dist/main.js` to the first 200 of `/readyz`, and where that time goes. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { DIST, startBuiltService, withTemporaryFolder } from './built-service.js';
import { ms, printHeading, printTable, summarize, verdict } from './figures.js';

const FIRST_RUN_TARGET_MS = 2000;
const NEXT_RUN_TARGET_MS = 1000;

const { values } = parseArgs({ options: { runs: { type: 'string', default: '9' } } });
const runs = Math.max(1, Number(values.runs));

printHeading(`Start-up, ${runs} runs each`);
await withTemporaryFolder(async (folder) => {
  const first = await measure((run) => join(folder, `first-${run}`));
  const next = await measure(() => join(folder, 'first-0'));
  const npm = await measureNpmStart(join(folder, 'first-0'));
  printTable(
    ['from spawn to the first 200 of /readyz, ms', 'n', 'min', 'median', 'max', 'target', ''],
    [
      row('first run, empty folder', first, FIRST_RUN_TARGET_MS),
      row('existing embedded database', next, NEXT_RUN_TARGET_MS),
      row('the same with `npm start`, to the line that says so', npm, NEXT_RUN_TARGET_MS),
    ],
  );
  const engineFolder = join(folder, 'engine-only');
  mkdirSync(engineFolder);
  printTable(
    ['where the time goes, ms', 'n', 'min', 'median', 'max'],
    [...importRows(), ...stepRows(engineFolder)],
  );
});

async function measure(folderOf: (run: number) => string): Promise<number[]> {
  const samples: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const service = await startBuiltService(folderOf(run));
    samples.push(service.readyAfterMs);
    await service.stop();
  }
  return samples;
}

/** What `npm start` adds: npm itself, and asking whether what is built is up to date. */
async function measureNpmStart(dataDir: string): Promise<number[]> {
  const samples: number[] = [];
  for (let run = 0; run < runs; run += 1) {
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
    samples.push(performance.now() - startedAt);
    npm.kill('SIGTERM');
    await ended;
  }
  return samples;
}

function row(name: string, samples: readonly number[], target: number) {
  const { n, min, p50, max } = summarize(samples);
  return [name, n, ms(min), ms(p50), ms(max), `< ${target}`, verdict(p50, target)];
}

/** Each dependency alone in a fresh process; what several of them share is counted in each. */
function importRows() {
  const manifest = JSON.parse(readFileSync(join(DIST, '..', 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const service = pathToFileURL(join(DIST, 'start.js')).href;
  return [
    partRow('bare `node`, from spawn to exit', () => {
      const startedAt = performance.now();
      inFreshProcess('');
      return performance.now() - startedAt;
    }),
    partRow('import of the whole service', () => timeOf(`await import('${service}')`)),
    ...Object.keys(manifest.dependencies).map((name) =>
      partRow(`  import of ${name}`, () => timeOf(`await import('${name}')`)),
    ),
  ];
}

/** The steps of `start()`, one after the other on a folder of their own; the first run made the database. */
function stepRows(folder: string) {
  const path = (name: string) => pathToFileURL(join(DIST, name)).href;
  const setUp = `
    const { startEngine } = await import('${path('store/embedded/engine.js')}');
    const { openStore } = await import('${path('store/database/connect.js')}');
    const dataDir = ${JSON.stringify(folder)};
    const clock = Date.now;`;
  const engine = 'const engine = await startEngine({ dataDir })';
  const store = 'const store = await openStore({ uri: engine.uri, clock })';
  return [
    partRow('start of the engine in its process', () =>
      timeOf(engine, setUp, 'await engine.stop()'),
    ),
    partRow('  of which: loading the native library', () =>
      timeOf(
        `loadEngine(${JSON.stringify(join(folder, '.engine'))})`,
        `const { loadEngine } = await import('${path('store/embedded/load.js')}')`,
      ),
    ),
    partRow('opening the store, with its indexes', () =>
      timeOf(store, `${setUp}; ${engine}`, 'await store.close(); await engine.stop()'),
    ),
    partRow('hash of one password (first run only)', () =>
      timeOf(
        `await createPasswordHasher().hash('a password')`,
        `const { createPasswordHasher } = await import('${path('auth/password-hash.js')}')`,
      ),
    ),
  ];
}

function partRow(name: string, measureOnce: () => number) {
  const { n, min, p50, max } = summarize(Array.from({ length: runs }, measureOnce));
  return [name, n, ms(min), ms(p50), ms(max)];
}

/** How long `code` takes in a fresh process, after `before`, in ms. */
function timeOf(code: string, before = '', after = ''): number {
  return Number(
    inFreshProcess(`${before};
      const startedAt = performance.now();
      ${code};
      const took = performance.now() - startedAt;
      ${after};
      process.stdout.write(String(took));`),
  );
}

function inFreshProcess(code: string): string {
  return execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: join(DIST, '..'),
    encoding: 'utf8',
  });
}
