/** Part `load`: how long a start waits for the revocation list of a large database. */
import { startEngine } from '../src/store/embedded/engine.js';
import { withTemporaryFolder } from './built-service.js';
import { runChild } from './children.js';
import { built } from './dist.js';
import type { LoadFigures, LoadTask } from './load-child.js';
import { atMost, type Effort, figure, median, type PartResult, progress } from './results.js';
import { connectDirectly, insertTokens } from './token-documents.js';

const RECORDS = 1_000_000;

export async function measureLoad({ rounds, divisor }: Effort): Promise<PartResult> {
  const records = RECORDS / divisor;
  const found: LoadFigures[] = [];
  await withTemporaryFolder(async (folder) => {
    const engine = await startEngine({ dataDir: folder });
    try {
      await fill(engine.uri, records);
      for (let round = 1; round <= rounds; round += 1) {
        const figures = await runChild<LoadFigures>('./load-child.ts', {
          uri: engine.uri,
        } satisfies LoadTask);
        if (figures.entries !== records) throw new Error(`${figures.entries} entries were loaded`);
        found.push(figures);
        progress(`load, round ${round} of ${rounds}: ${figure(figures.seconds)} s`);
      }
    } finally {
      await engine.stop();
    }
  });
  const seconds = found.map((figures) => figures.seconds);
  const pauses = found.map(({ longestPauseMs }) => longestPauseMs);
  return {
    title: 'revoked records in the embedded engine',
    header: ['sync.load() s', 'all rounds', 'longest pause of the event loop ms'],
    rows: [
      [
        records.toLocaleString('en'),
        figure(median(seconds)),
        `${figure(Math.min(...seconds))} to ${figure(Math.max(...seconds))}`,
        figure(median(pauses)),
      ],
    ],
    figures: { records, rounds: found },
    targets: [atMost(`load of ${RECORDS.toLocaleString('en')} revoked ids, s`, median(seconds), 5)],
  };
}

async function fill(uri: string, records: number): Promise<void> {
  const { openStore } = await built('store/connect.js');
  // Makes the indexes, as every start does.
  await (await openStore({ uri, clock: Date.now })).close();
  const connection = await connectDirectly(uri);
  try {
    const startedAt = performance.now();
    await insertTokens(connection, records, { revoked: true, keep: false });
    const seconds = (performance.now() - startedAt) / 1000;
    progress(`load: ${records.toLocaleString('en')} records inserted in ${seconds.toFixed(0)} s`);
  } finally {
    await connection.close();
  }
}
