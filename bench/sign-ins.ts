/** Part `sign-ins`: what they cost the others. Requests with a token at a steady rate, first alone, then while passwords are hashed. */
import { built, openBuiltStore } from './built-parts.js';
import {
  signIn,
  startBuiltService,
  using,
  withEngine,
  withTemporaryFolder,
} from './built-service.js';
import { atRate, startLoops } from './clients.js';
import { atMost, type Effort, type PartResult, summarize, summaryTable } from './results.js';

const PASSWORD = 'correct horse battery staple';
const PATH = '/v3/jwt/history?limit=1';
const WARM_UP_SECONDS = 2;
/** For a measurement of so many rounds of `--seconds`; a p99 needs more than two seconds. */
const LONGER = 1.5;
/** Of a second: more than one machine hashes. */
const USERS_PER_SECOND = 260;
const TARGET_P99_MS = 100;

interface Sample {
  readonly fromDueMs: number;
  readonly fromSentMs: number;
}

export async function measureSignIns(effort: Effort): Promise<PartResult> {
  const { rate, concurrency } = effort;
  const seconds = Math.ceil(effort.rounds * effort.seconds * LONGER);
  return withTemporaryFolder(async (folder) => {
    await makeUsers(folder, seconds * USERS_PER_SECOND);
    const settings = { SIGN_IN_ATTEMPTS: '100000' };
    return using(await startBuiltService(folder, settings), async (service) => {
      const authorization = await signIn(service, emailOf(0), PASSWORD);
      const ask = async (_: number, dueAt: number): Promise<Sample> => {
        const { status, text, ms } = await service.call('GET', PATH, { authorization });
        if (status !== 200) throw new Error(`GET ${PATH} was answered ${status}: ${text}`);
        return { fromDueMs: performance.now() - dueAt, fromSentMs: ms };
      };
      const askFor = (wanted: number) => atRate(rate, ask, (number) => number >= rate * wanted);
      await askFor(WARM_UP_SECONDS);
      const alone = await askFor(seconds);
      let next = 0;
      // Every user signs in once at most: a second time, within 30 s, would need no hash.
      const signInAnother = async () => {
        next += 1;
        await signIn(service, emailOf(next), PASSWORD);
      };
      const signIns = startLoops(Array.from({ length: concurrency }, () => signInAnother));
      const beside = await askFor(seconds).finally(signIns.end);
      const took = (await signIns.stop()).map(({ sentAt, answeredAt }) => answeredAt - sentAt);
      return report(effort, seconds, { alone, beside }, took);
    });
  });
}

/** "From due" counts the wait of a request that was sent late, so a stall is not hidden by what it delayed. */
function report(
  { rate, concurrency }: Effort,
  seconds: number,
  found: Readonly<Record<'alone' | 'beside', readonly Sample[]>>,
  signIns: readonly number[],
): PartResult {
  const of = (name: keyof typeof found, key: keyof Sample) =>
    found[name].map((sample) => sample[key]);
  const samples = {
    'alone, from due': of('alone', 'fromDueMs'),
    'alone, from sent': of('alone', 'fromSentMs'),
    'beside sign-ins, from due': of('beside', 'fromDueMs'),
    'beside sign-ins, from sent': of('beside', 'fromSentMs'),
    [`sign-ins, ${(signIns.length / seconds).toFixed(0)} a second`]: signIns,
  };
  const title = `GET ${PATH} at ${rate}/s for ${seconds} s, ${concurrency} sign-ins at a time, ms`;
  const besideP99 = summarize(samples['beside sign-ins, from due']).p99;
  const summaries = Object.entries(samples).map(([name, values]) => [name, summarize(values)]);
  return {
    tables: [summaryTable(title, samples)],
    figures: { rate, concurrency, ...(Object.fromEntries(summaries) as object) },
    targets: [atMost('p99 beside sign-ins, from due, ms', besideP99, TARGET_P99_MS)],
  };
}

function emailOf(number: number): string {
  return `user-${number}@bench.example`;
}

/** All with one password and so one hash; who signed in is remembered by e-mail and password. */
async function makeUsers(folder: string, count: number): Promise<void> {
  const { createPasswordHasher } = await built('auth/password-hash.js');
  const passwordHash = await createPasswordHasher().hash(PASSWORD);
  await withEngine(folder, async ({ uri }) => {
    const store = await openBuiltStore(uri);
    const rest = { passwordHash, firstname: null, lastname: null, role: null };
    for (let from = 0; from <= count; from += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          store.users.insert({ ...rest, email: emailOf(from + i) }),
        ),
      );
    }
    await store.close();
  });
}
