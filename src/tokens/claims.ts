/**
 * The strict claims schema (RFC 7519 section 4): what a correctly signed payload must look like
 * before any of it is believed. Written by hand because it runs on every check.
 */
import { ANY_ISSUER } from '../store/records.js';
import { isId, isPrintable, timeOfJti } from './jti.js';

/** Year 9999; a NumericDate beyond it is a mistake (milliseconds, usually). */
const MAX_NUMERIC_DATE = 253_402_300_799;
const MAX_TEXT = 256;
const MAX_AUDIENCES = 16;
/** Tiledesk puts the kind of subject, not an id, into `sub`; it identifies nobody. */
const GENERIC_SUBJECTS = new Set([
  'user',
  'userexternal',
  'useranonymous',
  'guest',
  'bot',
  'subscription',
]);

export interface Claims {
  readonly jti: string;
  /** '' where the token has none. */
  readonly issuer: string;
  readonly subject: string | null;
  readonly audience: string | readonly string[] | null;
  /** `_id`, else `_doc._id` (Tiledesk's older form), else `sub`. */
  readonly userId: string;
  readonly applicationId: string | null;
  /** `sid`: the refresh token that this token came from. */
  readonly sessionId: string | null;
  /**
   * ms since the epoch; null = not said. To the millisecond when the jti is a UUIDv7 of that second;
   * else rounded down, so that the second of a cut-off counts as before it.
   */
  readonly issuedAt: number | null;
  /** When the session began (ms), where `sid` is a UUIDv7. */
  readonly sessionIssuedAt: number | null;
  /** ms since the epoch; null = never. */
  readonly expiresAt: number | null;
  readonly cdata: string | null;
}

/** The claims, or null when any part is not as it must be. */
export function parseClaims(payload: unknown): Claims | null {
  if (!isObject(payload)) return null;
  const { jti, iss, sub, aud, sid, applicationId, iat, exp, cdata } = payload;
  if (!isId(jti)) return null;
  if (!isAbsentOr(iss, isText) || iss === ANY_ISSUER) return null;
  if (!isAbsentOr(sub, isText) || !isAbsentOr(aud, isAudience)) return null;
  if (!isAbsentOr(sid, isId) || !isAbsentOr(applicationId, isId)) return null;
  if (!isAbsentOr(iat, isNumericDate) || !isAbsentOr(exp, isNumericDate)) return null;
  const userId = userIdOf(payload, sub ?? null);
  if (userId === null) return null;
  return {
    jti,
    issuer: iss ?? '',
    subject: sub ?? null,
    audience: aud ?? null,
    userId,
    applicationId: applicationId ?? null,
    sessionId: sid ?? null,
    issuedAt: iat === undefined ? null : (exactIssueTime(jti, iat) ?? Math.floor(iat) * 1000),
    sessionIssuedAt: sid === undefined ? null : timeOfJti(sid),
    expiresAt: exp === undefined ? null : Math.floor(exp * 1000),
    cdata: isText(cdata) ? cdata : null,
  };
}

function userIdOf(payload: Record<string, unknown>, subject: string | null): string | null {
  const inner = isObject(payload['_doc']) ? payload['_doc']['_id'] : undefined;
  for (const candidate of [payload['_id'], inner]) {
    if (candidate !== undefined) return isId(candidate) ? candidate : null;
  }
  return isId(subject) && !GENERIC_SUBJECTS.has(subject) ? subject : null;
}

/** A UUIDv7 jti tells the millisecond, where it agrees with `iat` on the second. */
function exactIssueTime(jti: string, iat: number): number | null {
  const time = timeOfJti(jti);
  return time !== null && Math.floor(time / 1000) === iat ? time : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isAbsentOr<T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || is(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT && isPrintable(value);
}

function isAudience(value: unknown): value is string | string[] {
  return (
    isText(value) || (Array.isArray(value) && value.length <= MAX_AUDIENCES && value.every(isText))
  );
}

function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_NUMERIC_DATE;
}
