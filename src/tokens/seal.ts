/**
 * What tells the tokens issued here from those that others sign with the same key, without asking
 * the database: the installation has a secret of its own. Its ids carry a tag made with it, and its
 * tokens a seal over their claims, so that an id of ours is good for the token that it was made for
 * only, however somebody else signs it again. Reasons: `docs/decisions/0012-sealed-tokens.md`.
 */
import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Claims } from './claims.js';
import { formatUuid, timeOfJti, toUuidV7 } from './jti.js';

export interface Seal {
  /** A new UUIDv7 for the time `now` (ms): 34 of its bits are random, 40 are the tag. */
  createId(now: number): string;
  /** Whether it was made by `createId` of this installation. */
  isOurs(id: string): boolean;
  /** For the header of a token with these claims. */
  of(claims: Claims): string;
  /** @param value what the header of a token with these claims says. */
  isOn(claims: Claims, value: unknown): boolean;
}

/** Time, version and variant, random bits; then the tag. */
const TAG_AT = 11;
const ID_BYTES = 16;
const SEAL_BYTES = 16;

/** @param secret 32 random bytes, which only the instances of this installation know. */
export function createSeal(secret: Uint8Array): Seal {
  const key = createSecretKey(secret);
  /** Each use has a beginning of its own, so that none can stand for the other. */
  const mac = (use: 'id' | 'token', data: Uint8Array | string) =>
    createHmac('sha256', key).update(`${use}\n`).update(data).digest();
  const tagOf = (bytes: Buffer) => mac('id', bytes.subarray(0, TAG_AT));
  const sealOf = (claims: Claims) =>
    mac('token', JSON.stringify(sealed(claims))).subarray(0, SEAL_BYTES);

  return {
    createId(now) {
      const bytes = toUuidV7(randomBytes(ID_BYTES), now);
      tagOf(bytes).copy(bytes, TAG_AT, 0, ID_BYTES - TAG_AT);
      return formatUuid(bytes);
    },

    isOurs(id) {
      if (timeOfJti(id) === null) return false;
      const bytes = Buffer.from(id.replaceAll('-', ''), 'hex');
      return timingSafeEqual(bytes.subarray(TAG_AT), tagOf(bytes).subarray(0, ID_BYTES - TAG_AT));
    },

    of: (claims) => sealOf(claims).toString('base64url'),

    isOn(claims, value) {
      if (typeof value !== 'string') return false;
      const given = Buffer.from(value, 'base64url');
      return given.length === SEAL_BYTES && timingSafeEqual(given, sealOf(claims));
    },
  };
}

/** Everything that decides what the token is good for. */
function sealed(claims: Claims): unknown[] {
  const { jti, issuer, subject, audience, userId, applicationId, sessionId } = claims;
  const { issuedAt, expiresAt, cdata } = claims;
  return [
    jti,
    issuer,
    subject,
    audience,
    userId,
    applicationId,
    sessionId,
    issuedAt,
    expiresAt,
    cdata,
  ];
}
