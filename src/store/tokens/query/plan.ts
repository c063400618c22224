/**
 * Which index answers a filter. Every query names its index: left to itself the planner may read
 * everyone's records in the order of the sort; and where several indexes compete, the embedded
 * engine can fail altogether ("the slot-based execution engine is not part of this build").
 * The whole of it is explained in `docs/decisions/0016-how-a-search-is-answered.md`.
 */
import { MAX_TIME_MS, type Run } from '../../database/operations.js';
import { countKeys } from '../count-keys.js';
import { ORDER_INDEXES, type OrderField, type TokenDocument, type TokenModel } from '../model.js';
import { allOf, type Branch, type Condition, type Where } from './conditions.js';
import { type Count, COUNT_CAP } from './filter.js';
import { compareBy, type Order, sortOf } from './order.js';

/** All that matches is found by the branches, where the rest holds. */
export interface Plan {
  readonly branches: readonly Branch[];
  readonly where: Where;
  /** Whether the branches find few; else there is one, which may find everything. */
  readonly findsFew: boolean;
  /** The one branch, where its index has the order that was asked for. */
  readonly ordered: Branch | null;
}

export interface Plans {
  /** Counts keys, up to the cap, and takes the index that finds the fewest; or the one that has the order. */
  choose(conditions: readonly Condition[], field: OrderField, cap: number): Promise<Plan>;
  /** The first records of a plan. */
  find(
    plan: Pick<Plan, 'branches' | 'where'>,
    order: Order,
    page: { readonly limit: number; readonly skip?: number },
  ): Promise<TokenDocument[]>;
  /**
   * How many records meet all conditions, exact up to the cap. When no index finds `indexed` keys
   * or fewer and it is `bounded`, that many records are looked at, and it is at least what they say.
   */
  total(
    conditions: readonly Condition[],
    limits: { readonly indexed: number; readonly bounded: boolean },
  ): Promise<Count>;
}

/**
 * Without counting: the index that has the order, of one value where a condition asks for one (what
 * begins with a value goes on with `createdAt`).
 */
export function inOrder(
  conditions: readonly Condition[],
  field: OrderField,
): Plan & { readonly ordered: Branch } {
  const ofOneValue = conditions
    .map(onlyBranchOf)
    .find((branch) => branch !== null && branch.prefix !== null && hasOrder(branch, field));
  const ordered: Branch = {
    ...(ofOneValue ?? { index: ORDER_INDEXES[field], prefix: null }),
    where: {},
  };
  const where = allOf(conditions.map((each) => each.where));
  return { branches: [ordered], where, findsFew: false, ordered };
}

function onlyBranchOf({ branches: [only, ...others] }: Condition): Branch | null {
  return only === undefined || others.length > 0 ? null : only;
}

function hasOrder({ index, prefix }: Branch, field: OrderField): boolean {
  return index === ORDER_INDEXES[field] || (field === 'createdAt' && prefix !== null);
}

/** A condition with the branches that find anything at all. */
interface Counted extends Condition {
  /** How many keys they have together: anything above the cap only says so. */
  readonly total: number;
}

const EVERY_RECORD: Branch = { where: {}, index: ORDER_INDEXES.createdAt, prefix: null };
const EVERYTHING: Condition = { where: {}, branches: [EVERY_RECORD] };

