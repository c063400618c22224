/**
 * A set of (issuer, id) pairs, each with the time at which it may leave. Exact, without a size cap.
 * UUIDs, which most ids are, are packed into typed arrays at some 40 bytes each; others are kept in
 * a Map. Many small segments, so that growing or sweeping one never takes long.
 */
import { randomInt } from 'node:crypto';

export interface IdTable {
  has(issuer: string, id: string): boolean;
  /**
   * @param leavesAt ms since the epoch, or Infinity. Of two adds of one id the later time counts.
   * @returns whether it is new.
   */
  add(issuer: string, id: string, leavesAt: number): boolean;
  /** Whether there is any id of this issuer; cheap. */
  hasIssuer(issuer: string): boolean;
  /** Removes what may leave at `now`, a slice of the table at each call; `SLICES` calls see all of it. */
  sweepSlice(now: number): void;
  readonly size: number;
}

const SEGMENTS = 1024;
export const SLICES = 64;
/** Words of 32 bits for each slot: four of the UUID, the issuer's number (0 = empty slot), the second at which it may leave. */
const WORDS = 6;
const ISSUER = 4;
const LEAVES = 5;
const NEVER = 0xffff_ffff;
const MIN_SLOTS = 8;
const MAX_LOAD = 0.75;
const GROWTH = 1.5;

interface Segment {
  slots: number;
  used: number;
  words: Uint32Array;
}

/** The value of each hexadecimal digit (lower case only), or 255. */
const NIBBLES = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value += 1) NIBBLES[value.toString(16).charCodeAt(0)] = value;

export function createIdTable(): IdTable {
  const seed = randomInt(2 ** 32);
  const issuers = new Map<string, number>();
  const segments: (Segment | undefined)[] = Array.from({ length: SEGMENTS });
  const others = Array.from({ length: SLICES }, () => new Map<string, number>());
  let texts = 0;
  let packed = 0;
  let nextSlice = 0;
  /** The words of the id asked for last; one buffer, because a check must not allocate. */
  const key = new Uint32Array(WORDS);

  function has(issuer: string, id: string): boolean {
    const number = issuers.get(issuer);
    if (number === undefined) return false;
    if (!parseUuid(id, key)) {
      if (texts === 0) return false;
      const text = textKey(number, id);
      return others[sliceOf(text)]?.has(text) ?? false;
    }
    key[ISSUER] = number;
    const hash = hashOf(key, seed);
    const segment = segments[hash % SEGMENTS];
    return segment !== undefined && isKeyAt(segment, find(segment, key, hash));
  }

  function add(issuer: string, id: string, leavesAt: number): boolean {
    let number = issuers.get(issuer);
    if (number === undefined) issuers.set(issuer, (number = issuers.size + 1));
    const leaves = leavesAt === Infinity ? NEVER : Math.min(NEVER, Math.ceil(leavesAt / 1000));
    if (!parseUuid(id, key)) {
      const text = textKey(number, id);
      const slice = others[sliceOf(text)];
      if (slice === undefined) return false;
      const before = slice.get(text);
      slice.set(text, Math.max(leaves, before ?? 0));
      if (before === undefined) texts += 1;
      return before === undefined;
    }
    key[ISSUER] = number;
    key[LEAVES] = leaves;
    const hash = hashOf(key, seed);
    const at = hash % SEGMENTS;
    let segment = segments[at];
    if (segment === undefined || segment.used + 1 > segment.slots * MAX_LOAD) {
      segment = segments[at] = rebuilt(segment, growthOf(segment), seed, 0);
    }
    const isNew = insert(segment, key, hash);
    if (isNew) packed += 1;
    return isNew;
  }

  function sweepSlice(now: number): void {
    const second = Math.floor(now / 1000);
    const perSlice = SEGMENTS / SLICES;
    for (let at = nextSlice * perSlice; at < (nextSlice + 1) * perSlice; at += 1) {
      const segment = segments[at];
      if (segment === undefined || !hasExpired(segment, second)) continue;
      const swept = rebuilt(segment, segment.slots, seed, second);
      packed -= segment.used - swept.used;
      // A segment that became mostly empty is rebuilt once more, smaller.
      const fitting = Math.max(MIN_SLOTS, Math.ceil((swept.used / MAX_LOAD) * GROWTH));
      segments[at] = fitting * 2 < swept.slots ? rebuilt(swept, fitting, seed, 0) : swept;
    }
    for (const [text, leaves] of others[nextSlice] ?? []) {
      if (leaves !== NEVER && leaves <= second && others[nextSlice]?.delete(text)) texts -= 1;
    }
    nextSlice = (nextSlice + 1) % SLICES;
  }

  return {
    has,
    add,
    hasIssuer: (issuer) => issuers.has(issuer),
    sweepSlice,
    get size() {
      return packed + texts;
    },
  };
}

