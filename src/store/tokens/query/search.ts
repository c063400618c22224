/**
 * Finding token records: any filter, in any order, by pages that are counted off from the beginning
 * or that begin at a position; and how many there are. Each answer's work is bounded.
 */
import type { Cutoff } from '../../cutoffs/cutoffs.js';
import type { StoreContext } from '../../database/context.js';
import type { TokenRecord } from '../../records.js';
import { type DateField, type TokenModel, toRecord } from '../model.js';
import { allOf, type Branch, type Conditions, conditionsOf, type Where } from './conditions.js';
import {
  type Count,
  COUNT_CAP,
  type Direction,
  type Found,
  type Position,
  type SearchPage,
  SORTS,
  type TokenFilter,
  type TokenPage,
} from './filter.js';
import { after, endOf, type Order, positionOf, sortOf } from './order.js';
import { createPlans, inOrder, type Plan } from './plan.js';
import { ALL_TIMES } from './times.js';
import { type Allowance, type Walk, type Walked, walkIndex } from './walk.js';

export interface TokenSearches {
  /** A page by counting: what it skips is read all the same. */
  list(filter: TokenFilter, page: TokenPage): Promise<TokenRecord[]>;
  /** Exact up to 10,000, however many records must be looked at for it. */
  count(filter: TokenFilter): Promise<Count>;
  /** A page from a position, wherever it is at the same cost. */
  search(filter: TokenFilter, page: SearchPage): Promise<Found>;
  /** Exact up to 10,000, or what so many records say: it is on a page that is drawn often. */
  countMatching(filter: TokenFilter): Promise<Count>;
  /**
   * Every match, oldest first, in batches, for as long as the consumer goes on.
   * @param options.signal ends it, by throwing its reason, also where nothing matches for long.
   */
  matching(
    filter: TokenFilter,
    options: { batch: number; signal?: AbortSignal },
  ): AsyncIterable<TokenRecord[]>;
  /** The database's plan for a list; for tests that it uses an index. */
  explain(filter: TokenFilter, page: TokenPage): Promise<unknown>;
}

export interface SearchContext extends Pick<StoreContext, 'clock' | 'run'> {
  /** Cut-offs whose records don't all say yet that they are revoked; none when absent. */
  readonly unmarked?: () => readonly Cutoff[];
}

/** The work for one answer from a position. */
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
const NOTHING_FOUND: Count = { count: 0, countIs: 'exact' };

export function createTokenSearches(
  model: TokenModel,
  { clock, run, unmarked }: SearchContext,
  limits: SearchLimits = LIMITS,
): TokenSearches {
  const plans = createPlans(model, run);
  const toConditions = (filter: TokenFilter) => conditionsOf(filter, clock(), unmarked?.());

  async function total(filter: TokenFilter, indexed: number, bounded: boolean): Promise<Count> {
    const conditions = toConditions(filter);
    return conditions === null ? NOTHING_FOUND : plans.total(conditions.all, { indexed, bounded });
  }

  /** An index that finds few records, which are sorted in memory; or else the one that has them in order. */
  async function planFor(filter: TokenFilter, sortField: TokenPage['sortField']): Promise<Plan> {
    const conditions = toConditions(filter);
    if (conditions === null) return { branches: [], where: {}, findsFew: true, ordered: null };
    const { all } = conditions;
    const field = SORTS[sortField];
    // Nothing can be better than a single condition whose index has the order.
    const isServed = all.length === 0 || (all.length === 1 && inOrder(all, field).ordered.prefix);
    return isServed ? inOrder(all, field) : plans.choose(all, field, COUNT_CAP);
  }

  const orderOf = ({ sortField, direction }: TokenPage) => ({ field: SORTS[sortField], direction });

  /** Walks the index of the order; when that finds too little at first, takes another one that finds few. */
  async function collect(
    { all, times }: Conditions,
    order: Order<DateField>,
    from: Position | null,
    limit: number,
  ): Promise<Walked> {
    const { field } = order;
    const allowances = allowancesOf(limits);
    const walk = (
      through: Branch,
      where: Where,
      asked: Pick<Walk, 'from' | 'limit'>,
      allowance: Allowance,
    ) => {
      const range = times.get(field) ?? ALL_TIMES;
      const whole = { order, times: range, through, where: allOf([through.where, where]) };
      return walkIndex(model, run, { ...whole, ...asked }, allowance);
    };

    const { ordered, where } = inOrder(all, field);
    const first = await walk(ordered, where, { from, limit }, allowances.first);
    if (first.stoppedAt === null) return first;
    const rest = { from: first.stoppedAt, limit: limit - first.documents.length };
    const more = await collectRest(await plans.choose(all, field, limits.indexed));
    return { ...more, documents: [...first.documents, ...more.documents] };

    async function collectRest(plan: Plan): Promise<Walked> {
      if (plan.ordered !== null) {
        const allowance = plan.findsFew ? () => limits.indexed + 1 : allowances.others;
        return walk(plan.ordered, plan.where, rest, allowance);
      }
      const beyond = { ...plan, where: allOf([plan.where, after(order, rest.from)]) };
      return { documents: await plans.find(beyond, order, rest), stoppedAt: null };
    }
  }

  async function search(filter: TokenFilter, page: SearchPage): Promise<Found> {
    const { limit, from, backwards } = page;
    const field = SORTS[page.sortField];
    const direction = backwards ? (-page.direction as Direction) : page.direction;
    const conditions = toConditions(filter);
    const { documents, stoppedAt }: Walked =
      conditions === null
        ? { documents: [], stoppedAt: null }
        : await collect(conditions, { field, direction }, from, limit + 1);
    const shown = documents.slice(0, limit);
    const [first, last] = [shown[0], shown.at(-1)].map((each) => each && positionOf(each, field));
    // Beyond what was looked at: where nothing was found, nothing is between it and `from`.
    const onwards = documents.length > limit ? (last ?? null) : stoppedAt;
    const back = from && (first ?? stoppedAt ?? endOf(direction));
    return {
      records: (backwards ? shown.toReversed() : shown).map(toRecord),
      next: backwards ? back : onwards,
      previous: backwards ? onwards : back,
      complete: stoppedAt === null,
    };
  }

  return {
    async list(filter, page) {
      const plan = await planFor(filter, page.sortField);
      return (await plans.find(plan, orderOf(page), page)).map(toRecord);
    },

    count: (filter) => total(filter, COUNT_CAP, false),

    search,

    countMatching: (filter) => total(filter, limits.indexed, true),

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

    async explain(filter, page) {
      const { branches, where } = await planFor(filter, page.sortField);
      const [branch] = branches;
      if (!branch) throw new TypeError('there is nothing to explain');
      return run(() =>
        model
          .find(allOf([branch.where, where]))
          .sort(sortOf(orderOf(page)))
          .hint(branch.index)
          .skip(page.skip)
          .limit(page.limit)
          .explain('executionStats'),
      );
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
