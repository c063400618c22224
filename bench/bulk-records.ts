/** Sessions of one application by the million, and access tokens of some of them. */
import { randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import mongoose, { type Connection } from 'mongoose';
import { createJti } from '../src/tokens/jti.js';

const ISSUER = 'https://tiledesk.com';
const DAY_MS = 86_400_000;
const BATCH = 5000;
const AT_ONCE = 2;

interface SessionRecord {
  readonly _id: mongoose.Types.ObjectId;
  readonly jti: string;
  readonly userId: string;
}

/**
 * Refresh tokens' records, into a collection without indexes: each index would double the time.
 * @returns the last of them.
 */
export async function insertSessions(
  connection: Connection,
  applicationId: string,
  count: number,
  sample: number,
): Promise<SessionRecord[]> {
  const tokens = connection.collection('tokens');
  let last: SessionRecord[] = [];
  let next = 0;
  const insertBatches = async () => {
    while (next < count) {
      const size = Math.min(BATCH, count - next);
      next += size;
      const batch = Array.from({ length: size }, () => sessionDocument(applicationId));
      await tokens.insertMany(batch, { ordered: false, writeConcern: { w: 1 } });
      last = batch.slice(-sample);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, insertBatches));
  return last;
}

function sessionDocument(applicationId: string) {
  const issuedAt = new Date(Date.now() - Math.floor(Math.random() * 20 * DAY_MS) - 1000);
  const expiresAt = new Date(issuedAt.getTime() + 30 * DAY_MS);
  const userId = Math.floor(Math.random() * 200_000)
    .toString(16)
    .padStart(24, '0');
  return {
    _id: new mongoose.Types.ObjectId(),
    jti: createJti(issuedAt.getTime()),
    kind: 'refresh',
    origin: 'fusionauth',
    issuer: ISSUER,
    subject: userId,
    audience: applicationId,
    userId,
    applicationId,
    sessionId: null,
    cdata: null,
    device: {
      name: 'Phone',
      description: null,
      type: 'MOBILE',
      userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      ip: '192.0.2.1',
      location: null,
    },
    issuedAt,
    expiresAt,
    lastUsedAt: issuedAt,
    revocation: null,
    purgeAt: new Date(expiresAt.getTime() + 90 * DAY_MS),
    secretHash: randomBytes(32).toString('base64url'),
    createdAt: issuedAt,
    updatedAt: issuedAt,
  };
}

/** As the service signs them; it will take them for tokens that it hasn't seen yet. */
export function accessTokenOf(
  { jti, userId }: SessionRecord,
  applicationId: string,
  secret: string,
): string {
  const now = Date.now();
  return jwt.sign(
    {
      iss: ISSUER,
      aud: applicationId,
      sub: userId,
      jti: createJti(now),
      iat: Math.floor(now / 1000),
      exp: Math.floor(now / 1000) + 7200,
      applicationId,
      sid: jti,
    },
    secret,
  );
}
