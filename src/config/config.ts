/**
 * The configuration: the environment → a frozen, typed Config, or everything that is wrong with it
 * at once. The only reader of `process.env`.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type SigningConfig, signingConfig } from './signing.js';
import { type Values, type VariableName, variables } from './variables.js';
import { normalizeEmail } from '../email.js';

export interface Config {
  readonly port: number;
  readonly host: string | undefined;
  /** null = the embedded engine in `dataDir`. */
  readonly mongodbUri: string | null;
  /** Whether a MongoDB server has to be a member of a replica set, or a mongos. */
  readonly refuseStandalone: boolean;
  /** Absolute. */
  readonly dataDir: string;
  readonly signing: SigningConfig;
  readonly tokenIssuer: string;
  readonly tokenAudience: string;
  /** 0 = tokens never expire. */
  readonly accessTokenTtlSeconds: number;
  readonly fusionAuthTokenSeconds: number;
  readonly dashboardSessionSeconds: number;
  readonly dashboardIdleSeconds: number;
  readonly refreshTokenSeconds: number;
  readonly refreshTokenUsage: Values['REFRESH_TOKEN_USAGE'];
  readonly refreshTokenGraceSeconds: number;
  readonly unknownTokens: Values['UNKNOWN_TOKENS'];
  /** For how long an instance may answer from memory after it last made sure that it knows everything, ms. */
  readonly leaseMs: number;
  /** How long checks go on beyond that, at the expense of the promise; null = not at all. */
  readonly staleAfterSeconds: number | null;
  readonly retentionSeconds: number;
  readonly shutdownDelayMs: number;
  readonly adminEmail: string;
  readonly adminPassword: string | null;
  /** null = as the other stored ones are. */
  readonly passwordHash: NonNullable<Values['PASSWORD_HASH']> | null;
  readonly onPremises: boolean;
  readonly signInAttemptsPerMinute: number;
  readonly signInAttemptsPerAccount: number;
  /** 0 = any number. */
  readonly mintRate: number;
  /** 0 = any number. */
  readonly maxEndlessTokens: number;
  readonly trustProxyHops: number;
  readonly corsOrigins: readonly string[];
  readonly logLevel: Values['LOG_LEVEL'];
  /** What was set to something else than its default, for the log: the value where that is harmless, else only that it was. */
  readonly settings: Readonly<Record<string, string>>;
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

/** Reads the configuration out of `env`. Empty values count as unset. @throws ConfigError naming every problem. */
export function parseConfig(env: Environment): Config {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  const settings: Record<string, string> = {};
  for (const name of Object.keys(variables) as VariableName[]) {
    const spec: (typeof variables)[VariableName] & Masking = variables[name];
    const given = spec.secret ? readSecret(env, name, problems) : env[name] || undefined;
    const raw = given ?? (isSet(env, name) ? undefined : spec.fallback);
    if (raw === undefined) continue;
    const parsed = spec.schema.safeParse(raw);
    if (parsed.success) {
      values[name] = parsed.data;
      if (raw !== spec.fallback) settings[name] = spec.harmless ? raw : 'set';
    } else {
      const shown = spec.secret ? 'its value' : JSON.stringify(raw.slice(0, 80));
      problems.push(
        `${name}: ${shown} can't be used; ${parsed.error.issues[0]?.message ?? 'see the README'}.`,
      );
    }
  }
  // What was set but couldn't be used is on the list already: nothing more is said about it.
  const config = assemble(values as Values, env, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze({ ...config, settings: Object.freeze(settings) });
}

/** What only some variables have. */
interface Masking {
  readonly fallback?: string;
  readonly secret?: true;
  readonly harmless?: true;
}

function isSet(env: Environment, name: VariableName): boolean {
  return Boolean(env[name] || ('secret' in variables[name] && env[`${name}_FILE`]));
}

function assemble(values: Values, env: Environment, problems: string[]): Omit<Config, 'settings'> {
  if (values.MONGODB_URI && values.DATABASE_URI && values.MONGODB_URI !== values.DATABASE_URI) {
    problems.push('MONGODB_URI and DATABASE_URI differ: set only one of them.');
  }
  const mongodbUri = values.MONGODB_URI ?? values.DATABASE_URI ?? null;
  const isProduction = env['NODE_ENV'] === 'production';
  return Object.freeze({
    port: values.PORT,
    host: values.HOST,
    mongodbUri,
    refuseStandalone: mongodbUri !== null && isProduction && !values.ALLOW_STANDALONE,
    // Absolute, so that every message says where it really is.
    dataDir: resolve(values.DATA_DIR),
    signing: Object.freeze(signingConfig(values, (name) => isSet(env, name), problems)),
    tokenIssuer: values.TOKEN_ISSUER,
    tokenAudience: values.TOKEN_AUDIENCE,
    accessTokenTtlSeconds: values.ACCESS_TOKEN_TTL,
    fusionAuthTokenSeconds: values.FUSIONAUTH_TOKEN_TTL,
    dashboardSessionSeconds: values.DASHBOARD_SESSION_TTL,
    dashboardIdleSeconds: values.DASHBOARD_IDLE,
    refreshTokenSeconds: values.REFRESH_TOKEN_TTL,
    refreshTokenUsage: values.REFRESH_TOKEN_USAGE,
    refreshTokenGraceSeconds: values.REFRESH_TOKEN_GRACE,
    unknownTokens: values.UNKNOWN_TOKENS,
    leaseMs: values.LEASE,
    staleAfterSeconds: values.STALE_AFTER ?? null,
    retentionSeconds: values.RETENTION,
    shutdownDelayMs: values.SHUTDOWN_DELAY,
    adminEmail: normalizeEmail(values.ADMIN_EMAIL ?? ''),
    adminPassword: values.ADMIN_PASSWORD ?? null,
    passwordHash: values.PASSWORD_HASH ?? null,
    onPremises: values.ON_PREMISES,
    signInAttemptsPerMinute: values.SIGN_IN_ATTEMPTS,
    signInAttemptsPerAccount: values.SIGN_IN_ATTEMPTS_PER_ACCOUNT,
    mintRate: values.MINT_RATE,
    maxEndlessTokens: values.MAX_ENDLESS_TOKENS,
    trustProxyHops: values.TRUST_PROXY,
    corsOrigins: values.CORS_ORIGINS ?? [],
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
