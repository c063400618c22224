/**
 * Password hashes, argon2id or bcrypt. A stored one keeps its form, because others may read it too
 * (Tiledesk's server reads only bcrypt); a new one takes the form that the others have. One is
 * worked on at a time, because each occupies a thread that the rest of the service needs too.
 */
import { type Algorithm, hash as argon2Hash, verify as argon2Verify } from '@node-rs/argon2';
import bcrypt from 'bcrypt';
import type { Clock } from '../clock.js';
import { invalidInput, ServiceError } from '../errors.js';
import { createTurns, type Place } from './turns.js';

export type PasswordForm = 'argon2id' | 'bcrypt';

/**
 * Sign-ins wait in three lanes: who signed in here before, who hasn't failed of late, and the rest.
 * Whatever those of one do, the others have their turns; the last has one of four, while others wait.
 */
export type SignInLane = 'known' | 'quiet' | 'failing';
export type SignInPlace = Place<SignInLane>;

export interface PasswordHasher {
  /**
   * A new hash, in the form that was configured, else that of the others.
   * @param field what a refusal names.
   * @throws ServiceError 400 when this form can't take the password; 429 when too many wait;
   *   503 when the store can't say which form the others have.
   */
  hash(password: string, field?: string): Promise<string>;
  /**
   * Takes as long for `null` (no such user) as for a wrong password against a hash of the form that
   * the others have.
   * @param hash a function is asked when its turn has come: what was read before the queue may have
   *   changed in it.
   * @param place where it waits for its turn.
   * @throws ServiceError 429 when too many wait; 503 as above; the reason of the place's signal.
   */
  verify(
    hash: string | null | (() => Promise<string | null>),
    password: string,
    place?: SignInPlace,
  ): Promise<boolean>;
  /**
   * The hash to put in place of this one, which just verified; null = it stays. Only a configured
   * form replaces any.
   */
  renew(hash: string, password: string): Promise<string | null>;
}

export interface PasswordHasherOptions {
  /** null = the form that the others have. */
  readonly form?: PasswordForm | null;
  /** The cost of a bcrypt hash among those of the others; null = they have none. */
  readonly bcryptCost?: () => Promise<number | null>;
  readonly clock?: Clock;
}

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
const OPTIONS = {
  algorithm: 2 as Algorithm.Argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
};
const ARGON2_PREFIX = '$argon2id$v=19$m=19456,t=2,p=1$';
/** The hashes of random values that were thrown away; a bcrypt one follows its cost. */
const ARGON2_DECOY =
  '$argon2id$v=19$m=19456,t=2,p=1$dEwmxo2rvoON/Ot1zKHflQ$qYyqrNNTTv2Cpjs7I8bnkVuYLrcVqgq7I2W7Jrpemy4';
const BCRYPT_DECOY = '9y6Gp4mtQNVZXNzwRn6dHuotxBoDdZcpF/FCJ2p/cqw5RV4Rdva1u';
/** `2y` is PHP's name for what others call `2b`. */
const BCRYPT = /^\$2[aby]\$(\d\d)\$/;
/** Tiledesk's. Its bcrypt-nodejs 0.0.3 reads `$2a$` only. */
const BCRYPT_COST = 10;
/** A decoy dearer than this would serve an attacker. */
const MAX_DECOY_COST = 14;
/** What comes after is not looked at by bcrypt. */
const BCRYPT_BYTES = 72;
/** How long the answer about the others' form counts. */
const FORM_FOR_MS = 60_000;
/** What argon2 says of a hash that it can't read. */
const DAMAGED = 'InvalidArg';
/** One: two fill a small machine's cores, and every other request waits (and fewer sign in). */
const MAX_AT_ONCE = 1;
/** In each lane; those behind one address may be many people. */
const MAX_WAITING = { perClient: 200, inAll: 400 };
/** For those who don't say whose sign-in it is. */
const NOBODYS: SignInPlace = { lane: 'quiet', client: '' };

