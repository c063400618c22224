/**
 * Password hashes: argon2id for new ones; bcrypt, as Tiledesk writes them, is accepted. At most a
 * few run at once, because each one occupies a thread that the rest of the service needs too.
 */
import { type Algorithm, hash as argon2Hash, verify as argon2Verify } from '@node-rs/argon2';
import bcrypt from 'bcrypt';
import { ServiceError } from '../errors.js';

export interface PasswordHasher {
  hash(password: string): Promise<string>;
  /**
   * Takes as long for `null` (no such user) as for a wrong password against one of our own hashes
   * (bcrypt is slower, until it has been replaced).
   * @param hash a function is asked when its turn has come: what was read before the queue may have
   *   changed in it.
   * @throws ServiceError 429 when too many wait.
   */
  verify(hash: string | null | (() => Promise<string | null>), password: string): Promise<boolean>;
  /** Whether the hash should be replaced at the next chance. */
  isOutdated(hash: string): boolean;
}

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
const OPTIONS = {
  algorithm: 2 as Algorithm.Argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
};
const CURRENT_PREFIX = '$argon2id$v=19$m=19456,t=2,p=1$';
/** The hash of a random value that was thrown away. */
const DECOY =
  '$argon2id$v=19$m=19456,t=2,p=1$dEwmxo2rvoON/Ot1zKHflQ$qYyqrNNTTv2Cpjs7I8bnkVuYLrcVqgq7I2W7Jrpemy4';
/** `2y` is PHP's name for what others call `2b`. */
const BCRYPT = /^\$2[aby]\$\d\d\$/;
/** What argon2 says of a hash that it can't read. */
const DAMAGED = 'InvalidArg';
/** One: two fill a small machine's cores, and every other request waits (and fewer sign in). */
const MAX_AT_ONCE = 1;
const MAX_WAITING = 200;

export function createPasswordHasher(): PasswordHasher {
  const limit = createLimit(MAX_AT_ONCE, MAX_WAITING);
  return {
    hash: (password) => limit(() => argon2Hash(password, OPTIONS)),

    verify: (given, password) =>
      limit(async () => {
        const hash = typeof given === 'function' ? await given() : given;
        // Nobody's hash: a check against it takes as long as any other, and never succeeds.
        const matches = await verifyHash(hash ?? DECOY, password);
        return hash !== null && matches;
      }),

    isOutdated: (hash) => !hash.startsWith(CURRENT_PREFIX),
  };
}

async function verifyHash(hash: string, password: string): Promise<boolean> {
  // To it, a damaged hash is one that doesn't match.
  if (BCRYPT.test(hash)) return bcrypt.compare(password, hash.replace(/^\$2y/, '$2b'));
  if (!hash.startsWith('$argon2')) return false;
  try {
    return await argon2Verify(hash, password);
  } catch (error) {
    // A damaged hash matches nothing; the same answer as for a wrong password, or it would tell.
    if ((error as { code?: unknown }).code !== DAMAGED) throw error;
    return false;
  }
}

/** Runs at most `atOnce` tasks, lets `waiting` more wait in line, and refuses the rest. */
function createLimit(atOnce: number, waiting: number) {
  let running = 0;
  const queue: (() => void)[] = [];
  return async function limited<T>(task: () => Promise<T>): Promise<T> {
    if (running >= atOnce) {
      if (queue.length >= waiting) throw tooBusy();
      await new Promise<void>((resolve) => queue.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await task();
    } finally {
      // The place is handed on, not given back, so that nobody gets in between.
      const next = queue.shift();
      if (next) next();
      else running -= 1;
    }
  };
}

function tooBusy(): ServiceError {
  return new ServiceError(
    'too-many-requests',
    'Too many sign-ins at once. Try again in a moment.',
    {
      headers: { 'Retry-After': '2' },
    },
  );
}
