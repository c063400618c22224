/** Everything about passwords that one instance has: how they are hashed, who may try, what is remembered, what the log says. */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import type { UserStore } from '../store/users/users.js';
import { createPasswordHasher, type PasswordForm, type PasswordHasher } from './password-hash.js';
import { createPasswordSignIn, type PasswordSignIn } from './sign-in.js';
import { createSignInLog } from './sign-in-log.js';

export interface Passwords extends PasswordSignIn {
  readonly hasher: PasswordHasher;
  /** Writes the counts of failed sign-ins that wait. */
  flushLog(): void;
}

interface Dependencies {
  readonly config: {
    /** null = the form that the others have. */
    readonly passwordHash: PasswordForm | null;
    readonly signInAttemptsPerMinute: number;
    readonly signInAttemptsPerAccount: number;
  };
  readonly users: UserStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** By which repeated lines of the log are counted. */
  readonly logClock: Clock;
  readonly mayRemember: () => boolean;
  readonly whenUserSettled: (userId: string) => Promise<void>;
}

export function createPasswords({
  config,
  users,
  clock,
  log,
  logClock,
  mayRemember,
  whenUserSettled,
}: Dependencies): Passwords {
  const { bcryptCost } = users;
  const hasher = createPasswordHasher({ form: config.passwordHash, bcryptCost, clock });
  const signIns = createSignInLog({ log, clock: logClock });
  const signIn = createPasswordSignIn({
    users,
    hasher,
    clock,
    attemptsPerMinute: config.signInAttemptsPerMinute,
    attemptsPerAccount: config.signInAttemptsPerAccount,
    signIns,
    mayRemember,
    whenUserSettled,
  });
  return { ...signIn, hasher, flushLog: signIns.flush };
}
