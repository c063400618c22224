/** The tokens shown: loaded for what the address says, the newest question wins, and kept true by the live stream. */
import { batch, computed, effect, signal, untracked } from '@preact/signals';
import type { FilterParameters, WireToken, WireTokenPage } from '../../wire.ts';
import { ApiError, call, session } from '../api.ts';
import { changes, missed } from '../live.ts';
import { go, place } from '../location.ts';
import { wasSignedIn } from '../session.ts';
import { now, second } from '../ui/time.tsx';
import { cardFilter } from './card-filters.ts';
import { filterKeys, isTaken } from './filter-table.ts';

export const PAGE_SIZE = 50;
/** So often an unfinished search goes on by itself. */
const GOES_ON = 4;

export const results = signal<WireTokenPage | null>(null);
export const isLoading = signal(true);
/** An unfinished search that waits to be told to go on. */
export const canKeepLooking = signal(false);
export const trouble = signal<{ readonly error: ApiError; readonly retryAt: number } | null>(null);
/** Issued since the page was loaded, and not shown yet. */
export const arrived = signal<ReadonlySet<string>>(new Set());
/** How often a row changed before one's eyes; the row's colour flashes. */
export const flashes = signal<ReadonlyMap<string, number>>(new Map());

/** When a card's filter was last worked out: all pages of one list must mean the same instants. */
const cardTime = signal(Date.now());

/** The filter as the service is told it: the card's and what was chosen by hand. */
export const activeFilter = computed<FilterParameters>(() => {
  const { card, filter } = place.value;
  return card === null ? filter : { ...cardFilter(card, cardTime.value), ...filter };
});
export const isFiltered = computed(() => Object.keys(activeFilter.value).length > 0);

export function filterQuery(): URLSearchParams {
  const query = new URLSearchParams();
  for (const key of filterKeys) {
    const value = activeFilter.value[key];
    if (value !== undefined) query.set(key, value);
  }
  return query;
}

/** Another list altogether (not: another page of it). */
export const listKey = computed(() => {
  const { card, filter, sort, direction } = place.value;
  return JSON.stringify([card, filter, sort, direction]);
});
/** Who was signed in most likely still is: the rows are asked for along with the session. */
const mayAsk = computed(() =>
  session.value === undefined ? wasSignedIn.value : session.value !== null,
);
const wanted = computed(() =>
  !mayAsk.value || place.value.view !== 'tokens'
    ? null
    : `${listKey.value} ${place.value.cursor ?? ''}`,
);

/** Cursors that lead back: an unfinished search goes on in the direction that it had. */
const newerPages = new Set<string>();

let running: AbortController | null = null;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let failures = 0;

export function startResults(): void {
  let shownList = '';
  effect(() => {
    if (wanted.value === null) return;
    untracked(() => {
      if (listKey.value !== shownList) cardTime.value = Date.now();
      shownList = listKey.value;
      void load();
    });
  });
  effect(() => {
    if (session.value === null) {
      running?.abort();
      results.value = null;
    }
  });
  effect(() => {
    if (missed.value > 0) untracked(reload);
  });
  effect(() => {
    const batchOfChanges = changes.value;
    untracked(() => apply(batchOfChanges));
  });
  window.addEventListener('online', () => {
    if (trouble.value !== null) reload();
  });
}

/** What is shown, once more; the rows stay until the answer is there. */
export function reload(): void {
  if (wanted.value === null) return;
  if (place.value.cursor === null) cardTime.value = Date.now();
  void load();
}

/** The newest of the list. */
export function showArrived(): void {
  if (place.value.cursor === null) reload();
  else go({ cursor: null });
}

export function turnTo(cursor: string | null, isNewer = false): void {
  if (cursor !== null && isNewer) newerPages.add(cursor);
  go({ cursor });
}

export function keepLooking(): void {
  if (results.value !== null) void load(results.value);
}

