/**
 * The signing and verification keys, as KeyObjects: given a string, jsonwebtoken tries it as a
 * public key first, at fifty times the cost. Each key has exactly one algorithm.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type KeyObject,
} from 'node:crypto';

export type Algorithm = 'HS256' | 'RS256';

export interface SigningKeys {
  readonly algorithm: Algorithm;
  /** Named in the header of RS256 tokens; a hint only, verification never depends on it. */
  readonly keyId: string | null;
  readonly signingKey: KeyObject;
  readonly verificationKey: KeyObject;
}

/** Keys from a shared secret (its UTF-8 bytes), as Tiledesk uses them. */
export function createSecretKeys(secret: string): SigningKeys {
  const key = createSecretKey(Buffer.from(secret, 'utf8'));
  return { algorithm: 'HS256', keyId: null, signingKey: key, verificationKey: key };
}

/** Keys from a PEM pair. */
export function createRsaKeys(privatePem: string, publicPem: string): SigningKeys {
  const verificationKey = createPublicKey(publicPem);
  const spki = verificationKey.export({ type: 'spki', format: 'der' });
  return {
    algorithm: 'RS256',
    keyId: createHash('sha256').update(spki).digest('base64url').slice(0, 16),
    signingKey: createPrivateKey(privatePem),
    verificationKey,
  };
}

/** A public key as RFC 7517 has it. */
export type PublicJwk = Readonly<Record<string, unknown>>;

/** What anybody may know: nothing of a shared secret. */
export function publicKeysOf({ algorithm, keyId, verificationKey }: SigningKeys): PublicJwk[] {
  if (algorithm !== 'RS256') return [];
  return [{ ...verificationKey.export({ format: 'jwk' }), kid: keyId, use: 'sig', alg: algorithm }];
}
