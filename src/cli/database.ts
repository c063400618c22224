/** `npm run database -- accept-restore|adopt-earlier-tokens`: an operator's word on a database that the service can't know enough of. */
import { createAudit } from '../audit/audit.js';
import { systemClock, untilSecondAfter } from '../clock.js';
import type { Config } from '../config/config.js';
import { createLogger } from '../observability/logger.js';
import { createCluster } from '../revocation/cluster/cluster.js';
import { createCutoffMarker } from '../revocation/cutoff-marker.js';
import { createRevocationIndex } from '../revocation/revocation-index.js';
import { createRevoker } from '../revocation/revoke.js';
import type { Store } from '../store/database/connect.js';
import { markInitialized } from '../store/embedded/initialized.js';
import { openWitness } from '../store/embedded/witness.js';
import { assertThereIsData, withStore } from './with-store.js';

const SILENT = createLogger({ level: 'silent' });

const USAGE = `Usage: npm run database -- accept-restore
         after restoring a backup, or losing a part of the database: goes on with what is there,
         and refuses every token issued until now, since what was revoked meanwhile is unknown
       npm run database -- adopt-earlier-tokens
         before the first start: tokens issued before it (by another service with the same secret)
         stay good; without it they are refused
With the embedded engine, stop the service first.`;

const EVERYTHING = { userId: null, applicationId: null, sessionsOnly: false };
const ACTS: Readonly<Record<string, () => Promise<string>>> = {
  'accept-restore': acceptRestore,
  'adopt-earlier-tokens': adoptEarlierTokens,
};

const [name = '', ...rest] = process.argv.slice(2);
const act = Object.hasOwn(ACTS, name) && rest.length === 0 ? ACTS[name] : undefined;
if (['--help', '-h'].includes(name)) {
  console.log(USAGE);
} else if (act === undefined) {
  console.error(USAGE);
  process.exitCode = 1;
} else {
  try {
    console.log(await act());
  } catch (error) {
    process.exitCode = 1;
    console.error(
      `Not confirmed; repeating it is safe. ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

async function acceptRestore(): Promise<string> {
  assertThereIsData();
  return withStore(async (store, config) => {
    await store.beginning.begin();
    const at = await refuseEverything(store, config);
    await untilSecondAfter(at);
    if (config.mongodbUri === null) {
      const witness = openWitness({ dataDir: config.dataDir, clock: systemClock, log: SILENT });
      witness.forget();
      witness.cutOff({ ...EVERYTHING, at });
      await witness.start();
      await witness.stop();
      await markInitialized(config.dataDir, store);
    }
    return `Every token issued until ${at.toISOString()} is refused: API keys and sessions too. The service can be started on ${nameOf(config)}.`;
  });
}

async function adoptEarlierTokens(): Promise<string> {
  return withStore(async (store, config) => {
    const { refusesUntil, isNew } = await store.beginning.begin({ adoptEarlier: true });
    if (!isNew)
      throw new Error(
        refusesUntil === null
          ? `${nameOf(config)} has been used before: nothing is refused there for being earlier.`
          : `${nameOf(config)} began at ${refusesUntil.toISOString()}, and what was issued before is refused. To begin anew, delete what the service made there (docs/beside-tiledesk.md).`,
      );
    return `${nameOf(config)} begins now, and tokens issued before are good.`;
  });
}

async function refuseEverything(
  store: Store,
  { tokenIssuer, retentionSeconds, leaseMs }: Config,
): Promise<Date> {
  const log = SILENT;
  // It answers nobody, so it has no lease; others may have one.
  const { propagate } = createCluster({ ...store, leaseMs, log });
  const clock = systemClock;
  const audit = createAudit({ store, clock, log, retentionSeconds });
  const marker = createCutoffMarker({ store, log, report: audit.report });
  const revoker = createRevoker({
    store,
    marker,
    index: createRevocationIndex({ clock, ownIssuer: tokenIssuer, staleAfterMs: 0 }),
    clock,
    log,
    ownIssuer: tokenIssuer,
    report: audit.report,
    propagate,
  });
  const context = { by: 'system', via: 'cli', reason: 'a restored database', requestId: '' };
  try {
    return await revoker.revokeScope(EVERYTHING, context);
  } finally {
    // The service marks the records at its next start.
    await marker.stop();
    await audit.flush();
  }
}

function nameOf({ mongodbUri, dataDir }: Config): string {
  return mongodbUri === null ? `The database in ${dataDir}` : 'The database on the MongoDB server';
}
