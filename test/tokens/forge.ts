/** Tokens as nobody should sign them, and the good ones beside them, for each algorithm. */
import { createHmac, createSecretKey, sign } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { createRsaKeys, createSecretKeys } from '../../src/tokens/keys.js';
import { rsaPem, SECRET, START } from '../support/harness.js';

export const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
export const NOW_SECONDS = Math.floor(START / 1000);

type Signer = (input: string) => Buffer;
export const hmac =
  (secret: string | Buffer, hash = 'sha256'): Signer =>
  (input) =>
    createHmac(hash, secret).update(input).digest();
export const rsa =
  (pem = rsaPem.privateKey, hash = 'sha256'): Signer =>
  (input) =>
    sign(hash, Buffer.from(input), pem);

/** A JWS of any header and payload, given as values or as raw JSON text. */
export function forge(header: object | string, payload: object | string, signer: Signer): string {
  const encode = (part: object | string) =>
    Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signer(input).toString('base64url')}`;
}

export const KINDS = [
  {
    algorithm: 'HS256',
    keys: createSecretKeys(SECRET),
    signer: hmac(SECRET),
    signingKey: createSecretKey(Buffer.from(SECRET)),
    spellings: 4,
  },
  {
    algorithm: 'RS256',
    keys: createRsaKeys(rsaPem.privateKey, rsaPem.publicKey),
    signer: rsa(),
    signingKey: rsaPem.privateKey,
    spellings: 16,
  },
] as const;
export type Kind = (typeof KINDS)[number];

export const PAYLOAD = { jti: 'token-1', sub: 'user-1', iat: NOW_SECONDS, exp: NOW_SECONDS + 3600 };
/** `noTimestamp` would remove an `iat` that is given. */
export const goodToken = (kind: Kind, claims: object = PAYLOAD) =>
  jwt.sign(claims, kind.signingKey, { algorithm: kind.algorithm, noTimestamp: !('iat' in claims) });

/** The same bytes, spelled with another last character. */
export function otherSpellings(token: string): string[] {
  const signature = token.slice(token.lastIndexOf('.') + 1);
  const bytes = Buffer.from(signature, 'base64url').toString('hex');
  return [...ALPHABET]
    .map((last) => signature.slice(0, -1) + last)
    .filter((text) => text !== signature)
    .filter((text) => Buffer.from(text, 'base64url').toString('hex') === bytes)
    .map((text) => token.slice(0, -signature.length) + text);
}
