/** Token ids: ours are UUIDv7 (RFC 9562 section 5.7), so that they sort and carry the issue time in milliseconds. */
import { randomBytes } from 'node:crypto';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const MAX_ID_LENGTH = 128;

/** A new UUIDv7 for the time `now` (ms). A flat string: `crypto.randomUUID()` returns a rope, which costs six times the memory in a Map. */
export function createJti(now: number): string {
  return formatUuid(toUuidV7(randomBytes(16), now));
}

/** Writes time, version and variant into 16 random bytes. */
export function toUuidV7(bytes: Buffer, now: number): Buffer {
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return bytes;
}

export function formatUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  return Buffer.from(uuid, 'latin1').toString('latin1');
}

/** The issue time (ms) in a UUIDv7, or null for any other id. */
export function timeOfJti(jti: string): number | null {
  return UUID_V7.test(jti) ? Number.parseInt(jti.slice(0, 8) + jti.slice(9, 13), 16) : null;
}

/** Ids that the service stores and prints: 1–128 characters, no control characters, well-formed Unicode. */
export function isId(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= MAX_ID_LENGTH &&
    isPrintable(value)
  );
}

/** No control characters and no lone surrogates (the database would fold these into one another). */
export function isPrintable(value: string): boolean {
  for (let i = 0; i < value.length; i += 1) {
    const unit = value.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) return false;
    if (unit >= 0xd800 && unit <= 0xdfff)
      return value.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(value);
  }
  return true;
}
