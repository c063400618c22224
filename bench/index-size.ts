/** Part `index`: what a question to the revocation index costs, what an entry weighs, and the longest pauses. */
import { runChild } from './children.js';
import type { IndexFigures, IndexTask } from './index-size-child.js';
import { atMost, type Effort, figure, median, type PartResult, progress } from './results.js';

const SIZES = [10_000, 100_000, 1_000_000, 10_000_000] as const;
/** Small ones say more about the heap than about the entries. */
const WEIGHED = [1_000_000, 10_000_000] as const;
const LARGEST = 10_000_000;

export async function measureIndex({ rounds, divisor }: Effort): Promise<PartResult> {
  const found = new Map<number, IndexFigures>();
  for (const size of SIZES) {
    const task: IndexTask = { entries: size / divisor, rounds: rounds };
    const options = { execArgv: ['--expose-gc'] };
    found.set(size, await runChild<IndexFigures>('./index-size-child.ts', task, options));
    progress(`index: ${(size / divisor).toLocaleString('en')} entries measured`);
  }
  const of = (size: number, read: (figures: IndexFigures) => number) => {
    const figures = found.get(size);
    return figures === undefined ? NaN : read(figures);
  };
  const question = (size: number) => of(size, ({ questionNs }) => median(questionNs));
  const fastest = (size: number) => of(size, ({ questionNs }) => Math.min(...questionNs));
  const slowest = (size: number) => of(size, ({ questionNs }) => Math.max(...questionNs));
  return {
    title: 'entries in the index',
    header: [
      'question ns',
      'all rounds',
      'not revoked',
      'with session',
      'bytes/entry',
      'rss, bytes',
      'add() ns',
      'longest add() ms',
      'longest sweepSlice() ms',
      'three sweeps ms',
    ],
    rows: SIZES.map((size) => [
      (size / divisor).toLocaleString('en'),
      figure(question(size)),
      `${figure(fastest(size))} to ${figure(slowest(size))}`,
      figure(of(size, ({ missNs }) => median(missNs))),
      figure(of(size, ({ sessionNs }) => median(sessionNs))),
      figure(of(size, ({ bytesPerEntry }) => bytesPerEntry)),
      figure(of(size, ({ rssPerEntry }) => rssPerEntry)),
      figure(of(size, ({ addNs }) => addNs)),
      figure(of(size, ({ longestAddMs }) => longestAddMs)),
      figure(of(size, ({ longestSweepMs }) => longestSweepMs)),
      figure(of(size, ({ sweepMs }) => sweepMs)),
    ]),
    figures: Object.fromEntries(SIZES.map((size) => [size / divisor, found.get(size)])),
    targets: [
      atMost(`a question with ${LARGEST.toLocaleString('en')} entries, ns`, question(LARGEST), 500),
      ...WEIGHED.map((size) =>
        atMost(
          `bytes for each of ${size.toLocaleString('en')} entries`,
          of(size, ({ bytesPerEntry }) => bytesPerEntry),
          64,
        ),
      ),
    ],
  };
}
