/** E-mail addresses: what counts as one here (an installation's `admin@localhost` does), and their one spelling. */

const EMAIL = /^[^\s@"<>()[\],;:\\\p{Cc}]{1,64}@[^\s@"<>()[\],;:\\\p{Cc}]{1,189}$/u;

export function isEmailAddress(value: string): boolean {
  return EMAIL.test(value) && value.isWellFormed();
}

/** Addresses are compared and stored in lower case, as Tiledesk does. */
export function normalizeEmail(value: string): string {
  return value.trim().toLowerCase();
}
