/** A token record as every JSON answer shows it: ISO dates, the derived state, never a hash or a token. */
import type { TokenRecord } from '../store/records.js';
import type { TokenState } from '../store/tokens/query/filter.js';

/** @param state as `tokens/state.ts` says: what the check would answer. */
export function toWireRecord(record: TokenRecord, state: TokenState) {
  return {
    _id: record.id,
    jti: record.jti,
    kind: record.kind,
    origin: record.origin,
    issuer: record.issuer,
    subject: record.subject,
    audience: record.audience,
    userId: record.userId,
    applicationId: record.applicationId,
    sessionId: record.sessionId,
    cdata: record.cdata,
    device: record.device,
    state,
    issuedAt: record.issuedAt,
    expiresAt: record.expiresAt,
    lastUsedAt: record.lastUsedAt,
    revokedAt: record.revocation?.at ?? null,
    revokedBy: record.revocation?.by ?? null,
    revokedReason: record.revocation?.reason ?? null,
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
  };
}
