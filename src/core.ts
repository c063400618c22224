/** Everything that one instance consists of, made once, for the process and the tests alike; nothing here knows HTTP. */
import { createAccounts } from './accounts/accounts.js';
import { createStanding } from './accounts/standing.js';
import { createAudit } from './audit/audit.js';
import { createApiKeys } from './auth/api-keys.js';
import { createCredentialsCheck } from './auth/check-credentials.js';
import { createConfirmCaller } from './auth/confirm-caller.js';
import { createMinting } from './auth/minting.js';
import { createMintingLimits } from './auth/minting-limits.js';
import { createPasswordHasher } from './auth/password-hash.js';
import { createPasswordSignIn } from './auth/sign-in.js';
import { createSignInLog } from './auth/sign-in-log.js';
import type { Clock } from './clock.js';
import type { Config } from './config/config.js';
import { createCheckOutages, whyNothingIsKnown } from './observability/check-outages.js';
import { createDatabaseProbe } from './observability/database-probe.js';
import type { Logger } from './observability/logger.js';
import { createCutoffMarker } from './revocation/cutoff-marker.js';
import { createKeepRefused } from './revocation/keep-refused.js';
import { createLowerCutoff } from './revocation/lower-cutoff.js';
import { createRevocationIndex, questionOf } from './revocation/revocation-index.js';
import { createRevoker } from './revocation/revoke.js';
import { createSettleRecorded } from './revocation/settle-recorded.js';
import { createRevocationSync } from './revocation/sync.js';
import type { Cutoff } from './store/cutoffs/cutoffs.js';
import type { Store } from './store/database/connect.js';
import type { NewTokenRecord, TokenRecord } from './store/records.js';
import type { Claims } from './tokens/claims.js';
import { createTokenIssuer } from './tokens/issuer.js';
import type { SigningKeys } from './tokens/keys.js';
import { recordOfClaims } from './tokens/record-of-claims.js';
import { createTokenRegistrar } from './tokens/registrar.js';
import { createSeal } from './tokens/seal.js';
import { createSessions } from './tokens/session.js';
import { createSessionState } from './tokens/session-state.js';
import { hasExpired, USUAL_AHEAD_MS } from './tokens/state.js';
import { createTokenCheck } from './tokens/token-check.js';
import { createUsageRecorder } from './tokens/usage-recorder.js';
import { createTokenVerifier } from './tokens/verifier.js';

export interface CoreOptions {
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
}

export interface RevocationWitness {
  revoked(record: TokenRecord): void;
  cutOff(cutoff: Cutoff): void;
}

export type Core = ReturnType<typeof createCore>;

