/** The record of a token that this service did not issue, from its verified claims. */
import type { Device, NewTokenRecord, TokenOrigin } from '../store/records.js';
import { newTokenRecord } from '../store/records.js';
import type { Claims } from './claims.js';

interface Circumstances {
  readonly origin: TokenOrigin;
  readonly device: Device | null;
  readonly lastUsedAt: Date | null;
  /** When it is recorded (ms): by then it had been issued, whatever it claims. */
  readonly seenAt: number;
  readonly retentionSeconds: number;
}

export function recordOfClaims(claims: Claims, circumstances: Circumstances): NewTokenRecord {
  const { origin, device, lastUsedAt, seenAt, retentionSeconds } = circumstances;
  const expiresAt = claims.expiresAt === null ? null : new Date(claims.expiresAt);
  return newTokenRecord({
    jti: claims.jti,
    kind: 'access',
    origin,
    issuer: claims.issuer,
    subject: claims.subject,
    audience: claims.audience,
    userId: claims.userId,
    applicationId: claims.applicationId,
    sessionId: claims.sessionId,
    cdata: claims.cdata,
    device,
    issuedAt: claims.issuedAt === null ? null : new Date(Math.min(claims.issuedAt, seenAt)),
    expiresAt,
    lastUsedAt,
    purgeAt: purgeTime(expiresAt, retentionSeconds),
  });
}

/** When a record may be deleted: `retentionSeconds` after its token has expired; never, if the token never does. */
export function purgeTime(expiresAt: Date | null, retentionSeconds: number): Date | null {
  return expiresAt === null ? null : new Date(expiresAt.getTime() + retentionSeconds * 1000);
}
