/** Part `searches`: how long the store takes to answer every kind of search, with its count, one at a time. */
import { TOKEN_KINDS, TOKEN_ORIGINS } from '../src/store/records.js';
import type { Store } from '../src/store/database/connect.js';
import {
  type Position,
  SEARCH_SORT_FIELDS,
  type SearchPage,
  TOKEN_STATES,
  type TokenFilter,
} from '../src/store/tokens/query/filter.js';
import { createJti } from '../src/tokens/jti.js';
import { openBuiltStore } from './built-parts.js';
import { withEngine } from './built-service.js';
import {
  atMost,
  type Effort,
  type PartResult,
  progress,
  summarize,
  type Table,
} from './results.js';
import { applicationId, OF_HOLDER, type Seed, seedFolder, sessionIdOf } from './seed.js';
import { DAY_MS, userIdOf } from './token-documents.js';

interface Figures {
  readonly first: number[];
  readonly deep: number[];
  readonly counts: number[];
  complete: number;
  found: number;
  count: string;
}

const TARGET_P99_MS = 300;
const LIMIT = 40;
const DEEP_PAGES = 5;
const HOUR_MS = 3_600_000;
/** "whole" is the share of answers that were complete; the others say where the search goes on. */
const HEADER = 'n,p50,p99,max,deep max,whole %,found,count p50,count max,count'.split(',');

export async function measureSearches(effort: Effort): Promise<PartResult> {
  const seed = await seedFolder(effort);
  const tables: Table[] = [];
  const worst: Record<string, number> = {};
  await withEngine(seed.folder, async ({ uri }) => {
    // As if it were still the hour of the seeding.
    const store = await openBuiltStore(uri, undefined, () => seed.seededAt);
    for (const [title, searches] of [
      ['each filter alone', filters(seed)],
      ['the cards', cards(seed)],
      ['pairs', pairs(seed)],
    ] as const) {
      const rows: (string | number)[][] = [];
      for (const [name, filter] of Object.entries(searches)) {
        const figures = await measureOne(store, { userIds: null, ...filter }, effort.rounds);
        const pages = [...figures.first, ...figures.deep];
        const { n, p50, p99, max } = summarize(pages);
        const counts = summarize(figures.counts);
        const whole = (100 * figures.complete) / n;
        const deepest = figures.deep.length > 0 ? summarize(figures.deep).max : '-';
        const found = Math.round(figures.found / n);
        rows.push([
          name,
          n,
          p50,
          p99,
          max,
          deepest,
          whole,
          found,
          counts.p50,
          counts.max,
          figures.count,
        ]);
        worst[`${title}: ${name}`] = Math.max(p99, counts.p99);
      }
      tables.push({ title: `${title}, ms`, header: HEADER, rows });
      progress(`searches: ${title}`);
    }
    await store.close();
  });
  return {
    tables,
    figures: { records: seed.records, p99: worst },
    targets: Object.entries(worst).map(([name, p99]) =>
      atMost(`p99 of a page or a count, ${name}, ms`, p99, TARGET_P99_MS),
    ),
  };
}

/** In every order, the first page and some after it; then the count. */
async function measureOne(
  { tokens }: Store,
  filter: TokenFilter,
  rounds: number,
): Promise<Figures> {
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

type Cases = Readonly<Record<string, Partial<TokenFilter>>>;

function filters({ seededAt, holderId }: Seed): Cases {
  const at = (days: number) => new Date(seededAt + days * DAY_MS);
  const range = { from: at(-20), to: at(-10) };
  const users = (count: number) => Array.from({ length: count }, (_, i) => userIdOf(i));
  const text = (value: string, userIds: readonly string[] = []) => ({ text: { value, userIds } });
  return {
    everything: {},
    ...Object.fromEntries(TOKEN_STATES.map((state) => [`state=${state}`, { state }])),
    ...Object.fromEntries(TOKEN_KINDS.map((kind) => [`kind=${kind}`, { kind }])),
    ...Object.fromEntries(TOKEN_ORIGINS.map((origin) => [`origin=${origin}`, { origin }])),
    [`user (${OF_HOLDER})`]: { userIds: [holderId] },
    '50 users': { userIds: users(50) },
    '1000 users': { userIds: users(1000) },
    'largest application': { applicationId: applicationId(0) },
    'average application': { applicationId: applicationId(1) },
    session: { sessionId: sessionIdOf(1000) },
    address: { address: '10.1.2.7' },
    'device=chrome': { device: 'chrome' },
    'device=phone 77': { device: 'phone 77 ' },
    'device=nothing': { device: 'no such device' },
    'issued, 10 days': { issued: range },
    'last used, 10 days': { lastUsed: range },
    'expires, 10 days': { expires: { from: at(5), to: at(15) } },
    'revoked, 10 days': { revoked: range },
    'refused, 10 days': { refused: range },
    'created, 10 days': { created: range },
    'has an expiry': { neverExpires: false },
    'text: user': text(userIdOf(7)),
    'text: 100 e-mails': text('a', users(100)),
    'text: largest application': text(applicationId(0)),
    'text: most jtis': text(createJti(seededAt - 30 * DAY_MS).slice(0, 4)),
    'text: nothing': text('nothing of this'),
  };
}

function cards({ seededAt }: Seed): Cases {
  const at = (offset: number) => new Date(seededAt + offset);
  const midnight = new Date(seededAt - (seededAt % DAY_MS));
  return {
    active: { state: 'active' },
    'expiring in 24 h': { state: 'active', expires: { from: at(0), to: at(DAY_MS) } },
    'idle for 30 days': { state: 'active', idleSince: at(-30 * DAY_MS) },
    'never expires': { state: 'active', neverExpires: true },
    'revoked today': { revoked: { from: midnight } },
    'refused in an hour': { refused: { from: at(-HOUR_MS) } },
  };
}

function pairs({ seededAt, holderId }: Seed): Cases {
  const at = (days: number) => new Date(seededAt + days * DAY_MS);
  const largest = applicationId(0);
  const users = Array.from({ length: 1000 }, (_, i) => userIdOf(i));
  return {
    'api-key, expired (none)': { kind: 'api-key', state: 'expired' },
    'api-key, revoked': { kind: 'api-key', state: 'revoked' },
    'api-key, never used': { kind: 'api-key', idleSince: at(-100) },
    'woleet, device': { origin: 'woleet', device: 'Chrome/111' },
    'signin, api-key (none)': { origin: 'signin', kind: 'api-key' },
    'adopted, revoked': { origin: 'adopted', state: 'revoked' },
    'largest application, revoked': { applicationId: largest, state: 'revoked' },
    'largest application, expired': { applicationId: largest, state: 'expired' },
    'largest application, device': { applicationId: largest, device: 'phone 77 ' },
    'user, expired': { userIds: [holderId], state: 'expired' },
    '1000 users, active': { userIds: users, state: 'active' },
    'expired, issued yesterday (none)': { state: 'expired', issued: { from: at(-1) } },
    'expired, created 29 days ago': { state: 'expired', created: { from: at(-29) } },
    'active, device nothing': { state: 'active', device: 'no such device' },
    'text nothing, active': { text: { value: 'nothing', userIds: [] }, state: 'active' },
    'text largest app, api-key': { text: { value: largest, userIds: [] }, kind: 'api-key' },
    'last used old, created new (none)': { lastUsed: { to: at(-40) }, created: { from: at(-39) } },
    'idle, adopted, largest': { idleSince: at(-30), origin: 'adopted', applicationId: largest },
  };
}
