/** The search against a naive model of it: every filter, alone and in pairs, in every order, forwards and backwards. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { createTokenModel } from '../../../../src/store/tokens/model.js';
import { openStore, type Store } from '../../../../src/store/database/connect.js';
import { createOperations } from '../../../../src/store/database/operations.js';
import {
  type Revocation,
  TOKEN_KINDS,
  TOKEN_ORIGINS,
  type TokenRecord,
} from '../../../../src/store/records.js';
import {
  type DateRange,
  type Found,
  type Position,
  SEARCH_SORT_FIELDS,
  type SearchPage,
  TOKEN_STATES,
  type TokenFilter,
} from '../../../../src/store/tokens/query/filter.js';
import {
  createTokenSearches,
  type SearchLimits,
  type TokenSearches,
} from '../../../../src/store/tokens/query/search.js';
import { freshDatabase, START, testMongodbUri } from '../../../support/harness.js';
import { newRecord } from '../../../support/store-conformance.js';

const RECORDS = 300;
const HOUR = 3_600_000;
const EVERYONE = { userIds: null } as const;
const UNHURRIED = { firstWindow: 500, window: 2500, most: 50_000, withinMs: 60_000 };

/** Each way to an answer: what a walk finds, what an index of few keys finds, and both with little work at a time. */
const WAYS: [string, SearchLimits][] = [
  ['by walking', { ...UNHURRIED, indexed: 1 }],
  ['by an index', { ...UNHURRIED, firstWindow: 1, indexed: 10_000 }],
  ['in small windows', { ...UNHURRIED, firstWindow: 10, window: 60, indexed: 40 }],
];

const database = freshDatabase();
const clock = { now: START };
let store: Store;
let connection: mongoose.Connection;
let records: TokenRecord[];

beforeAll(async () => {
  store = await openStore({ uri: testMongodbUri(), clock: () => clock.now, database });
  connection = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
  records = await insertRecords(seededRandom(7));
});
afterAll(async () => {
  await connection.close();
  await store.close();
});

function searchesWithin(limits: SearchLimits): TokenSearches {
  const model = createTokenModel(connection.useDb(database), { w: 1, j: true });
  return createTokenSearches(
    model,
    { clock: () => clock.now, run: createOperations().run },
    limits,
  );
}

const range = (from?: number, to?: number): DateRange => ({
  ...(from === undefined ? {} : { from: new Date(START + from * HOUR) }),
  ...(to === undefined ? {} : { to: new Date(START + to * HOUR) }),
});

const FILTERS: Partial<TokenFilter>[] = [
  {},
  { userIds: [] },
  { userIds: ['u1'] },
  { userIds: ['u1', 'u2', 'nobody'] },
  ...TOKEN_STATES.map((state) => ({ state })),
  ...TOKEN_KINDS.map((kind) => ({ kind })),
  ...TOKEN_ORIGINS.map((origin) => ({ origin })),
  { applicationId: 'app-1' },
  { applicationId: 'none' },
  { sessionId: 's2' },
  { address: '10.0.0.1' },
  { device: 'PHONE' },
  { device: '(x11; linux)' },
  { device: 'a.b*c' },
  { issued: range(-3, 2) },
  { issued: range(undefined, -1) },
  { lastUsed: range(-2) },
  { expires: range(0, 3) },
  { revoked: range(-1, 2) },
  { refused: range(-2) },
  { created: range(-4, -2) },
  { created: range() },
  { created: range(2, -2) },
  { neverExpires: true },
  { neverExpires: false },
  { idleSince: new Date(START) },
  { text: { value: 'u1', userIds: [] } },
  { text: { value: 'app-1', userIds: ['u2'] } },
  { text: { value: 'jti-1', userIds: [] } },
  { text: { value: 'jti', userIds: [] } },
  { text: { value: 'nothing', userIds: [] } },
];

const ORDERS = SEARCH_SORT_FIELDS.flatMap((sortField) =>
  ([1, -1] as const).map((direction) => ({ sortField, direction })),
);
type SearchOrder = (typeof ORDERS)[number];

