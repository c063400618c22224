/**
 * How often a sign-in may fail, by address and by account. Neither asks whether the account exists,
 * so nobody learns it here; both forget by themselves, and hold a bounded number of keys.
 *
 * An account's limit must not be a way to lock its user out. So beyond it the addresses that signed
 * in to this account before go on as if nothing were, and others still have one failure a minute;
 * only beyond ten times the limit are they refused.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import { ServiceError } from '../errors.js';
import { createRecent } from '../recent.js';
import { addressKeys } from './address-key.js';
import { createFailureCounter } from './failure-counter.js';
import type { SignInLane } from './password-hash.js';

/** One sign-in, while it waits and is worked on. */
export interface Attempt {
  /** The key that its address counts under. */
  readonly client: string;
  /** Where it waits, as things are now. */
  lane(): SignInLane;
  /** @throws ServiceError 429, with the seconds until another try makes sense. */
  assertAllowed(): void;
  /** Counts it as failed, until it succeeds: of many at once only the first few are looked at. */
  begin(): void;
  /** The address is known for this account from now on. */
  succeed(): void;
}

interface Options {
  /** Failures that one address may have in a minute; an IPv6 site (/48) may have ten times as many. */
  readonly perAddress: number;
  /** Failures that one account may have in a quarter of an hour, from addresses that aren't known for it. */
  readonly perAccount: number;
  readonly clock: Clock;
}

const ADDRESS_WINDOW_MS = 60_000;
const ACCOUNT_WINDOW_MS = 15 * 60_000;
const BEYOND = 10;
/** Each failure costs a turn of the hasher (10 ms or more): hardly more can come up in a window. */
const MAX_ADDRESSES = 20_000;
const MAX_ACCOUNTS = 100_000;
const MAX_KNOWN = 50_000;
const KNOWN_FOR_MS = 30 * 86_400_000;
/** In a row; then whoever is there now isn't who was. */
const KNOWN_FAILURES = 20;

export function createSignInLimits({ perAddress, perAccount, clock }: Options) {
  const byAddress = createFailureCounter({
    windowMs: ADDRESS_WINDOW_MS,
    maxKeys: MAX_ADDRESSES,
    clock,
  });
  const byAccount = createFailureCounter({
    windowMs: ACCOUNT_WINDOW_MS,
    maxKeys: MAX_ACCOUNTS,
    clock,
  });
  const known = createRecent<{ failures: number; until: number }>(MAX_KNOWN);
  /** No e-mail stays in memory, and all keys have one length, whatever was sent. */
  const secret = randomBytes(32);
  const keyOf = (...parts: string[]) =>
    createHmac('sha256', secret).update(parts.join('\0')).digest('base64url').slice(0, 22);

  return {
    /** @param address null = nobody can tell it: such clients must not share one count, or one would lock out all. */
    attempt(email: string, address: string | null): Attempt {
      const { client, site } = addressKeys(address ?? `account ${keyOf(email)}`);
      const here = address === null ? 'for this account' : 'from this address';
      const account = keyOf(email);
      const pair = keyOf(email, client);
      let countsForAccount = false;

      function knownPair() {
        const entry = known.get(pair);
        return entry !== undefined && entry.until > clock() ? entry : undefined;
      }

      const ofSite = () => (site === null ? 0 : byAddress.count(site));

      return {
        client,

        lane() {
          if (knownPair() !== undefined) return 'known';
          const isQuiet = byAddress.count(client) === 0 && ofSite() < perAddress;
          return isQuiet ? 'quiet' : 'failing';
        },

        assertAllowed() {
          if (byAddress.count(client) >= perAddress) {
            throw tooMany(here, byAddress.secondsLeft(client));
          }
          if (site !== null && ofSite() >= perAddress * BEYOND) {
            throw tooMany('from this network', byAddress.secondsLeft(site));
          }
          if (knownPair() !== undefined) return;
          const failures = byAccount.count(account);
          if (failures >= perAccount * BEYOND) {
            throw tooMany('for this account', byAccount.secondsLeft(account));
          }
          if (failures >= perAccount && byAddress.count(client) > 0) {
            throw tooMany('for this account', byAddress.secondsLeft(client));
          }
        },

        begin() {
          byAddress.add(client);
          if (site !== null) byAddress.add(site);
          const entry = knownPair();
          countsForAccount = entry === undefined;
          if (entry === undefined) byAccount.add(account);
          else if (++entry.failures > KNOWN_FAILURES) known.delete(pair);
        },

        succeed() {
          byAddress.takeBack(client);
          if (site !== null) byAddress.takeBack(site);
          if (countsForAccount) byAccount.takeBack(account);
          known.set(pair, { failures: 0, until: clock() + KNOWN_FOR_MS });
        },
      };
    },
  };
}

function tooMany(
  of: 'from this address' | 'from this network' | 'for this account',
  seconds: number,
): ServiceError {
  return new ServiceError(
    'too-many-requests',
    `Too many failed sign-ins ${of}. Try again in ${seconds} s.`,
    { headers: { 'Retry-After': String(seconds) } },
  );
}
