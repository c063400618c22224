/** Lists of token records: filters, sorts and pages, each backed by an index, and counts that stay cheap. */
import type { SearchContext } from '../../database/context.js';
import type { TokenKind, TokenRecord } from '../../records.js';
import { allOf, type Branch, conditionsOf, type Where } from './conditions.js';
import { DATE_INDEXES, type Index, JTI_INDEX, type TokenModel, toRecord } from '../model.js';
import type { Sort } from './order.js';
import { type Count, COUNT_CAP, createPlans, fewestOf, NONE, prefixFor, whereOf } from './plan.js';
import type { TokenSearch } from './search.js';

export const SORT_FIELDS = [
  'createdAt',
  'updatedAt',
  'issuedAt',
  'expiresAt',
  'lastUsedAt',
  'revokedAt',
  'jti',
] as const;
export type SortField = (typeof SORT_FIELDS)[number];

export const TOKEN_STATES = ['active', 'expired', 'revoked'] as const;
export type TokenState = (typeof TOKEN_STATES)[number];

export interface TokenFilter {
  /** null = everyone. Spelled out, so that forgetting it can't mean everyone. */
  readonly userId: string | null;
  readonly state?: TokenState | undefined;
  readonly kind?: TokenKind | undefined;
  readonly applicationId?: string | undefined;
  /** A user id, an application id, or the beginning (8 characters or more) of a jti. */
  readonly search?: string | undefined;
}

export interface TokenPage {
  readonly sortField: SortField;
  readonly direction: 1 | -1;
  readonly skip: number;
  readonly limit: number;
}

export interface TokenList {
  list(filter: TokenFilter, page: TokenPage): Promise<TokenRecord[]>;
  count(filter: TokenFilter): Promise<Count>;
  /** The database's plan for a list; for tests that it uses an index. */
  explain(filter: TokenFilter, page: TokenPage): Promise<unknown>;
}

const MIN_JTI_PREFIX = 8;
const MAX_TIME_MS = 5000;

export function createTokenList(
  model: TokenModel,
  { clock, run, unmarked }: SearchContext,
): TokenList {
  const plans = createPlans(model, run, MAX_TIME_MS);

  /** An index that finds few records, which are sorted in memory; or else the one that has them in order. */
  async function queryFor(filter: TokenFilter, page: TokenPage): Promise<Query | null> {
    const { all, impossible } = conditionsOf(
      searchOf(filter),
      clock(),
      MIN_JTI_PREFIX,
      unmarked?.(),
    );
    if (impossible) return null;
    const order = { field: page.sortField };
    // One condition whose index has the order: nothing can be better.
    const isServed = all.length === 1 && prefixFor(order, all) !== null;
    const counted = isServed || all.length === 0 ? null : await plans.count(all, COUNT_CAP);
    const fewest = counted && fewestOf(counted, COUNT_CAP);
    if (fewest && fewest.total <= COUNT_CAP) {
      return { where: whereOf(counted, fewest), branches: fewest.branches };
    }
    const index = prefixFor(order, counted ?? all)?.index ?? SORTS[page.sortField].index;
    const where = allOf((counted ?? all).map((each) => each.where));
    return { where, branches: [{ where: {}, index, prefix: null }] };
  }

  return {
    async list(filter, page) {
      const query = await queryFor(filter, page);
      if (query === null) return [];
      const found = await plans.find(
        query.branches,
        query.where,
        sortFor(page),
        page.limit,
        page.skip,
      );
      return found.map(toRecord);
    },

    async count(filter) {
      const { all, impossible } = conditionsOf(
        searchOf(filter),
        clock(),
        MIN_JTI_PREFIX,
        unmarked?.(),
      );
      return impossible ? NONE : plans.total(all, { indexed: COUNT_CAP, bounded: false });
    },

    async explain(filter, page) {
      const query = await queryFor(filter, page);
      const [branch] = query?.branches ?? [];
      if (!query || !branch) throw new TypeError('there is nothing to explain');
      return run(() =>
        model
          .find(allOf([branch.where, query.where]))
          .sort(sortFor(page))
          .hint(branch.index)
          .skip(page.skip)
          .limit(page.limit)
          .explain('executionStats'),
      );
    },
  };
}

interface Query {
  readonly where: Where;
  readonly branches: readonly Branch[];
}

function searchOf({ userId, search, ...rest }: TokenFilter): TokenSearch {
  return {
    ...rest,
    userIds: userId === null ? null : [userId],
    ...(search === undefined ? {} : { text: { value: search, userIds: [] } }),
  };
}

const SORTS = {
  createdAt: { path: 'createdAt', index: DATE_INDEXES.createdAt },
  updatedAt: { path: 'updatedAt', index: { updatedAt: -1, _id: -1 } },
  issuedAt: { path: 'issuedAt', index: DATE_INDEXES.issuedAt },
  expiresAt: { path: 'expiresAt', index: DATE_INDEXES.expiresAt },
  lastUsedAt: { path: 'lastUsedAt', index: DATE_INDEXES.lastUsedAt },
  revokedAt: { path: 'revocation.at', index: DATE_INDEXES['revocation.at'] },
  jti: { path: 'jti', index: JTI_INDEX },
} as const satisfies Record<SortField, { path: string; index: Index }>;

function sortFor({ sortField, direction }: TokenPage): Sort {
  // (jti, issuer) is unique, so it needs no further tie-break, and its index serves it.
  const last = sortField === 'jti' ? 'issuer' : '_id';
  return { [SORTS[sortField].path]: direction, [last]: direction };
}
