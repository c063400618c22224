/** `npm run bench`: every part of the comparison, a table each, and the newest figures of each in `bench/results.json`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureBulk } from './bulk.js';
import { measureExchanges } from './exchange.js';
import { printHeading } from './figures.js';
import { measureHttp } from './http.js';
import { measureIndex } from './index-size.js';
import { measureLists } from './list-latency.js';
import { measureLoad } from './load.js';
import { type Effort, type PartResult, printPart, progress } from './results.js';
import { measureRevokes } from './revokes.js';
import { measureStream } from './stream.js';

const PARTS: Readonly<Record<string, (effort: Effort) => Promise<PartResult>>> = {
  http: measureHttp,
  index: measureIndex,
  revoke: measureRevokes,
  exchange: measureExchanges,
  bulk: measureBulk,
  list: measureLists,
  load: measureLoad,
  stream: measureStream,
};
const FULL: Effort = { rounds: 5, seconds: 2, divisor: 1 };
const QUICK: Effort = { rounds: 2, seconds: 1, divisor: 100 };
const RESULTS = fileURLToPath(new URL('results.json', import.meta.url));
const HELP = `npm run bench -- [--only=${Object.keys(PARTS).join(',')}] [--quick] [--rounds=5] [--seconds=2]

  --only     the parts to measure, with commas between them; all by default
  --quick    two short rounds with a hundredth of the entries: to try it out, not to quote
  --rounds   how often everything is measured, one after the other (stream: twice as often); medians count
  --seconds  length of each measurement of requests per second (http: turns of a second; stream: three times as long)

Tables on stdout, progress on stderr, the newest figures of each part in bench/results.json. A missed
target says MISSED; the exit code is 0 all the same. With --quick no target is judged and nothing is
kept. Measure on an idle machine.`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(PARTS).join(',') },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) console.log(HELP);
else await measureAll();

async function measureAll(): Promise<void> {
  const normal = values.quick ? QUICK : FULL;
  const effort = {
    rounds: wholeNumber('rounds', values.rounds, normal.rounds),
    seconds: wholeNumber('seconds', values.seconds, normal.seconds),
    divisor: normal.divisor,
  };
  const chosen = values.only.split(',').map((name) => {
    const measure = PARTS[name];
    if (measure === undefined) throw new Error(`There is no part "${name}".\n\n${HELP}`);
    return { name, measure };
  });
  printHeading(`JWT History, ${values.quick ? 'a quick try' : `${effort.rounds} rounds`}`);
  const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', count: cpus().length };
  for (const { name, measure } of chosen) {
    const date = new Date().toISOString();
    const loadBefore = loadavg()[0];
    const startedAt = performance.now();
    const result = await measure(effort);
    progress(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
    if (values.quick) {
      // With a hundredth of the entries no target is met or missed, and no figure is worth keeping.
      printPart({ ...result, targets: [] });
      continue;
    }
    printPart(result);
    const { figures, targets } = result;
    keep(name, { date, machine, node: process.version, loadBefore, ...effort, figures, targets });
  }
}

/** In the place of what was kept of this part before; the others stay. */
function keep(name: string, part: unknown): void {
  const kept = existsSync(RESULTS)
    ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as { parts: Record<string, unknown> })
    : { parts: {} };
  const parts = { ...kept.parts, [name]: part };
  writeFileSync(RESULTS, `${JSON.stringify({ parts }, null, 2)}\n`);
}

function wholeNumber(name: string, given: string | undefined, fallback: number): number {
  if (given === undefined) return fallback;
  if (!/^[1-9]\d{0,3}$/.test(given)) throw new Error(`--${name} is a whole number from 1 on.`);
  return Number(given);
}
