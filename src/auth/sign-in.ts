/** Who is this, by e-mail and password: the one function for Basic credentials and every sign-in. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import { normalizeEmail } from '../email.js';
import { ServiceError } from '../errors.js';
import { createRecent } from '../recent.js';
import { ACTIVE_STATUS } from '../store/records.js';
import type { UserWithPassword } from '../store/users/find.js';
import type { UserStore } from '../store/users/users.js';
import type { PasswordHasher } from './password-hash.js';
import type { PasswordPrincipal } from './principal.js';
import type { SignInFailure, SignInLog } from './sign-in-log.js';
import { type Attempt, createSignInLimits } from './sign-in-limits.js';

export interface PasswordSignIn {
  /**
   * Who it is, or null when the e-mail or the password is wrong or the account isn't active.
   * @param address counts failures, as the account does; null = nobody can tell it, and the account
   *   stands for it.
   * @param signal of the client: a sign-in that nobody waits for any more isn't worked on.
   * @throws ServiceError 429 after too many failures, or while too many wait; the signal's reason.
   */
  signIn(
    email: string,
    password: string,
    address: string | null,
    signal?: AbortSignal,
  ): Promise<PasswordPrincipal | null>;
  /** Forgets what was verified, of this user or of everybody; to be called when a password may have changed. */
  forgetVerified(userId?: string): void;
}

interface Dependencies {
  readonly users: UserStore;
  readonly hasher: PasswordHasher;
  readonly clock: Clock;
  /** Failures of one address in a minute. */
  readonly attemptsPerMinute: number;
  /** Failures at one account in a quarter of an hour. */
  readonly attemptsPerAccount: number;
  /** Whether what is remembered may be relied on: a changed password would have been heard of. */
  readonly mayRemember?: () => boolean;
  /** Waits until what was changed of this user is so everywhere: before a password is refused. @throws ServiceError 503 */
  readonly whenUserSettled?: (userId: string) => Promise<void>;
  /** Is told of those that fail, and of those that are refused. */
  readonly signIns?: Pick<SignInLog, 'failed' | 'limited'>;
}

const VERIFIED_FOR_MS = 30_000;
const MAX_PASSWORD_LENGTH = 256;

/** No user's id. */
const EVERYBODY = '*';

export function createPasswordSignIn({
  users,
  hasher,
  clock,
  attemptsPerMinute,
  attemptsPerAccount,
  mayRemember = () => true,
  whenUserSettled = async () => undefined,
  signIns,
}: Dependencies): PasswordSignIn {
  /** Verified pairs, by an HMAC with a key that only this process knows; the password itself isn't kept. */
  const verified = createRecent<{ principal: PasswordPrincipal; until: number }>(1000);
  const cacheKey = randomBytes(32);
  const limits = createSignInLimits({
    perAddress: attemptsPerMinute,
    perAccount: attemptsPerAccount,
    clock,
  });
  /** Of whom something is to be forgotten, for each sign-in that began before that. */
  const underWay = new Set<Set<string>>();

  async function verifyPassword(
    email: string,
    password: string,
    attempt: Attempt,
    signal: AbortSignal | undefined,
  ): Promise<PasswordPrincipal | SignInFailure> {
    attempt.assertAllowed();
    const account: { found: UserWithPassword | null } = { found: null };
    // Everything is asked when its turn has come: of many parallel guesses only the first few are
    // looked at, and the password may have changed in the queue.
    const matches = await hasher.verify(
      async () => {
        attempt.assertAllowed();
        attempt.begin();
        account.found = await users.findByEmail(email);
        return account.found?.passwordHash ?? null;
      },
      password,
      { lane: attempt.lane, client: attempt.client, signal },
    );
    const { found } = account;
    if (!found) return 'no such account';
    if (!matches || found.user.status !== ACTIVE_STATUS) await whenUserSettled(found.user.id);
    if (!matches) return 'wrong password';
    if (found.user.status !== ACTIVE_STATUS) return 'the account is not active';
    attempt.succeed();
    // Whoever hung up meanwhile gets no token.
    signal?.throwIfAborted();
    const { user } = found;
    const passwordHash = await renewed(found, password);
    if (passwordHash === null) return 'wrong password';
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
    async signIn(givenEmail, password, address, signal) {
      const email = normalizeEmail(givenEmail);
      if (password.length > MAX_PASSWORD_LENGTH || password.includes('\0')) {
        signIns?.failed({ email, address }, 'wrong password');
        return null;
      }
      const key = createHmac('sha256', cacheKey).update(`${email}\0${password}`).digest('base64');
      const known = verified.get(key);
      if (known && known.until > clock() && mayRemember()) return known.principal;
      const forgotten = new Set<string>();
      underWay.add(forgotten);
      const attempt = limits.attempt(email, address);
      const outcome = await verifyPassword(email, password, attempt, signal)
        .catch((error: unknown) => {
          if (error instanceof ServiceError && error.code === 'too-many-requests')
            signIns?.limited({ email, address }, error.message);
          throw error;
        })
        .finally(() => underWay.delete(forgotten));
      if (typeof outcome === 'string') {
        signIns?.failed({ email, address }, outcome);
        return null;
      }
      if (!forgotten.has(EVERYBODY) && !forgotten.has(outcome.userId)) {
        verified.set(key, { principal: outcome, until: clock() + VERIFIED_FOR_MS });
      }
      return outcome;
    },

    forgetVerified(userId = EVERYBODY) {
      for (const forgotten of underWay) forgotten.add(userId);
      for (const [key, { principal }] of verified)
        if (userId === EVERYBODY || principal.userId === userId) verified.delete(key);
    },
  };
}
