/**
 * Part `bulk`: one DELETE that revokes a million sessions of an application. When is the first check
 * refused, and the last accepted; how long does marking the records take, does it disturb the
 * checks, and does it survive `kill -9` of the service in the middle?
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startEngine } from '../src/store/embedded/engine.js';
import { type BuiltService, startBuiltService, withTemporaryFolder } from './built-service.js';
import { accessTokenOf, insertSessions } from './bulk-records.js';
import { built } from './dist.js';
import { ms, summarize } from './figures.js';
import { type Probe, startProbing } from './probes.js';
import { connectRaw } from './raw-http.js';
import { atMost, type Effort, figure, type PartResult, progress, type Target } from './results.js';
import { connectDirectly } from './token-documents.js';

const SESSIONS = 1_000_000;
const SAMPLE = 200;
const APPLICATION = '3c219e58-ed0e-4b18-ad48-f4f92793ae32';
const ADMIN = { email: 'admin@bench.example', password: 'administrator of the bench' };
const QUIET_MS = 3000;
const MARKED_WITHIN_MS = 1_200_000;
const POLL_MS = 100;

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
  return withTemporaryFolder(async (folder) => {
    const dataDir = join(folder, 'data');
    const sample = await seed(dataDir, count);
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
      const left = await unmarked(dataDir);
      progress(`bulk: ${left.unmarked} of ${left.all} records unmarked`);
      return report({ count, before, markedBefore, startMs, after, left });
    } catch (error) {
      await service.kill();
      throw error;
    }
  });
}

async function seed(dataDir: string, count: number) {
  const { openStore } = await built('store/database/connect.js');
  const startedAt = performance.now();
  const said = (what: string) =>
    progress(`bulk: ${what} after ${figure((performance.now() - startedAt) / 1000)} s`);
  const engine = await startEngine({ dataDir });
  try {
    const direct = await connectDirectly(engine.uri);
    const sample = await insertSessions(direct, APPLICATION, count, SAMPLE);
    await direct.close();
    said(`${count.toLocaleString('en')} sessions inserted`);
    await (await openStore({ uri: engine.uri, clock: Date.now })).close();
    said('indexes made');
    return sample;
  } finally {
    await engine.stop();
  }
}

async function makeApiKey(service: BuiltService): Promise<string> {
  const authorization = `Basic ${Buffer.from(`${ADMIN.email}:${ADMIN.password}`).toString('base64')}`;
  const made = await service.call('POST', '/admin/api-keys', {
    authorization,
    body: { name: 'bench' },
  });
  if (made.status !== 201) throw new Error(`no API key: ${made.status} ${made.text}`);
  return (JSON.parse(made.text) as { key: string }).key;
}

async function revokeAndKill(
  service: BuiltService,
  key: string,
  tokens: readonly string[],
  count: number,
): Promise<Revoked & { readonly markingMs: number }> {
  const probing = await startProbing(service.address, tokens);
  await delay(QUIET_MS);
  const connection = await connectRaw(service.address);
  const sentAt = performance.now();
  const { status, text } = await connection.send({
    method: 'DELETE',
    path: `/api/jwt/refresh?applicationId=${APPLICATION}`,
    authorization: key,
  });
  const answeredAt = performance.now();
  connection.close();
  if (status !== 200) throw new Error(`the DELETE was answered ${status}: ${text}`);
  progress(`bulk: answered after ${ms(answeredAt - sentAt)} ms`);
  // Somewhere in the middle; what is marked in a moment is killed at once.
  const deadline = answeredAt + MARKED_WITHIN_MS;
  while (count >= 400_000 && markedIn(service.log()) < count / 3) {
    if (performance.now() > deadline) throw new Error('marking does not get on');
    await delay(POLL_MS);
  }
  const markingMs = performance.now() - answeredAt;
  await probing.stop();
  const { probes } = probing;
  await service.kill();
  progress(`bulk: killed with ${markedIn(service.log())} marked, ${ms(markingMs)} ms later`);
  return { ...judge(probes, sentAt, answeredAt), markingMs };
}

function judge(probes: readonly Probe[], sentAt: number, answeredAt: number): Revoked {
  const odd = probes.find(({ status }) => status !== 204 && status !== 401);
  if (odd !== undefined) throw new Error(`a check was answered ${odd.status}`);
  const accepted = probes.filter(({ status }) => status === 204);
  const refused = probes.filter(({ status }) => status === 401);
  if (refused.some((probe) => probe.answeredAt < sentAt))
    throw new Error('a check was refused before the DELETE');
  const latencies = (from: number, to: number) =>
    summarize(
      probes
        .filter((probe) => probe.sentAt >= from && probe.sentAt < to)
        .map((probe) => probe.answeredAt - probe.sentAt),
    );
  return {
    answeredMs: answeredAt - sentAt,
    firstRefusalMs: Math.min(...refused.map((probe) => probe.answeredAt)) - sentAt,
    lastAcceptedMs: Math.max(...accepted.map((probe) => probe.answeredAt)) - sentAt,
    acceptedAfterwards: accepted.filter((probe) => probe.sentAt > answeredAt).length,
    checksBefore: latencies(sentAt - QUIET_MS + 1000, sentAt),
    checksWhileMarking: latencies(answeredAt, Infinity),
  };
}

/** After the restart: from the very first check on everything is refused, and marking ends. */
async function finishMarking(service: BuiltService, tokens: readonly string[]) {
  const startedAt = performance.now();
  const probing = await startProbing(service.address, tokens);
  while (!service.log().includes('"cutoff.marked"')) {
    if (performance.now() > startedAt + MARKED_WITHIN_MS) throw new Error('marking does not end');
    await delay(POLL_MS);
  }
  const markingMs = performance.now() - startedAt;
  await probing.stop();
  progress(`bulk: marked to the end ${ms(markingMs)} ms after the restart`);
  return {
    markingMs,
    accepted: probing.probes.filter(({ status }) => status !== 401).length,
    checks: summarize(probing.probes.map((probe) => probe.answeredAt - probe.sentAt)),
  };
}

