/** Part `exchange`: exchanged refresh tokens per second beside the driver's bare journaled update, on one engine. */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startEngine } from '../src/store/embedded/engine.js';
import type { Session, Sessions } from '../src/tokens/session.js';
import { startBuiltService, using, withTemporaryFolder } from './built-service.js';
import { cpuMicrosOf } from './cpu.js';
import { built } from './dist.js';
import { summarize } from './figures.js';
import { connectRaw, type RawConnection } from './raw-http.js';
import { atLeast, type Effort, figure, median, type PartResult, progress } from './results.js';
import { connectDirectly } from './token-documents.js';

const AT_ONCE = 32;
const WARM_UP_SECONDS = 1;
const APPLICATION = '3c219e58-ed0e-4b18-ad48-f4f92793ae32';
const PATH = '/api/jwt/refresh';
const DAY_MS = 86_400_000;

const BARE = "the driver's bare findOneAndUpdate, {w: 1, j: true}";
const USE_CASE = 'createSessions().exchange';
const HTTP = `POST ${PATH}, over HTTP`;

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of everyone who takes part: the bench, the engine and, over HTTP, the service. */
  readonly cpuMicros: number;
}

/** One exchange of the session with this number, with the token that the last one gave. */
type Work = (session: number) => Promise<void>;

export async function measureExchanges({ rounds, seconds }: Effort): Promise<PartResult> {
  const samples = new Map<string, Sample[]>([BARE, USE_CASE, HTTP].map((name) => [name, []]));
  await withTemporaryFolder(async (folder) => {
    const engine = await startEngine({ dataDir: folder });
    try {
      const settings = {
        MONGODB_URI: engine.uri,
        GLOBAL_SECRET: randomBytes(48).toString('base64'),
        LOG_LEVEL: 'warn',
        // One user's sessions are exchanged as fast as it goes.
        MINT_RATE: '0',
      };
      const service = await startBuiltService(join(folder, 'service'), settings);
      await using(service, () =>
        alternate(settings, service.address, {
          rounds,
          seconds,
          samples,
          pids: [process.pid, engine.hostPid(), service.pid],
        }),
      );
    } finally {
      await engine.stop();
    }
  });
  return report(samples);
}

async function alternate(
  settings: { readonly MONGODB_URI: string },
  address: string,
  options: {
    readonly rounds: number;
    readonly seconds: number;
    readonly samples: ReadonlyMap<string, Sample[]>;
    readonly pids: readonly (number | null)[];
  },
): Promise<void> {
  const { rounds, seconds, samples, pids } = options;
  const useCase = await useCaseOn(settings);
  const connections = await Promise.all(Array.from({ length: AT_ONCE }, () => connectRaw(address)));
  const direct = await connectDirectly(settings.MONGODB_URI);
  const works: readonly (readonly [string, Work])[] = [
    [BARE, bareUpdates(direct, await useCase.openSessions())],
    [USE_CASE, exchanges(useCase.sessions, await useCase.openSessions())],
    [HTTP, exchangesOverHttp(connections, await useCase.openSessions())],
  ];
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, work] of works) {
        const sample = await measure(work, round === 0 ? WARM_UP_SECONDS : seconds, pids);
        if (round === 0) continue;
        samples.get(name)?.push(sample);
        progress(`exchange, round ${round} of ${rounds}: ${name}: ${figure(sample.perSecond)}/s`);
      }
    }
  } finally {
    for (const connection of connections) connection.close();
    await direct.close();
    await useCase.close();
  }
}

/** The service's own parts, without HTTP; it also opens the sessions of the others. */
async function useCaseOn(settings: { readonly MONGODB_URI: string }) {
  const { parseConfig } = await built('config/config.js');
  const { openStore } = await built('store/database/connect.js');
  const { createService } = await built('service.js');
  const { createSecretKeys } = await built('tokens/keys.js');
  const { createLogger } = await built('observability/logger.js');
  const clock = Date.now;
  const config = parseConfig(settings);
  const { signing } = config;
  if (signing.algorithm !== 'HS256' || signing.secret === null) throw new Error('HS256 is meant');
  const store = await openStore({ uri: config.mongodbUri ?? '', clock });
  const service = createService({
    config,
    keys: createSecretKeys(signing.secret),
    store,
    clock,
    log: createLogger({ level: 'warn' }),
  });
  await service.sync.load();
  service.sync.start();
  const device = {
    name: 'Phone',
    description: 'of the bench',
    type: 'MOBILE',
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    ip: '192.0.2.1',
    location: null,
  };
  let users = 0;
  const openSession = async () => {
    users += 1;
    const user = await store.users.insert({
      email: `user-${users}@bench.example`,
      passwordHash: 'none',
      firstname: 'First',
      lastname: 'Last',
      role: null,
    });
    return service.sessions.open({ user, applicationId: APPLICATION, device });
  };
  return {
    sessions: service.sessions,
    openSessions: () => Promise.all(Array.from({ length: AT_ONCE }, openSession)),
    async close() {
      await service.stop();
      await store.close();
    },
  };
}

