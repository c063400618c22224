/** What the servers of `./http.ts` are given: keys, tokens, and the databases that they look into. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import mongoose from 'mongoose';
import { createJti } from '../src/tokens/jti.js';
import type { PeerTask } from './peers.js';
import { makeRevokedDatabase } from './revoked-database.js';

export interface Material {
  readonly secret: string;
  readonly privateKey: string;
  readonly uri: string;
  readonly tokens: Readonly<Record<PeerTask['algorithm'], string>>;
}

const PEERS_DATABASE = 'bench-peers';
const ISSUER = 'https://tiledesk.com';

/** The one whose revocation list has so many ids. */
export function databaseOf(revoked: number): string {
  return `bench-revoked-${revoked}`;
}

/** The keys, one token that everyone gets (another with RS256), and the documents that look-ups and loads find. */
export async function prepare(uri: string, revoked: readonly number[]): Promise<Material> {
  for (const records of revoked) {
    await makeRevokedDatabase({ uri, database: databaseOf(records), records });
  }
  const secret = randomBytes(48).toString('base64');
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const userId = new mongoose.Types.ObjectId();
  const jti = createJti(Date.now());
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    _id: userId.toHexString(),
    email: 'andrea.rossi@bench.example',
    firstname: 'Andrea',
    lastname: 'Rossi',
    iss: ISSUER,
    aud: ISSUER,
    sub: 'user',
    jti,
    iat,
    exp: iat + 30 * 86_400,
  };
  const connection = await mongoose.createConnection(uri, { dbName: PEERS_DATABASE }).asPromise();
  const { email, firstname, lastname } = claims;
  const user = { _id: userId, email, firstname, lastname, status: 100 };
  const users = connection.collection('users');
  const history = connection.collection('jwthistories');
  await users.insertOne(user);
  await history.insertMany([
    ...Array.from({ length: 10_000 }, () => ({ jti: createJti(Date.now()), state: 1 })),
    { jti, state: 1 },
  ]);
  await history.createIndex({ jti: 1 });
  await connection.close();
  return {
    secret,
    privateKey,
    uri,
    tokens: {
      HS256: jwt.sign(claims, secret, { algorithm: 'HS256' }),
      RS256: jwt.sign(claims, privateKey, { algorithm: 'RS256' }),
    },
  };
}
