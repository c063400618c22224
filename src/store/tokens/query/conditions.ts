/**
 * A filter of token records as a list of conditions, each with the index that finds by it. Shared
 * by the search and by the lists; which of the indexes to use is decided in `token-plan.ts`.
 */
import type { QueryFilter } from 'mongoose';
import { hitBy } from '../../cutoffs/filter.js';
import type { Cutoff } from '../../cutoffs/cutoffs.js';
import { canonicalBeginning, canonicalId } from '../../ids.js';
import {
  type Times,
  ALL_TIMES,
  both,
  DATE_FIELDS,
  type DateField,
  isEmpty,
  whereTimes,
} from './times.js';
import {
  ADDRESS_INDEX,
  APPLICATION_INDEX,
  DATE_INDEXES,
  type Index,
  JTI_INDEX,
  KIND_INDEX,
  ORIGIN_INDEX,
  SESSION_INDEX,
  type TokenDocument,
  USER_INDEX,
} from '../model.js';
import type { DateRange, TokenSearch } from './search.js';

/** More are marked within moments, unless their scopes are large, and of these there are few. */
const MAX_UNMARKED = 50;

export type Where = QueryFilter<TokenDocument>;

/** One query, and the index that bounds its work. */
export interface Branch {
  readonly where: Where;
  readonly index: Index;
  readonly prefix: Prefix | null;
}

/** One value of the first field of an index that goes on with `createdAt`: it finds in that order. */
export interface Prefix {
  readonly field: string;
  readonly value: string;
  readonly index: Index;
}

export interface Condition {
  readonly where: Where;
  /** Together they find all that meets the condition, and with `exact` nothing else. None = no index helps. */
  readonly branches: readonly Branch[];
  readonly exact: boolean;
}

export interface Conditions {
  /** The ones that tend to find fewer first. */
  readonly all: readonly Condition[];
  readonly times: ReadonlyMap<DateField, Times>;
  /** They contradict each other: nothing meets them. */
  readonly impossible: boolean;
}

/** @param unmarked cut-offs whose records don't all say yet that they are revoked. */
export function conditionsOf(
  filter: TokenSearch,
  now: number,
  minJtiPrefix: number,
  unmarked: readonly Cutoff[] = [],
): Conditions {
  const { userIds, kind, origin, applicationId, sessionId, address, device, text } = filter;
  const times = timesOf(filter, now);
  const dated = [...times].filter(([, { nulls }]) => !nulls);
  const open = [...times].filter(([, { nulls }]) => nulls);
  const all = [
    ...(sessionId === undefined ? [] : [equal('sessionId', sessionId, SESSION_INDEX)]),
    ...(address === undefined ? [] : [equal('device.ip', address, ADDRESS_INDEX)]),
    ...(userIds === null ? [] : [one(ofUsers(userIds))]),
    ...(text === undefined ? [] : [withText(text, minJtiPrefix)]),
    ...dated.map(([field, each]) => during(field, each)),
    ...(applicationId === undefined
      ? []
      : [equal('applicationId', applicationId, APPLICATION_INDEX)]),
    ...(origin === undefined ? [] : [equal('origin', origin, ORIGIN_INDEX)]),
    ...(kind === undefined ? [] : [equal('kind', kind, KIND_INDEX)]),
    ...open.map(([field, each]) => during(field, each)),
    ...(filter.idleSince === undefined ? [] : [idle(filter.idleSince)]),
    ...(device === undefined ? [] : [withDevice(device)]),
    ...(filter.state === 'active' && unmarked.length > 0 ? [unhit(unmarked)] : []),
  ];
  const impossible = userIds?.length === 0 || [...times.values()].some(isEmpty);
  return { all, times, impossible };
}

/** All of these at once. */
export function allOf(wheres: readonly Where[]): Where {
  return wheres.length === 0 ? {} : { $and: [...wheres] };
}

function equal(field: string, value: string, index: Index): Condition {
  return one(prefixed(field, value, index));
}

function one(branch: Branch): Condition {
  return { where: branch.where, branches: [branch], exact: true };
}

function prefixed(field: string, value: string, index: Index): Branch {
  // `$eq`, so that nothing but a value can be meant.
  return { where: { [field]: { $eq: value } }, index, prefix: { field, value, index } };
}

function ofUsers(userIds: readonly string[]): Branch {
  const [only, ...others] = new Set(userIds);
  return only !== undefined && others.length === 0
    ? prefixed('userId', only, USER_INDEX)
    : { where: { userId: { $in: [...userIds] } }, index: USER_INDEX, prefix: null };
}

/** One query for each meaning: with `$or` it would take several indexes at once, or none. */
function withText(
  { value, userIds }: NonNullable<TokenSearch['text']>,
  minJtiPrefix: number,
): Condition {
  const id = canonicalId(value);
  // What begins like a UUID may begin another id, in which the case of letters counts.
  const beginnings = new Set(value.length < minJtiPrefix ? [] : [id, canonicalBeginning(value)]);
  const branches: Branch[] = [
    ofUsers([id, ...userIds]),
    prefixed('applicationId', id, APPLICATION_INDEX),
    ...[...beginnings].map((begin) => ({
      where: { jti: { $gte: begin, $lt: `${begin}\u{10ffff}` } },
      index: JTI_INDEX,
      prefix: null,
    })),
  ];
  return { where: { $or: branches.map(({ where }) => where) }, branches, exact: true };
}

function during(field: DateField, times: Times): Condition {
  const where = whereTimes(field, times);
  return one({ where, index: DATE_INDEXES[field], prefix: null });
}

function unindexed(where: Where): Condition {
  return { where, branches: [], exact: false };
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

/** The times that every field of the filter leaves, without the fields it leaves alone. */
function timesOf(filter: TokenSearch, now: number): Map<DateField, Times> {
  const times = new Map<DateField, Times>();
  const narrow = (field: DateField, { from = -Infinity, to = Infinity, nulls = false }) =>
    times.set(field, both(times.get(field) ?? ALL_TIMES, { from, to, nulls }));
  const within = (field: DateField, range: DateRange | undefined) => {
    if (range?.from === undefined && range?.to === undefined) return;
    narrow(field, {
      from: range.from?.getTime() ?? -Infinity,
      to: range.to?.getTime() ?? Infinity,
    });
  };
  within('revocation.at', filter.revoked);
  within('lastRefusedAt', filter.refused);
  within('lastUsedAt', filter.lastUsed);
  within('expiresAt', filter.expires);
  within('issuedAt', filter.issued);
  within('createdAt', filter.created);
  if (filter.state === 'revoked') narrow('revocation.at', {});
  else if (filter.state !== undefined) narrow('revocation.at', { to: -Infinity, nulls: true });
  if (filter.state === 'expired') narrow('expiresAt', { to: now + 1 });
  if (filter.state === 'active') narrow('expiresAt', { from: now + 1, nulls: true });
  if (filter.neverExpires === true) narrow('expiresAt', { to: -Infinity, nulls: true });
  if (filter.neverExpires === false) narrow('expiresAt', {});
  if (filter.idleSince !== undefined) {
    narrow('lastUsedAt', { to: filter.idleSince.getTime(), nulls: true });
  }
  return new Map(
    DATE_FIELDS.flatMap((field) => {
      const found = times.get(field);
      return found === undefined ? [] : [[field, found] as const];
    }),
  );
}
