/** `npm run bench`: every part of the comparison, its tables, and the newest figures of each in `bench/results.json`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureBulk } from './bulk.js';
import { measureHttp } from './http.js';
import { measureIndex } from './index.js';
import { measureLists } from './lists.js';
import { type Effort, type PartResult, printHeading, printPart, progress } from './results.js';
import { measureSearches } from './searches.js';
import { measureSignIns } from './sign-ins.js';
import { measureLoad, measureStartup } from './startup.js';
import { measureStream } from './stream.js';
import { measureExchanges, measureRevokes } from './writes.js';

type Part = readonly [
  minutes: number,
  about: string,
  measure: (effort: Effort) => Promise<PartResult>,
];

/** How long each takes on 2 idle cores, and what it measures. */
const PARTS: Readonly<Record<string, Part>> = {
  http: [9, 'requests per second of the check, beside what is used instead of it', measureHttp],
  index: [4, 'the revocation index alone, from 10,000 to 10,000,000 entries', measureIndex],
  revoke: [2, "revocations, beside the driver's bare journaled update", measureRevokes],
  exchange: [1, "exchanged refresh tokens, beside the driver's bare update", measureExchanges],
  bulk: [6, 'one DELETE for a million sessions, with kill -9 in the middle', measureBulk],
  lists: [3, 'every kind of list, over HTTP', measureLists],
  searches: [5, "the searches behind the administration's pages, from the store", measureSearches],
  load: [2, 'the wait for a revocation list of a million at the start', measureLoad],
  startup: [2, 'from the start of the process to ready, and where the time goes', measureStartup],
  stream: [3, 'what a thousand viewers of the live stream cost the checks', measureStream],
  'sign-ins': [1, 'what sign-ins cost requests with a token', measureSignIns],
};
const FULL = { rounds: 5, seconds: 2, divisor: 1 };
const QUICK = { rounds: 2, seconds: 1, divisor: 100 };
const RESULTS = fileURLToPath(new URL('results.json', import.meta.url));
const HELP = `npm run bench [-- [part …] [options]]; without a part, all of them

  --list         the parts, and how long each takes
  --quick        two short rounds with a hundredth of the entries: to try it out, not to quote
  --rounds=5     how often everything is measured, one after the other (stream: twice as often); medians count
  --seconds=2    length of each measurement of requests per second (http: turns of a second; stream: three
                 times as long; sign-ins: for all rounds at once, half as long again)
  --records=200000, --dir=folder
                 lists, searches: their database, made once (a million takes some minutes) in the folder, or
                 in the system's temporary one, and used again for five days
  --explain      lists: how the database finds those that missed their target
  --rate=100, --concurrency=20
                 sign-ins: requests a second, and how many sign in at a time

Tables on stdout, progress on stderr, the newest figures of each part in bench/results.json. A missed
target says MISSED; the exit code is 0 all the same. With --quick no target is judged and nothing is
kept. Measure on an idle machine.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    records: { type: 'string' },
    dir: { type: 'string' },
    explain: { type: 'boolean', default: false },
    rate: { type: 'string' },
    concurrency: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) console.log(HELP);
else if (values.list) console.log(listOfParts());
else await measureAll(positionals.length === 0 ? Object.keys(PARTS) : positionals);

function listOfParts(): string {
  const parts = Object.entries(PARTS).map(
    ([name, [minutes, about]]) => `  ${name.padEnd(9)}  ${minutes} min  ${about}`,
  );
  const all = Object.values(PARTS).reduce((sum, [minutes]) => sum + minutes, 0);
  return `${parts.join('\n')}\n\nAbout ${all} minutes in all, on 2 idle cores; with --quick less than one each.`;
}

async function measureAll(names: readonly string[]): Promise<void> {
  const chosen = names.map((name) => {
    const part = PARTS[name];
    if (part === undefined) throw new Error(`There is no part "${name}".\n\n${listOfParts()}`);
    return [name, part[2]] as const;
  });
  const normal = values.quick ? QUICK : FULL;
  const effort: Effort = {
    rounds: wholeNumber('rounds', normal.rounds),
    seconds: wholeNumber('seconds', normal.seconds),
    divisor: normal.divisor,
    records: wholeNumber('records', 200_000),
    dir: values.dir ?? null,
    explain: values.explain,
    rate: wholeNumber('rate', 100),
    concurrency: wholeNumber('concurrency', 20),
  };
  printHeading(`JWT History, ${values.quick ? 'a quick try' : `${effort.rounds} rounds`}`);
  for (const [name, measure] of chosen) {
    const date = new Date().toISOString();
    const loadBefore = loadavg()[0];
    const startedAt = performance.now();
    const result = await measure(effort);
    progress(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
    // With a hundredth of the entries no target is met or missed, and no figure is worth keeping.
    printPart(values.quick ? { ...result, targets: [] } : result);
    const { figures, targets } = result;
    const measured = { date, machine: machine(), node: process.version, loadBefore, ...effort };
    if (!values.quick) keep(name, { ...measured, figures, targets });
  }
}

function machine() {
  return { cpu: cpus()[0]?.model.trim() ?? 'unknown', count: cpus().length };
}

/** In the place of what was kept of this part before; the others stay. */
function keep(name: string, part: unknown): void {
  const kept = existsSync(RESULTS)
    ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as { parts: Record<string, unknown> })
    : { parts: {} };
  const parts = { ...kept.parts, [name]: part };
  writeFileSync(RESULTS, `${JSON.stringify({ parts }, null, 2)}\n`);
}

function wholeNumber(
  name: 'rounds' | 'seconds' | 'records' | 'rate' | 'concurrency',
  fallback: number,
): number {
  const given = values[name];
  if (given === undefined) return fallback;
  if (!/^[1-9]\d{0,7}$/.test(given)) throw new Error(`--${name} is a whole number from 1 on.`);
  return Number(given);
}
