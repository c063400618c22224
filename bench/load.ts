/** Part `load`: how long a start waits for the revocation list of a large database. */
import { startEngine } from '../src/store/embedded/engine.js';
import { withTemporaryFolder } from './built-service.js';
import { runChild } from './children.js';
import type { LoadFigures, LoadTask } from './load-child.js';
import { atMost, type Effort, figure, median, type PartResult, progress } from './results.js';
import { makeRevokedDatabase } from './revoked-database.js';

const RECORDS = 1_000_000;
const DATABASE = 'bench-load';

export async function measureLoad({ rounds, divisor }: Effort): Promise<PartResult> {
  const records = RECORDS / divisor;
  const found: LoadFigures[] = [];
  await withTemporaryFolder(async (folder) => {
    const engine = await startEngine({ dataDir: folder });
    try {
      await makeRevokedDatabase({ uri: engine.uri, database: DATABASE, records });
      for (let round = 1; round <= rounds; round += 1) {
        const figures = await runChild<LoadFigures>('./load-child.ts', {
          uri: engine.uri,
          database: DATABASE,
        } satisfies LoadTask);
        if (figures.entries !== records) throw new Error(`${figures.entries} entries were loaded`);
        found.push(figures);
        const { seconds, cpuSeconds } = figures;
        progress(
          `load, round ${round} of ${rounds}: ${figure(seconds)} s, CPU of the service ${figure(cpuSeconds)} s`,
        );
      }
    } finally {
      await engine.stop();
    }
  });
  const seconds = found.map((figures) => figures.seconds);
  const pauses = found.map(({ longestPauseMs }) => longestPauseMs);
  return {
    title: 'revoked records in the embedded engine',
    header: [
      'sync.load() s',
      'all rounds',
      "the service's CPU s",
      'longest pause of the event loop ms',
      'memory at most MB',
    ],
    rows: [
      [
        records.toLocaleString('en'),
        figure(median(seconds)),
        `${figure(Math.min(...seconds))} to ${figure(Math.max(...seconds))}`,
        figure(median(found.map(({ cpuSeconds }) => cpuSeconds))),
        figure(median(pauses)),
        figure(median(found.map(({ peakMemoryMb }) => peakMemoryMb))),
      ],
    ],
    figures: { records, rounds: found },
    targets: [atMost(`load of ${RECORDS.toLocaleString('en')} revoked ids, s`, median(seconds), 5)],
  };
}
