/** The process in which `./index-size.ts` measures one size of the index. */
import { randomBytes } from 'node:crypto';
import type { RevocationQuestion } from '../src/revocation/revocation-index.js';
import { send, taskOf } from './children.js';
import { built } from './dist.js';

export interface IndexTask {
  readonly entries: number;
  readonly rounds: number;
}

export interface IndexFigures {
  /** A round each; half of the questions are about revoked ids. */
  readonly questionNs: readonly number[];
  /** Heap and array buffers; what the process really occupies. */
  readonly bytesPerEntry: number;
  readonly rssPerEntry: number;
  readonly addNs: number;
  readonly longestAddMs: number;
  readonly longestSweepMs: number;
  /** All calls of `sweepSlice` until nothing is left. */
  readonly sweepMs: number;
}

const ISSUER = 'https://tiledesk.com';
const HOUR_MS = 3_600_000;
const START = 1_790_000_000_000;
const QUESTIONS = 200_000;
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
const { createRevocationIndex } = await built('revocation/revocation-index.js');
let now = START;
const index = createRevocationIndex({
  clock: () => now,
  ownIssuer: ISSUER,
  staleAfterMs: Infinity,
});
index.markSynced(now);

/** Ids that are in the index, as letters, so that no string waits in memory. */
const samples = Math.min(entries, QUESTIONS / 2);
const added = Buffer.alloc(samples * ID_LENGTH);
const before = memory();
const filled = fill();
const after = memory();
if (index.size !== entries) throw new Error(`${index.size} entries instead of ${entries}`);
askAll();
const questionNs = Array.from({ length: rounds }, askAll);
const swept = sweepAll();
send({
  questionNs,
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
      index.add({ jti, issuer: ISSUER, expiresAt: START + HOUR_MS });
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

/** ns for a question; the strings are fresh, and made before the clock runs. */
function askAll(): number {
  let totalMs = 0;
  for (let asked = 0; asked < QUESTIONS; asked += BATCH) {
    const misses = newIds(BATCH / 2);
    const questions = Array.from({ length: BATCH }, (_, i) =>
      i % 2 === 0
        ? questionOf(idAt(added, Math.floor(Math.random() * samples)))
        : questionOf(idAt(misses, (i - 1) / 2)),
    );
    let revoked = 0;
    const startedAt = performance.now();
    for (const question of questions) if (index.isRevoked(question)) revoked += 1;
    totalMs += performance.now() - startedAt;
    if (revoked !== BATCH / 2) throw new Error(`${revoked} of ${BATCH / 2} ids found`);
  }
  return (totalMs * 1e6) / QUESTIONS;
}

function questionOf(jti: string): RevocationQuestion {
  return {
    issuer: ISSUER,
    jti,
    sessionId: null,
    userId: '65f0a1b2c3d4e5f6a7b8c9d0',
    applicationId: null,
    issuedAt: START,
    sessionIssuedAt: null,
  };
}

function sweepAll() {
  now = START + 2 * HOUR_MS;
  let longestSweepMs = 0;
  const startedAt = performance.now();
  while (index.size > 0) {
    const sliceAt = performance.now();
    index.sweepSlice();
    longestSweepMs = Math.max(longestSweepMs, performance.now() - sliceAt);
  }
  return { longestSweepMs, sweepMs: performance.now() - startedAt };
}
