/** The first administrator: made when there is none, with a generated password where none is configured. */
import { randomBytes } from 'node:crypto';
import { DuplicateKeyError } from '../store/failures.js';
import type { UserStore } from '../store/users.js';
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
}

/** @returns null when there was an administrator already. @throws Error when the e-mail belongs to somebody who is none. */
export async function ensureAdministrator(
  users: UserStore,
  hasher: PasswordHasher,
  { email, password }: Wanted,
): Promise<NewAdministrator | null> {
  if (await users.hasAdministrator()) return null;
  const generatedPassword = password === null ? randomBytes(15).toString('base64url') : null;
  const passwordHash = await hasher.hash(password ?? generatedPassword ?? '');
  try {
    await users.insert({
      email,
      passwordHash,
      firstname: 'Administrator',
      lastname: null,
      role: 'admin',
    });
    return { email, generatedPassword };
  } catch (error) {
    if (!(error instanceof DuplicateKeyError)) throw error;
  }
  // Another instance that started at the same moment was first.
  if (await users.hasAdministrator()) return null;
  throw new Error(
    `There is no administrator yet, and ADMIN_EMAIL (${email}) belongs to a user who is none. Choose another ADMIN_EMAIL.`,
  );
}
