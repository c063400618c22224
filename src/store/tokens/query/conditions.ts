/**
 * A filter of token records as a list of conditions, each with the indexes that find by it. Which of
 * them is used is decided in `plan.ts`.
 */
import type { QueryFilter } from 'mongoose';
import { hitBy } from '../../cutoffs/filter.js';
import type { Cutoff } from '../../cutoffs/cutoffs.js';
import { canonicalBeginning, canonicalId } from '../../ids.js';
import {
  ADDRESS_INDEX,
  APPLICATION_INDEX,
  DATE_FIELDS,
  DATE_INDEXES,
  type DateField,
  type Index,
  JTI_INDEX,
  KIND_INDEX,
  ORIGIN_INDEX,
  SESSION_INDEX,
  type TokenDocument,
  USER_INDEX,
} from '../model.js';
import type { DateRange, TextFilter, TokenFilter } from './filter.js';
import { ALL_TIMES, intersect, isEmpty, type Times, whereTimes } from './times.js';

/** More are marked within moments, unless their scopes are large, and of these there are few. */
const MAX_UNMARKED = 50;
const MIN_JTI_PREFIX = 4;

export type Where = QueryFilter<TokenDocument>;

/** One query, and the index that bounds its work. */
export interface Branch {
  readonly where: Where;
  readonly index: Index;
  /** The one value that it finds of the index's first field. What follows is `createdAt`: it finds in that order. */
  readonly prefix: Readonly<Record<string, string>> | null;
}

export interface Condition {
  readonly where: Where;
  /** Together they find all that meets the condition, and nothing else. None = no index helps. */
  readonly branches: readonly Branch[];
}

export interface Conditions {
  /** The ones that tend to find fewer first. */
  readonly all: readonly Condition[];
  readonly times: ReadonlyMap<DateField, Times>;
}

/**
 * @param unmarked cut-offs whose records don't all say yet that they are revoked.
 * @returns null when they contradict each other: nothing meets them.
 */
export function conditionsOf(
  filter: TokenFilter,
  now: number,
  unmarked: readonly Cutoff[] = [],
): Conditions | null {
  const { userIds, kind, origin, applicationId, sessionId, address, device, text, ...rest } =
    filter;
  const times = timesOf(rest, now);
  if (userIds?.length === 0 || [...times.values()].some(isEmpty)) return null;
  const during = (nulls: boolean) =>
    [...times]
      .filter(([, each]) => each.nulls === nulls)
      .map(([field, each]) =>
        found({ where: whereTimes(field, each), index: DATE_INDEXES[field] }),
      );
  const all = [
    ...given(sessionId, (id) => found(equal('sessionId', id, SESSION_INDEX))),
    ...given(address, (ip) => found(equal('device.ip', ip, ADDRESS_INDEX))),
    ...given(userIds ?? undefined, (ids) => found(ofUsers(ids))),
    ...given(text, withText),
    ...during(false),
    ...given(applicationId, (id) => found(equal('applicationId', id, APPLICATION_INDEX))),
    ...given(origin, (one) => found(equal('origin', one, ORIGIN_INDEX))),
    ...given(kind, (one) => found(equal('kind', one, KIND_INDEX))),
    ...during(true),
    ...given(rest.idleSince, idle),
    ...given(device, withDevice),
    ...(filter.state === 'active' && unmarked.length > 0 ? [unhit(unmarked)] : []),
  ];
  return { all, times };
}

/** All of these at once. */
export function allOf(wheres: readonly Where[]): Where {
  return wheres.length === 0 ? {} : { $and: [...wheres] };
}

function given<T>(value: T | undefined, toCondition: (value: T) => Condition): Condition[] {
  return value === undefined ? [] : [toCondition(value)];
}

function found(branch: Omit<Branch, 'prefix'> & Partial<Branch>): Condition {
  return { where: branch.where, branches: [{ prefix: null, ...branch }] };
}

function unindexed(where: Where): Condition {
  return { where, branches: [] };
}

function equal(field: string, value: string, index: Index): Branch {
  // `$eq`, so that nothing but a value can be meant.
  return { where: { [field]: { $eq: value } }, index, prefix: { [field]: value } };
}

