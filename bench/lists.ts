/** How long the built service takes to answer lists of a million records, over HTTP, one request at a time. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/clock.js';
import { openStore, type Store } from '../src/store/database/connect.js';
import { startEngine } from '../src/store/embedded/engine.js';
import { TOKEN_KINDS } from '../src/store/records.js';
import {
  SORT_FIELDS,
  TOKEN_STATES,
  type TokenFilter,
  type TokenPage,
} from '../src/store/tokens/query/filter.js';
import { createJti } from '../src/tokens/jti.js';
import { type BuiltService, signIn, startBuiltService, using } from './built-service.js';
import { ms, printHeading, printTable, summarize, verdict } from './figures.js';
import { ADMIN, applicationId, HOLDER, seedFolder, userIdOf } from './seed.js';

/** As the route takes it: null = everyone. */
type Filter = Pick<TokenFilter, 'state' | 'kind' | 'applicationId'> & {
  readonly userId: string | null;
  readonly search?: string;
};

interface Request {
  readonly filter: Filter;
  readonly page: TokenPage;
  /** Whether the filter is the caller's own id, which is then left out of the address. */
  readonly own: boolean;
}

/** What is reported together, in one line. */
interface Group {
  readonly name: string;
  readonly requests: readonly Request[];
  readonly rounds: number;
}

interface Measured {
  readonly request: Request;
  readonly status: number;
  readonly ms: number;
}

const TARGET_P99_MS = 150;
const OF_HOLDER = 1000;
const PER_PAGE = 40;
/** A group that takes longer ends after the request that did: it has missed its target by then. */
const GROUP_WITHIN_MS = 10_000;
const DAY_MS = 86_400_000;
const DIRECTIONS = [-1, 1] as const;
const EVERYONE = { userId: null } as const;

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    users: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '20' },
    dir: { type: 'string' },
    explain: { type: 'boolean', default: false },
  },
});
const records = Math.max(OF_HOLDER, Number(values.records));
const rounds = Math.max(1, Number(values.rounds));
const folder = values.dir ?? join(tmpdir(), `jwt-history-bench-lists-${records}`);

printHeading(`Lists of ${records} records`);
const seed = await seedFolder(folder, {
  records,
  ofHolder: OF_HOLDER,
  otherUsers: Number(values.users),
});
const slow = await measureService();
if (values.explain) await explain(slow);

/** @returns the slowest request of every group that missed the target. */
async function measureService(): Promise<Request[]> {
  const service = await startBuiltService(folder);
  console.log(`ready ${ms(service.readyAfterMs)} ms after the start, with this database\n`);
  return using(service, async () => {
    const holder = await signIn(service, HOLDER.email, HOLDER.password);
    const admin = await signIn(service, ADMIN.email, ADMIN.password);
    return [
      ...(await measureGroups(
        service,
        holder,
        `A user with ${OF_HOLDER} tokens: every page of ${PER_PAGE}`,
        ownGroups(),
      )),
      ...(await measureGroups(
        service,
        admin,
        'An administrator, everyone: pages 0 to 4',
        everyoneGroups(),
      )),
      ...(await measureGroups(
        service,
        admin,
        'An administrator, with a filter (and its count): page 0 in every order',
        filteredGroups(),
      )),
    ];
  });
}

async function measureGroups(
  service: BuiltService,
  authorization: string,
  title: string,
  groups: readonly Group[],
): Promise<Request[]> {
  const slowest: Request[] = [];
  const everything: number[] = [];
  const rows: (string | number)[][] = [];
  for (const group of groups) {
    const measured = await measureGroup(service, authorization, group);
    const samples = measured.map((sample) => sample.ms);
    everything.push(...samples);
    const worst = measured.reduce((a, b) => (b.ms > a.ms ? b : a));
    const missed = verdict(summarize(samples).p99, TARGET_P99_MS) === 'MISSED';
    if (missed) slowest.push(worst.request);
    rows.push([...row(group.name, samples), missed ? orderOf(worst.request) : '']);
  }
  rows.push(row('all of these', everything));
  printTable([`${title}, ms`, 'n', 'p50', 'p99', 'max', 'p99 < 150', 'slowest'], rows);
  return slowest;
}