export function createPasswordHasher(options: PasswordHasherOptions = {}): PasswordHasher {
  const { form = null } = options;
  const costOfOthers = remembered(options);
  const turn = createTurns({
    atOnce: MAX_AT_ONCE,
    waiting: MAX_WAITING,
    lanes: {
      setting: {
        refusal: () => tooBusy('Too many passwords are being set at once. Try again in a moment.'),
      },
      known: { refusal: tooManySignIns },
      quiet: { refusal: tooManySignIns },
      failing: { refusal: tooManySignIns, cost: 4 },
    },
  });

  return {
    async hash(password, field = 'password') {
      const chosen = form ?? ((await costOfOthers()) === null ? 'argon2id' : 'bcrypt');
      assertHashable(password, chosen, field);
      return turn({ lane: 'setting', client: '' }, () => makeHash(password, chosen));
    },

    async verify(given, password, place = NOBODYS) {
      // Asked in every case: a question only about those who don't exist would take its time.
      const decoy = decoyLike(await costOfOthers());
      // Nobody's hash: a check against it takes as long as any other, and never succeeds.
      return turn(place, async () => {
        const hash = typeof given === 'function' ? await given() : given;
        const matches = await verifyHash(hash ?? decoy, password);
        return hash !== null && matches;
      });
    },

    async renew(hash, password) {
      // bcrypt sees 72 bytes only: beyond that, what was typed now need not be the password, and
      // a hash of it all couldn't be had.
      if (form === null || isInForm(hash, form) || Buffer.byteLength(password) > BCRYPT_BYTES) {
        return null;
      }
      try {
        // It was right: there is no better reason to be known.
        return await turn({ lane: 'known', client: '' }, () => makeHash(password, form));
      } catch (error) {
        // It can wait; whoever signed in needn't.
        if (error instanceof ServiceError && error.code === 'too-many-requests') return null;
        throw error;
      }
    },
  };
}

function isInForm(hash: string, form: PasswordForm): boolean {
  if (form === 'argon2id') return hash.startsWith(ARGON2_PREFIX);
  return hash.startsWith('$2a$') && Number(BCRYPT.exec(hash)?.[1]) >= BCRYPT_COST;
}

async function makeHash(password: string, form: PasswordForm): Promise<string> {
  return form === 'argon2id'
    ? argon2Hash(password, OPTIONS)
    : bcrypt.hash(password, await bcrypt.genSalt(BCRYPT_COST, 'a'));
}

/** Never cut in silence: the rest of the password would count for nothing. */
function assertHashable(password: string, form: PasswordForm, field: string): void {
  if (password.includes('\0')) throw invalidInput(field, 'must not hold NUL characters.');
  const bytes = Buffer.byteLength(password);
  if (form === 'bcrypt' && bytes > BCRYPT_BYTES) {
    throw invalidInput(
      field,
      `must have at most ${BCRYPT_BYTES} bytes (it has ${bytes}): passwords are stored with bcrypt here, which looks at no more.`,
    );
  }
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

function decoyLike(bcryptCost: number | null): string {
  if (bcryptCost === null) return ARGON2_DECOY;
  const cost = Math.max(4, Math.min(bcryptCost, MAX_DECOY_COST));
  return `$2b$${String(cost).padStart(2, '0')}$${BCRYPT_DECOY}`;
}

function remembered({ bcryptCost, clock = Date.now }: PasswordHasherOptions) {
  let until = -Infinity;
  let answer: Promise<number | null> = Promise.resolve(null);
  return async () => {
    if (bcryptCost !== undefined && clock() >= until) {
      until = clock() + FORM_FOR_MS;
      answer = bcryptCost();
      // An answer that failed isn't kept, so that the next one asks again.
      answer.catch(() => {
        until = -Infinity;
      });
    }
    return answer;
  };
}

function tooManySignIns(): ServiceError {
  return tooBusy('Too many sign-ins at once. Try again in a moment.');
}

function tooBusy(message: string): ServiceError {
  return new ServiceError('too-many-requests', message, { headers: { 'Retry-After': '2' } });
}
