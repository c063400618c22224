/**
 * The check: token text → shape, signature, claims, time, revocation, in this order. Every path
 * that accepts a token calls this one; it never waits for the database.
 */
import jwt from 'jsonwebtoken';
import { type Clock, MAX_AHEAD_MS } from '../clock.js';
import { createRecent } from '../recent.js';
import { type Claims, parseClaims } from './claims.js';
import { isCompactJws } from './compact-jws.js';
import type { SigningKeys } from './keys.js';
import { hasRepeatedKeys } from './repeated-keys.js';
import type { Seal } from './seal.js';
import { earliestIssue, hasExpired } from './state.js';

export type RefusalReason =
  | 'malformed'
  | 'bad-signature'
  | 'bad-claims'
  | 'expired'
  | 'not-yet-valid'
  | 'altered'
  | 'unknown'
  | 'revoked'
  | 'wrong-audience';

/** Who takes a token of this audience: the dashboard's cookie, and nobody else. */
export const DASHBOARD_AUDIENCE = 'urn:jwt-history:dashboard';

export type Verification =
  | {
      readonly accepted: true;
      readonly claims: Claims;
      /** Somebody else signed it, for a session of ours: whether that is still good, only its record tells. */
      readonly asksSession?: true;
    }
  | {
      readonly accepted: false;
      readonly reason: RefusalReason;
      readonly claims: Claims | null;
      /** It claimed to come from the future, and by its own claim is younger than a cut-off: once refused, it must stay so. */
      readonly isDated?: true;
    };

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
  /** Tells our own tokens from others; absent = all are others'. */
  readonly seal?: Pick<Seal, 'isOurs' | 'isOn'>;
  /**
   * How far the clock of another issuer may be ahead, for `iat` and `nbf` alike; 5 minutes when absent.
   * A token that claims to come from further in the future would slip under every cut-off.
   */
  readonly maxAheadMs?: number;
}

/** What jsonwebtoken says of tokens, as opposed to keys and options. */
const BAD_TOKEN: ReadonlySet<string> = new Set([
  'jwt malformed',
  'jwt signature is required',
  'invalid token',
  'invalid algorithm',
  'invalid signature',
]);
const TOKEN_TYPES = new Set(['JWT', 'AT+JWT', 'APPLICATION/AT+JWT']);

interface Payload {
  readonly payload: Record<string, unknown>;
  readonly seal: unknown;
}

/** What a correct signature vouches for; the same at every use. */
interface Signed {
  /** One that claimed to come from the future counts as issued when it may have been at the earliest. */
  readonly claims: Claims;
  /** What it claims, where that was in the future when it was first seen (ms). */
  readonly claimedAt: number | null;
  /** It has an id of ours, and isn't the token for which we made it. */
  readonly isAltered: boolean;
  readonly asksSession: boolean;
  /** Until when it isn't good yet, by a clock that is as far ahead as its issuer's may be (ms). */
  readonly startsAt: number;
  readonly isForDashboard: boolean;
}

/**
 * Tokens whose signature and claims were found good: a token comes again and again, and its
 * signature can't change. Its expiry and its revocation can, and are asked for at every use.
 */
const MAX_REMEMBERED = 10_000;

export function createTokenVerifier(deps: Dependencies): TokenVerifier {
  const { keys, clock, isRevoked, maxAheadMs = MAX_AHEAD_MS, seal } = deps;
  const { verificationKey } = keys;
  const options = {
    algorithms: [keys.algorithm],
    complete: true as const,
    ignoreExpiration: true,
    ignoreNotBefore: true,
  };
  const remembered = createRecent<Signed>(MAX_REMEMBERED);

  function verifySignature(token: string): Payload | null {
    try {
      const { header, payload } = jwt.verify(token, verificationKey, options);
      // RFC 7515 section 4.1.11: an extension that isn't understood makes the token invalid.
      if (header.crit !== undefined || 'b64' in header) return null;
      if (header.typ !== undefined && !isTokenType(header.typ)) return null;
      return {
        payload: payload as Payload['payload'],
        seal: 'seal' in header ? header.seal : undefined,
      };
    } catch (error) {
      if (!isBadToken(error) && !hasNullPayload(token)) throw error;
      return null;
    }
  }

  function readSigned(token: string): Signed | 'malformed' | 'bad-signature' | 'bad-claims' {
    const known = remembered.get(token);
    if (known !== undefined) return known;
    if (!isCompactJws(token)) return 'malformed';
    const verified = verifySignature(token);
    if (verified === null) return 'bad-signature';
    const { payload } = verified;
    const claims = hasRepeatedNames(token) ? null : parseClaims(payload);
    if (claims === null) return 'bad-claims';
    const now = clock();
    const isSealed = seal?.isOn(claims, verified.seal) === true;
    const isOurs = (id: string | null) => id !== null && !isSealed && seal?.isOurs(id) === true;
    const mayBeAhead = isSealed ? MAX_AHEAD_MS : maxAheadMs;
    const startsAt = Math.max(claims.issuedAt ?? 0, startOf(payload['nbf'])) - mayBeAhead;
    // What we issue says when, to the millisecond, and is recorded before anyone has it.
    const isAhead =
      !isSealed && startsAt <= now && claims.issuedAt !== null && claims.issuedAt > now;
    const signed = {
      claims: isAhead ? { ...claims, issuedAt: earliestIssue(claims.issuedAt, now) } : claims,
      claimedAt: isAhead ? claims.issuedAt : null,
      startsAt,
      isAltered: isOurs(claims.jti),
      asksSession: isOurs(claims.sessionId),
      isForDashboard: [claims.audience].flat().includes(DASHBOARD_AUDIENCE),
    };
    // One that isn't good yet is first seen when it is.
    if (startsAt <= now) remembered.set(token, signed);
    return signed;
  }

  function check(token: string, door?: 'dashboard'): Verification {
    const signed = readSigned(token);
    if (typeof signed === 'string') return refuse(signed, null);
    const { claims, claimedAt, startsAt } = signed;
    const now = clock();
    if (hasExpired(claims.expiresAt, now)) return refuse('expired', claims);
    if (startsAt > now) return refuse('not-yet-valid', claims);
    // Refused for what it is, whatever becomes of the token whose id it has, and without a word about that one.
    if (signed.isAltered) return refuse('altered', claims);
    if (isRevoked(claims)) {
      const isDated = claimedAt !== null && !isRevoked({ ...claims, issuedAt: claimedAt });
      return { accepted: false, reason: 'revoked', claims, ...(isDated ? { isDated } : {}) };
    }
    if (signed.isForDashboard !== (door === 'dashboard')) return refuse('wrong-audience', claims);
    return { accepted: true, claims, ...(signed.asksSession ? { asksSession: true } : {}) };
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

/** RFC 7519 section 4.1.5, in ms. Anything but a number can't be understood, so it never starts. */
function startOf(notBefore: unknown): number {
  if (notBefore === undefined) return -Infinity;
  return typeof notBefore === 'number' ? notBefore * 1000 : Infinity;
}