function row(name: string, samples: readonly number[]) {
  const { n, p50, p99, max } = summarize(samples);
  return [name, n, ms(p50), ms(p99), ms(max), verdict(p99, TARGET_P99_MS)];
}

async function measureGroup(
  service: BuiltService,
  authorization: string,
  group: Group,
): Promise<Measured[]> {
  const measured: Measured[] = [];
  const endAt = performance.now() + GROUP_WITHIN_MS;
  for (let round = 0; round < group.rounds; round += 1) {
    for (const request of group.requests) {
      if (performance.now() > endAt) return measured;
      const path = pathOf(request);
      const answer = await service.call('GET', path, { authorization });
      // A list that is refused because it would take too long is as slow as it took, and worth a line.
      if (answer.status !== 200) console.log(`GET ${path} was answered ${answer.status}`);
      if (answer.status !== 200 && answer.status !== 503) throw new Error(answer.text);
      measured.push({ request, status: answer.status, ms: answer.ms });
    }
  }
  return measured;
}

function pathOf({ filter, page, own }: Request): string {
  const { userId, ...conditions } = filter;
  const parameters = Object.entries({
    userId: own ? undefined : (userId ?? '*'),
    ...conditions,
    sortField: page.sortField,
    direction: String(page.direction),
    page: String(page.skip / page.limit),
    limit: String(page.limit),
  });
  const query = new URLSearchParams(
    parameters.filter((parameter): parameter is [string, string] => parameter[1] !== undefined),
  );
  return `/v3/jwt/history?${query.toString()}`;
}

function orderOf({ page }: Request): string {
  return `${page.sortField} ${page.direction} from ${page.skip}`;
}

/** One group for each sort and direction. */
function inEveryOrder(toGroup: (order: Pick<TokenPage, 'sortField' | 'direction'>) => Group) {
  return SORT_FIELDS.flatMap((sortField) =>
    DIRECTIONS.map((direction) => toGroup({ sortField, direction })),
  );
}

function pages(
  filter: Filter,
  order: Pick<TokenPage, 'sortField' | 'direction'>,
  count: number,
  own = false,
): Request[] {
  return Array.from({ length: count }, (_, i) => ({
    filter,
    own,
    page: { ...order, skip: i * PER_PAGE, limit: PER_PAGE },
  }));
}

function ownGroups(): Group[] {
  const count = Math.ceil(OF_HOLDER / PER_PAGE);
  return inEveryOrder((order) => ({
    name: `${order.sortField} ${order.direction}`,
    requests: pages({ userId: seed.holderId }, order, count, true),
    rounds: Math.ceil(rounds / 4),
  }));
}

function everyoneGroups(): Group[] {
  return inEveryOrder((order) => ({
    name: `${order.sortField} ${order.direction}`,
    requests: pages(EVERYONE, order, 5),
    rounds,
  }));
}

