/** Part `revoke`: acknowledged revocations per second beside the driver's bare journaled update, on one engine. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startEngine } from '../src/store/embedded/engine.js';
import type { TokenRecord } from '../src/store/records.js';
import { signIn, startBuiltService, using, withTemporaryFolder } from './built-service.js';
import { built } from './dist.js';
import { summarize } from './figures.js';
import { atLeast, type Effort, figure, median, type PartResult, progress } from './results.js';
import { connectDirectly, type Inserted, insertTokens } from './token-documents.js';

const AT_ONCE = 32;
/** Records that are ready for a second of any of the three. */
const RECORDS_PER_SECOND = 10_000;
const WARM_UP_SECONDS = 1;
const ADMIN = { email: 'admin@bench.example', password: 'administrator of the bench' };

const BARE = "the driver's bare updateOne, {w: 1, j: true}";
const REVOKER = 'createRevoker().revokeRecord';
const HTTP = 'DELETE /v3/jwt/history/:jti, over HTTP';

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type Work = (target: Inserted) => Promise<void>;

export async function measureRevokes({ rounds, seconds }: Effort): Promise<PartResult> {
  const samples = new Map<string, Sample[]>([BARE, REVOKER, HTTP].map((name) => [name, []]));
  await withTemporaryFolder(async (folder) => {
    const engine = await startEngine({ dataDir: folder });
    try {
      const settings = {
        MONGODB_URI: engine.uri,
        GLOBAL_SECRET: randomBytes(48).toString('base64'),
        ADMIN_EMAIL: ADMIN.email,
        ADMIN_PASSWORD: ADMIN.password,
        LOG_LEVEL: 'warn',
      };
      const service = await startBuiltService(join(folder, 'service'), settings);
      await using(service, async () => {
        const authorization = await signIn(service, ADMIN.email, ADMIN.password);
        const overHttp: Work = async ({ jti }) => {
          const path = `/v3/jwt/history/${jti}`;
          const { status, text } = await service.call('DELETE', path, { authorization });
          if (status !== 200) throw new Error(`DELETE ${path} was answered ${status}: ${text}`);
        };
        await alternate(engine.uri, overHttp, { rounds, seconds, samples });
      });
    } finally {
      await engine.stop();
    }
  });
  return report(samples);
}

async function alternate(
  uri: string,
  overHttp: Work,
  options: {
    readonly rounds: number;
    readonly seconds: number;
    readonly samples: ReadonlyMap<string, Sample[]>;
  },
): Promise<void> {
  const { rounds, seconds, samples } = options;
  const connection = await connectDirectly(uri);
  const revoker = await revokerOn(uri);
  const collection = connection.collection('tokens');
  const works: readonly (readonly [string, Work])[] = [
    [
      BARE,
      async ({ _id }) => {
        const at = new Date();
        const revocation = { at, by: 'bench', reason: null, via: 'tiledesk' };
        const { modifiedCount } = await collection.updateOne(
          { _id },
          { $set: { revocation, updatedAt: at } },
          { writeConcern: { w: 1, j: true } },
        );
        if (modifiedCount !== 1) throw new Error('nothing was updated');
      },
    ],
    [REVOKER, revoker.revoke],
    [HTTP, overHttp],
  ];
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, work] of works) {
        const forSeconds = round === 0 ? WARM_UP_SECONDS : seconds;
        const records = await insertTokens(connection, forSeconds * RECORDS_PER_SECOND, {
          revoked: false,
          keep: true,
        });
        const sample = await measure(work, records, forSeconds);
        if (round === 0) continue;
        samples.get(name)?.push(sample);
        progress(`revoke, round ${round} of ${rounds}: ${name}: ${figure(sample.perSecond)}/s`);
      }
    }
  } finally {
    await revoker.close();
    await connection.close();
  }
}

/** The use case behind every dialect, without HTTP. */
async function revokerOn(uri: string) {
  const { openStore } = await built('store/database/connect.js');
  const { createRevocationIndex } = await built('revocation/revocation-index.js');
  const { createRevoker } = await built('revocation/revoke.js');
  const { createLogger } = await built('observability/logger.js');
  const clock = Date.now;
  const store = await openStore({ uri, clock });
  const index = createRevocationIndex({ clock, ownIssuer: 'bench', staleAfterMs: 30_000 });
  const log = createLogger({ level: 'warn' });
  // Cut-offs, which it is for, aren't measured.
  const marker = {
    wake: () => undefined,
    idle: () => Promise.resolve(),
    settled: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
  const revoker = createRevoker({
    store,
    marker,
    index,
    clock,
    log,
    ownIssuer: 'bench',
    report: () => undefined,
  });
  const context = { by: 'bench', via: 'tiledesk', reason: null, requestId: 'bench' };
  const revoke: Work = async ({ _id }) => {
    // All that it needs of the record, which a route has looked up before.
    const record = { id: _id.toHexString() } as TokenRecord;
    const result = await revoker.revokeRecord(record, context);
    if (result?.outcome !== 'revoked') throw new Error('nothing was revoked');
  };
  return { revoke, close: () => store.close() };
}

/** Closed loop, 32 at a time. */
async function measure(work: Work, targets: readonly Inserted[], seconds: number): Promise<Sample> {
  const latencies: number[] = [];
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  let next = 0;
  const loop = async () => {
    while (performance.now() < endAt) {
      const target = targets[next];
      if (target === undefined) throw new Error('There were too few records to revoke.');
      next += 1;
      const sentAt = performance.now();
      await work(target);
      latencies.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
  const took = performance.now() - startedAt;
  const { p50, p99 } = summarize(latencies);
  return { perSecond: (latencies.length * 1000) / took, p50Ms: p50, p99Ms: p99 };
}

function report(samples: ReadonlyMap<string, readonly Sample[]>): PartResult {
  const medianOf = (name: string, key: keyof Sample) =>
    median((samples.get(name) ?? []).map((sample) => sample[key]));
  const ratio = (name: string) => medianOf(name, 'perSecond') / medianOf(BARE, 'perSecond');
  return {
    title: `${AT_ONCE} at a time`,
    header: ['revokes/s', 'all rounds', 'p50 ms', 'p99 ms', '÷ bare'],
    rows: [...samples].map(([name, all]) => {
      const rates = all.map(({ perSecond }) => perSecond);
      return [
        name,
        figure(medianOf(name, 'perSecond')),
        `${figure(Math.min(...rates))} to ${figure(Math.max(...rates))}`,
        figure(medianOf(name, 'p50Ms')),
        figure(medianOf(name, 'p99Ms')),
        ratio(name).toFixed(2),
      ];
    }),
    figures: Object.fromEntries(samples),
    targets: [REVOKER, HTTP].map((name) => atLeast(`${name} ÷ ${BARE}`, ratio(name), 0.6)),
  };
}
