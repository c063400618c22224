/**
 * Part `bulk`: one DELETE that revokes a million sessions of an application. When is the first check
 * refused, and the last accepted; how long does marking the records take, does it disturb the
 * checks, and does it survive `kill -9` of the service in the middle?
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { openBuiltStore } from './built-parts.js';
import {
  ADMIN,
  type BuiltService,
  startBuiltService,
  withEngine,
  withTemporaryFolder,
} from './built-service.js';
import { connectRaw, type RawConnection, startLoops, type Turn } from './clients.js';
import { atMost, type Effort, type PartResult, progress, summarize } from './results.js';
import { accessTokenOf, connectDirectly, insertSessions } from './token-documents.js';

const SESSIONS = 1_000_000;
const SAMPLE = 200;
const APPLICATION = '3c219e58-ed0e-4b18-ad48-f4f92793ae32';
const CONNECTIONS = 8;
const PROBE_EVERY_MS = 10;
const QUIET_MS = 3000;
const MARKED_WITHIN_MS = 1_200_000;
const POLL_MS = 100;

/** A check, and the status of its answer. */
type Probe = Turn<number>;

interface Revoked {
  /** All from the moment at which the DELETE was sent. */
  readonly answeredMs: number;
  readonly firstRefusalMs: number;
  /** When the last check was answered that let its token pass. */
  readonly lastAcceptedMs: number;
  /** Checks that were sent after the answer and let their token pass: none, or the promise is broken. */
  readonly acceptedAfterwards: number;
  readonly checksBefore: ReturnType<typeof summarize>;
  readonly checksWhileMarking: ReturnType<typeof summarize>;
}

export async function measureBulk({ divisor }: Effort): Promise<PartResult> {
  const count = SESSIONS / divisor;
  const secret = randomBytes(48).toString('base64');
  const settings = {
    GLOBAL_SECRET: secret,
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    LOG_LEVEL: 'info',
  };
  return withTemporaryFolder(async (dataDir) => {
    const sample = await withEngine(dataDir, async ({ uri }) => {
      const direct = await connectDirectly(uri);
      const last = await insertSessions(direct, APPLICATION, count, SAMPLE);
      await direct.close();
      await (await openBuiltStore(uri)).close();
      return last;
    });
    const tokens = sample.map((session) => accessTokenOf(session, APPLICATION, secret));
    let service = await startBuiltService(dataDir, settings);
    try {
      const key = await makeApiKey(service);
      const before = await revokeAndKill(service, key, tokens, count);
      const markedBefore = markedIn(service.log());
      const restartedAt = performance.now();
      service = await startBuiltService(dataDir, settings);
      const startMs = performance.now() - restartedAt;
      const after = await finishMarking(service, tokens);
      await service.stop();
      const left = await countUnmarked(dataDir);
      return report({ count, before, markedBefore, startMs, after, left });
    } catch (error) {
      await service.kill();
      throw error;
    }
  });
}

async function makeApiKey(service: BuiltService): Promise<string> {
  const authorization = `Basic ${Buffer.from(`${ADMIN.email}:${ADMIN.password}`).toString('base64')}`;
  const body = { name: 'bench' };
  const made = await service.call('POST', '/admin/api-keys', { authorization, body });
  if (made.status !== 201) throw new Error(`no API key: ${made.status} ${made.text}`);
  return (JSON.parse(made.text) as { key: string }).key;
}

/** Checks from several connections, at a steady pace, with one token after the other. */
async function startProbing(address: string, tokens: readonly string[]) {
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => connectRaw(address)),
  );
  let next = 0;
  const probe = async (connection: RawConnection) => {
    next += 1;
    const authorization = `Bearer ${tokens[next % tokens.length]}`;
    return (await connection.send({ method: 'GET', path: '/auth/verify', authorization })).status;
  };
  const loops = connections.map((connection) => () => probe(connection));
  const { stop } = startLoops(loops, { everyMs: PROBE_EVERY_MS });
  return () =>
    stop().finally(() => {
      for (const connection of connections) connection.close();
    });
}

async function revokeAndKill(
  service: BuiltService,
  key: string,
  tokens: readonly string[],
  count: number,
): Promise<Revoked & { readonly markingMs: number }> {
  const endProbing = await startProbing(service.address, tokens);
  await delay(QUIET_MS);
  const connection = await connectRaw(service.address);
  const path = `/api/jwt/refresh?applicationId=${APPLICATION}`;
  const sentAt = performance.now();
  const { status, text } = await connection.send({ method: 'DELETE', path, authorization: key });
  const answeredAt = performance.now();
  connection.close();
  if (status !== 200) throw new Error(`the DELETE was answered ${status}: ${text}`);
  progress(`bulk: answered after ${Math.round(answeredAt - sentAt)} ms`);
  // Somewhere in the middle; what is marked in a moment is killed at once.
  if (count >= 400_000) await until('third marked', () => markedIn(service.log()) >= count / 3);
  const markingMs = performance.now() - answeredAt;
  const probes = await endProbing();
  await service.kill();
  progress(`bulk: killed with ${markedIn(service.log())} marked`);
  return { ...judge(probes, sentAt, answeredAt), markingMs };
}

