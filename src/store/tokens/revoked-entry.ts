/** What the revocation index keeps of a revoked record, and until when. */
import { canonicalId } from '../ids.js';
import { isSealedId } from '../database/sealed-ids.js';
import { isIssuedHere, type TokenRecord } from '../records.js';

export interface RevokedEntry {
  readonly jti: string;
  readonly issuer: string;
  /** As signed, ms since the epoch; null = never. */
  readonly expiresAt: number | null;
}

export type RevokedFields = Pick<TokenRecord, 'jti' | 'issuer' | 'origin' | 'expiresAt'>;

export function toRevokedEntry({ expiresAt, ...fields }: RevokedFields): RevokedEntry {
  return entryOf({ ...fields, expiresAt: expiresAt?.getTime() ?? null });
}

/** With the date as a number (ms): of a million entries, each object counts. */
export type ReadFields = Omit<RevokedFields, 'expiresAt'> & { readonly expiresAt: number | null };

/**
 * A revocation may be forgotten only when its token can't be good any more: for tokens issued here.
 * Of others, another one with the same jti and a later expiry may exist, or the expiry was typed in.
 */
export function entryOf({ jti, issuer, origin, expiresAt }: ReadFields): RevokedEntry {
  return {
    // An instance of an older version may have written it in capitals; a damaged document has none.
    jti: typeof jti === 'string' ? canonicalId(jti) : jti,
    issuer,
    expiresAt: isIssuedHere(origin) ? expiresAt : null,
  };
}

/** Tokens from before they were sealed can be signed again with a later expiry, too. */
export function mayForget(jti: string, sealedSince: number): boolean {
  return sealedSince === -Infinity || isSealedId(jti, sealedSince);
}
