/** Who is this, by e-mail and password: the one function for Basic credentials and every sign-in. */
import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { Clock } from '../clock.js';
import { normalizeEmail } from '../email.js';
import { ServiceError } from '../errors.js';
import { ACTIVE_STATUS, type User } from '../store/records.js';
import type { UserStore } from '../store/users.js';
import type { PasswordHasher } from './password-hash.js';

export interface PasswordSignIn {
  /**
   * The user, or null when the e-mail or the password is wrong or the account isn't active.
   * @param address counts failures; @throws ServiceError 429 after too many of them.
   */
  signIn(email: string, password: string, address: string): Promise<User | null>;
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
const BCRYPT_BYTES = 72;

export function createPasswordSignIn({
  users,
  hasher,
  clock,
  attemptsPerMinute,
}: Dependencies): PasswordSignIn {
  /** Verified pairs, by an HMAC with a key that only this process knows; the password itself isn't kept. */
  const verified = new LRUCache<string, { user: User; until: number }>({ max: 1000 });
  const cacheKey = randomBytes(32);
  const failures = new RateLimiterMemory({ points: attemptsPerMinute, duration: WINDOW_SECONDS });
  let generation = 0;

  async function verifyPassword(email: string, password: string): Promise<User | null> {
    const found = await users.findByEmail(email);
    const matches = await hasher.verify(found?.passwordHash ?? null, password);
    if (!found || !matches || found.user.status !== ACTIVE_STATUS) return null;
    // bcrypt saw 72 bytes only: beyond that, what was typed now need not be the password.
    if (hasher.isOutdated(found.passwordHash) && Buffer.byteLength(password) <= BCRYPT_BYTES) {
      await users.replacePasswordHash(
        found.user.id,
        found.passwordHash,
        await hasher.hash(password),
      );
    }
    return found.user;
  }

  return {
    async signIn(givenEmail, password, address) {
      if (password.length > MAX_PASSWORD_LENGTH || password.includes('\0')) return null;
      const email = normalizeEmail(givenEmail);
      const key = createHmac('sha256', cacheKey).update(`${email}\0${password}`).digest('base64');
      const known = verified.get(key);
      if (known && known.until > clock()) return known.user;
      // Counted before the outcome is known, so that parallel guesses count too; given back on success.
      await consume(failures, address);
      const startedIn = generation;
      let user: User | null;
      try {
        user = await verifyPassword(email, password);
      } catch (error) {
        // A failure of ours is no failed attempt.
        await failures.reward(address);
        throw error;
      }
      if (user === null) return null;
      await failures.reward(address);
      if (startedIn === generation) verified.set(key, { user, until: clock() + VERIFIED_FOR_MS });
      return user;
    },

    forgetVerified() {
      generation += 1;
      verified.clear();
    },
  };
}

async function consume(failures: RateLimiterMemory, address: string): Promise<void> {
  try {
    await failures.consume(address);
  } catch (refusal) {
    const waitMs = (refusal as { msBeforeNext?: number }).msBeforeNext ?? WINDOW_SECONDS * 1000;
    const seconds = Math.max(1, Math.ceil(waitMs / 1000));
    throw new ServiceError(
      'too-many-requests',
      `Too many failed sign-ins from this address. Try again in ${seconds} s.`,
      { headers: { 'Retry-After': String(seconds) } },
    );
  }
}
