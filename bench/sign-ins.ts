/** What sign-ins cost the others: requests with a token at a steady rate, first alone, then while passwords are hashed. */
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { createPasswordHasher } from '../src/auth/password-hash.js';
import { systemClock } from '../src/clock.js';
import { openStore } from '../src/store/database/connect.js';
import { startEngine } from '../src/store/embedded/engine.js';
import {
  type BuiltService,
  signIn,
  startBuiltService,
  using,
  withTemporaryFolder,
} from './built-service.js';
import { ms, printHeading, printTable, type Summary, summarize, verdict } from './figures.js';

const TARGET_P99_MS = 100;
const PASSWORD = 'correct horse battery staple';
const PATH = '/v3/jwt/history?limit=1';
const WARM_UP_SECONDS = 2;

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '15' },
    concurrency: { type: 'string', default: '20' },
    users: { type: 'string', default: '4000' },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const concurrency = Number(values.concurrency);
const users = Number(values.users);

interface Sample {
  readonly fromDueMs: number;
  readonly fromSentMs: number;
}

printHeading(
  `GET ${PATH} at ${rate}/s for ${seconds} s, alone and beside ${concurrency} sign-ins at a time`,
);
await withTemporaryFolder(async (folder) => {
  await makeUsers(folder);
  const service = await startBuiltService(folder, { SIGN_IN_ATTEMPTS: '100000' });
  await using(service, async () => {
    const token = await signIn(service, emailOf(0), PASSWORD);
    await requestsAtRate(service, token, WARM_UP_SECONDS);
    const alone = await requestsAtRate(service, token, seconds);
    const { samples, signIns } = await requestsBesideSignIns(service, token);
    printTable(
      ['token-authenticated requests, ms', 'n', 'p50', 'p99', 'max', 'p99 <= 100'],
      [...rows('alone', alone), ...rows(`beside ${concurrency} sign-ins at a time`, samples)],
    );
    const { n, p50, p99, max } = summarize(signIns);
    printTable(
      ['sign-ins, each with a hash of its own, ms', 'n', 'per second', 'p50', 'p99', 'max'],
      [['', n, (n / seconds).toFixed(0), ms(p50), ms(p99), ms(max)]],
    );
  });
});

/** "From due" counts the wait of a request that was sent late, so a stall is not hidden by what it delayed. */
function rows(name: string, samples: readonly Sample[]) {
  const row = (since: string, { n, p50, p99, max }: Summary) => [
    `${name}, from ${since}`,
    n,
    ms(p50),
    ms(p99),
    ms(max),
    verdict(p99, TARGET_P99_MS),
  ];
  return [
    row('due', summarize(samples.map(({ fromDueMs }) => fromDueMs))),
    row('sent', summarize(samples.map(({ fromSentMs }) => fromSentMs))),
  ];
}

function emailOf(number: number): string {
  return `user-${number}@bench.example`;
}

/** All with one password and so one hash; who signed in is remembered by e-mail and password. */
async function makeUsers(folder: string): Promise<void> {
  const engine = await startEngine({ dataDir: folder });
  try {
    const store = await openStore({ uri: engine.uri, clock: systemClock });
    const passwordHash = await createPasswordHasher().hash(PASSWORD);
    for (let from = 0; from < users; from += 50) {
      await Promise.all(
        Array.from({ length: Math.min(50, users - from) }, (_, i) =>
          store.users.insert({
            email: emailOf(from + i),
            passwordHash,
            firstname: null,
            lastname: null,
            role: null,
          }),
        ),
      );
    }
    await store.close();
  } finally {
    await engine.stop();
  }
}

/** Open loop: each request leaves when it is due, whether the ones before it were answered or not. */
async function requestsAtRate(
  service: BuiltService,
  authorization: string,
  forSeconds: number,
): Promise<Sample[]> {
  const startedAt = performance.now();
  const answers: Promise<Sample>[] = [];
  for (let number = 0; number < rate * forSeconds; number += 1) {
    const dueAt = startedAt + (number * 1000) / rate;
    await delay(Math.max(0, dueAt - performance.now()));
    answers.push(oneRequest(service, authorization, dueAt));
  }
  return Promise.all(answers);
}

async function oneRequest(
  service: BuiltService,
  authorization: string,
  dueAt: number,
): Promise<Sample> {
  const { status, text, ms: fromSentMs } = await service.call('GET', PATH, { authorization });
  if (status !== 200) throw new Error(`GET ${PATH} was answered ${status}: ${text}`);
  return { fromDueMs: performance.now() - dueAt, fromSentMs };
}

/** Every user signs in once at most: a second time, within 30 s, would need no hash. */
async function requestsBesideSignIns(service: BuiltService, authorization: string) {
  const signIns: number[] = [];
  let nextUser = 1;
  const enough = new AbortController();
  const signInAgainAndAgain = async () => {
    while (!enough.signal.aborted) {
      if (nextUser >= users) throw new Error('There are too few users. Give more with --users.');
      const email = emailOf(nextUser);
      nextUser += 1;
      const startedAt = performance.now();
      await signIn(service, email, PASSWORD);
      signIns.push(performance.now() - startedAt);
    }
  };
  const loops = Promise.all(Array.from({ length: concurrency }, signInAgainAndAgain));
  const measuring = requestsAtRate(service, authorization, seconds).finally(() => {
    enough.abort();
  });
  const [samples] = await Promise.all([measuring, loops]);
  return { samples, signIns };
}
