/** `npm run abuse -- --minutes 20 [--seed N]`: random abuse against the model, for as long as one likes; exits with 1 on a finding. */
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEngine } from '../../src/store/embedded/engine.js';
import { abuse } from './abuse.js';

const USAGE = 'Usage: npm run abuse -- [--minutes 20] [--seed N]';
const STEPS_PER_SEED = 1000;
const PROGRESS_EVERY_MS = 10_000;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
const minutes = Number(values.minutes);
const given = values.seed === undefined ? null : Number(values.seed);
if (values.help === true || !(minutes > 0) || (given !== null && !Number.isSafeInteger(given))) {
  console.log(USAGE);
  process.exit(values.help === true ? 0 : 1);
}

const dataDir = mkdtempSync(join(tmpdir(), 'jwt-history-abuse-'));
const engine = await startEngine({ dataDir });
process.env['TEST_MONGODB_URI'] = engine.uri;
const startedAt = performance.now();
const endsAt = startedAt + minutes * 60_000;
let [seeds, allSteps, allChecks, toldAt] = [0, 0, 0, startedAt];
try {
  while (performance.now() < endsAt) {
    const seed = given === null ? randomInt(2 ** 31) : given + seeds;
    const result = await abuse({
      seed,
      goesOn: (step) => step < STEPS_PER_SEED && performance.now() < endsAt,
      onProgress({ steps, checks, held }) {
        if (performance.now() - toldAt < PROGRESS_EVERY_MS) return;
        toldAt = performance.now();
        const seconds = Math.round((toldAt - startedAt) / 1000);
        console.log(
          `${seconds} s: ${allSteps + steps} steps, ${allChecks + checks} answers compared, seed ${seed}, ${held} tokens`,
        );
      },
    });
    seeds += 1;
    allSteps += result.steps;
    allChecks += result.checks;
  }
  console.log(`Nothing found: ${seeds} seeds, ${allSteps} steps, ${allChecks} answers compared.`);
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof Error ? error.message : String(error));
} finally {
  await engine.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
