/**
 * The check: token text → shape, signature, claims, time, revocation, in this order. Every path
 * that accepts a token calls this one; it never waits for the database.
 */
import jwt from 'jsonwebtoken';
import type { Clock } from '../clock.js';
import { type Claims, parseClaims } from './claims.js';
import { isCompactJws } from './compact-jws.js';
import type { SigningKeys } from './keys.js';

export type RefusalReason =
  | 'malformed'
  | 'bad-signature'
  | 'bad-claims'
  | 'expired'
  | 'not-yet-valid'
  | 'unknown'
  | 'revoked';

export type Verification =
  | { readonly accepted: true; readonly claims: Claims }
  | { readonly accepted: false; readonly reason: RefusalReason; readonly claims: Claims | null };

export interface TokenVerifier {
  /** May this token be used now? @throws ServiceError 503 when the revocation list can't be relied on. */
  check(token: string): Verification;
  /** Is this a token of ours at all? Signature and claims; neither time nor revocation. */
  identify(token: string): Claims | null;
}

interface Dependencies {
  readonly keys: SigningKeys;
  readonly clock: Clock;
  /** @throws ServiceError 503 when it can't know. */
  readonly isRevoked: (claims: Claims) => boolean;
}

/** A token that claims to come from further in the future than this would slip under every cut-off. */
const MAX_ISSUED_AHEAD_MS = 300_000;
const TOKEN_TYPES = new Set(['JWT', 'AT+JWT', 'APPLICATION/AT+JWT']);

export function createTokenVerifier({ keys, clock, isRevoked }: Dependencies): TokenVerifier {
  const { verificationKey } = keys;
  const algorithms = [keys.algorithm];

  function verifySignature(token: string): Record<string, unknown> | null {
    try {
      const { header, payload } = jwt.verify(token, verificationKey, {
        algorithms,
        complete: true,
        ignoreExpiration: true,
        ignoreNotBefore: true,
      });
      // RFC 7515 section 4.1.11: an extension that isn't understood makes the token invalid.
      if (header.crit !== undefined || 'b64' in header) return null;
      if (header.typ !== undefined && !isTokenType(header.typ)) return null;
      return payload as Record<string, unknown>;
    } catch {
      return null;
    }
  }

  function check(token: string): Verification {
    const refuse = (reason: RefusalReason, claims: Claims | null = null) =>
      ({ accepted: false, reason, claims }) as const;
    if (!isCompactJws(token)) return refuse('malformed');
    const payload = verifySignature(token);
    if (payload === null) return refuse('bad-signature');
    const claims = parseClaims(payload);
    if (claims === null) return refuse('bad-claims');
    const now = clock();
    if (claims.expiresAt !== null && claims.expiresAt <= now) return refuse('expired', claims);
    if (startsAfter(payload['nbf'], now) || (claims.issuedAt ?? 0) > now + MAX_ISSUED_AHEAD_MS) {
      return refuse('not-yet-valid', claims);
    }
    return isRevoked(claims) ? refuse('revoked', claims) : { accepted: true, claims };
  }

  function identify(token: string): Claims | null {
    return isCompactJws(token) ? parseClaims(verifySignature(token)) : null;
  }

  return { check, identify };
}

/** RFC 7519 section 5.1 and RFC 9068 sections 2.1 and 4; anything else is some other kind of JWT. */
function isTokenType(type: unknown): boolean {
  return typeof type === 'string' && TOKEN_TYPES.has(type.toUpperCase());
}

/** RFC 7519 section 4.1.5. Anything but a number can't be understood, so it counts as "not yet". */
function startsAfter(notBefore: unknown, now: number): boolean {
  if (notBefore === undefined) return false;
  return typeof notBefore !== 'number' || notBefore * 1000 > now;
}
