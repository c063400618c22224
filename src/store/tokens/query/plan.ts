/**
 * Which index answers a filter. Every query names its index: left to itself the planner may read
 * everyone's records in the order of the sort; and where several indexes compete, the embedded
 * engine can fail altogether ("the slot-based execution engine is not part of this build").
 */
import type { Run } from '../../database/operations.js';
import { allOf, type Branch, type Condition, type Prefix, type Where } from './conditions.js';
import { DATE_INDEXES, type TokenDocument, type TokenModel } from '../model.js';
import { compareBy, type Sort } from './order.js';

/** Counting stops here, so that a list of millions costs no more than a list of thousands. */
export const COUNT_CAP = 10_000;

export interface Count {
  readonly count: number;
  /** `estimate`: from the collection's own statistics; `at-least`: counting stopped before the end. */
  readonly countIs: 'exact' | 'estimate' | 'at-least';
}

export const NONE: Count = { count: 0, countIs: 'exact' };

/** A condition with the branches that find anything at all. */
export interface Counted extends Condition {
  /** How many keys they have together: anything above the cap only says so. */
  readonly total: number;
}

/** The condition that finds the fewest; of those above the cap the first. */
export function fewestOf(counted: readonly Counted[], cap: number): Counted {
  return counted.reduce((a, b) => (Math.min(b.total, cap + 1) < a.total ? b : a));
}

/** The index of the first condition that finds in this order: of those there are, in that of `createdAt`. */
export function prefixFor(
  { field }: { readonly field: string },
  conditions: readonly Condition[],
): Prefix | null {
  if (field !== 'createdAt') return null;
  const single = conditions.filter(({ branches }) => branches.length === 1);
  return single.flatMap(({ branches }) => branches[0]?.prefix ?? [])[0] ?? null;
}

/** All but one: what it asks for twice, the planner would plan for twice. */
export function whereOf(counted: readonly Counted[], without: Counted | null): Where {
  return allOf(counted.filter((each) => each !== without).map(({ where }) => where));
}

export interface Plans {
  /**
   * Counts the keys of each condition that an index helps with, up to `cap` and one. Where none
   * does, there is one more condition in the end: that there is a record.
   */
  count(conditions: readonly Condition[], cap: number): Promise<Counted[]>;
  /** The first records of all that the branches find, in order. */
  find(
    branches: readonly Branch[],
    where: Where,
    sort: Sort,
    limit: number,
    skip?: number,
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

const EVERY_RECORD: Branch = { where: {}, index: DATE_INDEXES.createdAt, prefix: null };
const EVERYTHING: Condition = { where: {}, branches: [EVERY_RECORD], exact: true };

export function createPlans(model: TokenModel, run: Run, maxTimeMS: number): Plans {
  async function keys({ where, index }: Branch, cap: number): Promise<number> {
    // The plain command reads keys only, at half the cost of the pipeline behind `countDocuments`.
    const command = { count: model.collection.collectionName, query: where, limit: cap + 1 };
    const answer = await run(async () =>
      model.db.db?.command({ ...command, hint: index, maxTimeMS }),
    );
    if (typeof answer?.['n'] !== 'number') throw new Error('the database did not count');
    return answer['n'];
  }

  async function count(conditions: readonly Condition[], cap: number): Promise<Counted[]> {
    const helped = conditions.some(({ branches }) => branches.length > 0);
    return Promise.all(
      [...conditions, ...(helped ? [] : [EVERYTHING])].map(async (condition) => {
        if (condition.branches.length === 0) return { ...condition, total: Infinity };
        const counts = await Promise.all(condition.branches.map((branch) => keys(branch, cap)));
        const branches = condition.branches.filter((_, i) => counts[i] !== 0);
        const total = counts.reduce((sum, each) => sum + each, 0);
        const [only, ...others] = branches;
        const where = only && others.length === 0 ? only.where : condition.where;
        return { ...condition, where, branches, total };
      }),
    );
  }

  /** How many of the first records that the branch finds meet all of it. */
  async function sample(branch: Branch, where: Where, among: number): Promise<number> {
    const { collection } = model;
    const stages = [
      { $match: branch.where },
      { $limit: among },
      { $match: where },
      { $count: 'n' },
    ];
    const [answer] = await run(() =>
      collection.aggregate<{ n: number }>(stages, { hint: branch.index, maxTimeMS }).toArray(),
    );
    return answer?.n ?? 0;
  }

  /** How many records the branches find, each counted once, up to the cap and one. */
  async function sizeOf(branches: readonly Branch[], where: Where): Promise<number> {
    const sizes = await Promise.all(
      branches.map(({ where: own, index }, i) => {
        const earlier = branches.slice(0, i).map((each) => ({ $nor: [each.where] }));
        const options = { hint: index, limit: COUNT_CAP + 1, maxTimeMS };
        return run(() => model.countDocuments(allOf([own, where, ...earlier]), options));
      }),
    );
    return sizes.reduce((sum, each) => sum + each, 0);
  }

  return {
    count,

    async find(branches, where, sort, limit, skip = 0) {
      const [only, ...others] = branches;
      if (only === undefined) return [];
      const query = (branch: Branch) =>
        model
          .find(allOf([branch.where, where]))
          .sort(sort)
          .hint(branch.index)
          .maxTimeMS(maxTimeMS);
      if (others.length === 0) return run(() => query(only).skip(skip).limit(limit).lean());
      const found = await Promise.all(
        branches.map((branch) =>
          run(() =>
            query(branch)
              .limit(skip + limit)
              .lean(),
          ),
        ),
      );
      const unique = new Map(found.flat().map((each) => [each._id.toHexString(), each]));
      return [...unique.values()].toSorted(compareBy(sort)).slice(skip, skip + limit);
    },

    async total(conditions, { indexed, bounded }) {
      if (conditions.length === 0) {
        return { count: await run(() => model.estimatedDocumentCount()), countIs: 'estimate' };
      }
      const counted = await count(conditions, indexed);
      const fewest = fewestOf(counted, indexed);
      const { branches, total, exact } = fewest;
      const [branch = EVERY_RECORD, ...others] = branches;
      if (counted.length === 1 && exact && others.length === 0) {
        return total > indexed
          ? { count: indexed, countIs: 'at-least' }
          : { count: total, countIs: 'exact' };
      }
      if (total <= indexed) return upToCap(await sizeOf(branches, whereOf(counted, fewest)));
      const single = others.length === 0;
      const widest = single ? branch : EVERY_RECORD;
      const where = whereOf(counted, single ? fewest : null);
      if (!bounded) return upToCap(await sizeOf([widest], where));
      return { count: await sample(widest, where, indexed), countIs: 'at-least' };
    },
  };
}

function upToCap(count: number): Count {
  return count > COUNT_CAP
    ? { count: COUNT_CAP, countIs: 'at-least' }
    : { count, countIs: 'exact' };
}
