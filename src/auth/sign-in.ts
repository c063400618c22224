/** Who is this, by e-mail and password: the one function for Basic credentials and every sign-in. */
import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { Clock } from '../clock.js';
import { normalizeEmail } from '../email.js';
import { ServiceError } from '../errors.js';
import { ACTIVE_STATUS } from '../store/records.js';
import type { UserStore, UserWithPassword } from '../store/users.js';
import type { PasswordHasher } from './password-hash.js';
import type { PasswordPrincipal } from './principal.js';

export interface PasswordSignIn {
  /**
   * Who it is, or null when the e-mail or the password is wrong or the account isn't active.
   * @param address counts failures; null = nobody can tell it, and the account counts them instead.
   * @throws ServiceError 429 after too many of them.
   */
  signIn(
    email: string,
    password: string,
    address: string | null,
  ): Promise<PasswordPrincipal | null>;
  /** Forgets what was verified; to be called when any password changes. */
  forgetVerified(): void;
}

interface Dependencies {
  readonly users: UserStore;
  readonly hasher: PasswordHasher;
  readonly clock: Clock;
  readonly attemptsPerMinute: number;
}

const VERIFIED_FOR_MS = 30_000;
const WINDOW_SECONDS = 60;
const MAX_PASSWORD_LENGTH = 256;
const ACCOUNT = 'account ';
const MAX_ACCOUNT_LENGTH = 254;

export function createPasswordSignIn({
  users,
  hasher,
  clock,
  attemptsPerMinute,
}: Dependencies): PasswordSignIn {
  /** Verified pairs, by an HMAC with a key that only this process knows; the password itself isn't kept. */
  const verified = new LRUCache<string, { principal: PasswordPrincipal; until: number }>({
    max: 1000,
  });
  const cacheKey = randomBytes(32);
  const failures = new RateLimiterMemory({ points: attemptsPerMinute, duration: WINDOW_SECONDS });
  let generation = 0;

  async function verifyPassword(
    email: string,
    password: string,
    address: string,
  ): Promise<PasswordPrincipal | null> {
    await assertNotBlocked(failures, address);
    const account: { found: UserWithPassword | null } = { found: null };
    // Everything is asked when its turn has come: of many parallel guesses only the first few are
    // looked at, and the password may have changed in the queue.
    const matches = await hasher.verify(async () => {
      await assertNotBlocked(failures, address);
      await failures.penalty(address);
      account.found = await users.findByEmail(email);
      return account.found?.passwordHash ?? null;
    }, password);
    const { found } = account;
    if (!found || !matches || found.user.status !== ACTIVE_STATUS) return null;
    await failures.reward(address);
    const { user } = found;
    const passwordHash = await renewed(found, password);
    if (passwordHash === null) return null;
    return { kind: 'password', userId: user.id, user, passwordHash };
  }

  /** The hash that the user has from now on; null = the password has just been changed. */
  async function renewed(
    { user, passwordHash }: UserWithPassword,
    password: string,
  ): Promise<string | null> {
    const next = await hasher.renew(passwordHash, password);
    if (next === null) return passwordHash;
    if (await users.replacePasswordHash(user.id, passwordHash, next)) return next;
    // Another sign-in of the same moment renewed it, or the password was changed: that one counts,
    // if it still is this password's.
    const now = await users.findByEmail(user.email);
    const isSame = now !== null && (await hasher.verify(now.passwordHash, password));
    return isSame ? now.passwordHash : null;
  }

  return {
    async signIn(givenEmail, password, givenAddress) {
      if (password.length > MAX_PASSWORD_LENGTH || password.includes('\0')) return null;
      const email = normalizeEmail(givenEmail);
      // Clients without an address must not share one count: any of them could lock all others out.
      const address = givenAddress ?? `${ACCOUNT}${email.slice(0, MAX_ACCOUNT_LENGTH)}`;
      const key = createHmac('sha256', cacheKey).update(`${email}\0${password}`).digest('base64');
      const known = verified.get(key);
      if (known && known.until > clock()) return known.principal;
      const startedIn = generation;
      const principal = await verifyPassword(email, password, address);
      if (principal !== null && startedIn === generation) {
        verified.set(key, { principal, until: clock() + VERIFIED_FOR_MS });
      }
      return principal;
    },

    forgetVerified() {
      generation += 1;
      verified.clear();
    },
  };
}

/** Failures only: however many sign in rightly from one address, they don't block each other. */
async function assertNotBlocked(failures: RateLimiterMemory, address: string): Promise<void> {
  const count = await failures.get(address);
  if (count === null || count.remainingPoints > 0) return;
  const seconds = Math.max(1, Math.ceil(count.msBeforeNext / 1000));
  const where = address.startsWith(ACCOUNT) ? 'to this account' : 'from this address';
  throw new ServiceError(
    'too-many-requests',
    `Too many failed sign-ins ${where}. Try again in ${seconds} s.`,
    { headers: { 'Retry-After': String(seconds) } },
  );
}
