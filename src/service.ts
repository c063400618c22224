/** The service on an open store: everything that one instance consists of, wired once, for the process and the tests alike. */
import type { RequestListener } from 'node:http';
import type { Express } from 'express';
import { type Accounts, createAccounts } from './accounts/accounts.js';
import { createStanding } from './accounts/standing.js';
import { createApp } from './app.js';
import { type Audit, createAudit } from './audit/audit.js';
import { createApiKeys } from './auth/api-keys.js';
import { createConfirmCaller } from './auth/confirm-caller.js';
import { createMinting } from './auth/minting.js';
import { createMintingLimits } from './auth/minting-limits.js';
import { createCredentialsCheck } from './auth/check-credentials.js';
import { createPasswordHasher, type PasswordHasher } from './auth/password-hash.js';
import { createPasswordSignIn } from './auth/sign-in.js';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import { type Readiness, readinessOf } from './http/readiness.js';
import type { CheckOutages } from './observability/check-outages.js';
import { createDatabaseProbe, type DatabaseProbe } from './observability/database-probe.js';
import { createCors } from './http/cors.js';
import type { Logger } from './observability/logger.js';
import { createCutoffMarker, type CutoffMarker } from './revocation/cutoff-marker.js';
import { createKeepRefused } from './revocation/keep-refused.js';
import { createLowerCutoff } from './revocation/lower-cutoff.js';
import {
  createRevocationIndex,
  questionOf,
  type RevocationIndex,
} from './revocation/revocation-index.js';
import { createRevoker, type Revoker } from './revocation/revoke.js';
import { createSettleRecorded } from './revocation/settle-recorded.js';
import { createRevocationSync, type RevocationSync } from './revocation/sync.js';
import { createServiceLog, whyNothingIsKnown } from './service-log.js';
import type { Store } from './store/connect.js';
import type { Cutoff } from './store/cutoffs.js';
import { createVerifyEndpoint } from './routes/verify.js';
import type { NewTokenRecord, TokenRecord } from './store/records.js';
import type { Claims } from './tokens/claims.js';
import { recordOfClaims } from './tokens/record-of-claims.js';
import { hasExpired, USUAL_AHEAD_MS } from './tokens/state.js';
import { createTokenIssuer } from './tokens/issuer.js';
import type { SigningKeys } from './tokens/keys.js';
import { createTokenRegistrar } from './tokens/registrar.js';
import { createSeal } from './tokens/seal.js';
import { createSessionState } from './tokens/session-state.js';
import { createSessions, type Sessions } from './tokens/session.js';
import { type CheckToken, createTokenCheck } from './tokens/token-check.js';
import { createUsageRecorder, type UsageRecorder } from './tokens/usage-recorder.js';
import { createTokenVerifier } from './tokens/verifier.js';

export interface Service {
  /** Answers every request. */
  readonly handler: RequestListener;
  /** What answers behind it; its routes can be listed. */
  readonly app: Express;
  readonly hasher: PasswordHasher;
  readonly index: RevocationIndex;
  readonly usage: UsageRecorder;
  readonly sessions: Sessions;
  readonly revoker: Revoker;
  readonly check: CheckToken;
  readonly accounts: Accounts;
  readonly audit: Audit;
  /** Fills the revocation index and keeps it fresh; before that every check is refused with 503. */
  readonly sync: RevocationSync;
  /** Marks what cut-offs revoked; wake it once after the start. */
  readonly marker: CutoffMarker;
  /** Whether the database answers, for `/readyz`. */
  readonly probe: DatabaseProbe;
  /** Tells the log when checks can't be answered; looks by itself once it is started. */
  readonly outages: Pick<CheckOutages, 'start' | 'look'>;
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
  /** By which the log counts what comes again and again; unset = the process's own, which nothing moves. */
  readonly logClock?: Clock;
  /** Is told of what is durable. */
  readonly witness?: RevocationWitness;
  /** The database is not the one that it was; may come again and again. */
  readonly onDatabaseLost?: () => void;
  /** What `/readyz` says of the disk, where the database is on ours; from memory. */
  readonly diskSpace?: () => NonNullable<Readiness['disk']>;
}

export interface RevocationWitness {
  revoked(record: TokenRecord): void;
  cutOff(cutoff: Cutoff): void;
}

