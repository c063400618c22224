/** Records of sign-in tokens, put straight into the collection. */
import mongoose, { type Connection } from 'mongoose';
import type { Revocation } from '../src/store/records.js';
import { createJti } from '../src/tokens/jti.js';

export interface Inserted {
  readonly _id: mongoose.Types.ObjectId;
  readonly jti: string;
}

const ISSUER = 'https://tiledesk.com';
const DAY_MS = 86_400_000;
const BATCH = 5000;
const AT_ONCE = 2;
const PROGRESS_EVERY = 100_000;

/** @param database the service's own by default. */
export function connectDirectly(uri: string, database = 'jwt-history'): Promise<Connection> {
  return mongoose.createConnection(uri, { dbName: database, maxPoolSize: 50 }).asPromise();
}

interface Options {
  readonly revoked: boolean;
  readonly keep: boolean;
  /** Whose they all are; anybody's by default. */
  readonly userId?: string;
  /** Is told now and then how many there are. */
  readonly onProgress?: (inserted: number) => void;
}

/**
 * Makes no indexes: whoever opens the store does, and before many records that costs several times
 * what it costs after them.
 * @returns what was inserted, where `keep` says so.
 */
export async function insertTokens(
  connection: Connection,
  count: number,
  { revoked, keep, userId, onProgress }: Options,
): Promise<Inserted[]> {
  const tokens = connection.collection('tokens');
  const inserted: Inserted[] = [];
  let next = 0;
  let done = 0;
  const insertBatches = async () => {
    while (next < count) {
      const size = Math.min(BATCH, count - next);
      next += size;
      const batch = Array.from({ length: size }, () => tokenDocument(revoked, userId));
      await tokens.insertMany(batch, { ordered: false, writeConcern: { w: 1 } });
      const before = done;
      done += size;
      if (Math.floor(before / PROGRESS_EVERY) < Math.floor(done / PROGRESS_EVERY))
        onProgress?.(done);
      if (keep) inserted.push(...batch.map(({ _id, jti }) => ({ _id, jti })));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, insertBatches));
  return inserted;
}

function anybody(): string {
  return Math.floor(Math.random() * 20_000)
    .toString(16)
    .padStart(24, '0');
}

function tokenDocument(revoked: boolean, userId = anybody()) {
  const now = Date.now();
  const issuedAt = new Date(now - Math.floor(Math.random() * 20 * DAY_MS));
  const revokedAt = new Date(now - Math.floor(Math.random() * (now - issuedAt.getTime())));
  const expiresAt = new Date(issuedAt.getTime() + 30 * DAY_MS);
  const revocation: Revocation = { at: revokedAt, by: userId, reason: null, via: 'tiledesk' };
  return {
    _id: new mongoose.Types.ObjectId(),
    jti: createJti(issuedAt.getTime()),
    kind: 'access',
    origin: 'signin',
    issuer: ISSUER,
    subject: 'user',
    audience: ISSUER,
    userId,
    applicationId: null,
    sessionId: null,
    cdata: null,
    device: null,
    issuedAt,
    expiresAt,
    lastUsedAt: null,
    revocation: revoked ? revocation : null,
    purgeAt: new Date(expiresAt.getTime() + 90 * DAY_MS),
    createdAt: issuedAt,
    updatedAt: issuedAt,
  };
}