function textKey(issuer: number, id: string): string {
  return `${issuer} ${id}`;
}

function sliceOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return (hash >>> 16) % SLICES;
}

function growthOf(segment: Segment | undefined): number {
  return segment === undefined ? MIN_SLOTS : Math.ceil(segment.slots * GROWTH);
}

/** A copy with `slots` slots, without what may leave at `second`. */
function rebuilt(
  segment: Segment | undefined,
  slots: number,
  seed: number,
  second: number,
): Segment {
  const copy = { slots, used: 0, words: new Uint32Array(slots * WORDS) };
  if (segment === undefined) return copy;
  const { words } = segment;
  for (let base = 0; base < words.length; base += WORDS) {
    if (words[base + ISSUER] === 0) continue;
    const leaves = words[base + LEAVES] ?? NEVER;
    if (leaves !== NEVER && leaves <= second) continue;
    const entry = words.subarray(base, base + WORDS);
    insert(copy, entry, hashOf(entry, seed));
  }
  return copy;
}

function hasExpired({ words }: Segment, second: number): boolean {
  for (let base = 0; base < words.length; base += WORDS) {
    if (words[base + ISSUER] === 0) continue;
    const leaves = words[base + LEAVES] ?? NEVER;
    if (leaves !== NEVER && leaves <= second) return true;
  }
  return false;
}

/** The offset of the key's slot, or of the empty slot where it belongs. There always is an empty one. */
function find({ slots, words }: Segment, key: Uint32Array, hash: number): number {
  const end = slots * WORDS;
  // The high bits pick the slot; the low ones picked the segment.
  let base = Math.floor((hash / 2 ** 32) * slots) * WORDS;
  for (;;) {
    if (words[base + ISSUER] === 0) return base;
    if (
      words[base] === key[0] &&
      words[base + 1] === key[1] &&
      words[base + 2] === key[2] &&
      words[base + 3] === key[3] &&
      words[base + ISSUER] === key[ISSUER]
    ) {
      return base;
    }
    base += WORDS;
    if (base === end) base = 0;
  }
}

function isKeyAt({ words }: Segment, base: number): boolean {
  return words[base + ISSUER] !== 0;
}

/** @returns whether it is new. */
function insert(segment: Segment, key: Uint32Array, hash: number): boolean {
  const base = find(segment, key, hash);
  const { words } = segment;
  if (isKeyAt(segment, base)) {
    if ((key[LEAVES] ?? 0) > (words[base + LEAVES] ?? 0)) words[base + LEAVES] = key[LEAVES] ?? 0;
    return false;
  }
  words.set(key, base);
  segment.used += 1;
  return true;
}

/** Mixes all words (a UUIDv7 begins with the time) with a seed that nobody outside knows. */
function hashOf(key: Uint32Array, seed: number): number {
  let hash = seed;
  for (let i = 0; i <= ISSUER; i += 1) {
    hash = Math.imul(hash ^ (key[i] ?? 0), 0x85eb_ca6b);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0xc2b2_ae35);
    hash ^= hash >>> 13;
  }
  return hash >>> 0;
}

/** A UUID in its canonical form (RFC 9562, lower case) into four words. Ids are compared to the letter, so no other form counts. */
function parseUuid(id: string, words: Uint32Array): boolean {
  if (id.length !== 36) return false;
  let word = 0;
  let digits = 0;
  for (let i = 0; i < 36; i += 1) {
    const unit = id.charCodeAt(i);
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (unit !== 0x2d) return false;
      continue;
    }
    const nibble = unit < 128 ? (NIBBLES[unit] ?? 255) : 255;
    if (nibble === 255) return false;
    word = (word << 4) | nibble;
    digits += 1;
    if ((digits & 7) === 0) words[(digits >> 3) - 1] = word >>> 0;
  }
  return true;
}