export function createService(options: ServiceOptions): Service {
  const { config, keys, store, clock, log, witness } = options;
  const { retentionSeconds } = config;
  const seal = createSeal(store.seal.secret);
  const index = createRevocationIndex({
    clock,
    ownIssuer: config.tokenIssuer,
    staleAfterMs: config.staleAfterSeconds * 1000,
    sealedSince: store.seal.since.getTime(),
  });
  const { trustProxyHops } = config;
  const serviceLog = createServiceLog({
    log,
    clock: options.logClock ?? (() => performance.now()),
    trustProxyHops,
    canAnswer: () => index.isFresh,
    why: () => {
      const age = index.lastSyncedAt === null ? null : clock() - index.lastSyncedAt;
      return whyNothingIsKnown(age, sync.lastFailure);
    },
  });
  const { outages } = serviceLog;
  const audit = createAudit({ store, clock, log, retentionSeconds });
  const hasher = createPasswordHasher({
    form: config.passwordHash,
    bcryptCost: store.users.bcryptCost,
    clock,
  });
  const passwordSignIn = createPasswordSignIn({
    users: store.users,
    hasher,
    clock,
    attemptsPerMinute: config.signInAttemptsPerMinute,
    attemptsPerAccount: config.signInAttemptsPerAccount,
    signIns: serviceLog.signIns,
  });
  const marker = createCutoffMarker({ store, log, onMarked: audit.marked });
  const revoker = createRevoker({
    store,
    marker,
    index,
    clock,
    log,
    ownIssuer: config.tokenIssuer,
    onDurable: (record) => witness?.revoked(record),
    onRevoked: audit.revoked,
    onDurableCutoff: (cutoff) => witness?.cutOff(cutoff),
    onScopeRevoked: audit.scopeRevoked,
  });
  const standing = createStanding({
    users: store.users,
    knownUsers: store.knownUsers,
    tokens: store.tokens,
    revoker,
    index,
    forgetVerified: passwordSignIn.forgetVerified,
    clock,
    log,
  });
  const accounts = createAccounts({
    users: store.users,
    revoker,
    standing,
    forgetVerified: passwordSignIn.forgetVerified,
    trail: audit.trail,
    log,
  });
  const toRecord = (claims: Claims) =>
    recordOfClaims(claims, {
      origin: 'adopted',
      device: null,
      lastUsedAt: null,
      seenAt: clock(),
      retentionSeconds,
    });
  const keepRefused = createKeepRefused({ tokens: store.tokens, index, revoker, toRecord, log });
  const settling = createSettleRecorded({ index, revoker, log });
  /** Of what others signed. */
  const insertSettled = async (record: NewTokenRecord) => {
    const inserted = await store.tokens.insert(record);
    settling.note(inserted);
    return inserted;
  };
  const sync = createRevocationSync({
    store,
    index,
    clock,
    log,
    async alsoRefresh() {
      void keepRefused.retry();
      if (!(await store.beginning.isStillThere())) options.onDatabaseLost?.();
      await standing.refresh();
    },
    beginRead: settling.beginRead,
    onForeign(revocations) {
      audit.foreign(revocations);
      // Whoever changes a password revokes what its user holds: that is how others learn of it.
      if (revocations.cutoffs.length > 0) passwordSignIn.forgetVerified();
    },
  });
  const verifier = createTokenVerifier({
    keys,
    clock,
    isRevoked: index.isRevoked,
    seal,
    // Where nothing is recorded, nothing remembers when such a one was first seen.
    ...(config.unknownTokens === 'allow' ? { maxAheadMs: USUAL_AHEAD_MS } : {}),
  });
  const usage = createUsageRecorder({
    tokens: store.tokens,
    clock,
    log,
    adopt: config.unknownTokens === 'adopt',
    retentionSeconds,
    onAdopted(record) {
      audit.issued(record);
      settling.note(record);
    },
    onFound: settling.note,
    onNoted: standing.noteUse,
  });
  const sessionState = createSessionState(store.tokens.findByJti);
  const checkToken = createTokenCheck({
    verifier,
    usage,
    sessionState,
    unknownTokens: config.unknownTokens,
    onRefused: audit.refused,
    keepRefused: keepRefused.note,
  });
  const apiKeys = createApiKeys({
    secrets: store.tokens,
    onRefused: audit.refused,
    isRevoked: index.isRevoked,
    usage,
    createId: seal.createId,
    clock,
    ownIssuer: config.tokenIssuer,
    retentionSeconds,
  });
  const checkCredentials = createCredentialsCheck(checkToken, apiKeys);
  const isRevoked = (record: TokenRecord) => index.isRevoked(questionOf(record));
  const issuer = createTokenIssuer({
    keys,
    seal,
    clock,
    issuer: config.tokenIssuer,
    retentionSeconds,
    record: store.tokens.insert,
  });
  const confirmCaller = createConfirmCaller({
    tokens: { ...store.tokens, insert: insertSettled },
    cutoffs: store.cutoffs,
    users: store.users,
    toRecord,
    forgetVerified: passwordSignIn.forgetVerified,
    clock,
    ownIssuer: config.tokenIssuer,
  });
  const mintingLimits = createMintingLimits({
    perMinute: config.mintRate,
    maxEndless: config.maxEndlessTokens,
    countEndless: store.tokens.countEndless,
    clock,
  });
  const minting = createMinting({
    confirmCaller,
    limits: mintingLimits,
    discard: store.tokens.discard,
    onIssued: audit.issued,
  });
  const sessions = createSessions({
    secrets: store.tokens,
    onRefused: audit.refused,
    onExchange: mintingLimits.takeExchange,
    findUser: store.users.findById,
    issuer,
    discard: store.tokens.discard,
    onIssued: audit.issued,
    isRevoked,
    createId: seal.createId,
    clock,
    ownIssuer: config.tokenIssuer,
    defaultAudience: config.tokenAudience,
    accessSeconds: config.fusionAuthTokenSeconds,
    refreshSeconds: config.refreshTokenSeconds,
    retentionSeconds,
    oneTimeUse: config.refreshTokenUsage === 'one-time',
    graceSeconds: config.refreshTokenGraceSeconds,
  });
  const cors = createCors(config.corsOrigins);
  const verify = createVerifyEndpoint({
    checkCredentials,
    cors,
    refusals: serviceLog.refusals,
    log,
    onUnavailable: outages.refused,
    trustProxyHops,
  });
  const probe = createDatabaseProbe({ ping: store.ping, log });
  let stopping = false;
  const stopFirst: (() => void)[] = [];
  const beginStop = () => {
    stopping = true;
    for (const each of stopFirst) each();
  };

  const app = createApp({
    config,
    clock,
    log,
    cors,
    requestLines: serviceLog.requestLines,
    noteRefused: serviceLog.noteRefused,
    onUnavailable: outages.refused,
    store,
    keys,
    hasher,
    passwordSignIn,
    accounts,
    issuer,
    minting,
    confirmCaller,
    usage,
    marker,
    registrar: createTokenRegistrar({
      tokens: {
        ...store.tokens,
        async insert(record) {
          const inserted = await insertSettled(record);
          audit.issued(inserted);
          return inserted;
        },
      },
      identify: verifier.identify,
      retentionSeconds,
      clock,
    }),
    checkToken,
    checkCredentials,
    verifier,
    sessionState,
    isRevoked,
    sessions,
    apiKeys,
    revoker,
    lowerCutoff: createLowerCutoff({
      store,
      index,
      revoker,
      clock,
      log,
      onDurable: (cutoff) => witness?.cutOff(cutoff),
      onLowered: audit.cutoffLowered,
    }),
    audit,
    isUsable: (claims) => !hasExpired(claims.expiresAt, clock()) && !index.isRevoked(claims),
    onStop: (stop) => void stopFirst.push(stop),
    readiness: () =>
      readinessOf(
        { running: !stopping, revocationIndex: index.isFresh, store: probe.answers },
        options.diskSpace?.(),
      ),
  });

  return {
    handler: (req, res) => {
      if (!verify(req, res)) app(req, res);
    },
    app,
    hasher,
    index,
    usage,
    sync,
    marker,
    probe,
    outages,
    sessions,
    revoker,
    check: checkToken,
    accounts,
    audit,
    announceStop: beginStop,
    async stop() {
      beginStop();
      probe.stop();
      outages.stop();
      serviceLog.flush();
      await sync.stop();
      await marker.stop();
      await sessions.flush();
      await keepRefused.flush();
      try {
        await usage.flush();
        // Nobody settles later what was adopted last.
        if (settling.pending > 0) await sync.refresh();
      } finally {
        // Last: adopted tokens are told of too.
        await audit.flush();
      }
    },
  };
}
