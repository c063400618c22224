/** Part `stream`: what a thousand viewers of the live stream cost those who ask `/auth/verify` meanwhile. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startEngine } from '../src/store/embedded/engine.js';
import {
  type BuiltService,
  signIn,
  startBuiltService,
  using,
  withTemporaryFolder,
} from './built-service.js';
import { endChild, messageOf, startChild } from './children.js';
import { CONNECTIONS, findLoadGenerator, type LoadGenerator } from './load-generator.js';
import { atMost, type Effort, figure, median, type PartResult, progress } from './results.js';
import { connectDirectly, type Inserted, insertTokens } from './token-documents.js';
import type { Viewed, ViewersTask } from './viewers-child.js';

const VIEWERS = 1000;
/** Each may have a hundred streams. */
const ADMINISTRATORS = 20;
const REVOKES_PER_SECOND = 20;
const WARM_UP_SECONDS = 1;
/** A p99 varies much more from one measurement to the next than what others measure, and tellings may be two seconds apart. */
const MORE_ROUNDS = 2;
const LONGER = 3;
/** After the last revoke. */
const TOLD_WITHIN_MS = 5000;
const ASK_EVERY_MS = 100;
const ADMIN = { email: 'admin@bench.example', password: 'administrator of the bench' };

interface Sample {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  /** What each viewer got in a second. */
  readonly bytesPerViewer: number;
}

type Condition = 'no viewers' | 'viewers';

export async function measureStream(effort: Effort): Promise<PartResult> {
  const { divisor } = effort;
  const rounds = effort.rounds * MORE_ROUNDS;
  const seconds = effort.seconds * LONGER;
  const generator = await findLoadGenerator();
  const viewers = Math.max(10, VIEWERS / divisor);
  const samples: Record<Condition, Sample[]> = { 'no viewers': [], viewers: [] };
  await withTemporaryFolder(async (folder) => {
    const engine = await startEngine({ dataDir: folder });
    try {
      const service = await startBuiltService(join(folder, 'service'), {
        MONGODB_URI: engine.uri,
        GLOBAL_SECRET: randomBytes(48).toString('base64'),
        ADMIN_EMAIL: ADMIN.email,
        ADMIN_PASSWORD: ADMIN.password,
        LOG_LEVEL: 'warn',
      });
      await using(service, async () => {
        const authorization = await signIn(service, ADMIN.email, ADMIN.password);
        const watchers = await signInWatchers(service, authorization);
        const url = `${service.address}/auth/verify`;
        await generator.run({ url, authorization, seconds: WARM_UP_SECONDS });
        const connection = await connectDirectly(engine.uri);
        const perMeasurement = Math.ceil(REVOKES_PER_SECOND * (seconds + 3));
        try {
          for (let round = 1; round <= rounds; round += 1) {
            // In turn, each first every other time: a machine's pace drifts.
            const order: Condition[] = ['no viewers', 'viewers'];
            for (const condition of round % 2 === 0 ? order : order.toReversed()) {
              const targets = await insertTokens(connection, perMeasurement, {
                revoked: false,
                keep: true,
              });
              const count = condition === 'viewers' ? viewers : 0;
              const given = { service, authorization, watchers, generator, targets, seconds };
              const sample = await measure(count, given);
              samples[condition].push(sample);
              progress(
                `stream, round ${round} of ${rounds}: ${count} viewers: p99 ${figure(sample.p99Ms)} ms`,
              );
            }
          }
        } finally {
          await connection.close();
        }
      });
    } finally {
      await engine.stop();
    }
  });
  return report(samples, viewers, generator.name);
}

async function signInWatchers(service: BuiltService, authorization: string): Promise<string[]> {
  const watchers: string[] = [];
  for (let i = 0; i < ADMINISTRATORS; i += 1) {
    const account = { email: `watcher-${i}@bench.example`, password: ADMIN.password };
    const { status, text } = await service.call('POST', '/admin/users', {
      authorization,
      body: { ...account, role: 'admin' },
    });
    if (status !== 201) throw new Error(`a new administrator was answered ${status}: ${text}`);
    watchers.push(await signIn(service, account.email, account.password));
  }
  return watchers;
}

