/** Records of tokens, by the million, put straight into the collection. */
import { randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import mongoose, { type Connection } from 'mongoose';
import type { TokenDocument } from '../src/store/tokens/model.js';
import { createJti } from '../src/tokens/jti.js';
import { DATABASE, openBuiltStore } from './built-parts.js';
import { progress } from './results.js';

export interface Inserted {
  readonly _id: mongoose.Types.ObjectId;
  readonly jti: string;
}

type Times = 'createdAt' | 'issuedAt' | 'expiresAt';

export const ISSUER = 'https://tiledesk.com';
export const DAY_MS = 86_400_000;
const RETENTION_MS = 90 * DAY_MS;
const BATCH = 5000;
const AT_ONCE = 2;
const PROGRESS_EVERY = 100_000;

/** @param database the service's own by default. */
export function connectDirectly(uri: string, database = DATABASE): Promise<Connection> {
  return mongoose.createConnection(uri, { dbName: database, maxPoolSize: 50 }).asPromise();
}

/** With every field that the store writes. */
export function tokenDocument(
  fields: Pick<TokenDocument, Times> & Partial<TokenDocument>,
): TokenDocument {
  const { createdAt, expiresAt } = fields;
  return {
    _id: new mongoose.Types.ObjectId(),
    jti: createJti(createdAt.getTime()),
    kind: 'access',
    origin: 'signin',
    issuer: ISSUER,
    subject: 'user',
    audience: ISSUER,
    userId: anybody(20_000),
    applicationId: null,
    sessionId: null,
    cdata: null,
    device: null,
    lastUsedAt: null,
    revocation: null,
    purgeAt: expiresAt === null ? null : new Date(expiresAt.getTime() + RETENTION_MS),
    updatedAt: createdAt,
    ...fields,
  };
}

/** The id of a user who exists in records only. */
export function userIdOf(number: number): string {
  return number.toString(16).padStart(24, '0');
}

function anybody(users: number): string {
  return userIdOf(Math.floor(Math.random() * users));
}

/** Of a token that was issued within the last 20 days and lives for 30. */
function someTimes(): Pick<TokenDocument, Times> {
  const issuedAt = new Date(Date.now() - Math.floor(Math.random() * 20 * DAY_MS) - 1000);
  const expiresAt = new Date(issuedAt.getTime() + 30 * DAY_MS);
  return { createdAt: issuedAt, issuedAt, expiresAt };
}

/**
 * Makes no indexes: whoever opens the store does, and before many records that costs several times
 * what it costs after them.
 * @param onInserted gets each batch.
 */
export async function insertDocuments(
  connection: Connection,
  count: number,
  make: (number: number) => TokenDocument,
  onInserted: (batch: readonly TokenDocument[]) => void = () => undefined,
): Promise<void> {
  const tokens = connection.collection('tokens');
  const startedAt = performance.now();
  let next = 0;
  let done = 0;
  const insertBatches = async () => {
    while (next < count) {
      const from = next;
      next = Math.min(count, from + BATCH);
      const batch = Array.from({ length: next - from }, (_, i) => make(from + i));
      await tokens.insertMany(batch, { ordered: false, writeConcern: { w: 1 } });
      onInserted(batch);
      const before = done;
      done += batch.length;
      if (Math.floor(before / PROGRESS_EVERY) === Math.floor(done / PROGRESS_EVERY)) continue;
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
      progress(`${connection.name}: ${done.toLocaleString('en')} records inserted, ${seconds} s`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, insertBatches));
}

interface Options {
  readonly revoked: boolean;
  readonly keep: boolean;
  /** Whose they all are; anybody's by default. */
  readonly userId?: string;
}

/** Sign-in tokens. @returns what was inserted, where `keep` says so. */
export async function insertTokens(
  connection: Connection,
  count: number,
  { revoked, keep, userId }: Options,
): Promise<Inserted[]> {
  const inserted: Inserted[] = [];
  const make = () => {
    const times = someTimes();
    const by = userId ?? anybody(20_000);
    const sinceMs = Math.random() * (Date.now() - times.createdAt.getTime());
    const at = new Date(Date.now() - Math.floor(sinceMs));
    const revocation = revoked ? { at, by, reason: null, via: 'tiledesk' } : null;
    return tokenDocument({ ...times, userId: by, revocation });
  };
  await insertDocuments(connection, count, make, (batch) => {
    if (keep) inserted.push(...batch.map(({ _id, jti }) => ({ _id, jti })));
  });
  return inserted;
}

/** A database as a service finds it at its start: full of revoked records, with its indexes. */
export async function makeRevokedDatabase(uri: string, database: string, records: number) {
  const connection = await connectDirectly(uri, database);
  await insertTokens(connection, records, { revoked: true, keep: false });
  await connection.close();
  await (await openBuiltStore(uri, database)).close();
  progress(`${database}: ${records.toLocaleString('en')} records and their indexes`);
}

type SessionRecord = Pick<TokenDocument, 'jti' | 'userId'>;

/** Refresh tokens of one application. @returns some of the last of them. */
export async function insertSessions(
  connection: Connection,
  applicationId: string,
  count: number,
  sample: number,
): Promise<SessionRecord[]> {
  let last: SessionRecord[] = [];
  const make = () => {
    const times = someTimes();
    const userId = anybody(200_000);
    return tokenDocument({
      ...times,
      kind: 'refresh',
      origin: 'fusionauth',
      subject: userId,
      audience: applicationId,
      userId,
      applicationId,
      device: PHONE,
      lastUsedAt: times.issuedAt,
      secretHash: randomBytes(32).toString('base64url'),
    });
  };
  await insertDocuments(connection, count, make, (batch) => (last = batch.slice(-sample)));
  return last;
}

export const PHONE = {
  name: 'Phone',
  description: null,
  type: 'MOBILE',
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  ip: '192.0.2.1',
  location: null,
} as const;

/** As the service signs them; it will take them for tokens that it hasn't seen yet. */
export function accessTokenOf(
  { jti, userId }: SessionRecord,
  applicationId: string,
  secret: string,
): string {
  const now = Date.now();
  const iat = Math.floor(now / 1000);
  const scope = { iss: ISSUER, aud: applicationId, applicationId };
  const claims = { sub: userId, jti: createJti(now), iat, exp: iat + 7200, sid: jti };
  return jwt.sign({ ...scope, ...claims }, secret);
}
