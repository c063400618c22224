/**
 * Which ids may be forgotten when their token has expired: those whose token nobody can sign again
 * with a later expiry, because it is sealed (`tokens/seal.ts`). All that were issued since seals exist.
 */
import { ISSUED_HERE } from '../records.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** @param jti of a token issued here. @param since ms since the epoch. */
export function isSealedId(jti: string, since: number): boolean {
  return UUID_V7.test(jti) && jti >= firstIdOf(since);
}

/** The same of a record, as an expression of the database: whether its revocation may be forgotten. */
export function mayBeForgotten(since: number) {
  return {
    $and: [
      { $in: ['$origin', ISSUED_HERE] },
      { $regexMatch: { input: '$jti', regex: UUID_V7.source } },
      { $gte: ['$jti', firstIdOf(since)] },
    ],
  };
}

/** As texts, UUIDv7s are in the order of their times. */
function firstIdOf(ms: number): string {
  if (ms === Infinity) return 'no id yet';
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
