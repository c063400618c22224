/** The table of every environment variable: how it is read, its default, what it is for. `config.ts` beside it reads it. */
import type { z } from 'zod';
import { isEmailAddress } from '../email.js';
import {
  duration,
  shortTime,
  text,
  flag,
  oneOf,
  wholeNumber,
  logLevel,
  mongodbUri,
  origins,
} from './fields.js';

interface Variable<T> {
  readonly schema: z.ZodType<T, string>;
  /** The default, as one would write it in the environment; absent = unset. */
  readonly fallback?: string;
  readonly about: string;
  /** Secrets can also be given as a file, by NAME_FILE, and are never echoed. */
  readonly secret?: true;
  /** Its value may be in the log. Of all others it says only that they are set. */
  readonly harmless?: true;
}

const variable = <T>(spec: Variable<T>): Variable<T> => spec;
const withDefault = <T>(spec: Variable<T> & { readonly fallback: string }) => spec;

/** docs/configuration.md, README.md and .env.example are tested against this table. */
export const variables = {
  PORT: withDefault({
    schema: wholeNumber(0, 65_535),
    fallback: '3000',
    harmless: true,
    about: 'TCP port; 0 takes a free one',
  }),
  HOST: variable({
    schema: text.max(255),
    harmless: true,
    about: 'address to listen on; unset = every interface',
  }),
  MONGODB_URI: variable({
    schema: mongodbUri,
    secret: true,
    about: 'MongoDB to use; unset = the embedded engine in `DATA_DIR`',
  }),
  DATABASE_URI: variable({
    schema: mongodbUri,
    secret: true,
    about: "another name for `MONGODB_URI` (Tiledesk's)",
  }),
  ALLOW_STANDALONE: withDefault({
    schema: flag,
    fallback: 'false',
    harmless: true,
    about:
      'true starts with `NODE_ENV=production` even on a MongoDB server that is no member of a replica set, and warns',
  }),
  DATA_DIR: withDefault({
    schema: text.max(4096),
    fallback: './data',
    harmless: true,
    about: 'folder of the embedded engine and of the generated secret',
  }),
  GLOBAL_SECRET: variable({
    schema: text,
    secret: true,
    about:
      'HS256 signing secret, 32 random bytes or more; unset with the embedded engine = one is made and kept in `DATA_DIR`',
  }),
  GLOBAL_SECRET_ALGORITHM: withDefault({
    schema: oneOf(['HS256', 'RS256']),
    fallback: 'HS256',
    harmless: true,
    about: 'HS256 (with `GLOBAL_SECRET`) or RS256 (with the two keys below)',
  }),
  GLOBAL_SECRET_OR_PRIVATE_KEY: variable({
    schema: text,
    secret: true,
    about: 'RS256 private key, PEM; a literal `\\n` counts as a line end',
  }),
  GLOBAL_SECRET_OR_PUB_KEY: variable({
    schema: text,
    secret: true,
    about: 'RS256 public key, PEM; unset = taken from the private key',
  }),
  ALLOW_WEAK_SECRET: withDefault({
    schema: flag,
    fallback: 'false',
    harmless: true,
    about: 'true starts even with a `GLOBAL_SECRET` that is short, guessable or leaked, and warns',
  }),
  TOKEN_ISSUER: withDefault({
    schema: text.min(1).max(256),
    fallback: 'https://tiledesk.com',
    harmless: true,
    about: 'claim `iss` of the tokens issued here',
  }),
  TOKEN_AUDIENCE: withDefault({
    schema: text.min(1).max(256),
    fallback: 'https://tiledesk.com',
    harmless: true,
    about: 'claim `aud` of the tokens issued at sign-in',
  }),
  ACCESS_TOKEN_TTL: withDefault({
    schema: duration,
    fallback: '30d',
    harmless: true,
    about: 'lifetime of a sign-in token; 0 = it never expires',
  }),
  FUSIONAUTH_TOKEN_TTL: withDefault({
    schema: duration.refine((seconds) => seconds >= 1, { error: 'give 1 second or more' }),
    fallback: '1h',
    harmless: true,
    about: "lifetime of the access tokens of FusionAuth's login",
  }),
  DASHBOARD_SESSION_TTL: withDefault({
    schema: duration.refine((seconds) => seconds >= 60, { error: 'give 60 seconds or more' }),
    fallback: '12h',
    harmless: true,
    about: 'how long a sign-in to the dashboard lasts at most',
  }),
  DASHBOARD_IDLE: withDefault({
    schema: duration.refine((seconds) => seconds >= 60, { error: 'give 60 seconds or more' }),
    fallback: '30m',
    harmless: true,
    about: 'the dashboard signs out after so long without a touch',
  }),
  REFRESH_TOKEN_TTL: withDefault({
    schema: duration.refine((seconds) => seconds >= 60, { error: 'give 60 seconds or more' }),
    fallback: '30d',
    harmless: true,
    about: 'lifetime of a refresh token, counted anew at each exchange',
  }),
  REFRESH_TOKEN_USAGE: withDefault({
    schema: oneOf(['one-time', 'reusable']),
    fallback: 'one-time',
    harmless: true,
    about:
      'one-time: each exchange replaces the refresh token, and a used one that comes back revokes the session; or reusable',
  }),
  REFRESH_TOKEN_GRACE: withDefault({
    schema: duration.refine((seconds) => seconds <= 60, { error: 'give at most 60 seconds' }),
    fallback: '10s',
    harmless: true,
    about:
      'how long a used refresh token still leads to its successor, for parallel requests and lost answers (0: never)',
  }),
  UNKNOWN_TOKENS: withDefault({
    schema: oneOf(['adopt', 'allow', 'deny']),
    fallback: 'adopt',
    harmless: true,
    about:
      'correctly signed tokens without a record: adopt (accept and record), allow (accept) or deny',
  }),
  LEASE: withDefault({
    schema: shortTime(60).refine((ms) => ms >= 500, { error: 'give 0.5 seconds or more' }),
    fallback: '1s',
    harmless: true,
    about:
      'how long checks go on after an instance last made sure that it knows every revoke; then they answer 503 until it does again. A revoke waits at most about that long for an instance that is cut off',
  }),
  STALE_AFTER: variable({
    schema: duration.refine((seconds) => seconds >= 5, { error: 'give 5 seconds or more' }),
    harmless: true,
    about:
      'how long checks go on without a lease, as while the database is away: what others revoke meanwhile is accepted (availability instead of the promise); unset = not at all',
  }),
  RETENTION: withDefault({
    schema: duration.refine((seconds) => seconds >= 86_400, { error: 'give 1 day (1d) or more' }),
    fallback: '90d',
    harmless: true,
    about: 'how long a record is kept after its token has expired',
  }),
  SHUTDOWN_DELAY: withDefault({
    schema: shortTime(300),
    fallback: '0.25s',
    harmless: true,
    about:
      'how long it goes on answering after it was asked to stop, while `/readyz` says no: until load balancers notice',
  }),
  ADMIN_EMAIL: withDefault({
    schema: text.refine(isEmailAddress, { error: 'give an e-mail address' }),
    fallback: 'admin@localhost',
    about: 'e-mail of the first administrator',
  }),
  ADMIN_PASSWORD: variable({
    schema: text
      .min(8, { error: 'give at least 8 characters' })
      .max(256, { error: 'give at most 256 characters' }),
    secret: true,
    about: 'password of the first administrator; unset = one is made and printed once',
  }),
  PASSWORD_HASH: variable({
    schema: oneOf(['argon2id', 'bcrypt']),
    harmless: true,
    about:
      'form of every password hash, argon2id or bcrypt; unset = stored ones stay, new ones are as the others',
  }),
  ON_PREMISES: withDefault({
    schema: flag,
    fallback: 'true',
    harmless: true,
    about: 'false switches the v1 routes off',
  }),
  SIGN_IN_ATTEMPTS: withDefault({
    schema: wholeNumber(1, 100_000),
    fallback: '30',
    harmless: true,
    about: 'failed password attempts one address (IPv6: one /64) may make in a minute',
  }),
  SIGN_IN_ATTEMPTS_PER_ACCOUNT: withDefault({
    schema: wholeNumber(1, 100_000),
    fallback: '100',
    harmless: true,
    about:
      'failed password attempts at one account in 15 minutes; beyond it only addresses that it knows go on freely',
  }),
  MINT_RATE: withDefault({
    schema: wholeNumber(0, 100_000),
    fallback: '60',
    harmless: true,
    about:
      'tokens one holder may mint in a minute (sign-ins and exchanges: ten times as many each); 0 = any number',
  }),
  MAX_ENDLESS_TOKENS: withDefault({
    schema: wholeNumber(0, 1_000_000),
    fallback: '1000',
    harmless: true,
    about:
      'live tokens and API keys that never expire which one holder may have minted; 0 = any number',
  }),
  TRUST_PROXY: withDefault({
    schema: wholeNumber(0, 16),
    fallback: '0',
    harmless: true,
    about: 'how many reverse proxies stand in front (their `X-Forwarded-For` is believed)',
  }),
  CORS_ORIGINS: variable({
    schema: origins,
    harmless: true,
    about:
      'origins whose pages may use the API, separated by commas (`https://app.example.com`); unset = none',
  }),
  LOG_LEVEL: withDefault({
    schema: logLevel,
    fallback: 'info',
    harmless: true,
    about:
      "trace, debug, info, warn, error, fatal or silent (and Tiledesk's http, verbose and silly)",
  }),
};

export type VariableName = keyof typeof variables;

/** The parsed values: those with a default are always there. */
export type Values = {
  readonly [K in VariableName]: (typeof variables)[K] extends { readonly fallback: string }
    ? z.output<(typeof variables)[K]['schema']>
    : z.output<(typeof variables)[K]['schema']> | undefined;
};
