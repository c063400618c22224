/** UUIDs as four words of 32 bits, and a hash of these that nobody outside can predict. */
import { randomInt } from 'node:crypto';

/** The value of the hexadecimal digit (lower case only), or -1; for every UTF-16 unit, so that no letter needs a branch. */
const NIBBLES = new Int8Array(2 ** 16).fill(-1);
for (let value = 0; value < 16; value += 1) NIBBLES[value.toString(16).charCodeAt(0)] = value;
const HYPHEN = 0x2d;

/**
 * A UUID in its canonical form (RFC 9562, lower case), as ids are by the time they come here. No
 * other form counts: false, and `words` is as it was. Without a loop, in half the time of one.
 */
export function parseUuid(id: string, words: Uint32Array): boolean {
  if (
    id.length !== 36 ||
    id.charCodeAt(8) !== HYPHEN ||
    id.charCodeAt(13) !== HYPHEN ||
    id.charCodeAt(18) !== HYPHEN ||
    id.charCodeAt(23) !== HYPHEN
  ) {
    return false;
  }
  const a = fourDigits(id, 0);
  const b = fourDigits(id, 4);
  const c = fourDigits(id, 9);
  const d = fourDigits(id, 14);
  const e = fourDigits(id, 19);
  const f = fourDigits(id, 24);
  const g = fourDigits(id, 28);
  const h = fourDigits(id, 32);
  if ((a | b | c | d | e | f | g | h) < 0) return false;
  words[0] = (a << 16) | b;
  words[1] = (c << 16) | d;
  words[2] = (e << 16) | f;
  words[3] = (g << 16) | h;
  return true;
}

/** Negative when one of them isn't a digit. */
function fourDigits(id: string, at: number): number {
  return (
    (nibble(id, at) << 12) |
    (nibble(id, at + 1) << 8) |
    (nibble(id, at + 2) << 4) |
    nibble(id, at + 3)
  );
}

function nibble(id: string, at: number): number {
  return NIBBLES[id.charCodeAt(at)] ?? -1;
}

/** Chosen anew for each table. */
export interface HashSecret {
  readonly start: number;
  readonly first: number;
  readonly second: number;
}

export function createHashSecret(): HashSecret {
  const odd = () => randomInt(2 ** 31) * 2 + 1;
  return { start: randomInt(2 ** 32), first: odd(), second: odd() };
}

/**
 * All 128 bits count: a UUIDv7 begins with the time, and a foreign token's id is whatever its
 * issuer likes. Two secret factors for each word: through one alone a difference in the top bit
 * passes unchanged, so the next word could take it back, whatever the secret.
 */
export function hashUuid(words: Uint32Array, base: number, secret: HashSecret): number {
  let hash = secret.start;
  for (let i = base; i < base + 4; i += 1) hash = mixed(hash, words[i] ?? 0, secret);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(hash: number, word: number, { first, second }: HashSecret): number {
  const half = hash ^ word;
  const next = Math.imul(half ^ (half >>> 16), first);
  return Math.imul(next ^ (next >>> 15), second);
}
