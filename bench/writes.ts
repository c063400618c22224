/** Parts `revoke` and `exchange`: acknowledged writes per second beside the driver's bare journaled one, on one engine. */
import { createHash, randomBytes } from 'node:crypto';
import type { Connection } from 'mongoose';
import type { TokenRecord } from '../src/store/records.js';
import type { Sessions } from '../src/tokens/session.js';
import type { Session } from '../src/tokens/exchange.js';
import { built, openBuiltStore, openCore } from './built-parts.js';
import { type SharedEngine, withSharedEngine } from './built-service.js';
import {
  closedLoop,
  connectRaw,
  type LoopSample,
  type RawConnection,
  type RawRequest,
} from './clients.js';
import { atLeast, createSamples, type Effort, type PartResult, progress } from './results.js';
import { connectDirectly, DAY_MS, type Inserted, insertTokens, PHONE } from './token-documents.js';

const AT_ONCE = 32;
const WARM_UP_SECONDS = 1;
/** Records that are ready for a second of any of those who revoke. */
const RECORDS_PER_SECOND = 10_000;
const APPLICATION = '3c219e58-ed0e-4b18-ad48-f4f92793ae32';
const REFRESH = '/api/jwt/refresh';
const JOURNALED = { writeConcern: { w: 1, j: true } } as const;

/** One write; each loop has a number, and for each measurement a connection to the service. */
type Write = (loop: number, connection: RawConnection) => Promise<void>;

interface Contestant {
  readonly name: string;
  readonly write: Write;
}

interface Contest {
  readonly what: string;
  /** All are compared with the first. */
  readonly contestants: readonly [Contestant, ...Contestant[]];
  /** Before each measurement. */
  prepare?(seconds: number): Promise<void>;
  readonly atLeast: number;
}

export async function measureRevokes(effort: Effort): Promise<PartResult> {
  return withSharedEngine({}, async (shared) => {
    const direct = await connectDirectly(shared.engine.uri);
    const store = await openBuiltStore(shared.engine.uri);
    const { authorization } = shared;
    const collection = direct.collection('tokens');
    const revoke = await createRevokeRecord(store);
    let targets: Inserted[] = [];
    const next = () => {
      const target = targets.pop();
      if (target === undefined) throw new Error('There were too few records to revoke.');
      return target;
    };
    try {
      return await compete(shared, effort, {
        what: 'revoke',
        contestants: [
          {
            name: "the driver's bare updateOne, {w: 1, j: true}",
            async write() {
              const at = new Date();
              const revocation = { at, by: 'bench', reason: null, via: 'tiledesk' };
              const change = { $set: { revocation, updatedAt: at } };
              const { _id } = next();
              const { modifiedCount } = await collection.updateOne({ _id }, change, JOURNALED);
              if (modifiedCount !== 1) throw new Error('nothing was updated');
            },
          },
          { name: 'createRevoker().revokeRecord', write: () => revoke(next()._id.toHexString()) },
          {
            name: 'DELETE /v3/jwt/history/:jti, over HTTP',
            async write(_loop, connection) {
              const path = `/v3/jwt/history/${next().jti}`;
              await ask(connection, { method: 'DELETE', path, authorization });
            },
          },
        ],
        async prepare(seconds) {
          const count = seconds * RECORDS_PER_SECOND;
          targets = await insertTokens(direct, count, { revoked: false, keep: true });
        },
        atLeast: 0.6,
      });
    } finally {
      await store.close();
      await direct.close();
    }
  });
}

/** The use case behind every dialect, without HTTP; cut-offs, for which it has a marker, aren't measured. */
async function createRevokeRecord(store: Awaited<ReturnType<typeof openBuiltStore>>) {
  const { createRevocationIndex } = await built('revocation/revocation-index.js');
  const { createRevoker } = await built('revocation/revoke.js');
  const { createCluster } = await built('revocation/cluster/cluster.js');
  const { createLogger } = await built('observability/logger.js');
  const clock = Date.now;
  const log = createLogger({ level: 'warn' });
  const { propagate } = createCluster({ ...store, leaseMs: 1000, log });
  const none = () => Promise.resolve();
  const revoker = createRevoker({
    store,
    report: () => undefined,
    marker: { wake: () => undefined, idle: none, settled: none, stop: none },
    index: createRevocationIndex({ clock, ownIssuer: 'bench', staleAfterMs: 30_000 }),
    clock,
    log,
    ownIssuer: 'bench',
    propagate,
  });
  const context = { by: 'bench', via: 'tiledesk', reason: null, requestId: 'bench' };
  return async (id: string) => {
    // All that it needs of the record, which a route has looked up before.
    const result = await revoker.revokeRecord({ id } as TokenRecord, context);
    if (result?.outcome !== 'revoked') throw new Error('nothing was revoked');
  };
}

