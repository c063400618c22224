/** The process in which `./index-size.ts` measures one size of the index. */
import { randomBytes } from 'node:crypto';
import type { RevocationQuestion } from '../src/revocation/revocation-index.js';
import { send, taskOf } from './children.js';
import { built } from './dist.js';
import { median } from './results.js';

export interface IndexTask {
  readonly entries: number;
  readonly rounds: number;
}

export interface IndexFigures {
  /** A round each; half of the questions are about revoked ids, in random order. */
  readonly questionNs: readonly number[];
  /** None is: what a service is asked nearly always. */
  readonly missNs: readonly number[];
  /** None is, and each names a session too. */
  readonly sessionNs: readonly number[];
  /** Heap and array buffers; what the process really occupies. */
  readonly bytesPerEntry: number;
  readonly rssPerEntry: number;
  readonly addNs: number;
  readonly longestAddMs: number;
  readonly longestSweepMs: number;
  /** All calls of `sweepSlice` in three passes over the table: nothing may leave, half of it, the rest. */
  readonly sweepMs: number;
}

const ISSUER = 'https://tiledesk.com';
const HOUR_MS = 3_600_000;
const START = 1_790_000_000_000;
const QUESTIONS = 200_000;
/** So many that a round asks few of them again: what the last one left in the processor's cache would help. */
const SAMPLES = 1_000_000;
/** Strings that are made at once, and then asked about or added: few, as a check's own id is fresh too. */
const BATCH = 1000;
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

const { entries, rounds } = taskOf() as IndexTask;
const { SLICES } = await built('revocation/id-table.js');
const { createRevocationIndex } = await built('revocation/revocation-index.js');
let now = START;
const index = createRevocationIndex({
  clock: () => now,
  ownIssuer: ISSUER,
  staleAfterMs: Infinity,
});
index.markSynced(now);

/** Ids that are in the index, as letters, so that no string waits in memory. */
const samples = Math.min(entries, SAMPLES);
const added = Buffer.alloc(samples * ID_LENGTH);
const before = memory();
const filled = fill();
const after = memory();
if (index.size !== entries) throw new Error(`${index.size} entries instead of ${entries}`);
const mixed = { revoked: 0.5, withSession: false };
const misses = { revoked: 0, withSession: false };
const sessions = { revoked: 0, withSession: true };
const questionNs: number[] = [];
const missNs: number[] = [];
const sessionNs: number[] = [];
for (let round = 0; round <= rounds; round += 1) {
  const found = [mixed, misses, sessions].map(askAll);
  if (round === 0) continue;
  for (const [i, all] of [questionNs, missNs, sessionNs].entries()) all.push(found[i] ?? NaN);
}
const swept = sweepAll();
send({
  questionNs,
  missNs,
  sessionNs,
  bytesPerEntry: (after.held - before.held) / entries,
  rssPerEntry: (after.rss - before.rss) / entries,
  ...filled,
  ...swept,
} satisfies IndexFigures);

function memory() {
  // Twice: what the first one finds to be garbage outside the heap is freed by the second.
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { held: heapUsed + arrayBuffers, rss };
}

function fill() {
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
  return { addNs: (totalMs * 1e6) / entries, longestAddMs };
}

/**
 * ns for a question, as the median of the batches, so that one in which another process had the
 * processor doesn't count. The strings are fresh, and made before the clock runs.
 */
function askAll({ revoked, withSession }: typeof mixed): number {
  const batches: number[] = [];
  for (let asked = 0; asked < QUESTIONS; asked += BATCH) {
    const others = newIds(BATCH);
    const ofSessions = newIds(BATCH);
    let expected = 0;
    const questions = Array.from({ length: BATCH }, (_, i) => {
      const sessionId = withSession ? idAt(ofSessions, i) : null;
      if (Math.random() >= revoked) return questionOf(idAt(others, i), sessionId);
      expected += 1;
      return questionOf(idAt(added, Math.floor(Math.random() * samples)), sessionId);
    });
    let found = 0;
    const startedAt = performance.now();
    for (const question of questions) if (index.isRevoked(question)) found += 1;
    batches.push(((performance.now() - startedAt) * 1e6) / BATCH);
    if (found !== expected) throw new Error(`${found} of ${expected} ids found`);
  }
  return median(batches);
}

function questionOf(jti: string, sessionId: string | null): RevocationQuestion {
  return {
    issuer: ISSUER,
    jti,
    sessionId,
    userId: '65f0a1b2c3d4e5f6a7b8c9d0',
    applicationId: null,
    issuedAt: START,
    sessionIssuedAt: null,
  };
}

function sweepAll() {
  let longestSweepMs = 0;
  let sweepMs = 0;
  for (const [hours, left] of [
    [0, entries],
    [2, entries / 2],
    [4, 0],
  ] as const) {
    now = START + hours * HOUR_MS;
    for (let slice = 0; slice < SLICES; slice += 1) {
      const startedAt = performance.now();
      index.sweepSlice();
      const took = performance.now() - startedAt;
      sweepMs += took;
      longestSweepMs = Math.max(longestSweepMs, took);
    }
    if (index.size !== left) throw new Error(`${index.size} entries are left instead of ${left}`);
  }
  return { longestSweepMs, sweepMs };
}
