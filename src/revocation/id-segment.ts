/**
 * A part of the table of ids: UUIDs, each with the second at which it may leave, in typed arrays;
 * open addressing with linear probing.
 *
 * What a question costs in a large table is the wait for memory. So a byte of the hash stands for
 * each slot, in an array of its own, `marks`: nearly every question is about a token that isn't
 * revoked, and ends there, in an array a twentieth the size of the whole, of which the processor
 * keeps much at hand. The slot's own 16 bytes, which never lie in two lines of the cache, are read
 * only where the mark fits; they decide.
 */
import { type HashSecret, hashUuid } from './uuid-words.js';

export interface Segment {
  used: number;
  /** 0 = an empty slot; there always is one. */
  readonly marks: Uint8Array;
  readonly keys: Uint32Array;
  /** Seconds since the epoch, or `NEVER`. */
  readonly leaves: Uint32Array;
}

export const NEVER = 0xffff_ffff;
/** Of a UUID. */
export const WORDS = 4;
const BYTES = WORDS * 4 + 4 + 1;
const MIN_SLOTS = 8;
const MAX_LOAD = 0.75;
const GROWTH = 1.5;

export function createSegment(slots = MIN_SLOTS): Segment {
  const buffer = new ArrayBuffer(slots * BYTES);
  return {
    used: 0,
    keys: new Uint32Array(buffer, 0, slots * WORDS),
    leaves: new Uint32Array(buffer, slots * WORDS * 4, slots),
    marks: new Uint8Array(buffer, slots * (BYTES - 1), slots),
  };
}

/** @returns the slot, or, where there is none, `~` of the empty slot that ends the search. */
export function find({ marks, keys }: Segment, key: Uint32Array, hash: number): number {
  const mark = markOf(hash);
  const slots = marks.length;
  let at = homeOf(hash, slots);
  for (;;) {
    const found = marks[at];
    if (found === 0) return ~at;
    if (found === mark && isAt(keys, at * WORDS, key)) return at;
    at += 1;
    if (at === slots) at = 0;
  }
}

function isAt(keys: Uint32Array, base: number, key: Uint32Array): boolean {
  for (let i = 0; i < WORDS; i += 1) if (keys[base + i] !== key[i]) return false;
  return true;
}

/** Of two times for one id the later one counts. @returns whether the id is new. */
export function insert(
  segment: Segment,
  key: Uint32Array,
  hash: number,
  leavesAt: number,
): boolean {
  const { keys, leaves, marks } = segment;
  const found = find(segment, key, hash);
  if (found >= 0) {
    leaves[found] = Math.max(leaves[found] ?? 0, leavesAt);
    return false;
  }
  const at = ~found;
  for (let i = 0; i < WORDS; i += 1) keys[at * WORDS + i] = key[i] ?? 0;
  leaves[at] = leavesAt;
  marks[at] = markOf(hash);
  segment.used += 1;
  return true;
}

/** The segment itself while there is room for one more, else a larger copy. */
export function withRoom(segment: Segment, secret: HashSecret): Segment {
  const slots = segment.marks.length;
  if (segment.used + 1 <= slots * MAX_LOAD) return segment;
  return copyOf(segment, Math.ceil(slots * GROWTH), secret);
}

/** The segment itself, or a smaller copy when it is mostly empty. */
export function withoutSpare(segment: Segment, secret: HashSecret): Segment {
  const fitting = Math.max(MIN_SLOTS, Math.ceil((segment.used / MAX_LOAD) * GROWTH));
  return fitting * 2 < segment.marks.length ? copyOf(segment, fitting, secret) : segment;
}

/** Homes are in the order of the hashes in every size, so both are passed from front to end. */
function copyOf(segment: Segment, slots: number, secret: HashSecret): Segment {
  const copy = createSegment(slots);
  for (let from = 0; from < segment.marks.length; from += 1) {
    if (segment.marks[from] !== 0) copyEntry(segment, from, copy, secret);
  }
  copy.used = segment.used;
  return copy;
}

/** Copies the entries into so many segments: each where the lowest bits of its hash say. */
export function spread(segment: Segment, count: number, secret: HashSecret): Segment[] {
  const segments = Array.from({ length: count }, () => createSegment());
  for (let from = 0; from < segment.marks.length; from += 1) {
    if (segment.marks[from] === 0) continue;
    const at = hashUuid(segment.keys, from * WORDS, secret) % count;
    const target = withRoom(segments[at] ?? createSegment(), secret);
    copyEntry(segment, from, target, secret);
    target.used += 1;
    segments[at] = target;
  }
  return segments;
}

/**
 * Removes what may leave at `second`, in place. What stays behind a gap is moved to where a search
 * finds it; as that begins behind an empty slot, and goes from entry to entry, each only ever moves
 * back. It is always the whole segment: one that is empty in front only can't be made smaller.
 */
export function sweep(segment: Segment, second: number, secret: HashSecret): void {
  const { marks, leaves } = segment;
  const slots = marks.length;
  const start = marks.indexOf(0);
  let hasGap = false;
  for (let i = 1; i < slots; i += 1) {
    const at = start + i < slots ? start + i : start + i - slots;
    if (marks[at] === 0) {
      hasGap = false;
    } else if ((leaves[at] ?? NEVER) <= second) {
      marks[at] = 0;
      segment.used -= 1;
      hasGap = true;
    } else if (hasGap) {
      marks[at] = 0;
      copyEntry(segment, at, segment, secret);
    }
  }
}

/** To the first empty slot from its home on. */
function copyEntry(source: Segment, from: number, target: Segment, secret: HashSecret): void {
  const base = from * WORDS;
  const hash = hashUuid(source.keys, base, secret);
  const { marks, keys, leaves } = target;
  const slots = marks.length;
  let at = homeOf(hash, slots);
  while (marks[at] !== 0) at = at + 1 === slots ? 0 : at + 1;
  for (let i = 0; i < WORDS; i += 1) keys[at * WORDS + i] = source.keys[base + i] ?? 0;
  leaves[at] = source.leaves[from] ?? NEVER;
  marks[at] = markOf(hash);
}

/** The high bits choose the slot, the lowest chose the segment, those above them are the mark: never 0. */
function homeOf(hash: number, slots: number): number {
  return Math.floor((hash / 2 ** 32) * slots);
}

function markOf(hash: number): number {
  return (hash >>> 8) & 0xff || 1;
}