describe.each(WAYS)('the search, %s,', (way, limits) => {
  const turn = WAYS.findIndex(([name]) => name === way);
  let searches: TokenSearches;
  beforeAll(() => {
    searches = searchesWithin(limits);
  });

  it('finds what each filter means, in every order, page by page to the end and back', async () => {
    for (const [i, filter] of FILTERS.entries()) {
      // Each filter in every order, but not in each way.
      for (const order of ORDERS.filter((_, j) => (i + j) % WAYS.length === turn)) {
        const asked = { ...EVERYONE, ...filter };
        const wanted = idsOf(matches(asked, order));
        const limit = 1 + Math.floor(wanted.length / 3);
        const { pages, last } = await forwards(searches, asked, order, limit);
        expect([way, filter, order, pages.flat()]).toEqual([way, filter, order, wanted]);
        const back = await backwards(searches, asked, order, limit, last.previous);
        expect([way, filter, order, [...back, ...idsOf(last.records)]]).toEqual([
          way,
          filter,
          order,
          wanted,
        ]);
        const fromTheEnd = await backwards(searches, asked, order, limit, null);
        expect([way, filter, order, fromTheEnd]).toEqual([way, filter, order, wanted]);
      }
    }
  });

  it('finds what any two filters mean together, and counts it', async () => {
    let i = 0;
    for (const [at, one] of FILTERS.entries()) {
      for (const other of FILTERS.slice(at + 1)) {
        i += 1;
        // Each pair in one of the ways.
        if (i % WAYS.length !== turn) continue;
        const asked = { ...EVERYONE, ...one, ...other };
        const order = ORDERS[Math.floor(i / WAYS.length) % ORDERS.length] ?? ORDERS[0];
        if (order === undefined) throw new Error('there are orders');
        const wanted = idsOf(matches(asked, order));
        const { pages } = await forwards(searches, asked, order, 100);
        expect([asked, order, pages.flat()]).toEqual([asked, order, wanted]);
        const { count, countIs } = await searches.countMatching(asked);
        if (countIs === 'at-least') expect(count).toBeLessThanOrEqual(wanted.length);
        else expect([asked, count]).toEqual([asked, wanted.length]);
      }
    }
  });

  it('hands out every match, oldest first, in batches', async () => {
    for (const filter of FILTERS) {
      const asked = { ...EVERYONE, ...filter };
      const found: TokenRecord[] = [];
      for await (const batch of searches.matching(asked, { batch: 60 })) {
        expect(batch.length).toBeGreaterThan(0);
        expect(batch.length).toBeLessThanOrEqual(60);
        found.push(...batch);
      }
      const wanted = matches(asked, { sortField: 'createdAt', direction: 1 });
      expect([filter, found]).toEqual([filter, wanted]);
    }
  });
});

it('leaves the planner no choice, which the embedded engine could not make on many records', async () => {
  const commands: object[] = [];
  const options = { dbName: database, monitorCommands: true };
  const watched = await mongoose.createConnection(testMongodbUri(), options).asPromise();
  watched.getClient().on('commandStarted', ({ commandName, command }) => {
    const { find, count, aggregate } = command as Record<string, unknown>;
    if (commandName !== 'explain' && (find ?? count ?? aggregate) === 'tokens') {
      const { lsid: _lsid, $db: _db, ...asked } = command as Record<string, unknown>;
      commands.push(asked);
    }
  });
  try {
    const model = createTokenModel(watched, { w: 1, j: true });
    const { run } = createOperations();
    const searches = createTokenSearches(model, { clock: () => clock.now, run }, WAYS[1]?.[1]);
    for (const [i, one] of FILTERS.entries()) {
      const asked = { ...EVERYONE, ...one, ...FILTERS[(i * 7 + 3) % FILTERS.length] };
      for (const filter of [{ ...EVERYONE, ...one }, asked]) {
        const order = ORDERS[i % ORDERS.length] ?? { sortField: 'createdAt', direction: -1 };
        for (const sortField of ['createdAt', order.sortField] as const) {
          await forwards(searches, filter, { ...order, sortField }, 100);
        }
        await searches.countMatching(filter);
      }
    }
    for (const state of TOKEN_STATES) {
      for (const more of [
        {},
        { kind: 'api-key' },
        { text: { value: 'app-1', userIds: [] } },
      ] as const) {
        const filter = { ...EVERYONE, state, ...more };
        await searches.list(filter, { sortField: 'createdAt', direction: -1, skip: 10, limit: 10 });
        await searches.list(filter, { sortField: 'expiresAt', direction: 1, skip: 10, limit: 10 });
        await searches.count(filter);
      }
    }
    expect(commands.length).toBeGreaterThan(200);
    for (const command of commands) {
      const plan: unknown = await watched.db?.command({ explain: command });
      expect([command, rejectedPlansOf(plan)]).toEqual([command, []]);
    }
  } finally {
    await watched.close();
  }
});

