/** Revoked records out of the bytes of a database's answer, at half the cost of the driver's objects. */
import mongoose from 'mongoose';
import {
  entryOf,
  mayForget,
  type ReadFields,
  type RevokedEntry,
  type RevokedFields,
} from './revoked-entry.js';

/** Without what may be forgotten: what expired before (ms), was issued here and is sealed. */
export function readRevokedEntries(
  documents: readonly Buffer[],
  expiredBefore: number,
  sealedSince = -Infinity,
): RevokedEntry[] {
  return documents
    .map((document) => entryOf(readFields(document) ?? decode(document)))
    .filter(
      ({ jti, expiresAt }) =>
        expiresAt === null || expiresAt >= expiredBefore || !mayForget(jti, sealedSince),
    );
}

/** How an element begins: its type, its name, NUL (https://bsonspec.org/spec.html). */
const elementHeader = (type: number, name: string) => Buffer.from([type, ...Buffer.from(name), 0]);
const STRING = 0x02;
const JTI = elementHeader(STRING, 'jti');
const ISSUER = elementHeader(STRING, 'issuer');
const ORIGIN = elementHeader(STRING, 'origin');
const EXPIRES_AT = elementHeader(0x09, 'expiresAt');
const NO_EXPIRY = elementHeader(0x0a, 'expiresAt');
const LENGTH_BYTES = 4;
/** What stands for bytes that are no UTF-8. */
const REPLACEMENT = '\ufffd';

/**
 * Reads just the one layout that the index gives: three strings, then a date or null. With the
 * driver, which reads any, a whole load takes twice the time. null = another layout, or no UTF-8.
 */
function readFields(document: Buffer): ReadFields | null {
  const jtiAt = valueAt(document, LENGTH_BYTES, JTI);
  if (jtiAt === null) return null;
  const jtiEnd = stringEnd(document, jtiAt);
  const issuerAt = valueAt(document, jtiEnd, ISSUER);
  if (issuerAt === null) return null;
  const issuerEnd = stringEnd(document, issuerAt);
  const originAt = valueAt(document, issuerEnd, ORIGIN);
  if (originAt === null) return null;
  const originEnd = stringEnd(document, originAt);
  const dateAt = valueAt(document, originEnd, EXPIRES_AT);
  if (dateAt === null && valueAt(document, originEnd, NO_EXPIRY) === null) return null;
  const jti = stringOf(document, jtiAt, jtiEnd);
  const issuer = stringOf(document, issuerAt, issuerEnd);
  if (jti.includes(REPLACEMENT) || issuer.includes(REPLACEMENT)) return null;
  return {
    jti,
    issuer,
    origin: stringOf(document, originAt, originEnd) as RevokedFields['origin'],
    expiresAt: dateAt === null ? null : dateOf(document, dateAt),
  };
}

function decode(document: Buffer): ReadFields {
  const { expiresAt, ...rest } = mongoose.mongo.BSON.deserialize(document) as RevokedFields;
  return { ...rest, expiresAt: expiresAt?.getTime() ?? null };
}

/** Where the value of the element at `at` begins; null = it has another type or name. */
function valueAt(document: Buffer, at: number, header: Buffer): number | null {
  for (let i = 0; i < header.length; i += 1) if (document[at + i] !== header[i]) return null;
  return at + header.length;
}

/** Behind the NUL, which counts. */
function stringEnd(document: Buffer, at: number): number {
  return at + LENGTH_BYTES + document.readInt32LE(at);
}

function stringOf(document: Buffer, at: number, end: number): string {
  return document.toString('utf8', at + LENGTH_BYTES, end - 1);
}

/** Signed, 64 bits; what JavaScript calls a date is exact in a number. */
function dateOf(document: Buffer, at: number): number {
  return document.readInt32LE(at + 4) * 2 ** 32 + document.readUInt32LE(at);
}