/** Few rounds: what is slow here is slow each time. */
function filteredGroups(): Group[] {
  const firstPages = (name: string, filter: Filter): Group => ({
    name,
    requests: inEveryOrder((order) => ({
      name,
      requests: pages(filter, order, 1),
      rounds: 1,
    })).flatMap(({ requests }) => requests),
    rounds: Math.ceil(rounds / 4),
  });
  const largest = applicationId(0);
  const last = { skip: 100_000 - 100, limit: 100, sortField: 'createdAt', direction: -1 } as const;
  return [
    ...TOKEN_STATES.map((state) => firstPages(`state=${state}`, { ...EVERYONE, state })),
    ...TOKEN_KINDS.map((kind) => firstPages(`kind=${kind}`, { ...EVERYONE, kind })),
    firstPages('kind=api-key&state=expired (none)', {
      ...EVERYONE,
      kind: 'api-key',
      state: 'expired',
    }),
    firstPages('the largest application', { ...EVERYONE, applicationId: largest }),
    firstPages('an average application', { ...EVERYONE, applicationId: applicationId(1) }),
    firstPages('the largest application, revoked', {
      ...EVERYONE,
      applicationId: largest,
      state: 'revoked',
    }),
    firstPages('an unknown application', { ...EVERYONE, applicationId: 'none' }),
    firstPages('search: a user', { ...EVERYONE, search: userIdOf(7) }),
    firstPages('search: the largest application', { ...EVERYONE, search: largest }),
    firstPages('search: beginning of every jti', { ...EVERYONE, search: '01' }),
    firstPages('search: beginning of the oldest jtis', {
      ...EVERYONE,
      search: createJti(seed.seededAt - 100 * DAY_MS).slice(0, 4),
    }),
    firstPages('search: nothing found', { ...EVERYONE, search: 'nobody' }),
    firstPages(`the user with ${OF_HOLDER}, revoked`, { userId: seed.holderId, state: 'revoked' }),
    {
      name: 'the last page allowed',
      requests: [{ filter: EVERYONE, page: last, own: false }],
      rounds,
    },
  ];
}

/** Each half of a slow list by itself, straight from the store, with the database's plan. */
async function explain(requests: readonly Request[]): Promise<void> {
  const engine = await startEngine({ dataDir: folder });
  try {
    const store = await openStore({ uri: engine.uri, clock: systemClock });
    for (const request of requests) await explainOne(store, request);
    await store.close();
  } finally {
    await engine.stop();
  }
}

async function explainOne({ tokens }: Store, { filter, page, own }: Request): Promise<void> {
  console.log(pathOf({ filter, page, own }));
  const { userId, search, ...rest } = filter;
  const asked: TokenFilter = {
    ...rest,
    userIds: userId === null ? null : [userId],
    text: search === undefined ? undefined : { value: search, userIds: [], minJtiPrefix: 8 },
  };
  console.log(`  list:  ${await outcomeOf(() => tokens.list(asked, page))}`);
  console.log(`  count: ${await outcomeOf(() => tokens.count(asked))}`);
  const plan = (await tokens.explain(asked, page).catch(String)) as Plan | string;
  if (typeof plan === 'string') return console.log(`  plan:  ${plan}\n`);
  const { totalKeysExamined, totalDocsExamined, nReturned } = plan.executionStats ?? {};
  const stages = stagesOf(plan.queryPlanner?.winningPlan ?? {});
  console.log(`  plan:  ${stages.join(' < ')}`);
  console.log(
    `         ${totalKeysExamined} keys and ${totalDocsExamined} documents for ${nReturned} results\n`,
  );
}

async function outcomeOf(operation: () => Promise<unknown>): Promise<string> {
  const startedAt = performance.now();
  const outcome = await operation().then(
    () => '',
    (error: unknown) => ` (${String(error)})`,
  );
  return `${ms(performance.now() - startedAt)} ms${outcome}`;
}

interface Stage {
  readonly stage?: string;
  readonly indexName?: string;
  readonly inputStage?: Stage;
  readonly inputStages?: readonly Stage[];
  readonly queryPlan?: Stage;
}

interface Plan {
  readonly queryPlanner?: { readonly winningPlan?: Stage };
  readonly executionStats?: Readonly<
    Record<'totalKeysExamined' | 'totalDocsExamined' | 'nReturned', number>
  >;
}

function stagesOf({ stage, indexName, inputStage, inputStages, queryPlan }: Stage): string[] {
  if (queryPlan) return stagesOf(queryPlan);
  const own = stage === undefined ? [] : [indexName ? `${stage} ${indexName}` : stage];
  const inputs = [...(inputStage ? [inputStage] : []), ...(inputStages ?? [])];
  return [...own, ...inputs.flatMap(stagesOf)];
}
