/** The service on an open store: everything that one instance consists of, wired once, for the process and the tests alike. */
import type { RequestListener } from 'node:http';
import { createApp } from './app.js';
import { createPasswordHasher, type PasswordHasher } from './auth/password-hash.js';
import { createPasswordSignIn } from './auth/sign-in.js';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import type { Logger } from './observability/logger.js';
import { createRevocationIndex, type RevocationIndex } from './revocation/revocation-index.js';
import { createRevoker } from './revocation/revoke.js';
import { createRevocationSync, type RevocationSync } from './revocation/sync.js';
import type { Store } from './store/connect.js';
import { createVerifyEndpoint } from './routes/verify.js';
import { createTokenIssuer } from './tokens/issuer.js';
import type { SigningKeys } from './tokens/keys.js';
import { createTokenRegistrar } from './tokens/registrar.js';
import { createTokenCheck } from './tokens/token-check.js';
import { createUsageRecorder, type UsageRecorder } from './tokens/usage-recorder.js';
import { createTokenVerifier } from './tokens/verifier.js';

export interface Service {
  /** Answers every request. */
  readonly handler: RequestListener;
  readonly hasher: PasswordHasher;
  readonly index: RevocationIndex;
  readonly usage: UsageRecorder;
  /** Fills the revocation index and keeps it fresh; before that every check is refused with 503. */
  readonly sync: RevocationSync;
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
  const index = createRevocationIndex({
    clock,
    ownIssuer: config.tokenIssuer,
    staleAfterMs: config.staleAfterSeconds * 1000,
  });
  const sync = createRevocationSync({ store, index, clock, log });
  const verifier = createTokenVerifier({ keys, clock, isRevoked: index.isRevoked });
  const usage = createUsageRecorder({
    tokens: store.tokens,
    clock,
    log,
    adopt: config.unknownTokens === 'adopt',
    retentionSeconds,
  });
  const checkToken = createTokenCheck({ verifier, usage, unknownTokens: config.unknownTokens });
  const verify = createVerifyEndpoint({ checkToken, log, trustProxyHops: config.trustProxyHops });
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
    checkToken,
    revoker: createRevoker({ tokens: store.tokens, index, clock, log }),
    readiness: async () => ({
      running: !stopping,
      revocationIndex: index.isFresh,
      store: await store.ping(),
    }),
  });

  return {
    handler: (req, res) => {
      if (!verify(req, res)) app(req, res);
    },
    hasher,
    index,
    usage,
    sync,
    announceStop() {
      stopping = true;
    },
    async stop() {
      await sync.stop();
      await usage.flush();
    },
  };
}
