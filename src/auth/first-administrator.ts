/** The first administrator: made when there is none, with a generated password where none is configured. */
import { randomBytes } from 'node:crypto';
import { DuplicateKeyError } from '../store/database/failures.js';
import { ACTIVE_STATUS } from '../store/records.js';
import type { UserStore } from '../store/users/users.js';
import type { PasswordHasher } from './password-hash.js';

interface Wanted {
  readonly email: string;
  /** null = generate one. */
  readonly password: string | null;
}

/** Said once: the generated password is stored nowhere but as a hash. */
export interface NewAdministrator {
  readonly email: string;
  readonly generatedPassword: string | null;
  /** Somebody who was there before, with this password. */
  readonly wasThere: boolean;
}

/**
 * A user who has ADMIN_EMAIL is promoted only when ADMIN_PASSWORD is theirs: in a shared database
 * anybody may have registered that address.
 *
 * @returns null when there was an administrator already.
 * @throws Error when the e-mail belongs to somebody else, or ADMIN_PASSWORD can't be stored.
 */
export async function ensureAdministrator(
  users: UserStore,
  hasher: PasswordHasher,
  { email, password }: Wanted,
): Promise<NewAdministrator | null> {
  if (await users.hasAdministrator()) return null;
  const promoted = await promote(users, hasher, { email, password });
  if (promoted !== null) return promoted;
  const generatedPassword = password === null ? randomBytes(15).toString('base64url') : null;
  try {
    await users.insert({
      email,
      passwordHash: await hasher.hash(password ?? generatedPassword ?? '', 'ADMIN_PASSWORD'),
      firstname: 'Administrator',
      lastname: null,
      role: 'admin',
    });
    return { email, generatedPassword, wasThere: false };
  } catch (error) {
    if (!(error instanceof DuplicateKeyError)) throw error;
  }
  // Another instance that started at the same moment was first.
  if (await users.hasAdministrator()) return null;
  throw someoneElses(email);
}

/** null = there is no user with this e-mail. */
async function promote(
  users: UserStore,
  hasher: PasswordHasher,
  { email, password }: Wanted,
): Promise<NewAdministrator | null> {
  const found = await users.findByEmail(email);
  if (found === null) return null;
  const isTheirs =
    password !== null &&
    found.user.status === ACTIVE_STATUS &&
    (await hasher.verify(found.passwordHash, password)) &&
    (await users.promote(found.user.id, found.passwordHash));
  if (!isTheirs && !(await users.hasAdministrator())) throw someoneElses(email);
  return isTheirs ? { email, generatedPassword: null, wasThere: true } : null;
}

function someoneElses(email: string): Error {
  return new Error(
    `There is no administrator yet, and ADMIN_EMAIL (${email}) belongs to a user of the collection users whose field role isn't admin. Set ADMIN_PASSWORD to the password of that user, who is made administrator then; or choose another ADMIN_EMAIL; or give that user a new password and the role: npm run set-admin -- ${email}`,
  );
}