it('looks at no more than its bound for one answer, and goes on from there to the end', async () => {
  const searches = searchesWithin({ ...UNHURRIED, firstWindow: 20, most: 20, indexed: 1 });
  for (const order of ORDERS) {
    const asked = { ...EVERYONE, device: 'phone' };
    const { pages, answers } = await forwards(searches, asked, order, 100);
    expect(pages.flat()).toEqual(idsOf(matches(asked, order)));
    expect(answers.length).toBeGreaterThanOrEqual(RECORDS / 20);
    expect(answers.slice(0, -1).every(({ complete }) => !complete)).toBe(true);
    expect(answers.at(-1)?.complete).toBe(true);
    const back = await backwards(searches, asked, order, 100, null);
    expect(back).toEqual(pages.flat());
  }
});

it('gives an answer in time even when no time is left, and still gets to the end', async () => {
  const limits = { ...UNHURRIED, firstWindow: 50, window: 50, withinMs: 0, indexed: 1 };
  const searches = searchesWithin(limits);
  const asked = { ...EVERYONE, device: 'phone' };
  const [order] = ORDERS;
  if (order === undefined) throw new Error('there are orders');
  const { pages, answers } = await forwards(searches, asked, order, 1000);
  expect(answers.length).toBeGreaterThanOrEqual(RECORDS / 50);
  expect(pages.flat()).toEqual(idsOf(matches(asked, order)));
});

it('neither repeats nor skips a record while others are inserted', async () => {
  for (const order of ORDERS) {
    const wanted = new Set(idsOf(matches(EVERYONE, order)));
    const seen: string[] = [];
    let from: Position | null = null;
    do {
      const page = { ...order, limit: 37, from, backwards: false };
      const found: Found = await store.tokens.search(EVERYONE, page);
      seen.push(...idsOf(found.records));
      from = found.next;
      const more = Array.from({ length: 3 }, (_, i) =>
        store.tokens.insert(
          newRecord(`late-${order.sortField}${order.direction}${seen.length}${i}`),
        ),
      );
      records.push(...(await Promise.all(more)));
    } while (from !== null);
    expect(new Set(seen).size).toBe(seen.length);
    expect([...wanted].filter((id) => !seen.includes(id))).toEqual([]);
  }
});

it.each([
  '.*',
  '^',
  '$gt',
  '{"$gt":""}',
  '\\',
  '\\E.*',
  '[',
  '(((((((((((((((((((((((((((((((((',
  '(a+)+$',
  '\u0000',
  '\n',
  '\u{1f4f1}',
  '\ud800',
  '(?i)PHONE',
  'x'.repeat(128),
])('takes the text %j for nothing but a text', async (value) => {
  for (const filter of [
    { device: value },
    { text: { value, userIds: [value] } },
    { address: value },
  ]) {
    const found = await store.tokens.search(
      { ...EVERYONE, ...filter },
      { sortField: 'createdAt', direction: -1, limit: 10, from: null, backwards: false },
    );
    expect([filter, found.records]).toEqual([filter, []]);
    expect(await store.tokens.countMatching({ ...EVERYONE, ...filter })).toEqual({
      count: 0,
      countIs: 'exact',
    });
  }
});

