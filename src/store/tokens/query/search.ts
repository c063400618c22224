/** The search over all token records: any filter in any order, page by page from a position, each answer with bounded work. */
import type { SearchContext } from '../../database/context.js';
import type { TokenKind, TokenOrigin, TokenRecord } from '../../records.js';
import { allOf, type Condition, type Conditions, conditionsOf } from './conditions.js';
import type { TokenState } from './list.js';
import { DATE_INDEXES, type TokenModel, toRecord } from '../model.js';
import { after, endOf, opposite, type Order, positionOf, sortOf } from './order.js';
import {
  type Count,
  COUNT_CAP,
  type Counted,
  createPlans,
  fewestOf,
  NONE,
  prefixFor,
  whereOf,
} from './plan.js';
import { ALL_TIMES, type DateField } from './times.js';
import { type Allowance, type Walk, type Walked, walkIndex } from './walk.js';

/** Half-open: from ≤ time < to. */
export interface DateRange {
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

export interface TokenSearch {
  /** null = everyone. Spelled out, so that forgetting it can't mean everyone. A list = any of these; [] matches nothing. */
  readonly userIds: readonly string[] | null;
  readonly state?: TokenState | undefined;
  readonly kind?: TokenKind | undefined;
  readonly origin?: TokenOrigin | undefined;
  readonly applicationId?: string | undefined;
  readonly sessionId?: string | undefined;
  /** Exactly this `device.ip`. */
  readonly address?: string | undefined;
  /** A part of the device's name, description or user agent, in any case; literal text, never a pattern. */
  readonly device?: string | undefined;
  readonly created?: DateRange | undefined;
  readonly issued?: DateRange | undefined;
  readonly lastUsed?: DateRange | undefined;
  readonly expires?: DateRange | undefined;
  readonly revoked?: DateRange | undefined;
  readonly refused?: DateRange | undefined;
  /** Only those without an expiry; false = only those with one. */
  readonly neverExpires?: boolean | undefined;
  /** Not used since then; never used and issued before then counts too. */
  readonly idleSince?: Date | undefined;
  /** Any of: one of these users (found by e-mail), this user id, this application id, a jti that begins with it. */
  readonly text?: { readonly value: string; readonly userIds: readonly string[] } | undefined;
}

export const SEARCH_SORT_FIELDS = [
  'createdAt',
  'issuedAt',
  'expiresAt',
  'lastUsedAt',
  'revokedAt',
  'refusedAt',
] as const;
export type SearchSortField = (typeof SEARCH_SORT_FIELDS)[number];

/** Between two records: the sort's value of one of them (ms; null where it has none) and its id. */
export interface Position {
  readonly value: number | null;
  readonly id: string;
}

export interface SearchPage {
  readonly sortField: SearchSortField;
  readonly direction: 1 | -1;
  readonly limit: number;
  /** null = from the beginning; backwards, from the end. */
  readonly from: Position | null;
  /** The page before `from` instead of the one after it; its records come in the order of the sort all the same. */
  readonly backwards: boolean;
}

export interface Found {
  readonly records: TokenRecord[];
  /** Where the following page begins; null = nothing follows. */
  readonly next: Position | null;
  /** Where the page before ends; null = nothing comes before. */
  readonly previous: Position | null;
  /**
   * False when the work allowed for one answer ended first: there may be fewer records than asked
   * for, or none, and the search goes on from `next` (backwards: from `previous`).
   */
  readonly complete: boolean;
}

export interface TokenSearches {
  search(filter: TokenSearch, page: SearchPage): Promise<Found>;
  /** Exact up to 10,000. */
  countMatching(filter: TokenSearch): Promise<Count>;
  /**
   * Every match, oldest first, in batches, for as long as the consumer goes on.
   * @param options.signal ends it, by throwing its reason, also where nothing matches for long.
   */
  matching(
    filter: TokenSearch,
    options: { batch: number; signal?: AbortSignal },
  ): AsyncIterable<TokenRecord[]>;
}

const FIELDS = {
  createdAt: 'createdAt',
  issuedAt: 'issuedAt',
  expiresAt: 'expiresAt',
  lastUsedAt: 'lastUsedAt',
  revokedAt: 'revocation.at',
  refusedAt: 'lastRefusedAt',
} as const satisfies Record<SearchSortField, DateField>;

const MIN_JTI_PREFIX = 4;

/** The work for one answer. */
export interface SearchLimits {
  /** Records to look at before any index is counted: enough when many of them match. */
  readonly firstWindow: number;
  /** Then so many at a time, */
  readonly window: number;
  /** so many in all, */
  readonly most: number;
  /** and none after so many ms. */
  readonly withinMs: number;
  /** An index that finds no more than this many is used with a sort in memory. */
  readonly indexed: number;
}

const LIMITS: SearchLimits = {
  firstWindow: 500,
  window: 2500,
  most: 50_000,
  withinMs: 100,
  indexed: COUNT_CAP,
};
const MAX_TIME_MS = 5000;

export function createTokenSearch(
  model: TokenModel,
  { clock, run, unmarked }: SearchContext,
  limits: SearchLimits = LIMITS,
): TokenSearches {
  const plans = createPlans(model, run, MAX_TIME_MS);

  /** Walks the index of the order; when that finds too little at first, takes another one that finds few. */
  async function collect(
    { all, times }: Conditions,
    order: Order,
    from: Position | null,
    limit: number,
  ): Promise<Walked> {
    const allowances = allowancesOf(limits);
    const walk = (
      conditions: readonly Condition[],
      asked: Pick<Walk, 'from' | 'limit' | 'prefix'>,
      allowance: Allowance,
    ) => {
      const where = allOf(conditions.map((each) => each.where));
      const range = times.get(order.field) ?? ALL_TIMES;
      const whole = { ...asked, order, times: range, where, maxTimeMS: MAX_TIME_MS };
      return walkIndex(model, run, whole, allowance);
    };

    const first = await walk(all, { from, limit, prefix: prefixFor(order, all) }, allowances.first);
    if (first.stoppedAt === null) return first;
    const rest = { from: first.stoppedAt, limit: limit - first.documents.length };
    const counted = await plans.count(all, limits.indexed);
    const fewest = fewestOf(counted, limits.indexed);
    const more =
      fewest.total > limits.indexed
        ? await walk(counted, { ...rest, prefix: prefixFor(order, counted) }, allowances.others)
        : await few(fewest);
    return { ...more, documents: [...first.documents, ...more.documents] };

    async function few({ branches }: Counted): Promise<Walked> {
      const prefix = prefixFor(order, [fewest]);
      const [only, ...others] = branches;
      const isOrdered = only?.index === DATE_INDEXES[order.field] && others.length === 0;
      if (prefix !== null || isOrdered) {
        return walk(counted, { ...rest, prefix }, () => limits.indexed + 1);
      }
      const where = allOf([whereOf(counted, fewest), after(order, rest.from)]);
      const documents = await plans.find(branches, where, sortOf(order), rest.limit);
      return { documents, stoppedAt: null };
    }
  }

  async function search(filter: TokenSearch, page: SearchPage): Promise<Found> {
    const { limit, from, backwards } = page;
    const field = FIELDS[page.sortField];
    const direction = backwards ? opposite(page.direction) : page.direction;
    const conditions = conditionsOf(filter, clock(), MIN_JTI_PREFIX, unmarked?.());
    const { documents, stoppedAt }: Walked = conditions.impossible
      ? { documents: [], stoppedAt: null }
      : await collect(conditions, { field, direction }, from, limit + 1);
    const shown = documents.slice(0, limit);
    const [first, last] = [shown[0], shown.at(-1)].map((each) => each && positionOf(each, field));
    // Beyond what was looked at: where nothing was found, nothing is between it and `from`.
    const onwards = documents.length > limit ? (last ?? null) : stoppedAt;
    const back = from && (first ?? stoppedAt ?? endOf({ field, direction }));
    return {
      records: (backwards ? shown.toReversed() : shown).map(toRecord),
      next: backwards ? back : onwards,
      previous: backwards ? onwards : back,
      complete: stoppedAt === null,
    };
  }

  return {
    search,

    async countMatching(filter) {
      const { all, impossible } = conditionsOf(filter, clock(), MIN_JTI_PREFIX, unmarked?.());
      return impossible ? NONE : plans.total(all, { indexed: limits.indexed, bounded: true });
    },

    async *matching(filter, { batch, signal }) {
      const page = {
        sortField: 'createdAt',
        direction: 1,
        limit: batch,
        backwards: false,
      } as const;
      let from: Position | null = null;
      do {
        signal?.throwIfAborted();
        const found: Found = await search(filter, { ...page, from });
        if (found.records.length > 0) yield found.records;
        from = found.next;
      } while (from !== null);
    },
  };
}

/** One window, so that every answer is a step forward; then others for as long as there is time. */
function allowancesOf({ firstWindow, window, most, withinMs }: SearchLimits) {
  const endAt = performance.now() + withinMs;
  let taken = 0;
  const take = (size: number) => {
    const taking = Math.min(size, most - taken);
    taken += taking;
    return taking;
  };
  const first: Allowance = () => (taken === 0 ? take(firstWindow) : 0);
  const others: Allowance = () => (performance.now() > endAt ? 0 : take(window));
  return { first, others };
}
