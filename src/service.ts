/** The service on an open store: everything that one instance consists of, wired once, for the process and the tests alike. */
import type { Express } from 'express';
import { createApp } from './app.js';
import { createPasswordHasher, type PasswordHasher } from './auth/password-hash.js';
import { createPasswordSignIn } from './auth/sign-in.js';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import type { Logger } from './observability/logger.js';
import { createRevocationIndex, type RevocationIndex } from './revocation/revocation-index.js';
import { createRevoker } from './revocation/revoke.js';
import type { Store } from './store/connect.js';
import { createTokenIssuer } from './tokens/issuer.js';
import type { SigningKeys } from './tokens/keys.js';
import { createTokenRegistrar } from './tokens/registrar.js';
import { createTokenCheck } from './tokens/token-check.js';
import { createUsageRecorder, type UsageRecorder } from './tokens/usage-recorder.js';
import { createTokenVerifier } from './tokens/verifier.js';

export interface Service {
  readonly app: Express;
  readonly hasher: PasswordHasher;
  readonly index: RevocationIndex;
  readonly usage: UsageRecorder;
  /** Fills the revocation index; before it has, every check is refused with 503. */
  load(): Promise<void>;
  /** From now on `/readyz` says no, so that load balancers send nothing new. */
  announceStop(): void;
  /** Writes what is still to be written. The store stays open. */
  stop(): Promise<void>;
}

interface ServiceOptions {
  readonly config: Config;
  readonly keys: SigningKeys;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createService({ config, keys, store, clock, log }: ServiceOptions): Service {
  const { retentionSeconds } = config;
  const index = createRevocationIndex({ clock, ownIssuer: config.tokenIssuer });
  const verifier = createTokenVerifier({ keys, clock, isRevoked: index.isRevoked });
  const usage = createUsageRecorder({
    tokens: store.tokens,
    clock,
    log,
    adopt: config.unknownTokens === 'adopt',
    retentionSeconds,
  });
  const hasher = createPasswordHasher();
  const passwordSignIn = createPasswordSignIn({
    users: store.users,
    hasher,
    clock,
    attemptsPerMinute: config.signInAttemptsPerMinute,
  });
  let stopping = false;

  const app = createApp({
    config,
    clock,
    log,
    store,
    keys,
    hasher,
    passwordSignIn,
    usage,
    issuer: createTokenIssuer({
      keys,
      clock,
      issuer: config.tokenIssuer,
      retentionSeconds,
      record: store.tokens.insert,
    }),
    registrar: createTokenRegistrar({
      tokens: store.tokens,
      identify: verifier.identify,
      ownIssuer: config.tokenIssuer,
      retentionSeconds,
    }),
    checkToken: createTokenCheck({ verifier, usage, unknownTokens: config.unknownTokens }),
    revoker: createRevoker({ tokens: store.tokens, index, clock, log }),
    readiness: async () => ({
      running: !stopping,
      revocationIndex: index.isLoaded,
      store: await store.ping(),
    }),
  });

  return {
    app,
    hasher,
    index,
    usage,
    load: () => index.load(store.tokens.revoked(null)),
    announceStop() {
      stopping = true;
    },
    stop: () => usage.flush(),
  };
}
