/** Everything that one instance consists of, made once, for the process and the tests alike; nothing here knows HTTP. */
import { createAccounts } from './accounts/accounts.js';
import { createStanding } from './accounts/standing.js';
import { createAudit } from './audit/audit.js';
import { createEventLog } from './audit/log-events.js';
import { cutoffsOf, type RevocationWitness, tellWitness, type TokenEvent } from './audit/report.js';
import { createApiKeys } from './auth/api-keys.js';
import { createCredentialsCheck } from './auth/check-credentials.js';
import { createConfirmCaller } from './auth/confirm-caller.js';
import { createMinting } from './auth/minting.js';
import { createMintingLimits } from './auth/minting-limits.js';
import { createPasswords } from './auth/passwords.js';
import type { Clock } from './clock.js';
import type { Config } from './config/config.js';
import { createCheckOutages } from './observability/check-outages.js';
import { createClockJumps } from './observability/clock-jumps.js';
import { createDatabaseProbe } from './observability/database-probe.js';
import type { Logger } from './observability/logger.js';
import { createApply, createLearn } from './revocation/cluster/apply.js';
import { createCluster } from './revocation/cluster/cluster.js';
import { createFollower } from './revocation/cluster/follower.js';
import { createPropagations } from './revocation/cluster/propagations.js';
import { createCutoffMarker } from './revocation/cutoff-marker.js';
import { createKeepRefused } from './revocation/keep-refused.js';
import { createLowerCutoff } from './revocation/lower-cutoff.js';
import { createRevocationIndex, questionOf } from './revocation/revocation-index.js';
import { createRevoker } from './revocation/revoke.js';
import { createSettleRecorded } from './revocation/settle-recorded.js';
import { createRevocationSync } from './revocation/sync.js';
import type { Store } from './store/database/connect.js';
import { toRevokedEntry } from './store/tokens/revoked-entry.js';
import { isIssuedHere, type NewTokenRecord, type TokenRecord } from './store/records.js';
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

const RESTORED =
  'an older state of the database was restored: what was revoked since is lost, so every token issued until now is refused';

export type Core = ReturnType<typeof createCore>;