function judge(probes: readonly Probe[], sentAt: number, answeredAt: number): Revoked {
  const odd = probes.find(({ answer }) => answer !== 204 && answer !== 401);
  if (odd !== undefined) throw new Error(`a check was answered ${odd.answer}`);
  const accepted = probes.filter(({ answer }) => answer === 204);
  const refused = probes.filter(({ answer }) => answer === 401);
  if (refused.some((probe) => probe.answeredAt < sentAt))
    throw new Error('a check was refused before the DELETE');
  const between = (from: number, to: number) =>
    latencies(probes.filter((probe) => probe.sentAt >= from && probe.sentAt < to));
  return {
    answeredMs: answeredAt - sentAt,
    firstRefusalMs: Math.min(...refused.map((probe) => probe.answeredAt)) - sentAt,
    lastAcceptedMs: Math.max(...accepted.map((probe) => probe.answeredAt)) - sentAt,
    acceptedAfterwards: accepted.filter((probe) => probe.sentAt > answeredAt).length,
    checksBefore: between(sentAt - QUIET_MS + 1000, sentAt),
    checksWhileMarking: between(answeredAt, Infinity),
  };
}

function latencies(probes: readonly Probe[]) {
  return summarize(probes.map(({ sentAt, answeredAt }) => answeredAt - sentAt));
}

/** After the restart: from the very first check on everything is refused, and marking ends. */
async function finishMarking(service: BuiltService, tokens: readonly string[]) {
  const startedAt = performance.now();
  const endProbing = await startProbing(service.address, tokens);
  await until('the rest marked', () => service.log().includes('"cutoff.marked"'));
  const markingMs = performance.now() - startedAt;
  const probes = await endProbing();
  const accepted = probes.filter(({ answer }) => answer !== 401).length;
  return { markingMs, accepted, checks: latencies(probes) };
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + MARKED_WITHIN_MS;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await delay(POLL_MS);
  }
}

/** What the log says is marked; it says so every 100,000. */
function markedIn(log: string): number {
  const totals = [...log.matchAll(/"total":(\d+).*"marking revoked tokens"/g)];
  return Number(totals.at(-1)?.[1] ?? 0);
}

function countUnmarked(dataDir: string): Promise<{ all: number; unmarked: number }> {
  return withEngine(dataDir, async ({ uri }) => {
    const direct = await connectDirectly(uri);
    const tokens = direct.collection('tokens');
    const options = { hint: { applicationId: 1, createdAt: -1, _id: -1 } } as const;
    const ofAll = { applicationId: APPLICATION };
    const all = await tokens.countDocuments(ofAll, options);
    const unmarked = await tokens.countDocuments({ ...ofAll, revocation: null }, options);
    await direct.close();
    return { all, unmarked };
  });
}

function report(found: {
  readonly count: number;
  readonly before: Awaited<ReturnType<typeof revokeAndKill>>;
  readonly markedBefore: number;
  readonly startMs: number;
  readonly after: Awaited<ReturnType<typeof finishMarking>>;
  readonly left: { readonly all: number; readonly unmarked: number };
}): PartResult {
  const { count, before, markedBefore, startMs, after, left } = found;
  const title = `${count.toLocaleString('en')} sessions, one DELETE`;
  const rows = [
    ['answered after, ms', before.answeredMs],
    ['first check refused after, ms', before.firstRefusalMs],
    ['last check accepted after, ms', before.lastAcceptedMs],
    ['checks sent after the answer and accepted', before.acceptedAfterwards],
    ['marked when the service was killed, at least', markedBefore],
    ['  after, s', before.markingMs / 1000],
    ['start after kill -9, s', startMs / 1000],
    ['marked to the end after the restart in, s', after.markingMs / 1000],
    ['checks after the restart that were not refused', after.accepted],
    [`records of ${left.all.toLocaleString('en')} unmarked in the end`, left.unmarked],
    ['p99 of a check before the DELETE, ms', before.checksBefore.p99],
    ['p99 of a check while marking, ms', before.checksWhileMarking.p99],
    ['  after the restart, ms', after.checks.p99],
  ] as const;
  const accepted = before.acceptedAfterwards + after.accepted;
  return {
    tables: [{ title, header: [''], rows }],
    figures: found,
    targets: [
      atMost('last acceptance after the DELETE was sent, ms', before.lastAcceptedMs, 100),
      atMost('checks accepted after the answer or a restart', accepted, 0),
      atMost('records unmarked in the end', left.unmarked, 0),
    ],
  };
}
