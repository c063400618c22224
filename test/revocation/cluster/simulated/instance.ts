/** An instance made of the real modules, on the simulated database: it follows, revokes and checks. */
import { REPORT_NOTHING } from '../../../../src/audit/report.js';
import { ServiceError, unavailable } from '../../../../src/errors.js';
import { createLogger } from '../../../../src/observability/logger.js';
import { createApply, createLearn } from '../../../../src/revocation/cluster/apply.js';
import { createCluster } from '../../../../src/revocation/cluster/cluster.js';
import { createFollower } from '../../../../src/revocation/cluster/follower.js';
import type { RevocationQuestion } from '../../../../src/revocation/revocation-index.js';
import type { Operation } from '../../../../src/store/cluster/log.js';
import type { RevokedEntry } from '../../../../src/store/tokens/revoked-entry.js';
import type { Database } from './database.js';
import type { Process } from './time.js';

/** What a check answers; 503 = it says nothing. */
export type Answer = 'accepted' | 'revoked' | '503';

interface Options {
  readonly process: Process;
  readonly database: Database;
  readonly leaseMs: number;
}

export type Instance = ReturnType<typeof createInstance>;

const log = createLogger({ level: 'silent' });
const REFRESH_EVERY_MS = 1000;
/** Made once: so many are thrown. */
const NO_LEASE = unavailable('no lease');

export function createInstance({ process, database, leaseMs }: Options) {
  const known = new Set<string>();
  const instances = database.instances(process);
  const revocationLog = database.revocationLog(process);
  const { monotonic, sleep } = process;
  const cluster = createCluster({
    instances,
    revocationLog,
    leaseMs,
    log,
    monotonic,
    sleep,
    timeOfDay: process.now,
  });
  const { propagate, pending, lease } = cluster;

  const index = {
    isRevoked({ jti }: RevocationQuestion): boolean {
      if (!lease.holds()) throw NO_LEASE;
      return known.has(jti);
    },
    add({ jti }: RevokedEntry): boolean {
      const isNew = !known.has(jti);
      known.add(jti);
      return isNew;
    },
    get isFresh() {
      return lease.holds();
    },
    noteLowered: () => undefined,
    raiseCutoff: () => false,
  };
  const refuses = cluster.refusesEverywhere(index);
  const learn = createLearn({
    ...cluster,
    index,
    isBlocked: () => false,
    blockUser: () => undefined,
  });

  /** As `sync.load` and `sync.refresh`: of what is loaded nobody is told. */
  async function fetchAll(tellNew: (operations: readonly Operation[]) => void): Promise<void> {
    const ids = await database.marked(process);
    const found = ids.map(entryOf).filter(index.add);
    if (found.length > 0) tellNew(found.map((entry) => ({ what: 'revoked', entry })));
  }
  const refresh = () => fetchAll(propagate.tellBehind);

  const follower = createFollower({
    ...cluster,
    instances,
    revocationLog,
    load: () => fetchAll(() => undefined),
    lookAfter: async () => undefined,
    refresh,
    apply: createApply({
      index,
      blockUser: () => undefined,
      forgetVerified: () => undefined,
      report: REPORT_NOTHING,
    }),
    log,
  });

  async function refreshForEver(): Promise<void> {
    for (;;) {
      await sleep(REFRESH_EVERY_MS);
      await refresh().catch(only503);
    }
  }

  const checkFromMemory = cluster.waiting((jti: string) => refuses(questionOf(jti)));
  /** As where tokens without a record are refused: its record may say more than memory. */
  const checkRecorded = cluster.waiting(async (jti: string) => {
    if (refuses(questionOf(jti))) return true;
    if (await database.isMarked(process, jti)) {
      await learn([{ what: 'revoked', entry: entryOf(jti) }], questionOf(jti));
      return true;
    }
    return refuses(questionOf(jti));
  });

  return {
    process,
    propagate,
    follower,
    get holdsLease() {
      return lease.holds();
    },
    get pending() {
      return pending.size;
    },
    async start(): Promise<void> {
      await follower.start();
      void refreshForEver();
    },
    /** As `revoke.ts` does. @returns whether it was acknowledged. */
    async revoke(jti: string): Promise<boolean> {
      try {
        await database.mark(process, jti);
        const entry = entryOf(jti);
        index.add(entry);
        await propagate.tell([{ what: 'revoked', entry }]);
        return true;
      } catch (error) {
        only503(error);
        return false;
      }
    },
    async check(jti: string, isRecorded = false): Promise<Answer> {
      try {
        const isRevoked = await (isRecorded ? checkRecorded : checkFromMemory)(jti);
        return isRevoked ? 'revoked' : 'accepted';
      } catch (error) {
        only503(error);
        return '503';
      }
    },
    /** What a check would answer in this moment, without waiting. */
    wouldAnswer(jti: string): Answer {
      try {
        return refuses(questionOf(jti)) ? 'revoked' : 'accepted';
      } catch (error) {
        only503(error);
        return '503';
      }
    },
  };
}

/** @throws whatever else it is. */
function only503(error: unknown): void {
  if (!(error instanceof ServiceError && error.code === 'unavailable')) throw error;
}

function entryOf(jti: string): RevokedEntry {
  return { jti, issuer: 'us', expiresAt: null };
}

function questionOf(jti: string): RevocationQuestion {
  return {
    issuer: 'us',
    jti,
    sessionId: null,
    userId: null,
    applicationId: null,
    issuedAt: 0,
    sessionIssuedAt: null,
  };
}