export function createCore(options: CoreOptions) {
  const { config, keys, store, clock, log, witness } = options;
  const logClock = options.logClock ?? (() => performance.now());
  const { tokens, users, cutoffs, events } = store;
  const { discard } = tokens;
  const { tokenIssuer: ownIssuer, retentionSeconds, unknownTokens } = config;

  const seal = createSeal(store.seal.secret);
  const cluster = createCluster({ ...store, leaseMs: config.leaseMs, log });
  const { propagate, waiting } = cluster;
  const index = createRevocationIndex({
    clock,
    ownIssuer,
    holdsLease: cluster.lease.holds,
    staleAfterMs: config.staleAfterSeconds === null ? null : config.staleAfterSeconds * 1000,
    sealedSince: store.seal.since.getTime(),
  });
  const isRevoked = (record: TokenRecord) => index.isRevoked(questionOf(record));
  /** For checks, which refuse only what is refused everywhere. */
  const refuses = cluster.refusesEverywhere(index);
  const outages = createCheckOutages({
    canAnswer: () => index.isFresh,
    why: () => sync.whyStale(follower.failure),
    clock: logClock,
    log,
  });
  const audit = createAudit({ store, clock, log, retentionSeconds });
  const logEvent = createEventLog(log);
  function report(event: TokenEvent): void {
    if (witness) tellWitness(witness, event);
    // What others signed may have been revoked before it was recorded.
    if (event.what === 'issued' && !isIssuedHere(event.record.origin)) settling.note(event.record);
    // So others learn of a changed password, unless they have revoked the same scope since.
    for (const { userId } of cutoffsOf(event)) if (userId !== null) forgetVerified(userId);
    audit.report(event);
    logEvent(event);
  }
  /** What nearly everything takes. */
  const base = {
    store,
    tokens,
    users,
    cutoffs,
    clock,
    log,
    ownIssuer,
    retentionSeconds,
    report,
    propagate,
    tellBehind: propagate.tellBehind,
  };

  const passwords = createPasswords({
    ...base,
    config,
    logClock,
    mayRemember: () => index.isFresh,
    whenUserSettled: cluster.whenUserSettled,
  });
  const { hasher, signIn, forgetVerified } = passwords;

  // What was revoked, and revoking.
  const marker = createCutoffMarker(base);
  const propagations = createPropagations();
  const revoker = createRevoker({ ...base, marker, index, onPropagated: propagations.note });
  const lowerCutoff = createLowerCutoff({ ...base, index, revoker });
  const revoking = { ...base, index, revoker, forgetVerified };
  const standing = createStanding({ ...revoking, knownUsers: store.knownUsers });
  const learn = createLearn({
    ...cluster,
    index,
    isBlocked: standing.isBlocked,
    blockUser: standing.block,
  });
  const accounts = createAccounts({ ...revoking, standing, trail: audit.trail });
  const toRecord = (claims: Claims) =>
    recordOfClaims(claims, {
      origin: 'adopted',
      device: null,
      lastUsedAt: null,
      seenAt: clock(),
      retentionSeconds,
    });
  const keepRefused = createKeepRefused({ ...revoking, toRecord });
  const settling = createSettleRecorded(revoking);
  const insertOfOthers = async (record: NewTokenRecord) => {
    const inserted = await tokens.insert(record);
    report({ what: 'issued', record: inserted });
    return inserted;
  };
  const sync = createRevocationSync({
    ...base,
    index,
    async alsoRefresh() {
      void keepRefused.retry();
      const found = await store.beginning.look();
      if (found === 'another') options.onDatabaseLost?.();
      if (found === 'older') log.error({ event: 'database.restored' }, RESTORED);
      await store.beginning.advance(false);
      await standing.refresh();
    },
    async alsoRead(isLoad) {
      // A write, so that what is read isn't what a primary knows that is none any more.
      await store.beginning.advance(true);
      await standing.look(isLoad);
    },
    beginRead: settling.beginRead,
  });

  // Checking what is presented.
  const verifier = createTokenVerifier({
    keys,
    clock,
    isRevoked: refuses,
    seal,
    // Where nothing is recorded, nothing remembers when such a one was first seen.
    ...(unknownTokens === 'allow' ? { maxAheadMs: USUAL_AHEAD_MS } : {}),
  });
  const usage = createUsageRecorder({
    ...base,
    adopt: unknownTokens === 'adopt',
    onFound: settling.note,
    onNoted: standing.noteUse,
  });
  const sessionState = createSessionState(tokens.findByJti);
  const checkToken = waiting(
    createTokenCheck({
      report,
      verifier,
      usage,
      sessionState,
      unknownTokens,
      learn,
      keepRefused: keepRefused.note,
    }),
  );
  const apiKeys = createApiKeys({
    ...base,
    secrets: tokens,
    isRevoked: refuses,
    learn,
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
  const ofOthers = { ...revoking, tokens: { ...tokens, insert: insertOfOthers } };
  const registrar = createTokenRegistrar({ ...ofOthers, identify: verifier.identify });
  const confirmCaller = createConfirmCaller({ ...ofOthers, toRecord, learn });
  const limits = createMintingLimits({
    perMinute: config.mintRate,
    maxEndless: config.maxEndlessTokens,
    countEndless: tokens.countEndless,
    clock,
  });
  const minting = createMinting({ report, discard, confirmCaller, limits });
  const sessions = createSessions({
    ...base,
    discard,
    secrets: tokens,
    onExchange: limits.takeExchange,
    findUser: users.findById,
    issuer,
    isRevoked,
    whenRefused: (record) =>
      learn(
        record.revocation === null ? [] : [{ what: 'revoked', entry: toRevokedEntry(record) }],
        questionOf(record),
      ),
    createId: seal.createId,
    defaultAudience: config.tokenAudience,
    accessSeconds: config.fusionAuthTokenSeconds,
    refreshSeconds: config.refreshTokenSeconds,
    oneTimeUse: config.refreshTokenUsage === 'one-time',
    graceSeconds: config.refreshTokenGraceSeconds,
  });
  const follower = createFollower({
    ...store,
    ...cluster,
    load: sync.load,
    lookAfter: store.lookAfter,
    refresh: sync.readNew,
    apply: createApply({ index, blockUser: standing.block, forgetVerified, report }),
    log,
  });
  const probe = createDatabaseProbe({ ping: store.ping, log });
  const clockJumps = createClockJumps({ clock, monotonic: logClock, log });

  return {
    ...base,
    config,
    keys,
    logClock,
    events,
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
    follower,
    propagations,
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
    clockJumps,
    checkCredentials: createCredentialsCheck(checkToken, { check: waiting(apiKeys.check) }),
    /** Neither expired nor revoked, from memory. @throws ServiceError 503 when that can't be known. */
    isUsable: (claims: Claims) =>
      !hasExpired(claims.expiresAt, clock()) && !index.isRevoked(claims),
    /** Writes what is still to be written. The store stays open. */
    async stop(): Promise<void> {
      probe.stop();
      outages.stop();
      clockJumps.stop();
      passwords.flushLog();
      await sync.stop();
      await marker.stop();
      await sessions.flush();
      await keepRefused.flush();
      try {
        await usage.flush();
        // Nobody settles later what was adopted last.
        if (settling.pending > 0) await sync.refresh();
      } finally {
        await propagate.stop();
        await follower.stop();
        // Last: adopted tokens are told of too.
        await audit.flush();
      }
    },
  };
}