it('finds a part of a device whatever its characters', async () => {
  const name = 'Zoë’s (very) "old" [T.V.] ^\\$|?*+{2} #1 – \u{1f4f1}\u0000';
  const { id } = await store.tokens.insert(
    newRecord('odd-device', { device: { ...NO_DEVICE, name } }),
  );
  for (let at = 0; at < name.length; at += 3) {
    const device = [...name]
      .slice(at, at + 6)
      .join('')
      .toUpperCase();
    if (device === '') continue;
    const found = await store.tokens.search(
      { ...EVERYONE, device },
      { sortField: 'createdAt', direction: -1, limit: 10, from: null, backwards: false },
    );
    expect([device, idsOf(found.records)]).toEqual([device, [id]]);
  }
});

const NO_DEVICE = {
  name: null,
  description: null,
  type: null,
  userAgent: null,
  ip: null,
  location: null,
};

/** With many equal dates, and many records that lack them. */
async function insertRecords(random: () => number): Promise<TokenRecord[]> {
  const pick = <T>(...values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const when = () => new Date(START + pick(-5, -4, -3, -2, -1, 0, 1, 2, 3) * HOUR);
  const revocation = (): Revocation => ({ at: when(), by: 'x', reason: null, via: 'test' });
  const inserted: TokenRecord[] = [];
  for (let i = 0; i < RECORDS; i += 1) {
    clock.now = when().getTime();
    const jti = `jti-${i}`;
    const { id } = await store.tokens.insert(
      newRecord(jti, {
        kind: pick(...TOKEN_KINDS),
        origin: pick(...TOKEN_ORIGINS),
        userId: pick(null, 'u1', 'u2', 'u3', 'app-1'),
        applicationId: pick(null, 'app-1', 'app-2', 'u1'),
        sessionId: pick(null, 's1', 's2'),
        device: pick(
          null,
          { ...NO_DEVICE, name: 'My phone', ip: '10.0.0.1' },
          { ...NO_DEVICE, description: 'A.B*C', ip: '10.0.0.2' },
          { ...NO_DEVICE, userAgent: 'Phone (X11; Linux) axbxc', ip: '10.0.0.1' },
        ),
        issuedAt: pick(null, when(), when()),
        expiresAt: pick(null, when(), when()),
        lastUsedAt: pick(null, when()),
        revocation: pick(null, null, revocation()),
        purgeAt: null,
      }),
    );
    if (random() < 0.2) {
      await store.tokens.recordRefused([
        { jti, issuer: 'https://issuer.example', at: when(), count: 1 },
      ]);
    }
    const record = await store.tokens.findById(id);
    if (record !== null) inserted.push(record);
  }
  clock.now = START;
  return inserted;
}

/** A linear congruential generator: the same records at each run. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

async function forwards(
  searches: TokenSearches,
  filter: TokenFilter,
  order: SearchOrder,
  limit: number,
) {
  const answers: Found[] = [];
  let from: Position | null = null;
  do {
    const page: SearchPage = { ...order, limit, from, backwards: false };
    const found: Found = await searches.search(filter, page);
    expect(found.records.length).toBeLessThanOrEqual(limit);
    if (found.complete && found.next !== null) expect(found.records).toHaveLength(limit);
    if (from === null) expect(found.previous).toBeNull();
    answers.push(found);
    from = found.next;
    if (answers.length > 3 * RECORDS) throw new Error('the search never ends');
  } while (from !== null);
  const last = answers.at(-1);
  if (last === undefined) throw new Error('there is an answer');
  return { answers, last, pages: answers.map((found) => idsOf(found.records)) };
}

/** All ids before the position; null = before the end. */
async function backwards(
  searches: TokenSearches,
  filter: TokenFilter,
  order: SearchOrder,
  limit: number,
  before: Position | null,
): Promise<string[]> {
  const ids: string[] = [];
  let from = before;
  let first = true;
  for (let answers = 0; first || from !== null; answers += 1) {
    if (first && before === null && answers > 0) throw new Error('unreachable');
    const found: Found = await searches.search(filter, { ...order, limit, from, backwards: true });
    expect(found.records.length).toBeLessThanOrEqual(limit);
    ids.unshift(...idsOf(found.records));
    if (from === null) expect(found.next).toBeNull();
    first = false;
    from = found.previous;
    if (answers > 3 * RECORDS) throw new Error('the search never ends');
  }
  return ids;
}

/** Wherever they are: an aggregation has its plan in its first stage. */
function rejectedPlansOf(plan: unknown): unknown[] {
  if (typeof plan !== 'object' || plan === null) return [];
  return Object.entries(plan).flatMap(([name, value]) =>
    name === 'rejectedPlans' ? (value as unknown[]) : rejectedPlansOf(value),
  );
}

function idsOf(found: readonly TokenRecord[]): string[] {
  return found.map(({ id }) => id);
}

function matches(filter: TokenFilter, { sortField, direction }: SearchOrder): TokenRecord[] {
  const value = (record: TokenRecord) =>
    ({
      ...record,
      revokedAt: record.revocation?.at ?? null,
      refusedAt: record.lastRefusedAt,
    })[sortField]?.getTime() ?? -Infinity;
  return records
    .filter((record) => meets(record, filter))
    .toSorted((a, b) =>
      value(a) === value(b)
        ? (a.id < b.id ? -1 : 1) * direction
        : (value(a) < value(b) ? -1 : 1) * direction,
    );
}

function meets(record: TokenRecord, filter: TokenFilter): boolean {
  const { device } = record;
  const now = START;
  const expired = record.expiresAt !== null && record.expiresAt.getTime() <= now;
  const state = record.revocation ? 'revoked' : expired ? 'expired' : 'active';
  const within = (date: Date | null, wanted: DateRange | undefined) => {
    if (wanted?.from === undefined && wanted?.to === undefined) return true;
    if (date === null) return false;
    if (wanted.from !== undefined && date < wanted.from) return false;
    return wanted.to === undefined || date < wanted.to;
  };
  const part = filter.device?.toLowerCase();
  const { text, idleSince } = filter;
  return (
    (filter.userIds === null || filter.userIds.includes(record.userId ?? '')) &&
    (filter.state === undefined || filter.state === state) &&
    (filter.kind === undefined || filter.kind === record.kind) &&
    (filter.origin === undefined || filter.origin === record.origin) &&
    (filter.applicationId === undefined || filter.applicationId === record.applicationId) &&
    (filter.sessionId === undefined || filter.sessionId === record.sessionId) &&
    (filter.address === undefined || filter.address === device?.ip) &&
    (part === undefined ||
      [device?.name, device?.description, device?.userAgent].some((each) =>
        each?.toLowerCase().includes(part),
      )) &&
    within(record.createdAt, filter.created) &&
    within(record.issuedAt, filter.issued) &&
    within(record.lastUsedAt, filter.lastUsed) &&
    within(record.expiresAt, filter.expires) &&
    within(record.revocation?.at ?? null, filter.revoked) &&
    within(record.lastRefusedAt, filter.refused) &&
    (filter.neverExpires === undefined || filter.neverExpires === (record.expiresAt === null)) &&
    (idleSince === undefined ||
      (record.lastUsedAt === null
        ? record.issuedAt !== null && record.issuedAt < idleSince
        : record.lastUsedAt < idleSince)) &&
    (text === undefined ||
      text.userIds.includes(record.userId ?? '') ||
      text.value === record.userId ||
      text.value === record.applicationId ||
      (text.value.length >= 4 && record.jti.startsWith(text.value)))
  );
}
