/**
 * The configuration: the environment → a frozen, typed Config, or everything that is wrong with it
 * at once. The only reader of `process.env`.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Values, type VariableName, variables } from './config-variables.js';
import { normalizeEmail } from './email.js';

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

export interface Config {
  readonly port: number;
  readonly host: string | undefined;
  /** null = the embedded engine in `dataDir`. */
  readonly mongodbUri: string | null;
  readonly dataDir: string;
  readonly signing: SigningConfig;
  readonly tokenIssuer: string;
  readonly tokenAudience: string;
  /** 0 = tokens never expire. */
  readonly accessTokenTtlSeconds: number;
  readonly unknownTokens: Values['UNKNOWN_TOKENS'];
  readonly retentionSeconds: number;
  readonly adminEmail: string;
  readonly adminPassword: string | null;
  readonly onPremises: boolean;
  readonly signInAttemptsPerMinute: number;
  readonly trustProxyHops: number;
  readonly logLevel: Values['LOG_LEVEL'];
}

/** Everything that is wrong with the environment, a line each, each with its mend. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The configuration has ${problems.length} problem(s):\n${problems.map((p) => `  - ${p}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads `.env` of the working directory, where there is one, then the environment (which wins). */
export function loadConfig(): Config {
  try {
    process.loadEnvFile('.env');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return parseConfig(process.env);
}

/**
 * @throws ConfigError naming every problem. Empty values count as unset.
 */
export function parseConfig(env: Environment): Config {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(variables) as VariableName[]) {
    const spec: (typeof variables)[VariableName] & { fallback?: string; secret?: true } =
      variables[name];
    const raw =
      (spec.secret ? readSecret(env, name, problems) : env[name] || undefined) ?? spec.fallback;
    if (raw === undefined) continue;
    const parsed = spec.schema.safeParse(raw);
    if (parsed.success) values[name] = parsed.data;
    else {
      const shown = spec.secret ? 'its value' : JSON.stringify(raw.slice(0, 80));
      problems.push(
        `${name}: ${shown} can't be used; ${parsed.error.issues[0]?.message ?? 'see the README'}.`,
      );
    }
  }
  // Where a value is missing because it was wrong, its problem is already on the list.
  const config = assemble(values as Values, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function assemble(values: Values, problems: string[]): Config {
  if (values.MONGODB_URI && values.DATABASE_URI && values.MONGODB_URI !== values.DATABASE_URI) {
    problems.push('MONGODB_URI and DATABASE_URI differ: set only one of them.');
  }
  const mongodbUri = values.MONGODB_URI ?? values.DATABASE_URI ?? null;
  return Object.freeze({
    port: values.PORT,
    host: values.HOST,
    mongodbUri,
    dataDir: values.DATA_DIR,
    signing: Object.freeze(signing(values, mongodbUri === null, problems)),
    tokenIssuer: values.TOKEN_ISSUER,
    tokenAudience: values.TOKEN_AUDIENCE,
    accessTokenTtlSeconds: values.ACCESS_TOKEN_TTL,
    unknownTokens: values.UNKNOWN_TOKENS,
    retentionSeconds: values.RETENTION,
    adminEmail: normalizeEmail(values.ADMIN_EMAIL ?? ''),
    adminPassword: values.ADMIN_PASSWORD ?? null,
    onPremises: values.ON_PREMISES,
    signInAttemptsPerMinute: values.SIGN_IN_ATTEMPTS,
    trustProxyHops: values.TRUST_PROXY,
    logLevel: values.LOG_LEVEL,
  });
}

/** A secret from NAME or, trailing line end removed, from the file that NAME_FILE names. */
function readSecret(env: Environment, name: string, problems: string[]): string | undefined {
  const file = env[`${name}_FILE`] || undefined;
  const direct = env[name] || undefined;
  if (file === undefined) return direct;
  if (direct !== undefined) {
    problems.push(`${name} and ${name}_FILE are both set: set only one of them.`);
    return undefined;
  }
  try {
    const content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    if (content !== '') return content;
    problems.push(`${name}_FILE: ${file} is empty; put the value in it.`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    problems.push(
      `${name}_FILE: ${file} can't be read (${code}); give the path of a readable file.`,
    );
  }
  return undefined;
}

function signing(values: Values, embedded: boolean, problems: string[]): SigningConfig {
  if (values.GLOBAL_SECRET_ALGORITHM === 'RS256') return rs256(values, problems);
  if (values.GLOBAL_SECRET_OR_PRIVATE_KEY || values.GLOBAL_SECRET_OR_PUB_KEY) {
    problems.push(
      'GLOBAL_SECRET_OR_PRIVATE_KEY and GLOBAL_SECRET_OR_PUB_KEY need GLOBAL_SECRET_ALGORITHM=RS256; for HS256 use GLOBAL_SECRET.',
    );
  }
  const secret = values.GLOBAL_SECRET ?? null;
  if (secret === null) {
    if (!embedded) {
      problems.push(
        'GLOBAL_SECRET is not set: with MONGODB_URI every instance needs the same signing key. Make one with: openssl rand -base64 48',
      );
    }
    return { algorithm: 'HS256', secret, weakness: null };
  }
  const weakness = weaknessOf(secret);
  if (weakness !== null && !values.ALLOW_WEAK_SECRET) {
    problems.push(
      `GLOBAL_SECRET ${weakness}: anyone could sign tokens. Make one with: openssl rand -base64 48 (ALLOW_WEAK_SECRET=true starts all the same).`,
    );
  }
  return { algorithm: 'HS256', secret, weakness };
}

function rs256(values: Values, problems: string[]): SigningConfig {
  const pem = (value: string | undefined) => (value ?? '').replaceAll('\\n', '\n');
  const privateKey = pem(values.GLOBAL_SECRET_OR_PRIVATE_KEY);
  const given = pem(values.GLOBAL_SECRET_OR_PUB_KEY);
  if (values.GLOBAL_SECRET) {
    problems.push('GLOBAL_SECRET is for HS256: unset it, or set GLOBAL_SECRET_ALGORITHM=HS256.');
  }
  let publicKey = '';
  try {
    const key = createPrivateKey(privateKey);
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    if (key.asymmetricKeyType !== 'rsa' || bits < 2048) throw new TypeError('not RSA of 2048 bits');
    publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string;
  } catch {
    problems.push(
      'GLOBAL_SECRET_OR_PRIVATE_KEY must be an RSA private key in PEM of 2048 bits or more. Make one with: openssl genrsa 3072',
    );
    return { algorithm: 'RS256', privateKey, publicKey };
  }
  if (given !== '') {
    try {
      const spki = createPublicKey(given).export({ type: 'spki', format: 'pem' });
      if (spki !== publicKey) throw new TypeError('another key');
    } catch {
      problems.push(
        'GLOBAL_SECRET_OR_PUB_KEY is not the public half (PEM) of GLOBAL_SECRET_OR_PRIVATE_KEY: unset it, and it is taken from the private key.',
      );
    }
  }
  return { algorithm: 'RS256', privateKey, publicKey };
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

function weaknessOf(secret: string): string | null {
  if (WELL_KNOWN_SECRETS.has(secret.trim().toLowerCase())) return 'is a well-known value';
  const bytes = Buffer.byteLength(secret);
  if (bytes < 32) return `has only ${bytes} bytes (32 are the least)`;
  if (new Set(secret).size < 8) return 'repeats a few characters';
  return null;
}
