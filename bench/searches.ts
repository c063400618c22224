/** How long the store takes to answer searches of a million records, with its count, one at a time. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openStore, type Store } from '../src/store/database/connect.js';
import { startEngine } from '../src/store/embedded/engine.js';
import { TOKEN_KINDS, TOKEN_ORIGINS } from '../src/store/records.js';
import {
  type Position,
  SEARCH_SORT_FIELDS,
  type SearchPage,
  TOKEN_STATES,
  type TokenFilter,
} from '../src/store/tokens/query/filter.js';
import { createJti } from '../src/tokens/jti.js';
import { ms, printHeading, printTable, summarize, verdict } from './figures.js';
import { applicationId, type Seed, seedFolder, sessionIdOf, userIdOf } from './seed.js';

const USAGE = `npx tsx bench/searches.ts [--records 1000000] [--users 20000] [--rounds 3] [--dir folder]

Makes a database of that many records once (as bench/lists.ts does, with the same folder), and takes
the time of each search in every order, its first page and one after some pages, and of its count.
"whole" is the share of answers that were complete; the others say where the search goes on.`;

interface Asked {
  readonly name: string;
  readonly filter: TokenFilter;
}

interface Figures {
  readonly first: number[];
  readonly deep: number[];
  readonly counts: number[];
  complete: number;
  found: number;
  count: string;
}

const TARGET_P99_MS = 300;
const OF_HOLDER = 1000;
const LIMIT = 40;
const DEEP_PAGES = 5;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const EVERYONE = { userIds: null } as const;

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    users: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    dir: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit();
}
const records = Math.max(OF_HOLDER, Number(values.records));
const rounds = Math.max(1, Number(values.rounds));
const folder = values.dir ?? join(tmpdir(), `jwt-history-bench-lists-${records}`);

printHeading(`Searches of ${records} records`);
const seed = await seedFolder(folder, {
  records,
  ofHolder: OF_HOLDER,
  otherUsers: Number(values.users),
});
const engine = await startEngine({ dataDir: folder });
try {
  // As if it were still the hour of the seeding.
  const store = await openStore({ uri: engine.uri, clock: () => seed.seededAt });
  await measure(store, 'Each filter alone', filters(seed));
  await measure(store, 'The cards', cards(seed));
  await measure(store, 'Pairs', pairs(seed));
  await store.close();
} finally {
  await engine.stop();
}

async function measure(store: Store, title: string, searches: readonly Asked[]): Promise<void> {
  const rows: (string | number)[][] = [];
  const all: number[] = [];
  for (const { name, filter } of searches) {
    const figures = await measureOne(store, filter);
    const answers = [...figures.first, ...figures.deep];
    all.push(...answers, ...figures.counts);
    const { n, p50, p99, max } = summarize(answers);
    rows.push([
      name,
      n,
      ms(p50),
      ms(p99),
      ms(max),
      figures.deep.length > 0 ? ms(summarize(figures.deep).max) : '-',
      `${((100 * figures.complete) / n).toFixed(0)} %`,
      (figures.found / n).toFixed(0),
      ms(summarize(figures.counts).p50),
      ms(summarize(figures.counts).max),
      figures.count,
      verdict(Math.max(p99, summarize(figures.counts).p99), TARGET_P99_MS),
    ]);
  }
  const { n, p50, p99, max } = summarize(all);
  rows.push([
    'all of these',
    n,
    ms(p50),
    ms(p99),
    ms(max),
    '',
    '',
    '',
    '',
    '',
    '',
    verdict(p99, TARGET_P99_MS),
  ]);
  printTable(
    [
      `${title}, ms`,
      'n',
      'p50',
      'p99',
      'max',
      'deep max',
      'whole',
      'found',
      'count p50',
      'count max',
      'count',
      'p99 < 300',
    ],
    rows,
  );
}

async function measureOne({ tokens }: Store, filter: TokenFilter): Promise<Figures> {
  const figures: Figures = { first: [], deep: [], counts: [], complete: 0, found: 0, count: '' };
  const timed = async (samples: number[], page: SearchPage) => {
    const startedAt = performance.now();
    const found = await tokens.search(filter, page);
    samples.push(performance.now() - startedAt);
    figures.complete += found.complete ? 1 : 0;
    figures.found += found.records.length;
    return found;
  };
  for (let round = 0; round < rounds; round += 1) {
    for (const sortField of SEARCH_SORT_FIELDS) {
      for (const direction of [-1, 1] as const) {
        const page = { sortField, direction, limit: LIMIT, backwards: false } as const;
        let from: Position | null = (await timed(figures.first, { ...page, from: null })).next;
        for (let i = 0; i < DEEP_PAGES && from !== null; i += 1) {
          from = (await timed(figures.deep, { ...page, from })).next;
        }
      }
    }
    const startedAt = performance.now();
    const { count, countIs } = await tokens.countMatching(filter);
    figures.counts.push(performance.now() - startedAt);
    figures.count = `${count} ${countIs}`;
  }
  return figures;
}

function filters({ seededAt, holderId }: Seed): Asked[] {
  const at = (days: number) => new Date(seededAt + days * DAY_MS);
  const of = (name: string, filter: Partial<TokenFilter>) => ({
    name,
    filter: { ...EVERYONE, ...filter },
  });
  const range = { from: at(-20), to: at(-10) };
  return [
    of('everything', {}),
    ...TOKEN_STATES.map((state) => of(`state=${state}`, { state })),
    ...TOKEN_KINDS.map((kind) => of(`kind=${kind}`, { kind })),
    ...TOKEN_ORIGINS.map((origin) => of(`origin=${origin}`, { origin })),
    of(`user (${OF_HOLDER})`, { userIds: [holderId] }),
    of('50 users', { userIds: Array.from({ length: 50 }, (_, i) => userIdOf(i)) }),
    of('1000 users', { userIds: Array.from({ length: 1000 }, (_, i) => userIdOf(i)) }),
    of('largest application', { applicationId: applicationId(0) }),
    of('average application', { applicationId: applicationId(1) }),
    of('session', { sessionId: sessionIdOf(1000) }),
    of('address', { address: '10.1.2.7' }),
    of('device=chrome', { device: 'chrome' }),
    of('device=phone 77', { device: 'phone 77 ' }),
    of('device=nothing', { device: 'no such device' }),
    of('issued, 10 days', { issued: range }),
    of('last used, 10 days', { lastUsed: range }),
    of('expires, 10 days', { expires: { from: at(5), to: at(15) } }),
    of('revoked, 10 days', { revoked: range }),
    of('refused, 10 days', { refused: range }),
    of('created, 10 days', { created: range }),
    of('has an expiry', { neverExpires: false }),
    of('text: user', { text: { value: userIdOf(7), userIds: [] } }),
    of('text: 100 e-mails', {
      text: { value: 'a', userIds: Array.from({ length: 100 }, (_, i) => userIdOf(i)) },
    }),
    of('text: largest application', { text: { value: applicationId(0), userIds: [] } }),
    of('text: most jtis', {
      text: { value: createJti(seededAt - 30 * DAY_MS).slice(0, 4), userIds: [] },
    }),
    of('text: nothing', { text: { value: 'nothing of this', userIds: [] } }),
  ];
}

function cards({ seededAt }: Seed): Asked[] {
  const at = (offset: number) => new Date(seededAt + offset);
  const midnight = new Date(seededAt - (seededAt % DAY_MS));
  const of = (name: string, filter: Partial<TokenFilter>) => ({
    name,
    filter: { ...EVERYONE, ...filter },
  });
  return [
    of('active', { state: 'active' }),
    of('expiring in 24 h', { state: 'active', expires: { from: at(0), to: at(DAY_MS) } }),
    of('idle for 30 days', { state: 'active', idleSince: at(-30 * DAY_MS) }),
    of('never expires', { state: 'active', neverExpires: true }),
    of('revoked today', { revoked: { from: midnight } }),
    of('refused in an hour', { refused: { from: at(-HOUR_MS) } }),
  ];
}

function pairs({ seededAt, holderId }: Seed): Asked[] {
  const at = (days: number) => new Date(seededAt + days * DAY_MS);
  const of = (name: string, filter: Partial<TokenFilter>) => ({
    name,
    filter: { ...EVERYONE, ...filter },
  });
  const largest = applicationId(0);
  return [
    of('api-key, expired (none)', { kind: 'api-key', state: 'expired' }),
    of('api-key, revoked', { kind: 'api-key', state: 'revoked' }),
    of('api-key, never used', { kind: 'api-key', idleSince: at(-100) }),
    of('woleet, device', { origin: 'woleet', device: 'Chrome/111' }),
    of('signin, api-key (none)', { origin: 'signin', kind: 'api-key' }),
    of('adopted, revoked', { origin: 'adopted', state: 'revoked' }),
    of('largest application, revoked', { applicationId: largest, state: 'revoked' }),
    of('largest application, expired', { applicationId: largest, state: 'expired' }),
    of('largest application, device', { applicationId: largest, device: 'phone 77 ' }),
    of('user, expired', { userIds: [holderId], state: 'expired' }),
    of('1000 users, active', {
      userIds: Array.from({ length: 1000 }, (_, i) => userIdOf(i)),
      state: 'active',
    }),
    of('expired, issued yesterday (none)', { state: 'expired', issued: { from: at(-1) } }),
    of('expired, created 29 days ago', { state: 'expired', created: { from: at(-29) } }),
    of('active, device nothing', { state: 'active', device: 'no such device' }),
    of('text nothing, active', { text: { value: 'nothing', userIds: [] }, state: 'active' }),
    of('text largest app, api-key', { text: { value: largest, userIds: [] }, kind: 'api-key' }),
    of('last used old, created new (none)', {
      lastUsed: { to: at(-40) },
      created: { from: at(-39) },
    }),
    of('idle, adopted, largest', { idleSince: at(-30), origin: 'adopted', applicationId: largest }),
  ];
}
