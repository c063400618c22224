/**
 * The strict claims schema (RFC 7519 section 4): what a correctly signed payload must look like
 * before any of it is believed. Written by hand because it runs on every check.
 */
import { canonicalId, holderOf, isKind, subjectTypeOf } from '../store/ids.js';
import { ANY_ISSUER } from '../store/records.js';
import { isId, isPrintable, timeOfJti } from './jti.js';

/** Year 9999; a NumericDate beyond it is a mistake (milliseconds, usually). */
const MAX_NUMERIC_DATE = 253_402_300_799;
const MAX_TEXT = 256;
const MAX_AUDIENCES = 16;

export interface Claims {
  readonly jti: string;
  /** '' where the token has none. */
  readonly issuer: string;
  readonly subject: string | null;
  readonly audience: string | readonly string[] | null;
  /**
   * Whose it is: `_id`, else `_doc._id` (Tiledesk's older form), else `sub`. Of a user the id alone,
   * else behind the kind that `sub` names: `guest:<id>`.
   */
  readonly userId: string;
  /** `user`, `guest`, …: of which kind `userId` is. */
  readonly subjectType: string;
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
  const id = canonicalId(jti);
  const sessionId = sid === undefined ? null : canonicalId(sid);
  return {
    jti: id,
    issuer: iss ?? '',
    subject: sub ?? null,
    audience: aud ?? null,
    userId,
    subjectType: subjectTypeOf(userId),
    applicationId: applicationId === undefined ? null : canonicalId(applicationId),
    sessionId,
    issuedAt: iat === undefined ? null : (exactIssueTime(id, iat) ?? Math.floor(iat) * 1000),
    sessionIssuedAt: sessionId === null ? null : timeOfJti(sessionId),
    expiresAt: exp === undefined ? null : Math.floor(exp * 1000),
    cdata: isText(cdata) ? cdata : null,
  };
}

function userIdOf(payload: Record<string, unknown>, subject: string | null): string | null {
  const inner = isObject(payload['_doc']) ? payload['_doc']['_id'] : undefined;
  const own = subject === null || isKind(subject) ? undefined : subject;
  const id = [payload['_id'], inner, own].find((candidate) => candidate !== undefined);
  if (!isId(id)) return null;
  const holder = holderOf(id, subject);
  return isId(holder) ? holder : null;
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