function exchanges(sessions: Sessions, opened: readonly Session[]): Work {
  const newest = opened.map(({ refreshToken }) => refreshToken);
  return async (number) => {
    const result = await sessions.exchange(newest[number] ?? '', null);
    if (result.outcome !== 'exchanged') throw new Error(`an exchange was ${result.outcome}`);
    newest[number] = result.session.refreshToken;
  };
}

function exchangesOverHttp(connections: readonly RawConnection[], opened: readonly Session[]) {
  const newest = opened.map(({ refreshToken }) => refreshToken);
  const work: Work = async (number) => {
    const answer = await connections[number]?.send({
      method: 'POST',
      path: PATH,
      body: { refreshToken: newest[number] },
    });
    if (answer?.status !== 200)
      throw new Error(`POST ${PATH} was answered ${answer?.status}: ${answer?.text}`);
    newest[number] = (JSON.parse(answer.text) as Session).refreshToken;
  };
  return work;
}

/** What an exchange writes to the refresh token's record, and no more: no condition, no list of used secrets. */
function bareUpdates(
  direct: Awaited<ReturnType<typeof connectDirectly>>,
  opened: readonly Session[],
): Work {
  const collection = direct.collection('tokens');
  const ids = Promise.all(
    opened.map(async ({ refreshTokenId }) => {
      const found = await collection.findOne({ jti: refreshTokenId }, { projection: { _id: 1 } });
      if (found === null) throw new Error('a session has no record');
      return found._id;
    }),
  );
  return async (number) => {
    const _id = (await ids)[number];
    if (_id === undefined) throw new Error('there are too few sessions');
    const now = Date.now();
    const secretHash = createHash('sha256').update(randomBytes(32)).digest('base64url');
    const after = await collection.findOneAndUpdate(
      { _id },
      {
        $set: {
          secretHash,
          grace: null,
          expiresAt: new Date(now + 30 * DAY_MS),
          purgeAt: new Date(now + 120 * DAY_MS),
          lastUsedAt: new Date(now),
          updatedAt: new Date(now),
        },
      },
      { returnDocument: 'after', writeConcern: { w: 1, j: true } },
    );
    if (after?.['secretHash'] !== secretHash) throw new Error('nothing was updated');
  };
}

/** Closed loop, 32 sessions at a time. */
async function measure(
  work: Work,
  seconds: number,
  pids: readonly (number | null)[],
): Promise<Sample> {
  const latencies: number[] = [];
  const cpuBefore = cpuMicrosOf(pids);
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  const loop = async (_: unknown, session: number) => {
    while (performance.now() < endAt) {
      const sentAt = performance.now();
      await work(session);
      latencies.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
  const took = performance.now() - startedAt;
  const { p50, p99 } = summarize(latencies);
  return {
    perSecond: (latencies.length * 1000) / took,
    p50Ms: p50,
    p99Ms: p99,
    cpuMicros: (cpuMicrosOf(pids) - cpuBefore) / latencies.length,
  };
}

function report(samples: ReadonlyMap<string, readonly Sample[]>): PartResult {
  const medianOf = (name: string, key: keyof Sample) =>
    median((samples.get(name) ?? []).map((sample) => sample[key]));
  const ratio = (name: string) => medianOf(name, 'perSecond') / medianOf(BARE, 'perSecond');
  return {
    title: `${AT_ONCE} sessions at a time`,
    header: ['exchanges/s', 'all rounds', 'p50 ms', 'p99 ms', 'CPU µs', '÷ bare'],
    rows: [...samples].map(([name, all]) => {
      const rates = all.map(({ perSecond }) => perSecond);
      return [
        name,
        figure(medianOf(name, 'perSecond')),
        `${figure(Math.min(...rates))} to ${figure(Math.max(...rates))}`,
        figure(medianOf(name, 'p50Ms')),
        figure(medianOf(name, 'p99Ms')),
        figure(medianOf(name, 'cpuMicros')),
        ratio(name).toFixed(2),
      ];
    }),
    figures: Object.fromEntries(samples),
    targets: [USE_CASE, HTTP].map((name) => atLeast(`${name} ÷ ${BARE}`, ratio(name), 0.5)),
  };
}
