/** The real service on a real database of its own, with a clock that the test moves and the log in memory. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import jwt from 'jsonwebtoken';
import request from 'supertest';
import { type Config, parseConfig } from '../../src/config/config.js';
import { createLogger, flushCounts, type Logger } from '../../src/observability/logger.js';
import { createService, type Service } from '../../src/service.js';
import { openStore, type Store } from '../../src/store/database/connect.js';
import type { User } from '../../src/store/records.js';
import { createRsaKeys, createSecretKeys } from '../../src/tokens/keys.js';

export const SECRET = 'sE-tVyj-KSbygTxgV_NM2WZ8JucICAcuz2nmTBHGb8BX';
export const PASSWORD = 'correct horse: battery staple';
export const START = Date.parse('2026-03-01T12:00:00.250Z');

/** Made once, and only where it is asked for: it takes longer than all else that is made here. */
let madeRsaPem: { readonly publicKey: string; readonly privateKey: string } | null = null;
const makeRsaPem = () =>
  (madeRsaPem ??= generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }));
export const rsaPem = {
  get publicKey(): string {
    return makeRsaPem().publicKey;
  },
  get privateKey(): string {
    return makeRsaPem().privateKey;
  },
};

export interface TestService {
  readonly service: Service;
  readonly store: Store;
  readonly config: Config;
  readonly clock: { now: number };
  /** The service's own. */
  readonly logger: Logger;
  /** Everything logged so far, as text. */
  log(): string;
  http(): ReturnType<typeof request>;
  createUser(email: string, role?: 'admin'): Promise<User>;
  /** Signs in over HTTP; `JWT …`. */
  signIn(email: string): Promise<string>;
  /** A second instance on the same database. */
  sibling(env?: Record<string, string>): Promise<TestService>;
  /** @throws when anything was logged that isn't on the log's allow-list. */
  close(): Promise<void>;
}

export function testMongodbUri(): string {
  const uri = process.env['TEST_MONGODB_URI'];
  if (uri === undefined) throw new Error('the global setup sets TEST_MONGODB_URI');
  return uri;
}

export function freshDatabase(): string {
  return `t-${randomUUID()}`;
}

export async function startTestService(
  env: Record<string, string> = {},
  database = freshDatabase(),
  clock = { now: START },
): Promise<TestService> {
  const logClock = unfailing(() => clock.now);
  const config = parseConfig({ GLOBAL_SECRET: SECRET, STALE_AFTER: '3650d', ...env });
  const lines: string[] = [];
  const unknownFields = new Set<string>();
  const log = createLogger({
    level: 'trace',
    onUnknownField: (name) => unknownFields.add(name),
    clock: logClock,
    destination: new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    }),
  });
  const now = () => clock.now;
  const store = await openStore({ uri: testMongodbUri(), clock: now, database });
  const keys =
    config.signing.algorithm === 'RS256'
      ? createRsaKeys(config.signing.privateKey, config.signing.publicKey)
      : createSecretKeys(config.signing.secret ?? SECRET);
  const service = createService({ config, keys, store, clock: now, log, logClock });
  await service.sync.load();

  const instance: TestService = {
    service,
    store,
    config,
    clock,
    logger: log,
    log: () => lines.join(''),
    http: () => request(service.handler),
    async createUser(email, role) {
      return store.users.insert({
        email,
        passwordHash: await service.hasher.hash(PASSWORD),
        firstname: 'First',
        lastname: 'Last',
        role: role ?? null,
      });
    },
    async signIn(email) {
      const response = await instance
        .http()
        .post('/auth/signin')
        .send({ email, password: PASSWORD });
      if (response.status !== 200) throw new Error(`sign-in answered ${response.status}`);
      return (response.body as { token: string }).token;
    },
    sibling: (more) => startTestService({ ...env, ...more }, database, clock),
    async close() {
      await service.stop();
      await store.close();
      flushCounts(log);
      if (unknownFields.size > 0) {
        throw new Error(`the log dropped ${[...unknownFields].join(', ')}: see ALLOWED_FIELDS`);
      }
    },
  };
  return instance;
}

/** The log's: it goes on when a test breaks the service's. */
function unfailing(clock: () => number): () => number {
  let last = 0;
  return () => {
    try {
      last = clock();
    } catch {
      // As it was.
    }
    return last;
  };
}

/** A token as another service that shares the secret would mint it. */
export function mint(claims: object, options: jwt.SignOptions = {}, secret = SECRET): string {
  return jwt.sign(claims, secret, { noTimestamp: !Object.hasOwn(claims, 'iat'), ...options });
}

export function jtiOf(token: string): string {
  const claims = jwt.decode(token.replace(/^JWT /, ''));
  if (claims === null || typeof claims === 'string' || claims.jti === undefined) {
    throw new Error('a token with a jti was expected');
  }
  return claims.jti;
}
