/** `npm run test:cluster`: several instances on one engine, faults, random clients, and a checker that scans what happened. */
import { randomInt } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createRandom } from '../attack/random.js';
import { makeFolder, removeFolder } from '../support/process.js';
import { BREAKS, breakBuild } from './broken-build.js';
import { openCluster } from './cluster.js';
import { FAULTS, type Scene } from './faults.js';
import { startLoad } from './load.js';
import { linesOf, reportOn, verdicts } from './report.js';
import { type Episode, runFault, runHealthy } from './scenario.js';

const ALL = Object.keys(FAULTS);
const OWN_MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const HELP = `npm run test:cluster [-- --short] [--seconds=600] [--seed=N] [--only=<part of a name>,…]

Starts instances of the built service on one embedded engine, each behind a TCP link of its own, and
clients that sign in, mint, check, revoke and exchange at any of them. Then one fault comes after the
other, each at least once, until the time is over. A checker scans the history, by one clock, for a
token accepted after its revoke was acknowledged (R1) or after it was refused anywhere (R2), for a
revoke acknowledged though nothing could be written (R3), for a token without a record (R5), and for
a good token that was refused.

  --seconds            how long it lasts, about; 600 by default
  --short              the same as --seconds=60
  --seed               of what is random; the one of a run is printed. (Times aren't: a run can be repeated only in part.)
  --only               the faults to try, by parts of their names with commas between them; all by default
  --instances          how many; 3 by default
  --rate               checks per second, at most; 600 by default
  --json               a file for the figures
  --dist               the service that is tested: the path of another build's dist/main.js; this tree's by default
  --broken             tests the checker itself: a copy of the service in which one thing is broken must break R1
${Object.entries(BREAKS)
  .map(([name, { about }]) => `                         ${name}: ${about}`)
  .join('\n')}

${ALL.map((name) => `  ${name}`).join('\n')}

The exit code is 1 when anything did not hold.`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    short: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    only: { type: 'string', default: '' },
    instances: { type: 'string', default: '3' },
    rate: { type: 'string', default: '600' },
    json: { type: 'string' },
    dist: { type: 'string', default: OWN_MAIN },
    broken: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const seconds = values.short ? 60 : wholeNumber('seconds', values.seconds);
  const seed = wholeNumber('seed', values.seed);
  const instances = wholeNumber('instances', values.instances);
  const rate = wholeNumber('rate', values.rate);
  const chosen = ALL.filter((name) => values.only.split(',').some((part) => name.includes(part)));
  if (chosen.length === 0) throw new Error(`There is no fault "${values.only}".\n\n${HELP}`);
  const given = resolve(values.dist);
  if (!existsSync(given)) throw new Error(`--dist: there is no ${given}.`);
  console.log(`${instances} instances, about ${seconds} s, seed ${seed}; ${given}.`);

  const folder = makeFolder();
  const closers: (() => unknown)[] = [() => removeFolder(folder)];
  const { broken } = values;
  const service =
    broken === undefined ? given : breakBuild(broken, given, (close) => closers.push(close));
  const stopped = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Error(`ended by ${signal}`)));
    // Whatever nobody waits for may fail as well: what was started is ended then too.
    for (const event of ['uncaughtException', 'unhandledRejection'] as const)
      process.on(event, reject);
  });
  stopped.catch(() => undefined);
  try {
    const report = await Promise.race([
      stopped,
      run(folder, { seconds, seed, instances, rate, chosen, service }, (close) =>
        closers.push(close),
      ),
    ]);
    const { held, failed, skipped } = verdicts(report);
    if (values.json !== undefined)
      writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
    console.log(`\n${held} held, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    const found = report.violations.R1 > 0;
    if (broken !== undefined)
      console.log(
        found
          ? 'As expected, the checker finds what was accepted too late.'
          : 'Nothing was accepted too late: the checker, or the load, is of no use.',
      );
    process.exitCode = (broken === undefined ? failed === 0 : found) ? 0 : 1;
  } catch (error) {
    process.exitCode = 1;
    console.error(error instanceof Error ? error.message : String(error));
  } finally {
    for (const close of closers.toReversed()) await closed(close);
  }
  // One that was interrupted is still under way, with nothing left to run on.
  process.exit();
}

/** What can't be closed keeps nothing else open. */
async function closed(close: () => unknown): Promise<void> {
  try {
    await close();
  } catch (error) {
    process.exitCode = 1;
    console.error(error instanceof Error ? error.message : String(error));
  }
}

interface RunOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly instances: number;
  readonly rate: number;
  readonly chosen: readonly string[];
  readonly service: string;
}

async function run(
  folder: string,
  { seconds, seed, instances, rate, chosen, service }: RunOptions,
  onClose: (close: () => unknown) => void,
) {
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  const random = createRandom(seed);
  const { world, database, enginePid } = await openCluster(
    folder,
    {
      instances,
      accounts: 400 + 10 * seconds,
      random,
      main: service,
    },
    onClose,
  );
  const load = startLoad(world, rate);
  onClose(() => load.stop());
  const isShort = seconds < 200;
  const scene: Scene = {
    world,
    load,
    database,
    enginePid,
    startedAt,
    lasting: (leastMs) => (isShort ? leastMs : leastMs * (1 + random.below(100) / 50)),
  };
  const healthy = await runHealthy(scene, Math.max(5, seconds / 10) * 1000);
  const episodes: Episode[] = [];
  do {
    for (const name of shuffled(chosen, random.below)) {
      const fault = FAULTS[name];
      if (fault === undefined || (episodes.length >= chosen.length && performance.now() > endAt))
        break;
      console.error(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${name}`);
      episodes.push(await runFault(scene, name, fault, isShort ? 400 : 1500));
    }
  } while (performance.now() < endAt);
  await load.stop();
  const recorded = await database.recorded();
  const report = reportOn({ world, seed, startedAt, healthy, episodes, recorded });
  for (const line of linesOf(report, startedAt)) console.log(line);
  return report;
}

function shuffled<T>(items: readonly T[], below: (limit: number) => number): T[] {
  return items
    .map((item) => ({ item, place: below(2 ** 30) }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

function wholeNumber(name: string, given: string): number {
  const value = Number(given);
  if (given.trim() !== '' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} must be a whole number.`);
}
