/** Part `lists`: how long the built service takes to answer every kind of list, over HTTP, one request at a time. */
import { TOKEN_KINDS } from '../src/store/records.js';
import {
  SORT_FIELDS,
  TOKEN_STATES,
  type TokenFilter,
  type TokenPage,
} from '../src/store/tokens/query/filter.js';
import { createJti } from '../src/tokens/jti.js';
import { openBuiltStore } from './built-parts.js';
import {
  ADMIN,
  type BuiltService,
  signIn,
  startBuiltService,
  using,
  withEngine,
} from './built-service.js';
import {
  atMost,
  type Effort,
  figure,
  type PartResult,
  progress,
  summarize,
  summaryTable,
} from './results.js';
import { applicationId, HOLDER, OF_HOLDER, type Seed, seedFolder } from './seed.js';
import { DAY_MS, userIdOf } from './token-documents.js';

/** As the route takes it: null = everyone. */
type Filter = Pick<TokenFilter, 'state' | 'kind' | 'applicationId'> & {
  readonly userId: string | null;
  readonly search?: string;
};

interface Request {
  readonly path: string;
  /** What the store is asked, where it can say how it finds that. */
  readonly asked?: readonly [Filter, TokenPage];
}

/** What is reported together, in one line. */
interface Group {
  readonly name: string;
  readonly requests: readonly Request[];
  readonly rounds: number;
}

interface Chapter {
  readonly title: string;
  readonly caller: typeof HOLDER;
  readonly groups: readonly Group[];
}

const TARGET_P99_MS = 150;
const HISTORY = '/v3/jwt/history';
const PER_PAGE = 40;
const FIRST_PAGES = 40;
/** A group that takes longer ends after the request that did: it has missed its target by then. */
const GROUP_WITHIN_MS = 10_000;
const EVERYONE = { userId: null } as const;
const ORDERS = SORT_FIELDS.flatMap((sortField) =>
  ([-1, 1] as const).map((direction) => ({ sortField, direction })),
);

export async function measureLists(effort: Effort): Promise<PartResult> {
  const seed = await seedFolder(effort);
  const chapters = chaptersOf(seed, effort.rounds);
  const found: Record<string, Record<string, number[]>> = {};
  const slow: Request[] = [];
  await using(await startBuiltService(seed.folder, { LOG_LEVEL: 'warn' }), async (service) => {
    progress(`lists: ready ${figure(service.readyAfterMs)} ms after the start`);
    for (const { title, caller, groups } of chapters) {
      const authorization = await signIn(service, caller.email, caller.password);
      const samples = (found[title] = {} as Record<string, number[]>);
      for (const group of groups) {
        const { took, slowest } = await measure(service, authorization, group);
        samples[group.name] = took;
        if (summarize(took).p99 > TARGET_P99_MS) slow.push(slowest);
      }
      progress(`lists: ${title}`);
    }
  });
  if (effort.explain) await explain(seed, slow);
  const entries = Object.entries(found);
  const groups = entries.flatMap(([, samples]) => Object.entries(samples));
  const summaries = groups.map(([name, took]) => ({ name, ...summarize(took) }));
  return {
    tables: entries.map(([title, samples]) => {
      const all = Object.values(samples).flat();
      return summaryTable(`${title}, ms`, { ...samples, 'all of these': all });
    }),
    figures: { records: seed.records, lists: summaries },
    targets: summaries.map(({ name, p99 }) => atMost(`p99 of ${name}, ms`, p99, TARGET_P99_MS)),
  };
}

/** Round after round; the first request warms up and isn't counted. */
async function measure(service: BuiltService, authorization: string, group: Group) {
  const took: number[] = [];
  let slowest: { ms: number; request: Request } = { ms: 0, request: { path: '' } };
  const endAt = performance.now() + GROUP_WITHIN_MS;
  const ask = async (request: Request) => {
    const answer = await service.call('GET', request.path, { authorization });
    // A list that is refused because it would take too long is as slow as it took, and worth a line.
    if (answer.status !== 200) progress(`GET ${request.path} was answered ${answer.status}`);
    if (answer.status !== 200 && answer.status !== 503) throw new Error(answer.text);
    return answer.ms;
  };
  for (const request of group.requests.slice(0, 1)) await ask(request);
  for (let round = 0; round < group.rounds; round += 1) {
    for (const request of group.requests) {
      if (performance.now() > endAt) return { took, slowest: slowest.request };
      const ms = await ask(request);
      took.push(ms);
      if (ms > slowest.ms) slowest = { ms, request };
    }
  }
  return { took, slowest: slowest.request };
}

/** @param own whether the filter is the caller's own id, which is then left out of the address. */
function history(filter: Filter, page: TokenPage, own = false): Request {
  const { userId, ...conditions } = filter;
  const parameters = {
    ...(own ? {} : { userId: userId ?? '*' }),
    ...conditions,
    sortField: page.sortField,
    direction: String(page.direction),
    page: String(page.skip / page.limit),
    limit: String(page.limit),
  };
  const path = `${HISTORY}?${new URLSearchParams(parameters as Record<string, string>).toString()}`;
  return { path, asked: [filter, page] };
}

function pages(filter: Filter, order: (typeof ORDERS)[number], count: number, own = false) {
  return Array.from({ length: count }, (_, i) =>
    history(filter, { ...order, skip: i * PER_PAGE, limit: PER_PAGE }, own),
  );
}