/** What the log says is marked; it says so every 100,000. */
function markedIn(log: string): number {
  const totals = [...log.matchAll(/"total":(\d+).*"marking revoked tokens"/g)];
  return Number(totals.at(-1)?.[1] ?? 0);
}

async function unmarked(dataDir: string): Promise<{ all: number; unmarked: number }> {
  const engine = await startEngine({ dataDir });
  try {
    const direct = await connectDirectly(engine.uri);
    const tokens = direct.collection('tokens');
    const hint = { applicationId: 1, createdAt: -1, _id: -1 } as const;
    const all = await tokens.countDocuments({ applicationId: APPLICATION }, { hint });
    const left = await tokens.countDocuments(
      { applicationId: APPLICATION, revocation: null },
      { hint },
    );
    await direct.close();
    return { all, unmarked: left };
  } finally {
    await engine.stop();
  }
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
  const number = (value: number) => value.toLocaleString('en');
  const row = (name: string, value: string) => [name, value];
  return {
    title: `${number(count)} sessions, one DELETE`,
    header: [''],
    rows: [
      row('answered after, ms', ms(before.answeredMs)),
      row('first check refused after, ms', ms(before.firstRefusalMs)),
      row('last check accepted after, ms', ms(before.lastAcceptedMs)),
      row('checks sent after the answer and accepted', number(before.acceptedAfterwards)),
      row('marked when the service was killed, at least', number(markedBefore)),
      row('  after, s', figure(before.markingMs / 1000)),
      row('start after kill -9, s', figure(startMs / 1000)),
      row('marked to the end after the restart in, s', figure(after.markingMs / 1000)),
      row('checks after the restart that were not refused', number(after.accepted)),
      row('records unmarked in the end', `${number(left.unmarked)} of ${number(left.all)}`),
      row('p99 of a check before the DELETE, ms', figure(before.checksBefore.p99)),
      row('p99 of a check while marking, ms', figure(before.checksWhileMarking.p99)),
      row('  after the restart, ms', figure(after.checks.p99)),
    ],
    figures: found,
    targets: [
      atMost(
        `last acceptance after the DELETE of ${SESSIONS.toLocaleString('en')} was sent, ms`,
        before.lastAcceptedMs,
        100,
      ),
      none('checks accepted after the answer or a restart', [
        before.acceptedAfterwards,
        after.accepted,
      ]),
      none('records unmarked in the end', [left.unmarked]),
    ],
  };
}

function none(name: string, counts: readonly number[]): Target {
  return atMost(
    name,
    counts.reduce((sum, count) => sum + count, 0),
    0,
  );
}
