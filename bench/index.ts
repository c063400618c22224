/** Part `index`: what a question to the revocation index costs, what an entry weighs, and the longest pauses. Each size in a process of its own. */
import { randomBytes } from 'node:crypto';
import type { RevocationIndex } from '../src/revocation/revocation-index.js';
import { built } from './built-parts.js';
import { asChild, runChild } from './children.js';
import {
  atMost,
  createSamples,
  type Effort,
  median,
  type PartResult,
  progress,
} from './results.js';
import { ISSUER } from './token-documents.js';

interface IndexTask {
  readonly entries: number;
  readonly rounds: number;
}

/** What it costs to ask, in ns; the strings are fresh each time. */
interface Asked {
  /** Half of the questions are about revoked ids, in random order. */
  readonly questionNs: number;
  /** None is: what a service is asked nearly always. */
  readonly missNs: number;
  /** None is, and each names a session too. */
  readonly sessionNs: number;
}

interface Kept {
  /** Heap and array buffers; what the process really occupies. */
  readonly bytesPerEntry: number;
  readonly rssPerEntry: number;
  readonly addNs: number;
  readonly longestAddMs: number;
  readonly longestSweepMs: number;
  /** All calls of `sweepSlice` in three passes over the table: nothing may leave, half of it, the rest. */
  readonly sweepMs: number;
}

interface IndexFigures {
  readonly rounds: readonly Asked[];
  readonly kept: Kept;
}

const SIZES = [10_000, 100_000, 1_000_000, 10_000_000] as const;
/** Small ones say more about the heap than about the entries. */
const WEIGHED = [1_000_000, 10_000_000] as const;
const LARGEST = 10_000_000;
const HOUR_MS = 3_600_000;
const START = 1_790_000_000_000;
const QUESTIONS = 200_000;
/** So many that a round asks few of them again: what the last one left in the processor's cache would help. */
const SAMPLES = 1_000_000;
/** Strings that are made at once, and then asked about or added: few, as a check's own id is fresh too. */
const BATCH = 1000;

export async function measureIndex({ rounds, divisor }: Effort): Promise<PartResult> {
  const nameOf = (size: number) => (size / divisor).toLocaleString('en');
  const samples = createSamples<keyof Asked | keyof Kept>(SIZES.map(nameOf));
  for (const size of SIZES) {
    const task: IndexTask = { entries: size / divisor, rounds };
    const options = { execArgv: ['--expose-gc'] };
    const found = await runChild<IndexFigures>(import.meta.url, task, options);
    for (const asked of found.rounds) samples.add(nameOf(size), { ...asked, ...found.kept });
    progress(`index: ${nameOf(size)} entries measured`);
  }
  const { median: of, range } = samples;
  return {
    tables: [
      samples.table('entries in the index', {
        'question ns': of('questionNs'),
        'all rounds': range('questionNs'),
        'not revoked': of('missNs'),
        'with session': of('sessionNs'),
        'bytes/entry': of('bytesPerEntry'),
        'rss, bytes': of('rssPerEntry'),
        'add() ns': of('addNs'),
        'longest add() ms': of('longestAddMs'),
        'longest sweepSlice() ms': of('longestSweepMs'),
        'three sweeps ms': of('sweepMs'),
      }),
    ],
    figures: samples.all,
    targets: [
      atMost(
        `a question with ${nameOf(LARGEST)} entries, ns`,
        of('questionNs')(nameOf(LARGEST)),
        500,
      ),
      ...WEIGHED.map(nameOf).map((name) =>
        atMost(`bytes for each of ${name} entries`, of('bytesPerEntry')(name), 64),
      ),
    ],
  };
}

const ID_LENGTH = 36;
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
const HYPHENS = new Set([8, 13, 18, 23]);
/** Where the digits of an id stand. */
const PLACES = Array.from({ length: ID_LENGTH }, (_, i) => i).filter((i) => !HYPHENS.has(i));

/** The letters of `count` new UUIDv7, one after the other. */
function newIds(count: number): Buffer {
  const letters = Buffer.alloc(count * ID_LENGTH, '-', 'latin1');
  const random = randomBytes(count * 16);
  for (let id = 0; id < count; id += 1) {
    random.writeUIntBE(START + Math.floor(Math.random() * HOUR_MS), id * 16, 6);
    random[id * 16 + 6] = 0x70 | ((random[id * 16 + 6] ?? 0) & 0x0f);
    random[id * 16 + 8] = 0x80 | ((random[id * 16 + 8] ?? 0) & 0x3f);
    for (let digit = 0; digit < 32; digit += 1) {
      const byte = random[id * 16 + (digit >> 1)] ?? 0;
      const value = digit % 2 === 0 ? byte >> 4 : byte & 15;
      letters[id * ID_LENGTH + (PLACES[digit] ?? 0)] = DIGITS[value] ?? 0;
    }
  }
  return letters;
}

