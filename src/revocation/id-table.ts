/**
 * A set of (issuer, id) pairs, each with the time at which it may leave. Exact, without a size cap.
 * UUIDs, which most ids are, are packed into typed arrays at 33 to 50 bytes each
 * (`id-segment.ts`); others are kept in Maps. In segments, as only one at a time grows: so many that
 * this never takes long, so few that their descriptions stay in the processor's cache (with 1024 of
 * them a question was slower by a quarter). Numbers: `docs/decisions/0006-id-table.md`.
 */
import { ANY_ISSUER } from '../store/records.js';
import {
  createSegment,
  find,
  insert,
  ISSUER,
  NEVER,
  sweep,
  withoutSpare,
  withRoom,
  WORDS,
} from './id-segment.js';
import { createHashSecret, hashOfPair, hashUuid, parseUuid } from './uuid-words.js';

export interface IdTable {
  /** Whether the id is in for this issuer, for the other one, or for any issuer. */
  has(issuer: string, id: string, otherIssuer?: string): boolean;
  /**
   * @param leavesAt ms since the epoch, or Infinity. Of two adds of one id the later time counts.
   * @returns whether it is new.
   */
  add(issuer: string, id: string, leavesAt: number): boolean;
  /** Removes what may leave at `now`, a slice of the table at each call; `SLICES` calls see all of it. */
  sweepSlice(now: number): void;
  readonly size: number;
}

/** A power of two. */
const SEGMENTS = 256;
/** Of a sweep: a segment each. */
export const SLICES = SEGMENTS;
/** Instead of the number of an issuer of which there is nothing. */
const UNKNOWN = 0;

export function createIdTable(): IdTable {
  const secret = createHashSecret();
  const issuers = new Map<string, number>();
  const segments = Array.from({ length: SEGMENTS }, () => createSegment());
  const others = Array.from({ length: SLICES }, () => new Map<string, number>());
  let texts = 0;
  let packed = 0;
  let nextSlice = 0;
  /** What is asked for now; one buffer, because a check must not allocate. */
  const key = new Uint32Array(WORDS);

  function has(issuer: string, id: string, otherIssuer = issuer): boolean {
    const first = numberOf(issuer);
    const second = otherIssuer === issuer ? UNKNOWN : numberOf(otherIssuer);
    const any = numberOf(ANY_ISSUER);
    if (!parseUuid(id, key)) {
      return texts > 0 && (hasText(first, id) || hasText(second, id) || hasText(any, id));
    }
    const uuidHash = hashUuid(key, 0, secret);
    return hasKey(first, uuidHash) || hasKey(second, uuidHash) || hasKey(any, uuidHash);
  }

  function numberOf(issuer: string): number {
    return issuers.get(issuer) ?? UNKNOWN;
  }

  function hasKey(issuer: number, uuidHash: number): boolean {
    if (issuer === UNKNOWN) return false;
    key[ISSUER] = issuer;
    const hash = hashOfPair(uuidHash, issuer, secret);
    const segment = segments[hash % SEGMENTS];
    return segment !== undefined && find(segment, key, hash) >= 0;
  }

  function hasText(issuer: number, id: string): boolean {
    const text = textKey(issuer, id);
    return others[sliceOf(text)]?.has(text) ?? false;
  }

  function add(issuer: string, id: string, leavesAt: number): boolean {
    let number = issuers.get(issuer);
    if (number === undefined) issuers.set(issuer, (number = issuers.size + 1));
    const leaves = leavesAt === Infinity ? NEVER : Math.min(NEVER, Math.ceil(leavesAt / 1000));
    if (!parseUuid(id, key)) {
      return addText(textKey(number, id), leaves);
    }
    key[ISSUER] = number;
    const hash = hashOfPair(hashUuid(key, 0, secret), number, secret);
    const at = hash % SEGMENTS;
    const segment = withRoom(segments[at] ?? createSegment(), secret);
    segments[at] = segment;
    const isNew = insert(segment, key, hash, leaves);
    if (isNew) packed += 1;
    return isNew;
  }

  function addText(text: string, leaves: number): boolean {
    const slice = others[sliceOf(text)];
    if (slice === undefined) return false;
    const before = slice.get(text);
    slice.set(text, Math.max(leaves, before ?? 0));
    if (before === undefined) texts += 1;
    return before === undefined;
  }

  function sweepSlice(now: number): void {
    const second = Math.min(NEVER - 1, Math.floor(now / 1000));
    const segment = segments[nextSlice];
    if (segment !== undefined && segment.used > 0) {
      const { used } = segment;
      sweep(segment, second, secret);
      packed -= used - segment.used;
      segments[nextSlice] = withoutSpare(segment, secret);
    }
    for (const [text, leaves] of others[nextSlice] ?? []) {
      if (leaves <= second && others[nextSlice]?.delete(text)) texts -= 1;
    }
    nextSlice = (nextSlice + 1) % SLICES;
  }

  return {
    has,
    add,
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