function ofUsers(userIds: readonly string[]): Branch {
  const [only, ...others] = new Set(userIds);
  return only !== undefined && others.length === 0
    ? equal('userId', only, USER_INDEX)
    : { where: { userId: { $in: [...userIds] } }, index: USER_INDEX, prefix: null };
}

/** One query for each meaning: with `$or` it would take several indexes at once, or none. */
function withText({ value, userIds, minJtiPrefix = MIN_JTI_PREFIX }: TextFilter): Condition {
  const id = canonicalId(value);
  // What begins like a UUID may begin another id, in which the case of letters counts.
  const beginnings = new Set(value.length < minJtiPrefix ? [] : [id, canonicalBeginning(value)]);
  const branches: Branch[] = [
    ofUsers([id, ...userIds]),
    equal('applicationId', id, APPLICATION_INDEX),
    ...[...beginnings].map((begin) => ({
      where: { jti: { $gte: begin, $lt: `${begin}\u{10ffff}` } },
      index: JTI_INDEX,
      prefix: null,
    })),
  ];
  return { where: { $or: branches.map(({ where }) => where) }, branches };
}

/** Beside the range of `lastUsedAt`, which is a condition of its own: never used, it must be old itself. */
function idle(since: Date): Condition {
  const before = { $lt: since };
  return unindexed({ $or: [{ lastUsedAt: before }, { issuedAt: before }] });
}

/** What a cut-off revoked isn't active, before its record says so. */
function unhit(cutoffs: readonly Cutoff[]): Condition {
  return unindexed({ $nor: cutoffs.slice(0, MAX_UNMARKED).map(hitBy) });
}

function withDevice(part: string): Condition {
  const pattern = { $regex: literal(part), $options: 'i' };
  const fields = ['device.name', 'device.description', 'device.userAgent'];
  return unindexed({ $or: fields.map((field) => ({ [field]: pattern })) });
}

/** Each character that could mean something as its number, NUL among them, which no pattern may hold. */
function literal(text: string): string {
  return text.replaceAll(
    /[\0-/:-@[-`{-\x7f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** What is left of a filter: all that speaks of dates. */
type DateFilter = Omit<
  TokenFilter,
  'userIds' | 'kind' | 'origin' | 'applicationId' | 'sessionId' | 'address' | 'device' | 'text'
>;

/** The times that the filter leaves of each date that it speaks of. */
function timesOf(
  { state, neverExpires, idleSince, created, issued, lastUsed, expires, ...rest }: DateFilter,
  now: number,
): Map<DateField, Times> {
  const { revoked, refused, ...others } = rest;
  // A field of the filter that nothing is made of would let everything through.
  others satisfies Record<string, never>;
  const within = ({ from, to }: DateRange = {}) =>
    from === undefined && to === undefined
      ? []
      : [{ from: from?.getTime() ?? -Infinity, to: to?.getTime() ?? Infinity, nulls: false }];
  const any = { ...ALL_TIMES, nulls: false };
  const none = { from: -Infinity, to: -Infinity, nulls: true };
  const wanted: Record<DateField, Times[]> = {
    lastRefusedAt: within(refused),
    lastUsedAt: [
      ...within(lastUsed),
      ...(idleSince === undefined ? [] : [{ ...ALL_TIMES, to: idleSince.getTime() }]),
    ],
    'revocation.at': [
      ...within(revoked),
      ...(state === undefined ? [] : [state === 'revoked' ? any : none]),
    ],
    expiresAt: [
      ...within(expires),
      ...(state === 'expired' ? [{ ...any, to: now + 1 }] : []),
      ...(state === 'active' ? [{ ...ALL_TIMES, from: now + 1 }] : []),
      ...(neverExpires === undefined ? [] : [neverExpires ? none : any]),
    ],
    issuedAt: within(issued),
    createdAt: within(created),
  };
  return new Map(
    DATE_FIELDS.flatMap((field) =>
      wanted[field].length === 0 ? [] : [[field, wanted[field].reduce(intersect)] as const],
    ),
  );
}