export function createPlans(model: TokenModel, run: Run): Plans {
  const keys = ({ where, index }: Branch, cap: number) =>
    countKeys(model, run, { query: where, hint: index, limit: cap + 1 });

  /** Where no index helps, one more condition is counted: that there is a record. */
  async function count(conditions: readonly Condition[], cap: number) {
    const helped = conditions.some(({ branches }) => branches.length > 0);
    const counted = await Promise.all(
      [...conditions, ...(helped ? [] : [EVERYTHING])].map(async (condition): Promise<Counted> => {
        if (condition.branches.length === 0) return { ...condition, total: Infinity };
        const counts = await Promise.all(condition.branches.map((branch) => keys(branch, cap)));
        const branches = condition.branches.filter((_, i) => counts[i] !== 0);
        const total = counts.reduce((sum, each) => sum + each, 0);
        const where = onlyBranchOf({ ...condition, branches })?.where ?? condition.where;
        return { where, branches, total };
      }),
    );
    // Of those above the cap the first.
    const fewest = counted.reduce((a, b) => (Math.min(b.total, cap + 1) < a.total ? b : a));
    return { counted, fewest };
  }

  /** How many of the first records that the branch finds meet all of it. */
  async function sample(branch: Branch, where: Where, among: number): Promise<number> {
    const stages = [
      { $match: branch.where },
      { $limit: among },
      { $match: where },
      { $count: 'n' },
    ];
    const options = { hint: branch.index, maxTimeMS: MAX_TIME_MS };
    const [answer] = await run(() =>
      model.collection.aggregate<{ n: number }>(stages, options).toArray(),
    );
    return answer?.n ?? 0;
  }

  /** How many records the branches find, each counted once, up to the cap. */
  async function sizeOf(branches: readonly Branch[], where: Where): Promise<Count> {
    const sizes = await Promise.all(
      branches.map(({ where: own, index }, i) => {
        const earlier = branches.slice(0, i).map((each) => ({ $nor: [each.where] }));
        const options = { hint: index, limit: COUNT_CAP + 1, maxTimeMS: MAX_TIME_MS };
        return run(() => model.countDocuments(allOf([own, where, ...earlier]), options));
      }),
    );
    return upTo(
      COUNT_CAP,
      sizes.reduce((sum, each) => sum + each, 0),
    );
  }

  return {
    async choose(conditions, field, cap) {
      const { counted, fewest } = await count(conditions, cap);
      if (fewest.total > cap) return inOrder(counted, field);
      const only = onlyBranchOf(fewest);
      const ordered = only !== null && hasOrder(only, field) ? only : null;
      const where = without(fewest, counted);
      return { branches: fewest.branches, where, findsFew: true, ordered };
    },

    async find({ branches, where }, order, { limit, skip = 0 }) {
      const query = (branch: Branch) =>
        model
          .find(allOf([branch.where, where]))
          .sort(sortOf(order))
          .hint(branch.index)
          .maxTimeMS(MAX_TIME_MS)
          .lean();
      const [only, ...others] = branches;
      if (only === undefined) return [];
      if (others.length === 0) return run(() => query(only).skip(skip).limit(limit));
      const found = await Promise.all(
        branches.map((branch) => run(() => query(branch).limit(skip + limit))),
      );
      const unique = new Map(found.flat().map((each) => [each._id.toHexString(), each]));
      return [...unique.values()].toSorted(compareBy(order)).slice(skip, skip + limit);
    },

    async total(conditions, { indexed, bounded }) {
      if (conditions.length === 0) {
        return { count: await run(() => model.estimatedDocumentCount()), countIs: 'estimate' };
      }
      const { counted, fewest } = await count(conditions, indexed);
      const { branches, total } = fewest;
      const [branch = EVERY_RECORD, ...others] = branches;
      const isOne = others.length === 0;
      if (isOne && counted.length === 1) return upTo(indexed, total);
      if (total <= indexed) return sizeOf(branches, without(fewest, counted));
      const widest = isOne ? branch : EVERY_RECORD;
      const where = without(isOne ? fewest : null, counted);
      if (!bounded) return sizeOf([widest], where);
      return { count: await sample(widest, where, indexed), countIs: 'at-least' };
    },
  };
}

/** What it asks for twice, the planner would plan for twice. */
function without(one: Condition | null, conditions: readonly Condition[]): Where {
  return allOf(conditions.filter((each) => each !== one).map(({ where }) => where));
}

function upTo(cap: number, count: number): Count {
  return count > cap ? { count: cap, countIs: 'at-least' } : { count, countIs: 'exact' };
}
