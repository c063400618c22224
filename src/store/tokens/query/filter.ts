/** What token records are asked for: the filter, the orders, the two kinds of page, and what is answered. */
import type { TokenKind, TokenOrigin, TokenRecord } from '../../records.js';
import type { DateField } from '../model.js';

export const TOKEN_STATES = ['active', 'expired', 'revoked'] as const;
export type TokenState = (typeof TOKEN_STATES)[number];

/** Half-open: from ≤ time < to. */
export interface DateRange {
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

/** A further field is a further line here and in `conditions.ts`, which doesn't compile without it. */
export interface TokenFilter {
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
  readonly text?: TextFilter | undefined;
}

/** Any of: one of these users (found by e-mail), this user id, this application id, a jti that begins with it. */
export interface TextFilter {
  readonly value: string;
  readonly userIds: readonly string[];
  /** Shorter texts begin no jti; absent = 4 characters. */
  readonly minJtiPrefix?: number;
}

/** The field behind each sort. A further one is a line here, in one list below or both, and its index in `model.ts`. */
export const SORTS = {
  createdAt: 'createdAt',
  updatedAt: 'updatedAt',
  issuedAt: 'issuedAt',
  expiresAt: 'expiresAt',
  lastUsedAt: 'lastUsedAt',
  revokedAt: 'revocation.at',
  refusedAt: 'lastRefusedAt',
  jti: 'jti',
} as const satisfies Record<string, DateField | 'updatedAt' | 'jti'>;
type Sort = keyof typeof SORTS;

/** Of pages that are found by counting: their indexes have every record. */
export const SORT_FIELDS = [
  'createdAt',
  'updatedAt',
  'issuedAt',
  'expiresAt',
  'lastUsedAt',
  'revokedAt',
  'jti',
] as const satisfies readonly Sort[];
export type SortField = (typeof SORT_FIELDS)[number];

/** Of pages that begin at a position: dates, which a record may lack. */
export const SEARCH_SORT_FIELDS = [
  'createdAt',
  'issuedAt',
  'expiresAt',
  'lastUsedAt',
  'revokedAt',
  'refusedAt',
] as const satisfies readonly Sort[];
export type SearchSortField = (typeof SEARCH_SORT_FIELDS)[number];

export type Direction = 1 | -1;

/** A page found by counting from the beginning. */
export interface TokenPage {
  readonly sortField: SortField;
  readonly direction: Direction;
  readonly skip: number;
  readonly limit: number;
}

/** Between two records: the sort's value of one of them (ms; null where it has none) and its id. */
export interface Position {
  readonly value: number | null;
  readonly id: string;
}

/** A page found from a position. */
export interface SearchPage {
  readonly sortField: SearchSortField;
  readonly direction: Direction;
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

/** Counting stops here, so that a list of millions costs no more than a list of thousands. */
export const COUNT_CAP = 10_000;

export interface Count {
  readonly count: number;
  /** `estimate`: from the collection's own statistics; `at-least`: counting stopped before the end. */
  readonly countIs: 'exact' | 'estimate' | 'at-least';
}
