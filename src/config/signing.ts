/** The part of the configuration that says what tokens are signed with, and refuses what is too weak. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { Values, VariableName } from './variables.js';
import { isLeaked } from './leaked-secrets.js';
import { strengthOf } from './secret-strength.js';

/** What tokens are signed and verified with. PEM texts have real line ends. */
export type SigningConfig =
  | {
      readonly algorithm: 'HS256';
      /** null = made at first start and kept in the data folder. */
      readonly secret: string | null;
      /** Why the secret is weak (allowed by ALLOW_WEAK_SECRET), or null. */
      readonly weakness: string | null;
    }
  | { readonly algorithm: 'RS256'; readonly privateKey: string; readonly publicKey: string };

/**
 * Which keys, from the variables; what is wrong with them goes on the list. With RS256 nothing is
 * signed with GLOBAL_SECRET, nor accepted: a Tiledesk server that has both ignores it too.
 */
export function signingConfig(
  values: Values,
  wasSet: (name: VariableName) => boolean,
  problems: string[],
): SigningConfig {
  const none = { algorithm: 'HS256', secret: null, weakness: null } as const;
  if (values.GLOBAL_SECRET_ALGORITHM === undefined) return none;
  if (values.GLOBAL_SECRET_ALGORITHM === 'RS256') return rs256(values, wasSet, problems);
  if (values.GLOBAL_SECRET_OR_PRIVATE_KEY || values.GLOBAL_SECRET_OR_PUB_KEY) {
    problems.push(
      'GLOBAL_SECRET_OR_PRIVATE_KEY and GLOBAL_SECRET_OR_PUB_KEY need GLOBAL_SECRET_ALGORITHM=RS256; for HS256 use GLOBAL_SECRET.',
    );
  }
  const secret = values.GLOBAL_SECRET ?? null;
  if (secret === null) {
    const embedded = !wasSet('MONGODB_URI') && !wasSet('DATABASE_URI');
    if (!embedded && !wasSet('GLOBAL_SECRET')) {
      problems.push(
        'GLOBAL_SECRET is not set: with MONGODB_URI every instance needs the same signing key. Make one with: openssl rand -base64 48',
      );
    }
    return none;
  }
  const weakness = weaknessOf(secret);
  if (weakness !== null && !values.ALLOW_WEAK_SECRET) {
    problems.push(
      `GLOBAL_SECRET ${weakness}: anyone could sign tokens. Make one with: openssl rand -base64 48 (ALLOW_WEAK_SECRET=true starts all the same).`,
    );
  }
  return { algorithm: 'HS256', secret, weakness };
}

function rs256(
  values: Values,
  wasSet: (name: VariableName) => boolean,
  problems: string[],
): SigningConfig {
  const pem = (value: string | undefined) => (value ?? '').replaceAll('\\n', '\n');
  const privateKey = pem(values.GLOBAL_SECRET_OR_PRIVATE_KEY);
  const given = pem(values.GLOBAL_SECRET_OR_PUB_KEY);
  let publicKey = '';
  const unreadable = wasSet('GLOBAL_SECRET_OR_PRIVATE_KEY') && privateKey === '';
  if (unreadable) return { algorithm: 'RS256', privateKey, publicKey };
  try {
    const key = createPrivateKey(privateKey);
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    if (key.asymmetricKeyType !== 'rsa' || bits < 2048)
      throw new UnusableKey('not RSA of 2048 bits');
    publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string;
  } catch (error) {
    if (!isUnusableKey(error)) throw error;
    problems.push(
      'GLOBAL_SECRET_OR_PRIVATE_KEY must be an RSA private key in PEM of 2048 bits or more. Make one with: openssl genrsa 3072',
    );
    return { algorithm: 'RS256', privateKey, publicKey };
  }
  if (given !== '') {
    try {
      const spki = createPublicKey(given).export({ type: 'spki', format: 'pem' });
      if (spki !== publicKey) throw new UnusableKey('another key');
    } catch (error) {
      if (!isUnusableKey(error)) throw error;
      problems.push(
        'GLOBAL_SECRET_OR_PUB_KEY is not the public half (PEM) of GLOBAL_SECRET_OR_PRIVATE_KEY: unset it, and it is taken from the private key.',
      );
    }
  }
  return { algorithm: 'RS256', privateKey, publicKey };
}

class UnusableKey extends Error {}

/** What Node's crypto says of keys that it can't read: an error code. */
function isUnusableKey(error: unknown): boolean {
  if (error instanceof UnusableKey) return true;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^ERR_(OSSL|CRYPTO|INVALID_ARG|MISSING_PASSPHRASE)/.test(code);
}

const WELL_KNOWN_SECRETS = new Set([
  'nodeauthsecret',
  'secret',
  'changeme',
  'change-me',
  'change_me',
  'password',
  'jwtsecret',
  'jwt-secret',
  'jwt_secret',
  'supersecret',
  'mysecret',
  'my-secret',
  'your-256-bit-secret',
  'your-secret-key',
  'shhhhh',
  'keyboard cat',
  'a-string-secret-at-least-256-bits-long',
  'your-256-bit-secret-your-256-bit-secret',
]);

/** What examples say of themselves. Long enough not to come up in a generated secret. */
const PLACEHOLDER =
  /change(me|this|it)|replace(me|this|it)|replaceby|your(own|jwt|super|very|random)*(secret|key)|placeholder|insecure|dontuse|donotuse/i;
const TOKEN = /^eyJ[\w-]+\.[\w-]+\./;
/** As many as a random key of 16 bytes has. One UUID has 122: it is an identifier, not a secret. */
const LEAST_BITS = 128;

function weaknessOf(secret: string): string | null {
  if (WELL_KNOWN_SECRETS.has(secret.trim().toLowerCase())) return 'is a well-known value';
  const bytes = Buffer.byteLength(secret);
  if (bytes < 32) return `has only ${bytes} bytes (32 are the least)`;
  if (new Set(secret).size < 8) return 'repeats a few characters';
  if (PLACEHOLDER.test(secret.replaceAll(/[\s\-_.]/g, ''))) {
    return 'is a placeholder that was to be replaced';
  }
  if (TOKEN.test(secret)) return 'is a token itself';
  const bits = strengthOf(secret);
  if (bits < LEAST_BITS) {
    return `is easy to guess (about ${bits} bits; ${LEAST_BITS} are the least)`;
  }
  return isLeaked(secret) ? 'is in a public list of leaked secrets' : null;
}