async function load(found: WireTokenPage | null = null): Promise<void> {
  running?.abort();
  const abort = new AbortController();
  running = abort;
  clearTimeout(retryTimer);
  isLoading.value = true;
  canKeepLooking.value = false;
  try {
    await lookOn(found, abort.signal);
    failures = 0;
  } catch (error) {
    if (abort.signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    fail(error);
  } finally {
    if (running === abort) isLoading.value = false;
  }
}

/** Page by page of the service's work, until one page of ours is full, all is seen, or it's enough for now. */
async function lookOn(before: WireTokenPage | null, abort: AbortSignal): Promise<void> {
  const query = filterQuery();
  query.set('sort', place.value.sort);
  query.set('direction', String(place.value.direction));
  const isBackwards = newerPages.has(place.value.cursor ?? '');
  let found = before;
  for (let turn = 0; turn <= GOES_ON; turn += 1) {
    query.set('limit', String(PAGE_SIZE - (found?.tokens.length ?? 0)));
    const cursor = found === null ? place.value.cursor : isBackwards ? found.previous : found.next;
    if (cursor !== null) query.set('cursor', cursor);
    const page = await call<WireTokenPage>('GET', `/admin/tokens?${query}`, undefined, abort);
    const isFirst = found === null;
    found = found === null ? page : together(found, page, isBackwards);
    const shown = found;
    batch(() => {
      results.value = shown;
      trouble.value = null;
      if (isFirst) {
        arrived.value = new Set();
        now.value = Date.now();
      }
    });
    if (found.complete || found.tokens.length >= PAGE_SIZE) return;
  }
  canKeepLooking.value = true;
}

function together(before: WireTokenPage, page: WireTokenPage, isBackwards: boolean): WireTokenPage {
  return isBackwards
    ? { ...page, tokens: [...page.tokens, ...before.tokens], next: before.next }
    : { ...page, tokens: [...before.tokens, ...page.tokens], previous: before.previous };
}

function fail(error: ApiError): void {
  // Signed out: the sign-in form says so.
  if (error.status === 401) return;
  // A cursor of an older version, or one that somebody changed: the first page is still there.
  if (error.status === 400 && place.value.cursor !== null) {
    go({ cursor: null }, 'replace');
    return;
  }
  const isPassing = error.status === 0 || error.status === 429 || error.status >= 500;
  failures += 1;
  const seconds = error.retryAfter ?? Math.min(30, 2 ** failures);
  second.value = Date.now();
  trouble.value = { error, retryAt: isPassing ? Date.now() + seconds * 1000 : 0 };
  if (isPassing) retryTimer = setTimeout(reload, seconds * 1000);
}

/** The row shows what the service says of its token. */
export function replaceToken(token: WireToken): void {
  const page = results.value;
  if (page === null || !page.tokens.some(({ _id }) => _id === token._id)) return;
  results.value = {
    ...page,
    tokens: page.tokens.map((each) => (each._id === token._id ? token : each)),
  };
}

function apply(batchOfChanges: typeof changes.value): void {
  if (results.value === null || batchOfChanges.length === 0) return;
  if (batchOfChanges.some(({ type }) => type === 'scope-revoked')) {
    reload();
    return;
  }
  const news = new Set(arrived.value);
  const flashing = new Map(flashes.value);
  for (const change of batchOfChanges) {
    if (change.type === 'scope-revoked') continue;
    const { type, token } = change;
    replaceToken(token);
    if (type === 'revoked' || type === 'refused') {
      flashing.set(token._id, (flashing.get(token._id) ?? 0) + 1);
      news.delete(token._id);
    }
    if (type === 'issued' && isNewestFirst() && isTaken(token, activeFilter.value)) {
      if (!results.value.tokens.some(({ _id }) => _id === token._id)) news.add(token._id);
    }
  }
  batch(() => {
    flashes.value = flashing;
    arrived.value = news;
    now.value = Date.now();
  });
  // Nothing can jump in an empty list.
  if (news.size > 0 && results.value.tokens.length === 0 && !isLoading.value) reload();
}

/** Whether what was just issued belongs at the top of what is shown. */
function isNewestFirst(): boolean {
  const { cursor, direction, sort } = place.value;
  return cursor === null && direction === -1 && (sort === 'issuedAt' || sort === 'createdAt');
}
