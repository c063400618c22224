/**
 * How much may be minted for one holder: so many tokens a minute, counted in this process, and so many
 * that are good for ever, counted in the database. Nothing is consumed by what is refused here.
 */
import type { Clock } from '../clock.js';
import { ServiceError } from '../errors.js';
import { createRecent } from '../recent.js';
import { canonicalId } from '../store/ids.js';

/**
 * What a token is minted for: credentials that the caller has already (`child`), or a password that
 * was typed (`sign-in`). Each is counted for itself, so that whoever has a stolen token can't keep its
 * holder from signing in and revoking it.
 */
export type MintingDoor = 'child' | 'sign-in';

export interface MintingLimits {
  /** Counts one. @throws ServiceError 429, with the seconds until there is one again. */
  take(door: MintingDoor, holder: string): void;
  /**
   * Counts an exchange. It is let through beyond the limit where whoever came again when told to
   * might find that the refresh token has become a used one: no session is lost to this limit.
   * @param spareMs for how long from now the same refresh token surely goes on being good.
   * @throws ServiceError 429
   */
  takeExchange(holder: string, spareMs: number): void;
  /**
   * Makes a token that never expires, if the holder may have one more.
   * @throws ServiceError 429 that says how to revoke some.
   */
  makeEndless<T>(holder: string, make: () => Promise<T>): Promise<T>;
}

interface Options {
  /** Of children; of sign-ins and of exchanges ten times as many each. 0 = any number. */
  readonly perMinute: number;
  /** 0 = any number. */
  readonly maxEndless: number;
  /** Live tokens and keys of this holder that never expire; no need to count beyond `most`. @throws ServiceError 503 */
  readonly countEndless: (holder: string, most: number) => Promise<number>;
  readonly clock: Clock;
}

const WINDOW_MS = 60_000;
/** Refused, a person stays outside, or an application loses its session. */
const MORE = 10;
const MAX_KEYS = 100_000;
/** Between what a client is told to wait and when it is really back. */
const ON_THE_WAY_MS = 2000;
const REVOKE_FIRST_SECONDS = 60;

export function createMintingLimits(options: Options): MintingLimits {
  const { perMinute, maxEndless, countEndless, clock } = options;
  const children = createRate(perMinute, clock);
  const signIns = createRate(perMinute * MORE, clock);
  const exchanges = createRate(perMinute * MORE, clock);
  /** The never-expiring ones that are being made, by holder; each ends, and none fails. */
  const inTheMaking = new Map<string, Set<Promise<void>>>();

  /** @param before those that came before, and have no record yet as far as is known. */
  async function assertMore(id: string, before: readonly Promise<void>[]): Promise<void> {
    // Of many at once no more get through.
    if ((await countEndless(id, maxEndless)) + before.length < maxEndless) return;
    // One that has its record already was counted twice: once they are through, each counts once.
    await Promise.all(before);
    if (before.length > 0 && (await countEndless(id, maxEndless)) < maxEndless) return;
    throw tooManyEndless(id, maxEndless);
  }

  return {
    take(door, holder) {
      const rate = door === 'child' ? children : signIns;
      const seconds = rate.take(canonicalId(holder));
      if (seconds > 0) throw tooFast(door === 'child' ? 'tokens' : 'sign-ins', seconds);
    },

    takeExchange(holder, spareMs) {
      const seconds = exchanges.take(canonicalId(holder));
      if (seconds > 0 && seconds * 1000 + ON_THE_WAY_MS <= spareMs)
        throw tooFast('exchanges', seconds);
    },

    async makeEndless(holder, make) {
      if (maxEndless === 0) return make();
      const id = canonicalId(holder);
      const making = inTheMaking.get(id) ?? new Set();
      inTheMaking.set(id, making);
      const made = assertMore(id, [...making]).then(make);
      const over = made.then(
        () => undefined,
        () => undefined,
      );
      making.add(over);
      try {
        return await made;
      } finally {
        making.delete(over);
        if (making.size === 0) inTheMaking.delete(id);
      }
    },
  };
}

/** So many a minute, at once or spread over it: a bucket that holds a minute's, and fills steadily. */
function createRate(perMinute: number, clock: Clock) {
  /** By holder, what is used up: in the milliseconds that it takes to come back. */
  const buckets = createRecent<{ readonly at: number; readonly usedMs: number }>(MAX_KEYS);
  const each = WINDOW_MS / perMinute;
  // Fractions of a millisecond add up to an error.
  const tolerance = Math.min(1, each) / 100;

  return {
    /** Counts one, or says in how many seconds there is one again. */
    take(key: string): number {
      if (perMinute === 0) return 0;
      const now = clock();
      const last = buckets.get(key) ?? { at: now, usedMs: 0 };
      // A clock that was put back gives nothing, and takes nothing.
      const usedMs = Math.max(0, last.usedMs - Math.max(0, now - last.at));
      const missingMs = usedMs + each - WINDOW_MS;
      const isRefused = missingMs > tolerance;
      buckets.set(key, { at: now, usedMs: isRefused ? usedMs : usedMs + each });
      return isRefused ? Math.ceil(missingMs / 1000) : 0;
    },
  };
}

function tooFast(what: 'tokens' | 'sign-ins' | 'exchanges', seconds: number): ServiceError {
  return new ServiceError(
    'too-many-requests',
    `Too many ${what} for this holder of late. Use what you have, or try again in ${seconds} s.`,
    { headers: { 'Retry-After': String(seconds) } },
  );
}

function tooManyEndless(holder: string, most: number): ServiceError {
  const list = `/admin/tokens?userId=${encodeURIComponent(holder)}&neverExpires=true&state=active`;
  return new ServiceError(
    'too-many-requests',
    `You have ${most} tokens and API keys that never expire, and more are not possible. Revoke some that nobody needs: GET ${list} lists them, DELETE /v3/jwt/history/{jti} revokes one.`,
    { headers: { 'Retry-After': String(REVOKE_FIRST_SECONDS) } },
  );
}
