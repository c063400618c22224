/**
 * The revocation index: every revoked id and every cut-off, in memory, so that a check asks nobody.
 * Exact, never an LRU, without a size cap; entries leave only when their token has expired anyway.
 */
import type { Clock } from '../clock.js';
import { unavailable } from '../errors.js';
import { ANY_ISSUER } from '../store/records.js';
import type { RevokedEntry } from '../store/tokens.js';

/** What a check asks about: the token, and the session that it came from. */
export interface RevocationQuestion {
  readonly issuer: string;
  readonly jti: string;
  readonly sessionId: string | null;
}

export interface RevocationIndex {
  /** @throws ServiceError 503 while the index has never been loaded. */
  isRevoked(question: RevocationQuestion): boolean;
  add(entry: RevokedEntry): void;
  /** Adds batches of entries; what was added meanwhile stays. Loaded once it resolves. */
  load(batches: AsyncIterable<RevokedEntry[]>): Promise<void>;
  readonly isLoaded: boolean;
  readonly size: number;
}

interface Options {
  readonly clock: Clock;
  /** The issuer of refresh tokens, whose ids `sid` names. */
  readonly ownIssuer: string;
}

/** Kept this long beyond the expiry, so that no difference between clocks un-revokes a token. */
const LEEWAY_MS = 120_000;

export function createRevocationIndex({ clock, ownIssuer }: Options): RevocationIndex {
  /** The time at which the entry may leave, by issuer and jti. */
  const entries = new Map<string, number>();
  const has = (issuer: string, jti: string) =>
    entries.has(keyOf(issuer, jti)) || entries.has(keyOf(ANY_ISSUER, jti));

  let loaded = false;

  function add({ issuer, jti, expiresAt }: RevokedEntry): void {
    const leavesAt = expiresAt === null ? Infinity : expiresAt + LEEWAY_MS;
    if (leavesAt > clock()) entries.set(keyOf(issuer, jti), leavesAt);
  }

  return {
    isRevoked({ issuer, jti, sessionId }) {
      if (!loaded) throw unavailable('The revocation list is still being loaded.');
      return has(issuer, jti) || (sessionId !== null && has(ownIssuer, sessionId));
    },

    add,

    async load(batches) {
      for await (const batch of batches) for (const entry of batch) add(entry);
      loaded = true;
    },

    get isLoaded() {
      return loaded;
    },

    get size() {
      return entries.size;
    },
  };
}

/** Unambiguous: an id holds no control characters. */
function keyOf(issuer: string, jti: string): string {
  return `${issuer}\n${jti}`;
}
