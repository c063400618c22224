/** Lists of token records: filters, sorts and pages, each backed by an index, and counts that stay cheap. */
import type { QueryFilter } from 'mongoose';
import type { StoreContext } from './context.js';
import type { TokenKind, TokenRecord } from './records.js';
import {
  APPLICATION_INDEX,
  JTI_INDEX,
  REVOKED_INDEX,
  USER_INDEX,
  type TokenDocument,
  type TokenModel,
  toRecord,
} from './token-model.js';

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

/** Counting stops here, so that a list of millions costs no more than a list of thousands. */
export const COUNT_CAP = 10_000;

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

export interface Count {
  readonly count: number;
  /** `estimate`: from the collection's own statistics; `at-least`: counting stopped at the cap. */
  readonly countIs: 'exact' | 'estimate' | 'at-least';
}

export interface TokenList {
  list(filter: TokenFilter, page: TokenPage): Promise<TokenRecord[]>;
  count(filter: TokenFilter): Promise<Count>;
  /** The database's plan for a list; for tests that it uses an index. */
  explain(filter: TokenFilter, page: TokenPage): Promise<unknown>;
}

export function createTokenList(
  model: TokenModel,
  { clock, run }: Pick<StoreContext, 'clock' | 'run'>,
): TokenList {
  function query({ where, index }: Branch, page: TokenPage) {
    return model.find(where).sort(sortOf(page)).hint(index).skip(page.skip).limit(page.limit);
  }

  /** Each branch from its own index; together in order, each record once. */
  async function search(branches: readonly Branch[], page: TokenPage): Promise<TokenDocument[]> {
    const all = { ...page, skip: 0, limit: page.skip + page.limit };
    const found = await Promise.all(branches.map((branch) => run(() => query(branch, all).lean())));
    const unique = new Map(found.flat().map((document) => [document._id.toHexString(), document]));
    return [...unique.values()].toSorted(compareBy(page)).slice(page.skip, page.skip + page.limit);
  }

  return {
    async list(filter, page) {
      const [first, ...more] = branchesOf(filter, page, clock());
      if (first === undefined) return [];
      const found =
        more.length === 0
          ? await run(() => query(first, page).lean())
          : await search([first, ...more], page);
      return found.map(toRecord);
    },

    async count(filter) {
      const branches = branchesOf(filter, { sortField: 'createdAt' }, clock());
      if (branches.some(({ where }) => Object.keys(where).length === 0)) {
        return { count: await run(() => model.estimatedDocumentCount()), countIs: 'estimate' };
      }
      const counts = await Promise.all(
        branches.map(({ where, index }) =>
          run(() => model.countDocuments(where, { limit: COUNT_CAP + 1, hint: index })),
        ),
      );
      const count = counts.reduce((sum, each) => sum + each, 0);
      if (count > COUNT_CAP) return { count: COUNT_CAP, countIs: 'at-least' };
      // A record that several branches find is counted by each of them.
      return { count, countIs: counts.filter(Boolean).length > 1 ? 'estimate' : 'exact' };
    },

    explain: (filter, page) => {
      const [first] = branchesOf(filter, page, clock());
      if (first === undefined) throw new TypeError('there is nothing to explain');
      return run(() => query(first, page).explain('executionStats'));
    },
  };
}

/** One query, and the index that bounds its work. */
interface Branch {
  readonly where: QueryFilter<TokenDocument>;
  readonly index: Readonly<Record<string, 1 | -1>>;
}

const MIN_PREFIX = 8;

/**
 * Every query names its index. Left to itself, the planner may scan everyone's records in the order
 * of the sort; and where several indexes compete, the embedded engine can fail altogether ("the
 * slot-based execution engine is not part of this build"). So a search is one query for each of its
 * meanings, not one with `$or`.
 */
function branchesOf(
  filter: TokenFilter,
  page: Pick<TokenPage, 'sortField'>,
  now: number,
): Branch[] {
  const where = conditions(filter, now);
  const { search } = filter;
  if (search === undefined) return [{ where, index: indexFor(filter, page) }];
  const branches: Branch[] = [
    { where: { ...where, $and: [...(where.$and ?? []), { userId: search }] }, index: USER_INDEX },
    {
      where: { ...where, $and: [...(where.$and ?? []), { applicationId: search }] },
      index: APPLICATION_INDEX,
    },
  ];
  if (search.length >= MIN_PREFIX) {
    const prefix = { jti: { $gte: search, $lt: `${search}\u{10ffff}` } };
    branches.push({ where: { ...where, $and: [...(where.$and ?? []), prefix] }, index: JTI_INDEX });
  }
  return branches;
}

function conditions(filter: TokenFilter, now: number): QueryFilter<TokenDocument> {
  const where: QueryFilter<TokenDocument> = {};
  if (filter.userId !== null) where.userId = filter.userId;
  if (filter.kind !== undefined) where.kind = filter.kind;
  if (filter.applicationId !== undefined) where.applicationId = filter.applicationId;
  switch (filter.state) {
    case 'revoked':
      where['revocation.at'] = { $type: 'date' };
      break;
    case 'expired':
      where['revocation.at'] = null;
      where.expiresAt = { $lte: new Date(now), $type: 'date' };
      break;
    case 'active':
      where['revocation.at'] = null;
      where.$and = [{ $or: [{ expiresAt: null }, { expiresAt: { $gt: new Date(now) } }] }];
      break;
    case undefined:
  }
  return where;
}

const KIND_INDEX = { kind: 1, createdAt: -1, _id: -1 } as const;

function indexFor(
  filter: TokenFilter,
  { sortField }: Pick<TokenPage, 'sortField'>,
): Branch['index'] {
  if (filter.userId !== null) return USER_INDEX;
  if (filter.applicationId !== undefined) return APPLICATION_INDEX;
  if (sortField === 'revokedAt') return REVOKED_INDEX;
  if (sortField === 'jti') return JTI_INDEX;
  if (sortField === 'createdAt') {
    if (filter.kind !== undefined) return KIND_INDEX;
  }
  return { [sortField]: -1, _id: -1 };
}

function sortOf({ sortField, direction }: TokenPage): Record<string, 1 | -1> {
  // (jti, issuer) is unique, so it needs no further tie-break, and its index serves it.
  if (sortField === 'jti') return { jti: direction, issuer: direction };
  return { [sortField === 'revokedAt' ? 'revocation.at' : sortField]: direction, _id: direction };
}

/** The order of `sortOf`, for records in memory: what is missing comes before everything else. */
function compareBy({ sortField, direction }: TokenPage) {
  const keys = (document: TokenDocument): (string | number)[] =>
    sortField === 'jti'
      ? [document.jti, document.issuer]
      : [
          (sortField === 'revokedAt' ? document.revocation?.at : document[sortField])?.getTime() ??
            -Infinity,
          document._id.toHexString(),
        ];
  return (a: TokenDocument, b: TokenDocument): number => {
    const others = keys(b);
    for (const [i, key] of keys(a).entries()) {
      const other = others[i] ?? key;
      if (key !== other) return key < other ? -direction : direction;
    }
    return 0;
  };
}
