/**
 * Keeps the revocation index up to date with the store: a full load before the service is ready,
 * then, every second, what was revoked since, and now and then everything once more. It only ever
 * adds, so a load that is under way can't erase what is revoked meanwhile, and overlapping loads
 * don't matter.
 */
import type { Report } from '../audit/report.js';
import { type Clock, MAX_AHEAD_MS } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/database/connect.js';
import type { Cutoff } from '../store/cutoffs/cutoffs.js';
import { type Operation, toldOf } from '../store/cluster/log.js';
import type { RevokedEntry } from '../store/tokens/revoked-entry.js';
import { UnconfirmedError } from './cluster/pending.js';
import { createReread } from './reread.js';
import { LEEWAY_MS, type RevocationIndex } from './revocation-index.js';

export interface RevocationSync {
  /** Loads everything; nobody is told of what was unknown here. @throws ServiceError 503 when the store fails; the index isn't fresh then. */
  load(): Promise<void>;
  /** Fetches what is new, once. */
  refresh(): Promise<void>;
  /** The same, and only reads: it waits for no other instance. @throws ServiceError 503 */
  readNew(): Promise<void>;
  /** Reads everything once more, slowly, for what `refresh` missed; freshness is not its business. @throws ServiceError 503 */
  reread(): Promise<void>;
  /** Refreshes, and sweeps the index, every second until stopped; reads everything again every ten minutes. */
  start(): void;
  stop(): Promise<void>;
  /** Why checks can't be answered, when they can't, as the end of a sentence. @param failure what else failed; null = nothing. */
  whyStale(failure?: unknown): string;
}

interface Dependencies {
  readonly store: Pick<Store, 'tokens' | 'cutoffs' | 'reconnect' | 'time'>;
  readonly index: RevocationIndex;
  readonly clock: Clock;
  readonly log: Logger;
  /** What else must be up to date for checks to be answered from memory. @throws ServiceError 503 */
  readonly alsoRefresh?: () => Promise<void>;
  /** What else must be known, only read. @param isLoad nobody is told of it. @throws ServiceError 503 */
  readonly alsoRead?: (isLoad: boolean) => Promise<void>;
  /** Called before the list is read; what it returns, when it has been. Neither throws. */
  readonly beginRead?: () => () => Promise<void>;
  readonly report: Report;
  /** Tells the other instances what was found: they may not know, if who revoked it died. */
  readonly tellBehind?: TellBehind;
}

type TellBehind = (operations: readonly Operation[]) => void;

const EVERY_MS = 1000;
/** A revocation bears the time at which the database began to write it; it may become readable this much later (still later ones are found by `reread`). */
const OVERLAP_MS = 15_000;
/** The clock was set back, rather than corrected a little. */
const CLOCK_STEP_MS = 5000;
const PROGRESS_EVERY = 100_000;
/** After so many failures in a row the connection itself is suspected. */
const RECONNECT_AFTER = 3;
const MAX_REASON = 200;
/** It is read every second: younger than this, only the lease is missing. */
const RECENT_MS = 3000;

