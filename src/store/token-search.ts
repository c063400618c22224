/** The search over all token records: any filter in any order, page by page from a position, each answer with bounded work. */
import type { QueryFilter } from 'mongoose';
import type { StoreContext } from './context.js';
import type { TokenKind, TokenOrigin, TokenRecord } from './records.js';
import { COUNT_CAP, type Count, type TokenState } from './token-list.js';
import { type TokenDocument, type TokenModel, toRecord } from './token-model.js';

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

/** The beginning of a jti is looked for from this length on. */
export const MIN_JTI_PREFIX = 4;

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
  /** Every match, oldest first, in batches, for as long as the consumer goes on. */
  matching(filter: TokenSearch, options: { batch: number }): AsyncIterable<TokenRecord[]>;
}

const FIELDS = {
  createdAt: 'createdAt',
  issuedAt: 'issuedAt',
  expiresAt: 'expiresAt',
  lastUsedAt: 'lastUsedAt',
  revokedAt: 'revocation.at',
  refusedAt: 'lastRefusedAt',
} as const;

export function createTokenSearch(
  model: TokenModel,
  { clock, run }: Pick<StoreContext, 'clock' | 'run'>,
): TokenSearches {
  async function search(filter: TokenSearch, page: SearchPage): Promise<Found> {
    const { sortField, limit, from, backwards } = page;
    const field = FIELDS[sortField];
    const direction = backwards ? (page.direction === 1 ? -1 : 1) : page.direction;
    const documents = await run(() =>
      model
        .find({
          $and: [
            conditions(filter, clock()),
            ...(from === null ? [] : [after(field, from, direction)]),
          ],
        })
        .sort({ [field]: direction, _id: direction })
        .hint({ createdAt: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
    );
    const hasMore = documents.length > limit;
    const shown = documents.slice(0, limit);
    if (backwards) shown.reverse();
    const positions = { first: positionOf(shown[0]), last: positionOf(shown.at(-1)) };
    function positionOf(document: TokenDocument | undefined): Position | null {
      if (document === undefined) return null;
      const value = {
        ...document,
        revokedAt: document.revocation?.at,
        refusedAt: document.lastRefusedAt,
      }[sortField];
      return { value: value?.getTime() ?? null, id: document._id.toHexString() };
    }
    return {
      records: shown.map(toRecord),
      next: backwards ? (positions.last ?? from) : hasMore ? positions.last : null,
      previous: backwards ? (hasMore ? positions.first : null) : from && (positions.first ?? from),
      complete: true,
    };
  }

  return {
    search,

    async countMatching(filter) {
      const count = await run(() =>
        model.countDocuments(conditions(filter, clock()), {
          limit: COUNT_CAP + 1,
          hint: { createdAt: -1, _id: -1 },
        }),
      );
      return count > COUNT_CAP
        ? { count: COUNT_CAP, countIs: 'at-least' }
        : { count, countIs: 'exact' };
    },

    async *matching(filter, { batch }) {
      let from: Position | null = null;
      do {
        const page = {
          sortField: 'createdAt',
          direction: 1,
          limit: batch,
          backwards: false,
        } as const;
        const found: Found = await search(filter, { ...page, from });
        if (found.records.length > 0) yield found.records;
        from = found.next;
      } while (from !== null);
    },
  };
}

type Where = QueryFilter<TokenDocument>;

function after(field: string, { value, id }: Position, direction: 1 | -1): Where {
  const beyond = direction === 1 ? '$gt' : '$lt';
  const at = value === null ? null : new Date(value);
  const further: Where[] =
    at !== null
      ? [{ [field]: { [beyond]: at } }, ...(direction === -1 ? [{ [field]: null }] : [])]
      : direction === 1
        ? [{ [field]: { $type: 'date' } }]
        : [];
  return { $or: [{ [field]: at, _id: { [beyond]: id } }, ...further] };
}

function conditions(filter: TokenSearch, now: number): Where {
  const all: Where[] = [{}];
  const { userIds, state, kind, origin, applicationId, sessionId, address, device, text } = filter;
  if (userIds !== null) all.push({ userId: { $in: [...userIds] } });
  if (state === 'revoked') all.push({ 'revocation.at': { $type: 'date' } });
  else if (state !== undefined) all.push({ 'revocation.at': null });
  const at = new Date(now);
  if (state === 'expired') all.push({ expiresAt: { $lte: at } });
  if (state === 'active') all.push({ $or: [{ expiresAt: null }, { expiresAt: { $gt: at } }] });
  if (kind !== undefined) all.push({ kind });
  if (origin !== undefined) all.push({ origin });
  if (applicationId !== undefined) all.push({ applicationId });
  if (sessionId !== undefined) all.push({ sessionId });
  if (address !== undefined) all.push({ 'device.ip': address });
  if (device !== undefined) {
    const part = new RegExp(device.replaceAll(/[^\p{L}\p{N}]/gu, String.raw`\$&`), 'i');
    all.push({
      $or: [{ 'device.name': part }, { 'device.description': part }, { 'device.userAgent': part }],
    });
  }
  for (const [field, range] of [
    ['createdAt', filter.created],
    ['issuedAt', filter.issued],
    ['lastUsedAt', filter.lastUsed],
    ['expiresAt', filter.expires],
    ['revocation.at', filter.revoked],
    ['lastRefusedAt', filter.refused],
  ] as const) {
    if (range?.from) all.push({ [field]: { $gte: range.from } });
    if (range?.to) all.push({ [field]: { $lt: range.to } });
  }
  if (filter.neverExpires === true) all.push({ expiresAt: null });
  if (filter.neverExpires === false) all.push({ expiresAt: { $type: 'date' } });
  if (filter.idleSince) {
    const before = { $lt: filter.idleSince };
    all.push({ $or: [{ lastUsedAt: before }, { lastUsedAt: null, issuedAt: before }] });
  }
  if (text !== undefined) {
    const { value } = text;
    const any: Where[] = [{ userId: { $in: [value, ...text.userIds] } }, { applicationId: value }];
    if (value.length >= MIN_JTI_PREFIX) {
      any.push({ jti: { $gte: value, $lt: `${value}\u{10ffff}` } });
    }
    all.push({ $or: any });
  }
  return { $and: all };
}