function idAt(letters: Buffer, number: number): string {
  return letters.toString('latin1', number * ID_LENGTH, (number + 1) * ID_LENGTH);
}

function memory() {
  const { gc } = globalThis;
  // Twice: what the first one finds to be garbage outside the heap is freed by the second.
  gc?.();
  gc?.();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { held: heapUsed + arrayBuffers, rss };
}

/** @returns how long the calls of `add` took, and ids that are in, as letters, so that no string waits in memory. */
function fill(index: RevocationIndex, entries: number, added: Buffer) {
  const samples = added.length / ID_LENGTH;
  const every = Math.floor(entries / samples);
  let totalMs = 0;
  let longestAddMs = 0;
  for (let done = 0; done < entries; done += BATCH) {
    const count = Math.min(BATCH, entries - done);
    const letters = newIds(count);
    for (let i = 0; i < count; i += 1) {
      const jti = idAt(letters, i);
      const startedAt = performance.now();
      index.add({ jti, issuer: ISSUER, expiresAt: START + (i % 2 === 0 ? 1 : 3) * HOUR_MS });
      const took = performance.now() - startedAt;
      totalMs += took;
      if (took > longestAddMs) longestAddMs = took;
      const sample = (done + i) / every;
      if (Number.isInteger(sample) && sample < samples)
        added.write(jti, sample * ID_LENGTH, 'latin1');
    }
  }
  if (index.size !== entries) throw new Error(`${index.size} entries instead of ${entries}`);
  return { addNs: (totalMs * 1e6) / entries, longestAddMs };
}

/**
 * ns for a question, as the median of the batches, so that one in which another process had the
 * processor doesn't count. The strings are fresh, and made before the clock runs.
 * @param share of the questions that is about revoked ids.
 */
function ask(index: RevocationIndex, added: Buffer, share: number, withSession: boolean): number {
  const samples = added.length / ID_LENGTH;
  const batches: number[] = [];
  for (let asked = 0; asked < QUESTIONS; asked += BATCH) {
    const others = newIds(BATCH);
    const sessions = newIds(BATCH);
    let expected = 0;
    const questions = Array.from({ length: BATCH }, (_, i) => {
      const isRevoked = Math.random() < share;
      if (isRevoked) expected += 1;
      return {
        issuer: ISSUER,
        jti: isRevoked ? idAt(added, Math.floor(Math.random() * samples)) : idAt(others, i),
        sessionId: withSession ? idAt(sessions, i) : null,
        userId: '65f0a1b2c3d4e5f6a7b8c9d0',
        applicationId: null,
        issuedAt: START,
        sessionIssuedAt: null,
      };
    });
    let found = 0;
    const startedAt = performance.now();
    for (const question of questions) if (index.isRevoked(question)) found += 1;
    batches.push(((performance.now() - startedAt) * 1e6) / BATCH);
    if (found !== expected) throw new Error(`${found} of ${expected} ids found`);
  }
  return median(batches);
}

await asChild(import.meta.url, async ({ entries, rounds }: IndexTask): Promise<IndexFigures> => {
  const { SLICES } = await built('revocation/id-table.js');
  const { createRevocationIndex } = await built('revocation/revocation-index.js');
  let now = START;
  const clock = () => now;
  const index = createRevocationIndex({ clock, ownIssuer: ISSUER, staleAfterMs: Infinity });
  index.markSynced(now);
  const added = Buffer.alloc(Math.min(entries, SAMPLES) * ID_LENGTH);
  const before = memory();
  const filled = fill(index, entries, added);
  const after = memory();
  const asked = Array.from({ length: rounds + 1 }, () => ({
    questionNs: ask(index, added, 0.5, false),
    missNs: ask(index, added, 0, false),
    sessionNs: ask(index, added, 0, true),
  }));
  const sweeps: number[] = [];
  for (const [hours, left] of [
    [0, entries],
    [2, entries / 2],
    [4, 0],
  ] as const) {
    now = START + hours * HOUR_MS;
    for (let slice = 0; slice < SLICES; slice += 1) {
      const startedAt = performance.now();
      index.sweepSlice();
      sweeps.push(performance.now() - startedAt);
    }
    if (index.size !== left) throw new Error(`${index.size} entries are left instead of ${left}`);
  }
  return {
    // The first round warms up.
    rounds: asked.slice(1),
    kept: {
      bytesPerEntry: (after.held - before.held) / entries,
      rssPerEntry: (after.rss - before.rss) / entries,
      ...filled,
      longestSweepMs: Math.max(...sweeps),
      sweepMs: sweeps.reduce((sum, took) => sum + took, 0),
    },
  };
});
