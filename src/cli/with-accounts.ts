/** What the commands about accounts work with: the store of the configured installation, and what revokes in it. */
import { type Accounts, createAccounts } from '../accounts/accounts.js';
import { createEventLog } from '../audit/log-events.js';
import { tellWitness, type TokenEvent } from '../audit/report.js';
import { createTrail } from '../audit/trail.js';
import { createPasswordHasher, type PasswordHasher } from '../auth/password-hash.js';
import { systemClock } from '../clock.js';
import type { Config } from '../config/config.js';
import { createLogger, type Logger } from '../observability/logger.js';
import { createCluster } from '../revocation/cluster/cluster.js';
import { createCutoffMarker } from '../revocation/cutoff-marker.js';
import { createRevocationIndex } from '../revocation/revocation-index.js';
import { createRevoker } from '../revocation/revoke.js';
import type { Store } from '../store/database/connect.js';
import { assertSameDatabase } from '../store/embedded/initialized.js';
import { openWitness, type Witness } from '../store/embedded/witness.js';
import type { UserStore } from '../store/users/users.js';
import { assertHoldsSomething, assertThereIsData, withStore } from './with-store.js';

export interface AccountTools {
  readonly accounts: Accounts;
  readonly users: UserStore;
  readonly hasher: PasswordHasher;
}

/**
 * Runs `work` on the configured database. What it revokes is refused by all instances that run on it
 * when it resolves.
 * @throws what `work` throws, and Error when the database can't be opened.
 */
export async function withAccounts<T>(work: (tools: AccountTools) => Promise<T>): Promise<T> {
  assertThereIsData();
  return withStore(async (store, config) => {
    const log = createLogger({ level: 'silent' });
    const { mongodbUri, dataDir } = config;
    const witness = mongodbUri === null ? openWitness({ dataDir, clock: systemClock, log }) : null;
    // An administrator in it would make an emptied database look like one that holds data.
    if (witness) await assertSameDatabase(dataDir, store);
    await assertHoldsSomething(store, config);
    // What is revoked here must not make a new database look like one that was used before.
    await store.beginning.begin();
    await witness?.assertStored(store);
    await witness?.start();
    try {
      return await workOn(store, config, { log, witness }, work);
    } finally {
      await witness?.stop();
    }
  });
}

async function workOn<T>(
  store: Store,
  { tokenIssuer, retentionSeconds, passwordHash, leaseMs }: Config,
  { log, witness }: { log: Logger; witness: Witness | null },
  work: (tools: AccountTools) => Promise<T>,
): Promise<T> {
  const clock = systemClock;
  // It answers nobody, so it has no lease; others may have one.
  const { propagate } = createCluster({ ...store, leaseMs, log });
  // Nobody asks this one: what is revoked is for the instances to read.
  const index = createRevocationIndex({ clock, ownIssuer: tokenIssuer, staleAfterMs: 0 });
  const logEvent = createEventLog(log);
  const report = (event: TokenEvent) => {
    if (witness) tellWitness(witness, event);
    logEvent(event);
  };
  const marker = createCutoffMarker({ store, log, report });
  const trail = createTrail({ events: store.events, clock, log, retentionSeconds });
  const accounts = createAccounts({
    users: store.users,
    revoker: createRevoker({
      store,
      marker,
      index,
      clock,
      log,
      ownIssuer: tokenIssuer,
      report,
      propagate,
    }),
    standing: {
      block: (id) => index.blockUsers([id]),
      unblock: (id) => index.unblockUsers([id]),
      isBlocked: () => false,
    },
    forgetVerified: () => undefined,
    propagate,
    trail,
    log,
  });
  const { bcryptCost } = store.users;
  const hasher = createPasswordHasher({ form: passwordHash, bcryptCost, clock });
  try {
    return await work({ accounts, users: store.users, hasher });
  } finally {
    // What isn't marked by then is marked by the service, at its next start at the latest.
    await marker.settled();
    await marker.stop();
    await trail.flush();
  }
}