export function createRevocationSync({
  store,
  index,
  clock,
  log,
  alsoRefresh,
  alsoRead,
  beginRead,
  report,
  tellBehind = () => undefined,
}: Dependencies): RevocationSync {
  const rereading = createReread({
    store,
    index,
    clock,
    log,
    onCutoffs(batch) {
      const cutoffs = takeCutoffs(batch, tellBehind);
      if (cutoffs.length > 0) report({ what: 'learnt', entries: [], cutoffs });
    },
    onFound(entries) {
      tellBehind(entries.map(toOperation));
      report({ what: 'learnt', entries, cutoffs: [] });
    },
  });
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;
  let failures = 0;
  let lastFailure: string | null = null;
  /** Until it succeeds: a connection that could not be renewed is closed, and nothing else opens it. */
  let mustReconnect = false;

  /** By the database's clock: what was recorded before is in. null = nothing is. */
  let cursor: Date | null = null;
  let lastClock = -Infinity;

  async function fetchSince(wanted: Date | null, how: 'load' | 'refresh' | 'read'): Promise<void> {
    const isLoad = how === 'load';
    const startedAt = clock();
    const endRead = how === 'read' ? undefined : beginRead?.();
    // First: when it fails, nothing has been taken in that would not be told of at the next time.
    if (how === 'refresh') await alsoRefresh?.();
    else await alsoRead?.(isLoad);
    const databaseTime = await store.time();
    // A server whose clock is further behind than the overlap reaches may have recorded something
    // before what was read last.
    const isBehind = cursor !== null && databaseTime.getTime() < cursor.getTime() - CLOCK_STEP_MS;
    const from = isBehind ? null : wanted;
    // This instance's own are in the index already; at the first load everything is new.
    const isFirst = cursor === null;
    const tellNew = isLoad ? () => undefined : tellBehind;
    const lowered: Cutoff[] = [];
    for await (const batch of store.cutoffs.writtenSince(from)) {
      const found = takeCutoffs(batch, tellNew);
      // At once: they are in force already, and at the next time they would not be new.
      if (!isFirst && found.length > 0) report({ what: 'learnt', entries: [], cutoffs: found });
      lowered.push(...batch.filter(({ loweredFrom }) => loweredFrom !== undefined));
    }
    const newEntries: RevokedEntry[] = [];
    let count = 0;
    for await (const batch of store.tokens.revoked(from, new Date(startedAt - LEEWAY_MS))) {
      const found = batch.filter((entry) => index.add(entry));
      if (found.length > 0) tellNew(found.map(toOperation));
      if (!isFirst) newEntries.push(...found);
      const before = count;
      count += batch.length;
      if (
        from === null &&
        Math.floor(before / PROGRESS_EVERY) < Math.floor(count / PROGRESS_EVERY)
      ) {
        log.info({ count }, 'loading the revocation list');
      }
    }
    // Last: what only a lowered one refused is known by its id by now.
    for (const cutoff of lowered) index.followLowered(cutoff);
    cursor = databaseTime;
    lastClock = startedAt;
    index.markSynced(startedAt);
    if (!isFirst && newEntries.length > 0)
      report({ what: 'learnt', entries: newEntries, cutoffs: [] });
    await endRead?.();
  }

  /** @returns those that were not in force here. */
  function takeCutoffs(batch: readonly Cutoff[], tell: TellBehind): Cutoff[] {
    const found = batch.filter((cutoff) => index.raiseCutoff(cutoff, cutoff.at));
    // In the same moment, so that nothing is refused by it before it is pending.
    if (found.length > 0)
      tell(found.map((cutoff) => ({ what: 'cut-off', cutoff: toldOf(cutoff) })));
    for (const cutoff of found) warnOfFuture(cutoff);
    return found;
  }

  /** No instance sets such a one, unless its clock is wrong; versions before 0.2.0 did. */
  function warnOfFuture({ at, userId, applicationId, sessionsOnly }: Cutoff): void {
    if (at.getTime() <= clock() + MAX_AHEAD_MS) return;
    log.warn(
      { event: 'cutoff.future', userId, applicationId, sessionsOnly },
      `a cut-off is in the future: until ${at.toISOString()} it refuses every new token of its scope; an administrator's POST /admin/cutoffs/lower moves it back to now`,
    );
  }

  /** From where on it is to be read. */
  function since(): Date | null {
    // With a clock that was ahead, entries may have been taken for expired: load them again.
    const wasSetBack = clock() < lastClock - CLOCK_STEP_MS;
    return cursor === null || wasSetBack ? null : new Date(cursor.getTime() - OVERLAP_MS);
  }

  async function refreshOrReport(): Promise<void> {
    try {
      if (mustReconnect) await store.reconnect();
      mustReconnect = false;
      await fetchSince(since(), 'refresh');
      if (failures > 0) log.info({ attempt: failures }, 'the revocation list is up to date again');
      failures = 0;
      lastFailure = null;
    } catch (error) {
      // The database did its part.
      if (error instanceof UnconfirmedError) return;
      failures += 1;
      lastFailure = reasonOf(error);
      if (failures === 1) log.warn({ err: error }, 'the revocation list could not be refreshed');
      if (failures % RECONNECT_AFTER === 0) mustReconnect = true;
    }
  }

  function schedule(): void {
    if (stopped) return;
    timer = setTimeout(() => {
      index.sweepSlice();
      running = refreshOrReport().then(schedule);
    }, EVERY_MS).unref();
  }

  return {
    load: () => fetchSince(null, 'load'),
    refresh: () => fetchSince(since(), 'refresh'),
    readNew: () => fetchSince(since(), 'read'),
    reread: rereading.once,
    start() {
      schedule();
      rereading.start();
    },
    async stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await Promise.all([running, rereading.stop()]);
    },
    whyStale(failure = null) {
      const { lastSyncedAt } = index;
      return whyNothingIsKnown(
        lastSyncedAt === null ? null : clock() - lastSyncedAt,
        lastFailure ?? (failure === null ? null : reasonOf(failure)),
      );
    },
  };
}

function toOperation(entry: RevokedEntry): Operation {
  return { what: 'revoked', entry };
}

/** What the database said, rather than what a caller is told. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const { message } = (cause instanceof Error ? cause : error) as { message?: unknown };
  return typeof message === 'string' ? message.slice(0, MAX_REASON) : 'an unknown failure';
}

/** @param ageMs of what is known; null = nothing is */
function whyNothingIsKnown(ageMs: number | null, failure: string | null): string {
  const end = failure === null ? '' : `: ${failure}`;
  if (ageMs === null) return `the revocation list was never loaded${end}`;
  if (ageMs >= 0 && ageMs < RECENT_MS)
    return `it is not sure that all is known here that other instances revoked${end}`;
  if (ageMs < 0) return 'the clock was set back: how old the revocation list is, nobody knows';
  return `what was revoked in the last ${Math.round(ageMs / 1000)} s is unknown${end}`;
}
