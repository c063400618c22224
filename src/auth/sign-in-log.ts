/** What failed and refused sign-ins leave in the log: the account as a hash, the address, why; the first of a minute at once, the further ones counted. */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import { createRepeatedLines } from '../observability/repeated-lines.js';

export interface SignInLog {
  failed(attempt: LoggedAttempt, reason: SignInFailure): void;
  /** Answered 429. @param reason as the caller was told */
  limited(attempt: LoggedAttempt, reason: string): void;
  /** Writes the counts that wait. */
  flush(): void;
}

export interface LoggedAttempt {
  /** In lower case. */
  readonly email: string;
  readonly address: string | null;
}

export type SignInFailure = 'no such account' | 'wrong password' | 'the account is not active';

/** Of all accounts and addresses together; the rest of a minute is one count. */
const LINES_A_MINUTE = 100;
const HASH_LENGTH = 16;

export function createSignInLog({ log, clock }: { log: Logger; clock: Clock }): SignInLog {
  /** Of one account from one address. */
  const own = createRepeatedLines({ clock, atOnce: 1 });
  const all = createRepeatedLines({ clock, atOnce: LINES_A_MINUTE });

  function note(
    { email, address }: LoggedAttempt,
    told: { readonly event: string; readonly reason: string; readonly message: string },
  ): void {
    const { event, reason, message } = told;
    const fields = {
      event,
      account: accountHash(email),
      address: address ?? 'unknown',
      reason,
    };
    const writeRest = (count: number) => log.info({ event, count }, `${message}, also elsewhere`);
    const write = (count: number) => {
      all.note(
        event,
        (lines) => {
          if (lines > 1) writeRest(lines - 1);
          log.info({ ...fields, ...(count > 1 ? { count } : {}) }, message);
        },
        writeRest,
      );
    };
    own.note(`${event} ${fields.account} ${fields.address}`, write, (count) =>
      log.info({ ...fields, count }, message),
    );
  }

  return {
    failed: (attempt, reason) =>
      note(attempt, { event: 'signin.failed', reason, message: 'sign-in failed' }),
    limited: (attempt, reason) =>
      note(attempt, { event: 'signin.limited', reason, message: 'sign-in refused: too many' }),
    flush() {
      own.flush();
      all.flush();
    },
  };
}

/** What an operator can make of an e-mail too: `printf %s you@example.com | sha256sum | cut -c1-16`. */
export function accountHash(email: string): string {
  return createHash('sha256').update(email).digest('hex').slice(0, HASH_LENGTH);
}