/** Few rounds of what takes its time: what is slow there is slow each time. */
function chaptersOf({ holderId, records, seededAt }: Seed, rounds: number): Chapter[] {
  const fewRounds = Math.ceil(rounds / 4);
  const firstPages = (paths: Readonly<Record<string, string>>) =>
    Object.entries(paths).map(([name, path]) => ({
      name,
      requests: [{ path }],
      rounds: rounds * FIRST_PAGES,
    }));
  const inEveryOrder = (whose: string, requestsIn: (order: (typeof ORDERS)[number]) => Request[]) =>
    ORDERS.map((order) => ({
      name: `${whose}, ${order.sortField} ${order.direction}`,
      requests: requestsIn(order),
      rounds: fewRounds,
    }));
  const filters: Readonly<Record<string, Partial<Filter>>> = {
    ...Object.fromEntries(TOKEN_STATES.map((state) => [`state=${state}`, { state }])),
    ...Object.fromEntries(TOKEN_KINDS.map((kind) => [`kind=${kind}`, { kind }])),
    'kind=api-key&state=expired (none)': { kind: 'api-key', state: 'expired' },
    'the largest application': { applicationId: applicationId(0) },
    'an average application': { applicationId: applicationId(1) },
    'the largest application, revoked': { applicationId: applicationId(0), state: 'revoked' },
    'an unknown application': { applicationId: 'none' },
    'search: a user': { search: userIdOf(7) },
    'search: the largest application': { search: applicationId(0) },
    'search: beginning of every jti': { search: '01' },
    'search: beginning of the oldest jtis': {
      search: createJti(seededAt - 100 * DAY_MS).slice(0, 4),
    },
    'search: nothing found': { search: 'nobody' },
    [`the user with ${OF_HOLDER}, revoked`]: { userId: holderId, state: 'revoked' },
  };
  const last = { skip: 100_000 - 100, limit: 100, sortField: 'createdAt', direction: -1 } as const;
  const revokedOfLargest = `state=revoked&applicationId=${applicationId(0)}`;
  return [
    {
      title: `one's own of ${records.toLocaleString('en')} records, ${PER_PAGE} to a page`,
      caller: HOLDER,
      groups: [
        ...firstPages({
          "one's own, newest first": HISTORY,
          "one's own, last used first, page 10": `${HISTORY}?sortField=lastUsedAt&page=10`,
        }),
        ...inEveryOrder("one's own, every page", (order) =>
          pages({ userId: holderId }, order, Math.ceil(OF_HOLDER / PER_PAGE), true),
        ),
      ],
    },
    {
      title: "an administrator's lists",
      caller: ADMIN,
      groups: [
        ...firstPages({
          "everyone's, newest first": `${HISTORY}?userId=*`,
          "everyone's, revoked": `${HISTORY}?userId=*&state=revoked`,
          'of the largest application': `${HISTORY}?userId=*&applicationId=${applicationId(0)}`,
          "FusionAuth: a user's refresh tokens": `/api/jwt/refresh?userId=${holderId}`,
          'dashboard: newest first': '/admin/tokens',
          'dashboard: revoked, of the largest application': `/admin/tokens?${revokedOfLargest}`,
        }),
        ...inEveryOrder("everyone's, pages 0 to 4", (order) => pages(EVERYONE, order, 5)),
      ],
    },
    {
      title: 'an administrator, with a filter (and its count), page 0 in every order',
      caller: ADMIN,
      groups: [
        ...Object.entries(filters).map(([name, filter]) => ({
          name,
          requests: ORDERS.flatMap((order) => pages({ ...EVERYONE, ...filter }, order, 1)),
          rounds: fewRounds,
        })),
        { name: 'the last page allowed', requests: [history(EVERYONE, last)], rounds },
      ],
    },
  ];
}

/** Each half of a slow list by itself, straight from the store, with the database's plan. */
async function explain({ folder }: Seed, requests: readonly Request[]): Promise<void> {
  await withEngine(folder, async ({ uri }) => {
    const { tokens, close } = await openBuiltStore(uri);
    const took = async (work: Promise<unknown>) => {
      const startedAt = performance.now();
      const outcome = await work.then(() => '', String);
      return `${figure(performance.now() - startedAt)} ms ${outcome}`;
    };
    for (const { path, asked } of requests) {
      if (asked === undefined) continue;
      const filter = storeFilterOf(asked[0]);
      const list = await took(tokens.list(filter, asked[1]));
      const count = await took(tokens.count(filter));
      const plan = JSON.stringify(await tokens.explain(filter, asked[1]).catch(String));
      const stages = [
        ...plan.matchAll(/"(?:stage|indexName|total\w+Examined|nReturned)":"?([\w.-]+)/g),
      ];
      const shown = stages.map(([, value]) => value).join(' ');
      console.log(`${path}\n  list:  ${list}\n  count: ${count}\n  plan:  ${shown}\n`);
    }
    await close();
  });
}

function storeFilterOf({ userId, search, ...rest }: Filter): TokenFilter {
  return {
    ...rest,
    userIds: userId === null ? null : [userId],
    text: search === undefined ? undefined : { value: search, userIds: [], minJtiPrefix: 8 },
  };
}