export function createCore(options: CoreOptions) {
  const { config, keys, store, clock, log, witness } = options;
  const logClock = options.logClock ?? (() => performance.now());
  const { tokens, users, cutoffs, events } = store;
  const { tokenIssuer: ownIssuer, retentionSeconds, unknownTokens } = config;
  /** What nearly everything takes. */
  const base = { store, tokens, users, cutoffs, clock, log, ownIssuer, retentionSeconds };

  const seal = createSeal(store.seal.secret);
  const index = createRevocationIndex({
    clock,
    ownIssuer,
    staleAfterMs: config.staleAfterSeconds * 1000,
    sealedSince: store.seal.since.getTime(),
  });
  const isRevoked = (record: TokenRecord) => index.isRevoked(questionOf(record));
  const outages = createCheckOutages({
    canAnswer: () => index.isFresh,
    why: () => {
      const age = index.lastSyncedAt === null ? null : clock() - index.lastSyncedAt;
      return whyNothingIsKnown(age, sync.lastFailure);
    },
    clock: logClock,
    log,
  });
  const audit = createAudit(base);

  // Who asks, by password.
  const hasher = createPasswordHasher({
    form: config.passwordHash,
    bcryptCost: users.bcryptCost,
    clock,
  });
  const signInLog = createSignInLog({ log, clock: logClock });
  const { signIn, forgetVerified } = createPasswordSignIn({
    users,
    hasher,
    clock,
    attemptsPerMinute: config.signInAttemptsPerMinute,
    attemptsPerAccount: config.signInAttemptsPerAccount,
    signIns: signInLog,
  });

  // What was revoked, and revoking.
  const marker = createCutoffMarker({ ...base, onMarked: audit.marked });
  const onDurableCutoff = (cutoff: Cutoff) => witness?.cutOff(cutoff);
  const revoker = createRevoker({
    ...base,
    marker,
    index,
    onDurable: (record) => witness?.revoked(record),
    onRevoked: audit.revoked,
    onDurableCutoff,
    onScopeRevoked: audit.scopeRevoked,
  });
  const lowerCutoff = createLowerCutoff({
    ...base,
    index,
    revoker,
    onDurable: onDurableCutoff,
    onLowered: audit.cutoffLowered,
  });
  const standing = createStanding({
    ...base,
    knownUsers: store.knownUsers,
    revoker,
    index,
    forgetVerified,
  });
  const accounts = createAccounts({
    ...base,
    revoker,
    standing,
    forgetVerified,
    trail: audit.trail,
  });
  const toRecord = (claims: Claims) =>
    recordOfClaims(claims, {
      origin: 'adopted',
      device: null,
      lastUsedAt: null,
      seenAt: clock(),
      retentionSeconds,
    });
  const keepRefused = createKeepRefused({ ...base, index, revoker, toRecord });
  const settling = createSettleRecorded({ index, revoker, log });
  /** Of what others signed. */
  const insertSettled = async (record: NewTokenRecord) => {
    const inserted = await tokens.insert(record);
    settling.note(inserted);
    return inserted;
  };
  const sync = createRevocationSync({
    ...base,
    index,
    async alsoRefresh() {
      void keepRefused.retry();
      if (!(await store.beginning.isStillThere())) options.onDatabaseLost?.();
      await standing.refresh();
    },
    beginRead: settling.beginRead,
    onForeign(revocations) {
      audit.foreign(revocations);
      // Whoever changes a password revokes what its user holds: that is how others learn of it.
      if (revocations.cutoffs.length > 0) forgetVerified();
    },
  });

  // Checking what is presented.
  const verifier = createTokenVerifier({
    keys,
    clock,
    isRevoked: index.isRevoked,
    seal,
    // Where nothing is recorded, nothing remembers when such a one was first seen.
    ...(unknownTokens === 'allow' ? { maxAheadMs: USUAL_AHEAD_MS } : {}),
  });
  const usage = createUsageRecorder({
    ...base,
    adopt: unknownTokens === 'adopt',
    onAdopted(record) {
      audit.issued(record);
      settling.note(record);
    },
    onFound: settling.note,
    onNoted: standing.noteUse,
  });
  const sessionState = createSessionState(tokens.findByJti);
  const onRefused = audit.refused;
  const checkToken = createTokenCheck({
    verifier,
    usage,
    sessionState,
    unknownTokens,
    onRefused,
    keepRefused: keepRefused.note,
  });
  const apiKeys = createApiKeys({
    ...base,
    secrets: tokens,
    onRefused,
    isRevoked: index.isRevoked,
    usage,
    createId: seal.createId,
  });

  // Issuing.
  const issuer = createTokenIssuer({
    ...base,
    keys,
    seal,
    issuer: ownIssuer,
    record: tokens.insert,
  });
  const registrar = createTokenRegistrar({
    ...base,
    tokens: {
      ...tokens,
      async insert(record) {
        const inserted = await insertSettled(record);
        audit.issued(inserted);
        return inserted;
      },
    },
    identify: verifier.identify,
  });
  const confirmCaller = createConfirmCaller({
    ...base,
    tokens: { ...tokens, insert: insertSettled },
    toRecord,
    forgetVerified,
  });
  const limits = createMintingLimits({
    perMinute: config.mintRate,
    maxEndless: config.maxEndlessTokens,
    countEndless: tokens.countEndless,
    clock,
  });
  const issued = { discard: tokens.discard, onIssued: audit.issued };
  const minting = createMinting({ ...issued, confirmCaller, limits });
  const sessions = createSessions({
    ...base,
    ...issued,
    secrets: tokens,
    onRefused,
    onExchange: limits.takeExchange,
    findUser: users.findById,
    issuer,
    isRevoked,
    createId: seal.createId,
    defaultAudience: config.tokenAudience,
    accessSeconds: config.fusionAuthTokenSeconds,
    refreshSeconds: config.refreshTokenSeconds,
    oneTimeUse: config.refreshTokenUsage === 'one-time',
    graceSeconds: config.refreshTokenGraceSeconds,
  });
  const probe = createDatabaseProbe({ ping: store.ping, log });

  return {
    config,
    clock,
    log,
    logClock,
    keys,
    tokens,
    users,
    cutoffs,
    events,
    ownIssuer,
    unknownTokens,
    index,
    isRevoked,
    outages,
    audit,
    trail: audit.trail,
    hasher,
    signIn,
    marker,
    settled: marker.settled,
    revoker,
    lowerCutoff,
    accounts,
    sync,
    verifier,
    identify: verifier.identify,
    usage,
    sessionState,
    checkToken,
    apiKeys,
    issuer,
    registrar,
    confirmCaller,
    minting,
    sessions,
    probe,
    checkCredentials: createCredentialsCheck(checkToken, apiKeys),
    /** Neither expired nor revoked, from memory. @throws ServiceError 503 when that can't be known. */
    isUsable: (claims: Claims) =>
      !hasExpired(claims.expiresAt, clock()) && !index.isRevoked(claims),
    /** Writes what is still to be written. The store stays open. */
    async stop(): Promise<void> {
      probe.stop();
      outages.stop();
      signInLog.flush();
      await sync.stop();
      await marker.stop();
      await sessions.flush();
      await keepRefused.retry();
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
