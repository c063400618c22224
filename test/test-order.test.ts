/** The order of the test files: those that take long are there, and begin first where nothing is known of durations. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SEQUENCER = './support/longest-first.mjs';
interface Test {
  readonly path: string;
  readonly context: object;
}

const listed = JSON.parse(
  readFileSync(join(ROOT, 'test/support/long-tests.json'), 'utf8'),
) as Record<string, number>;

describe('the list of long test files', () => {
  it('names files that are there', () => {
    expect(Object.keys(listed).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('comes first, the longest before all, and then what is larger', async () => {
    const { default: LongestFirst } = (await import(SEQUENCER)) as {
      default: new () => { sort(tests: Test[]): Test[] };
    };
    const sizes = new Map([
      ['test/small.test.ts', 100],
      ['test/large.test.ts', 9000],
    ]);
    const context = {
      // Nothing was measured here before.
      config: { rootDir: ROOT, cache: false },
      hasteFS: { getSize: (path: string) => sizes.get(path.slice(ROOT.length)) ?? null },
    };
    const paths = ['test/unknown.test.ts', ...sizes.keys(), ...Object.keys(listed).toReversed()];
    const tests = paths.map((path) => ({ path: join(ROOT, path), context }));
    const order = new LongestFirst().sort(tests).map(({ path }) => path.slice(ROOT.length));
    expect(order.map((path) => listed[path] ?? 0)).toEqual(
      [...Object.values(listed), 0, 0, 0].toSorted((a, b) => b - a),
    );
    expect(order.slice(-3)).toEqual([
      'test/large.test.ts',
      'test/small.test.ts',
      'test/unknown.test.ts',
    ]);
  });
});
