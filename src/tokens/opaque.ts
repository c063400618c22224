/**
 * Opaque tokens, `<jti>.<secret>`: 256 random bits of secret, of which only the SHA-256 is ever
 * stored. All secrets of one refresh token have a part in common, so that a used one is known for what it is.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { canonicalId } from '../store/ids.js';
import { createJti } from './jti.js';

const FORM =
  /^([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.([a-z0-9_-]{43})$/i;

export interface OpaqueToken {
  readonly jti: string;
  readonly secret: string;
}

export function createOpaqueToken(now: number): OpaqueToken {
  return { jti: createJti(now), secret: createSecret() };
}

/** 32 random bytes in base64url. */
export function createSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Half of a secret is its own, half is what a session's secrets have in common: 128 random bits each. */
const OWN_BYTES = 16;

/** The next secret of the same session. That they have something in common can't be seen. */
export function createSuccessor(secret: string): string {
  return join(randomBytes(OWN_BYTES), familyOf(secret));
}

/** The hash of what the secrets of a session have in common: who brings that held one of them. It's of no use without the other half. */
export function hashFamily(secret: string): string {
  return createHash('sha256')
    .update('family of secrets\n')
    .update(familyOf(secret))
    .digest('base64url');
}

function familyOf(secret: string): Buffer {
  const bytes = Buffer.from(secret, 'base64url');
  return cover(bytes.subarray(OWN_BYTES), bytes.subarray(0, OWN_BYTES));
}

function join(own: Buffer, family: Buffer): string {
  return Buffer.concat([own, cover(family, own)]).toString('base64url');
}

/** With what only looks random, made from the secret's own half; twice is nothing. */
function cover(bytes: Buffer, own: Buffer): Buffer {
  const mask = createHash('sha256').update('cover of the family\n').update(own).digest();
  return Buffer.from(bytes.map((byte, i) => byte ^ (mask[i] ?? 0)));
}

/** The parts of a token of this form, or null. Its id is one in any case of letters; of the secret there is one spelling only: base64url that doesn't re-encode to itself is refused. */
export function parseOpaqueToken(text: string): OpaqueToken | null {
  const [, jti, secret] = FORM.exec(text) ?? [];
  if (jti === undefined || secret === undefined) return null;
  return Buffer.from(secret, 'base64url').toString('base64url') === secret
    ? { jti: canonicalId(jti), secret }
    : null;
}

export function formatOpaqueToken({ jti, secret }: OpaqueToken): string {
  return `${jti}.${secret}`;
}

/** Random secrets of 256 bits need no salt and no slow hash. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** The successor of a secret, readable only to whoever holds that secret. */
export function sealSuccessor(secret: string, successor: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', sealingKey(secret), nonce);
  const sealed = Buffer.concat([cipher.update(successor, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
}

/** @throws Error when it wasn't sealed with this secret. */
export function openSuccessor(secret: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64url');
  const decipher = createDecipheriv('aes-256-gcm', sealingKey(secret), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
}

function sealingKey(secret: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', 'refresh token successor', 32));
}
