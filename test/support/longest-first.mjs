/**
 * The order in which Jest begins the test files: the longest first, so that the workers end together.
 * Where they ran before, Jest knows their durations; in a fresh clone it would go by their sizes, and
 * those that start processes are short and take long. They are listed in `long-tests.json`.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import TestSequencer from '@jest/test-sequencer';

/** Of those that aren't listed: enough to order them among each other, mostly behind the others. */
const MS_PER_BYTE = 0.5;

/** By path from the root, in seconds. One that isn't there any more, or is missing, costs only time. */
const seconds = JSON.parse(readFileSync(new URL('long-tests.json', import.meta.url), 'utf8'));

export default class LongestFirst extends TestSequencer {
  time(test) {
    const { config, hasteFS } = test.context;
    const listed = seconds[relative(config.rootDir, test.path)];
    return (
      super.time(test) ??
      (listed === undefined ? (hasteFS.getSize(test.path) ?? 0) * MS_PER_BYTE : listed * 1000)
    );
  }
}
