/**
 * A set of (issuer, id) pairs, each with the time at which it may leave. Exact, without a size cap.
 * UUIDs, which most ids are, are packed into typed arrays (`id-segment.ts`), those of each issuer for
 * themselves, at some 33 bytes each where there are many; other ids are kept in Maps. Many UUIDs are
 * in segments, as only one at a time grows: so many that this never takes long, so few that their
 * descriptions stay in the processor's cache (with 1024 of them a question was slower by a quarter).
 * Numbers: `docs/decisions/0006-id-table.md`.
 */
import { ANY_ISSUER } from '../store/records.js';
import {
  createSegment,
  find,
  insert,
  NEVER,
  type Segment,
  spread,
  sweep,
  withoutSpare,
  withRoom,
  WORDS,
} from './id-segment.js';
import { createHashSecret, hashUuid, parseUuid } from './uuid-words.js';

export interface IdTable {
  /** Whether the id is in for this issuer, for the other one, or for any issuer. */
  has(issuer: string, id: string, otherIssuer?: string): boolean;
  /**
   * @param leavesAt ms since the epoch, or Infinity. Of two adds of one id the later time counts.
   * @returns whether it is new.
   */
  add(issuer: string, id: string, leavesAt: number): boolean;
  /** Removes what may leave at `now`, a slice of the table at each call; `SLICES` calls see all of it, but for what is spread over new segments meanwhile. */
  sweepSlice(now: number): void;
  readonly size: number;
}

/** A power of two. */
const SEGMENTS = 256;
/** Of a sweep: a segment each, and every so many-th of the issuers with one. */
export const SLICES = SEGMENTS;
/** An issuer's ids are in one segment until there are so many. */
const SPREAD_FROM = 4096;

interface OfIssuer {
  readonly number: number;
  /** One, or `SEGMENTS`. */
  segments: Segment[];
}

export function createIdTable(): IdTable {
  const secret = createHashSecret();
  const issuers = new Map<string, OfIssuer>();
  const others = Array.from({ length: SLICES }, () => new Map<string, number>());
  let texts = 0;
  let packed = 0;
  let nextSlice = 0;
  /** What is asked for now; one buffer, because a check must not allocate. */
  const key = new Uint32Array(WORDS);

  function has(issuer: string, id: string, otherIssuer = issuer): boolean {
    const first = issuers.get(issuer);
    const second = otherIssuer === issuer ? undefined : issuers.get(otherIssuer);
    const any = issuers.get(ANY_ISSUER);
    if (!parseUuid(id, key)) {
      return texts > 0 && (hasText(first, id) || hasText(second, id) || hasText(any, id));
    }
    const hash = hashUuid(key, 0, secret);
    return hasKey(first, hash) || hasKey(second, hash) || hasKey(any, hash);
  }

  function hasKey(of: OfIssuer | undefined, hash: number): boolean {
    if (of === undefined) return false;
    const segment = of.segments[placeOf(hash, of)];
    return segment !== undefined && find(segment, key, hash) >= 0;
  }

  function hasText(of: OfIssuer | undefined, id: string): boolean {
    if (of === undefined) return false;
    const text = textKey(of, id);
    return others[sliceOf(text)]?.has(text) ?? false;
  }

  function add(issuer: string, id: string, leavesAt: number): boolean {
    let of = issuers.get(issuer);
    if (of === undefined)
      issuers.set(issuer, (of = { number: issuers.size, segments: [createSegment()] }));
    const leaves = leavesAt === Infinity ? NEVER : Math.min(NEVER, Math.ceil(leavesAt / 1000));
    if (!parseUuid(id, key)) return addText(textKey(of, id), leaves);
    const hash = hashUuid(key, 0, secret);
    const isNew = insert(segmentFor(of, hash), key, hash, leaves);
    if (isNew) packed += 1;
    return isNew;
  }

  /** Where the hash belongs, with room for one more. */
  function segmentFor(of: OfIssuer, hash: number): Segment {
    const [first] = of.segments;
    if (of.segments.length === 1 && first !== undefined && first.used >= SPREAD_FROM)
      of.segments = spread(first, SEGMENTS, secret);
    const at = placeOf(hash, of);
    const segment = withRoom(of.segments[at] ?? createSegment(), secret);
    of.segments[at] = segment;
    return segment;
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
    for (const { number, segments } of issuers.values()) {
      const isWhole = segments.length === 1;
      if (isWhole && number % SLICES !== nextSlice) continue;
      const at = isWhole ? 0 : nextSlice;
      const segment = segments[at];
      if (segment === undefined || segment.used === 0) continue;
      const { used } = segment;
      sweep(segment, second, secret);
      packed -= used - segment.used;
      segments[at] = withoutSpare(segment, secret);
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

function placeOf(hash: number, { segments }: OfIssuer): number {
  return hash & (segments.length - 1);
}

function textKey({ number }: OfIssuer, id: string): string {
  return `${number} ${id}`;
}

function sliceOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return (hash >>> 16) % SLICES;
}
