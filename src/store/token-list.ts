/** Lists of token records: filters, sorts and pages, each backed by an index, and counts that stay cheap. */
import type { QueryFilter } from 'mongoose';
import type { StoreContext } from './context.js';
import type { TokenKind, TokenRecord } from './records.js';
import { type TokenDocument, type TokenModel, toRecord } from './token-model.js';

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
  /** A user id, an application id, or the beginning of a jti. */
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
  function query(filter: TokenFilter, page: TokenPage) {
    const found = model
      .find(conditions(filter, clock()))
      .sort(sortOf(page))
      .skip(page.skip)
      .limit(page.limit);
    const index = indexFor(filter, page);
    return index === null ? found : found.hint(index);
  }

  return {
    async list(filter, page) {
      const found = await run(() => query(filter, page).lean());
      return found.map(toRecord);
    },

    async count(filter) {
      const where = conditions(filter, clock());
      if (Object.keys(where).length === 0) {
        return { count: await run(() => model.estimatedDocumentCount()), countIs: 'estimate' };
      }
      const count = await run(() => model.countDocuments(where, { limit: COUNT_CAP + 1 }));
      return count > COUNT_CAP
        ? { count: COUNT_CAP, countIs: 'at-least' }
        : { count, countIs: 'exact' };
    },

    explain: (filter, page) => run(() => query(filter, page).explain('executionStats')),
  };
}

function conditions(filter: TokenFilter, now: number): QueryFilter<TokenDocument> {
  const where: Record<string, unknown> = {};
  if (filter.userId !== null) where['userId'] = filter.userId;
  if (filter.kind !== undefined) where['kind'] = filter.kind;
  if (filter.applicationId !== undefined) where['applicationId'] = filter.applicationId;
  const all: Record<string, unknown>[] = [];
  if (filter.search !== undefined) all.push({ $or: matching(filter.search) });
  switch (filter.state) {
    case 'revoked':
      where['revocation.at'] = { $type: 'date' };
      break;
    case 'expired':
      where['revocation'] = null;
      where['expiresAt'] = { $lte: new Date(now) };
      break;
    case 'active':
      where['revocation'] = null;
      all.push({ $or: [{ expiresAt: null }, { expiresAt: { $gt: new Date(now) } }] });
      break;
    case undefined:
  }
  if (all.length > 0) where['$and'] = all;
  return where;
}

/** Exact values and a prefix: conditions that an index answers. */
function matching(search: string): Record<string, unknown>[] {
  return [
    { userId: search },
    { applicationId: search },
    { jti: { $gte: search, $lt: `${search}\u{10ffff}` } },
  ];
}

function sortOf({ sortField, direction }: TokenPage): Record<string, 1 | -1> {
  // (jti, issuer) is unique, so it needs no further tie-break, and its index serves it.
  if (sortField === 'jti') return { jti: direction, issuer: direction };
  return { [sortField === 'revokedAt' ? 'revocation.at' : sortField]: direction, _id: direction };
}

/**
 * The index that bounds the work: one person's records, else the order asked for. Left to itself,
 * the planner may try a scan of everyone's records in the order of the sort. A search chooses by itself:
 * each of its branches has an index.
 */
function indexFor(filter: TokenFilter, page: TokenPage): Record<string, 1 | -1> | null {
  if (filter.userId !== null) return { userId: 1, createdAt: -1, _id: -1 };
  if (filter.search !== undefined) return null;
  if (filter.applicationId !== undefined) return { applicationId: 1, createdAt: -1, _id: -1 };
  if (page.sortField === 'jti') return { jti: 1, issuer: 1 };
  return { [page.sortField === 'revokedAt' ? 'revocation.at' : page.sortField]: -1, _id: -1 };
}