/** An exchange also looks up session and user and inserts the new access token's record; the bare update does not. */
export async function measureExchanges(effort: Effort): Promise<PartResult> {
  // One user's sessions are exchanged as fast as it goes.
  return withSharedEngine({ MINT_RATE: '0' }, async (shared) => {
    const core = await openCore(shared.settings);
    const { sessions, sync, follower } = core.service;
    await follower.start();
    sync.start();
    const direct = await connectDirectly(shared.engine.uri);
    let users = 0;
    const openOne = async () => {
      const email = `user-${(users += 1)}@bench.example`;
      const person = { firstname: 'First', lastname: 'Last', role: null };
      const user = await core.store.users.insert({ email, passwordHash: 'none', ...person });
      return sessions.open({ user, applicationId: APPLICATION, device: PHONE });
    };
    const opened = () => Promise.all(Array.from({ length: AT_ONCE }, openOne));
    try {
      return await compete(shared, effort, {
        what: 'exchange',
        contestants: [
          {
            name: "the driver's bare findOneAndUpdate, {w: 1, j: true}",
            write: await bareUpdates(direct, await opened()),
          },
          { name: 'createSessions().exchange', write: exchanges(sessions, await opened()) },
          { name: `POST ${REFRESH}, over HTTP`, write: exchangesOverHttp(await opened()) },
        ],
        atLeast: 0.5,
      });
    } finally {
      await direct.close();
      await core.close();
    }
  });
}

/** With the token that the last exchange gave. */
function exchanges(sessions: Sessions, opened: readonly Session[]): Write {
  const newest = opened.map(({ refreshToken }) => refreshToken);
  return async (loop) => {
    const result = await sessions.exchange(newest[loop] ?? '', null);
    if (result.outcome !== 'exchanged') throw new Error(`an exchange was ${result.outcome}`);
    newest[loop] = result.session.refreshToken;
  };
}

function exchangesOverHttp(opened: readonly Session[]): Write {
  const newest = opened.map(({ refreshToken }) => refreshToken);
  return async (loop, connection) => {
    const body = { refreshToken: newest[loop] };
    const text = await ask(connection, { method: 'POST', path: REFRESH, body });
    newest[loop] = (JSON.parse(text) as Session).refreshToken;
  };
}

/** What an exchange writes to the refresh token's record, and no more: no condition, no list of used secrets. */
async function bareUpdates(connection: Connection, opened: readonly Session[]): Promise<Write> {
  const collection = connection.collection('tokens');
  const jtis = opened.map(({ refreshTokenId }) => refreshTokenId);
  const records = await collection.find({ jti: { $in: jtis } }).toArray();
  return async (loop) => {
    const record = records[loop];
    if (record === undefined) throw new Error('there are too few sessions');
    const now = Date.now();
    const secretHash = createHash('sha256').update(randomBytes(32)).digest('base64url');
    const change = {
      secretHash,
      grace: null,
      expiresAt: new Date(now + 30 * DAY_MS),
      purgeAt: new Date(now + 120 * DAY_MS),
      lastUsedAt: new Date(now),
      updatedAt: new Date(now),
    };
    const after = await collection.findOneAndUpdate(
      { _id: record._id },
      { $set: change },
      { returnDocument: 'after', ...JOURNALED },
    );
    if (after?.['secretHash'] !== secretHash) throw new Error('nothing was updated');
  };
}

async function ask(connection: RawConnection, request: RawRequest): Promise<string> {
  const { status, text } = await connection.send(request);
  if (status === 200) return text;
  throw new Error(`${request.method} ${request.path} was answered ${status}: ${text}`);
}

/** In turn, round after round; "CPU µs" is that of the bench, the engine and the service together. */
async function compete(
  { service, engine }: SharedEngine,
  { rounds, seconds }: Effort,
  { what, contestants, prepare, atLeast: least }: Contest,
): Promise<PartResult> {
  const pids = [process.pid, engine.hostPid(), service.pid];
  const samples = createSamples<keyof LoopSample>(contestants.map(({ name }) => name));
  const [bare, ...others] = contestants;
  for (let round = 0; round <= rounds; round += 1) {
    for (const { name, write } of contestants) {
      const forSeconds = round === 0 ? WARM_UP_SECONDS : seconds;
      await prepare?.(forSeconds);
      // Anew each time: the service closes those on which nothing comes for a while.
      const connections = await Promise.all(
        Array.from({ length: AT_ONCE }, () => connectRaw(service.address)),
      );
      const turns = connections.map((each, loop) => () => write(loop, each));
      const sample = await closedLoop(turns, { seconds: forSeconds, pids });
      for (const each of connections) each.close();
      if (round === 0) continue;
      samples.add(name, sample);
      const perSecond = Math.round(sample.perSecond);
      progress(`${what}, round ${round} of ${rounds}: ${name}: ${perSecond}/s`);
    }
  }
  const { median, range, ratio } = samples;
  const beside = ratio('perSecond', bare.name);
  return {
    tables: [
      samples.table(`${what}, ${AT_ONCE} at a time`, {
        'a second': median('perSecond'),
        'all rounds': range('perSecond'),
        'p50 ms': median('p50Ms'),
        'p99 ms': median('p99Ms'),
        'CPU µs': median('cpuMicros'),
        '÷ bare': beside,
      }),
    ],
    figures: samples.all,
    targets: others.map(({ name }) => atLeast(`${name} ÷ ${bare.name}`, beside(name), least)),
  };
}