interface Given {
  readonly service: BuiltService;
  readonly authorization: string;
  /** Those of the administrators whose browsers watch. */
  readonly watchers: readonly string[];
  readonly generator: LoadGenerator;
  readonly targets: readonly Inserted[];
  readonly seconds: number;
}

async function measure(count: number, given: Given): Promise<Sample> {
  const { service, authorization, watchers, generator, seconds } = given;
  const port = Number(new URL(service.address).port);
  const task: ViewersTask = { port, authorizations: watchers, count };
  const child = startChild('./viewers-child.ts', task);
  const enough = new AbortController();
  try {
    await messageOf<Viewed>(child);
    const revokes = revokeAtRate(given, enough.signal);
    // What the opening cost is not what watching costs.
    await delay(500);
    const ask = () => {
      child.send('viewed');
      return messageOf<Viewed>(child);
    };
    await ask();
    const url = `${service.address}/auth/verify`;
    const { perSecond, p50Ms, p99Ms } = await generator.run({ url, authorization, seconds });
    const { open, bytes } = await ask();
    enough.abort();
    const revoked = await revokes;
    if (open !== count) throw new Error(`Of ${count} viewers ${open} were left.`);
    if (count > 0) await untilTold(revoked, ask);
    return {
      p50Ms,
      p99Ms,
      perSecond,
      bytesPerViewer: count === 0 ? 0 : bytes / count / seconds,
    };
  } finally {
    enough.abort();
    await endChild(child);
  }
}

/** @throws when not everything that was revoked shows. */
async function untilTold(revoked: number, ask: () => Promise<Viewed>): Promise<void> {
  const endAt = performance.now() + TOLD_WITHIN_MS;
  for (;;) {
    const { told } = await ask();
    if (told >= revoked) return;
    if (performance.now() > endAt)
      throw new Error(`${revoked} were revoked, and a viewer was told of ${told}.`);
    await delay(ASK_EVERY_MS);
  }
}

/** Open loop: each leaves when it is due. @returns how many were revoked. */
async function revokeAtRate(
  { service, authorization, targets }: Given,
  enough: AbortSignal,
): Promise<number> {
  const startedAt = performance.now();
  const answers: Promise<void>[] = [];
  for (const [i, { jti }] of targets.entries()) {
    await delay(Math.max(0, startedAt + (i * 1000) / REVOKES_PER_SECOND - performance.now()));
    if (enough.aborted) break;
    answers.push(
      service
        .call('DELETE', `/v3/jwt/history/${jti}`, { authorization })
        .then(({ status, text }) => {
          if (status !== 200) throw new Error(`a revoke was answered ${status}: ${text}`);
        }),
    );
  }
  await Promise.all(answers);
  return answers.length;
}

function report(
  samples: Readonly<Record<Condition, readonly Sample[]>>,
  viewers: number,
  generator: string,
): PartResult {
  const medianOf = (condition: Condition, key: keyof Sample) =>
    median(samples[condition].map((sample) => sample[key]));
  // Of neighbours, which had the same machine.
  const ratios = samples.viewers.map(
    ({ p99Ms }, i) => p99Ms / (samples['no viewers'][i]?.p99Ms ?? NaN),
  );
  return {
    title: `GET /auth/verify, ${CONNECTIONS} connections, ${generator}, ${REVOKES_PER_SECOND} revokes/s`,
    header: ['p50 ms', 'p99 ms', 'all rounds', 'requests/s', 'kB/s per viewer'],
    rows: (['no viewers', 'viewers'] as const).map((condition) => {
      const all = samples[condition].map(({ p99Ms }) => p99Ms);
      return [
        condition === 'viewers' ? `${viewers.toLocaleString('en')} viewers` : condition,
        figure(medianOf(condition, 'p50Ms')),
        figure(medianOf(condition, 'p99Ms')),
        `${figure(Math.min(...all))} to ${figure(Math.max(...all))}`,
        figure(medianOf(condition, 'perSecond')),
        figure(medianOf(condition, 'bytesPerViewer') / 1000),
      ];
    }),
    figures: { generator, count: viewers, ratios, samples },
    targets: [atMost(`p99 with ${viewers} viewers ÷ without`, median(ratios), 1.2)],
  };
}
