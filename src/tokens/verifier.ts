/**
 * The check: token text → shape, signature, claims, time, revocation, in this order. Every path
 * that accepts a token calls this one; it never waits for the database.
 */
import jwt from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.js';
import { type Claims, parseClaims } from './claims.js';
import { isCompactJws } from './compact-jws.js';
import type { SigningKeys } from './keys.js';
import { hasRepeatedKeys } from './repeated-keys.js';
import { hasExpired } from './state.js';

export type RefusalReason =
  | 'malformed'
  | 'bad-signature'
  | 'bad-claims'
  | 'expired'
  | 'not-yet-valid'
  | 'unknown'
  | 'revoked'
  | 'wrong-audience';

/** Who takes a token of this audience: the dashboard's cookie, and nobody else. */
export const DASHBOARD_AUDIENCE = 'urn:jwt-history:dashboard';

export type Verification =
  | { readonly accepted: true; readonly claims: Claims }
  | { readonly accepted: false; readonly reason: RefusalReason; readonly claims: Claims | null };

export interface TokenVerifier {
  /**
   * May this token be used now?
   * @param door the dashboard takes its own tokens and no others; every other door takes the others.
   * @throws ServiceError 503 when the revocation list can't be relied on.
   */
  check(token: string, door?: 'dashboard'): Verification;
  /** Is this a token of ours at all? Signature and claims; neither time nor revocation. */
  identify(token: string): Claims | null;
}

interface Dependencies {
  readonly keys: SigningKeys;
  readonly clock: Clock;
  /** @throws ServiceError 503 when it can't know. */
  readonly isRevoked: (claims: Claims) => boolean;
}

/** What jsonwebtoken says of tokens, as opposed to keys and options. */
const BAD_TOKEN: ReadonlySet<string> = new Set([
  'jwt malformed',
  'jwt signature is required',
  'invalid token',
  'invalid algorithm',
  'invalid signature',
]);
/**
 * How far the clock of an issuer may be ahead, for `iat` and `nbf` alike. A token that claims to
 * come from further in the future would slip under every cut-off.
 */
const MAX_AHEAD_MS = 300_000;
const TOKEN_TYPES = new Set(['JWT', 'AT+JWT', 'APPLICATION/AT+JWT']);

/** What a correct signature vouches for; the same at every use. */
interface Signed {
  readonly claims: Claims;
  readonly notBefore: unknown;
  readonly isForDashboard: boolean;
}

/**
 * Tokens whose signature and claims were found good: a token comes again and again, and its
 * signature can't change. Its expiry and its revocation can, and are asked for at every use.
 */
const MAX_REMEMBERED = 10_000;

export function createTokenVerifier({ keys, clock, isRevoked }: Dependencies): TokenVerifier {
  const { verificationKey } = keys;
  const options = {
    algorithms: [keys.algorithm],
    complete: true as const,
    ignoreExpiration: true,
    ignoreNotBefore: true,
  };
  const remembered = new LRUCache<string, Signed>({ max: MAX_REMEMBERED });

  function verifySignature(token: string): Record<string, unknown> | null {
    try {
      const { header, payload } = jwt.verify(token, verificationKey, options);
      // RFC 7515 section 4.1.11: an extension that isn't understood makes the token invalid.
      if (header.crit !== undefined || 'b64' in header) return null;
      if (header.typ !== undefined && !isTokenType(header.typ)) return null;
      return payload as Record<string, unknown>;
    } catch (error) {
      if (!isBadToken(error) && !hasNullPayload(token)) throw error;
      return null;
    }
  }

  function readSigned(token: string): Signed | 'malformed' | 'bad-signature' | 'bad-claims' {
    const known = remembered.get(token);
    if (known !== undefined) return known;
    if (!isCompactJws(token)) return 'malformed';
    const payload = verifySignature(token);
    if (payload === null) return 'bad-signature';
    const claims = hasRepeatedNames(token) ? null : parseClaims(payload);
    if (claims === null) return 'bad-claims';
    const isForDashboard = [claims.audience].flat().includes(DASHBOARD_AUDIENCE);
    const signed = { claims, notBefore: payload['nbf'], isForDashboard };
    remembered.set(token, signed);
    return signed;
  }

  function check(token: string, door?: 'dashboard'): Verification {
    const signed = readSigned(token);
    if (typeof signed === 'string') return refuse(signed, null);
    const { claims, notBefore } = signed;
    const now = clock();
    if (hasExpired(claims.expiresAt, now)) return refuse('expired', claims);
    const latest = now + MAX_AHEAD_MS;
    if (startsAfter(notBefore, latest) || (claims.issuedAt ?? 0) > latest) {
      return refuse('not-yet-valid', claims);
    }
    if (isRevoked(claims)) return refuse('revoked', claims);
    if (signed.isForDashboard !== (door === 'dashboard')) return refuse('wrong-audience', claims);
    return { accepted: true, claims };
  }

  function identify(token: string): Claims | null {
    const signed = readSigned(token);
    return typeof signed === 'string' ? null : signed.claims;
  }

  return { check, identify };
}

/** Whatever else fails says nothing about the token: it is a bug, or a key that can't be used. */
function isBadToken(error: unknown): boolean {
  if (error instanceof jwt.JsonWebTokenError) return BAD_TOKEN.has(error.message);
  // The payload is no JSON.
  return error instanceof SyntaxError;
}

/** jsonwebtoken fails on it with an error of no kind of its own. */
function hasNullPayload(token: string): boolean {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
  return payload.trim() === 'null';
}

/** In its header or its claims; asked once for each token, when its signature is known to be good. */
function hasRepeatedNames(token: string): boolean {
  return token
    .split('.', 2)
    .some((part) => hasRepeatedKeys(Buffer.from(part, 'base64url').toString('utf8')));
}

function refuse(reason: RefusalReason, claims: Claims | null): Verification {
  return { accepted: false, reason, claims };
}

/** RFC 7519 section 5.1 and RFC 9068 sections 2.1 and 4; anything else is some other kind of JWT. */
function isTokenType(type: unknown): boolean {
  return typeof type === 'string' && TOKEN_TYPES.has(type.toUpperCase());
}

/** RFC 7519 section 4.1.5. Anything but a number can't be understood, so it counts as "not yet". */
function startsAfter(notBefore: unknown, latest: number): boolean {
  if (notBefore === undefined) return false;
  return typeof notBefore !== 'number' || notBefore * 1000 > latest;
}
