/** `npm run attack [-- --short]`: attacks the built service from outside, and says what held. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { withTemporaryFolder } from '../../bench/built-service.js';
import { openArena, type Options } from './arena.js';
import { ATTACKS } from './attacks.js';

const ALL = Object.keys(ATTACKS);
const HELP = `npm run attack [-- --short] [--only=${ALL.slice(0, 2).join(',')}] [--seed=N]

Each attack gets a service of its own (dist/, embedded engine, a temporary folder; with --short several
share one), and runs in a process of its own at the lowest priority. Another process uses the service meanwhile, with checks at
a steady pace and a sign-in every second; it is measured at rest first. An attack holds when nothing
that must not happen happened, nothing was answered 5xx but 503 with Retry-After, the engine lived,
others' checks took no more than 3 times as long (p99, or 10 ms; and by what a server that does nothing
takes longer than at rest, which is the machine's doing) and their sign-ins no more than 2 s,
and neither the service nor the engine took more than twice its memory.

  --short  fewer of everything, in about a minute; of times only what is far out counts
  --only   the attacks to run, with commas between them; all by default
  --seed   of what is random; the one of a run is printed, so that a finding can be repeated

${ALL.map((name) => `  ${name.padEnd(14)} ${ATTACKS[name]?.about}`).join('\n')}

The exit code is 1 when anything did not hold.`;

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string', default: ALL.join(',') },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) console.log(HELP);
else await attackAll();

async function attackAll(): Promise<void> {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error('--seed is a whole number.');
  const chosen = values.only.split(',');
  const unknown = chosen.find((name) => !Object.hasOwn(ATTACKS, name));
  if (unknown !== undefined) throw new Error(`There is no attack "${unknown}".\n\n${HELP}`);
  console.log(`Attacking, seed ${seed}${values.short ? ', in short' : ''}.`);
  const options: Options = {
    short: values.short,
    seed,
    progress: (text) => console.error(`  ${text}`),
  };
  let held = 0;
  for (const group of groups(chosen, values.short)) {
    for (let left = group; left.length > 0;) {
      const done = await runUntilOneFails(left, options);
      held += done.held;
      left = left.slice(done.tried);
    }
  }
  console.log(`\n${held} held, ${chosen.length - held} failed`);
  process.exitCode = held === chosen.length ? 0 : 1;
}

/** On one service: another one after an attack that may have left it damaged. */
async function runUntilOneFails(names: readonly string[], options: Options) {
  const settings = ATTACKS[names[0] ?? '']?.settings?.() ?? {};
  return withTemporaryFolder(async (folder) => {
    const arena = await openArena(folder, settings, options);
    let held = 0;
    let tried = 0;
    while (tried < names.length && held === tried) {
      const name = names[tried] ?? '';
      const { line, faults } = await arena.run(name).catch(couldNot);
      tried += 1;
      if (faults.length === 0) held += 1;
      console.log(`${faults.length === 0 ? 'held  ' : 'FAILED'} ${name.padEnd(14)} ${line}`);
      for (const fault of faults) console.log(`       - ${fault}`);
    }
    await arena.close();
    return { held, tried };
  });
}

/** Which attacks share a service: none; in the short form those of the same configuration. */
function groups(names: readonly string[], short: boolean): string[][] {
  if (!short) return names.map((name) => [name]);
  const bySettings = new Map<unknown, string[]>();
  for (const name of names) {
    const settings = ATTACKS[name]?.settings;
    bySettings.set(settings, [...(bySettings.get(settings) ?? []), name]);
  }
  return [...bySettings.values()];
}

function couldNot(error: unknown) {
  const why = error instanceof Error ? error.message : String(error);
  return { line: 'could not be run', faults: [why] };
}
