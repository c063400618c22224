/** What the revocation index needs of a revoked record, and the way there from the bytes of a database's answer. */
import mongoose from 'mongoose';
import { canonicalId } from '../ids.js';
import { isSealedId } from '../database/sealed-ids.js';
import { isIssuedHere, type TokenRecord } from '../records.js';

export interface RevokedEntry {
  readonly jti: string;
  readonly issuer: string;
  /** As signed, ms since the epoch; null = never. */
  readonly expiresAt: number | null;
}

type RevokedFields = Pick<TokenRecord, 'jti' | 'issuer' | 'origin' | 'expiresAt'>;

/** The date as a number (ms): of a million entries, each object counts. */
type ReadFields = Omit<RevokedFields, 'expiresAt'> & { readonly expiresAt: number | null };

/**
 * A revocation may be forgotten only when its token can't be good any more: for tokens issued here.
 * Of others, another one with the same jti and a later expiry may exist, or the expiry was typed in.
 */
export function toRevokedEntry({ jti, issuer, origin, expiresAt }: RevokedFields): RevokedEntry {
  return {
    jti: comparable(jti),
    issuer,
    expiresAt: isIssuedHere(origin) ? (expiresAt?.getTime() ?? null) : null,
  };
}

/** An instance of an older version may have written it in capitals; a damaged document has none. */
function comparable(jti: string): string {
  return typeof jti === 'string' ? canonicalId(jti) : jti;
}

/** Tokens from before they were sealed can be signed again with a later expiry, too. */
export function mayForget(jti: string, sealedSince: number): boolean {
  return sealedSince === -Infinity || isSealedId(jti, sealedSince);
}

/** The same of documents in BSON, without what may be forgotten: what expired before (ms), was issued here and is sealed. */
export function readRevokedEntries(
  documents: readonly Buffer[],
  expiredBefore: number,
  sealedSince = -Infinity,
): RevokedEntry[] {
  const entries: RevokedEntry[] = [];
  for (const document of documents) {
    const { jti: stored, issuer, origin, expiresAt } = readFields(document) ?? decode(document);
    const jti = comparable(stored);
    if (!isIssuedHere(origin)) entries.push({ jti, issuer, expiresAt: null });
    else if (expiresAt === null || expiresAt >= expiredBefore || !mayForget(jti, sealedSince))
      entries.push({ jti, issuer, expiresAt });
  }
  return entries;
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
