/**
 * Those who watch changes as they happen: a batch of changes goes out at most five times a second,
 * to one viewer after the other, between whom other requests are answered, and less often where these
 * keep it waiting. Before anything is sent to a viewer, and twice a second, it is asked whether they
 * may still see it, and twice a second who is still an administrator; a viewer who doesn't keep up is
 * let go.
 */
import type { Feed } from '../../audit/feed.js';
import { ServiceError } from '../../errors.js';
import { inTurns } from './in-turns.js';
import { missedBetween } from './missed.js';
import { type EventStream, formatEvent, formatId, KEEP_ALIVE } from './event-stream.js';
import type { Logger } from '../../observability/logger.js';
import type { ToAdminWire } from '../api/token-wire.js';
import {
  composeMessages,
  isResync,
  MAX_CHANGES,
  type MessageFor,
  resyncMessage,
  type Viewer,
  withoutExcess,
} from './messages.js';

export interface LiveViewer extends Viewer {
  readonly stream: EventStream;
  /** May this go on? Asked very often. @throws ServiceError 503 when that can't be known, or is to be asked anew. */
  readonly stillValid: () => boolean;
}

export interface LiveViewers {
  /** From now on the viewer is told of changes, and of those since the id first, where that is possible. */
  add(viewer: LiveViewer, lastEventId: string | null): Promise<void>;
  remove(viewer: LiveViewer): void;
  /** Ends every stream; its client may come again, elsewhere. */
  closeAll(): void;
}

interface Dependencies {
  readonly feed: Feed;
  readonly toWire: ToAdminWire;
  /** Which of these users still see everyone's tokens; asked very often. @throws ServiceError 503 */
  readonly administratorsAmong: (userIds: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly log: Logger;
}

/** At most five messages a second for each viewer; what happens first after a pause is told at once. */
const MESSAGE_EVERY_MS = 200;
const GATHER_MS = 10;
/** After a telling, so many times what it took: where that is long, many other requests are in between. */
const PAUSE_FACTOR = 4;
const LONGEST_PAUSE_MS = 2000;
const TICK_MS = 500;
const KEEP_ALIVE_TICKS = 30;
/** When more happens than is told, at most this often is everyone asked to load anew; less often where that is many. */
const RESYNC_EVERY_MS = 5000;
const RESYNC_FOR_EACH_MS = 20;
const RETRY_AFTER_MS = 1000;
const MAX_UNSENT = 64 * 1024;
/** Viewers who are asked about before other requests get their turn; writing to one takes as long as asking about a dozen. */
const ASKED_IN_A_TURN = 32;
const TOLD_IN_A_TURN = 1;

export function createLiveViewers(deps: Dependencies): LiveViewers {
  const { feed, toWire, administratorsAmong, log } = deps;
  /** With what had been told when they came. */
  const viewers = new Map<LiveViewer, number>();
  /** Everything up to here has been told to those who were there. */
  let told = feed.newest;
  /** When the next may be told (ms of `performance.now`). */
  let restsUntil = -Infinity;
  let timer: NodeJS.Timeout | null = null;
  let isTelling = false;
  /** Not everything up to here was told one by one: whoever was there is to load anew. */
  let resyncOwed: number | null = null;
  let resyncAt = -Infinity;
  let ticker: NodeJS.Timeout | null = null;
  let ticks = 0;
  let isAskingForRoles = false;

  feed.subscribe(schedule);

  function schedule(): void {
    if (viewers.size === 0 || timer !== null || isTelling) return;
    const wait = Math.max(GATHER_MS, restsUntil - performance.now());
    timer = setTimeout(() => {
      timer = null;
      void tell();
    }, wait).unref();
  }

  async function tell(): Promise<void> {
    isTelling = true;
    restsUntil = performance.now() + MESSAGE_EVERY_MS;
    const from = told;
    told = feed.newest;
    const audience = [...viewers.keys()];
    try {
      const messageFor = await messagesSince(from, told);
      const startedAt = performance.now();
      await inTurns(audience, TOLD_IN_A_TURN, (viewer) => deliver(viewer, messageFor));
      restsUntil = Math.max(restsUntil, pauseUntil(startedAt));
    } catch (error) {
      log.warn({ err: error }, 'changes could not be told yet');
      told = Math.min(told, from);
      restsUntil = performance.now() + RETRY_AFTER_MS;
    }
    isTelling = false;
    if (feed.newest > told) schedule();
  }

  async function messagesSince(from: number, until: number): Promise<MessageFor<LiveViewer>> {
    const changes = feed.between(from, until);
    const id = feed.idOf(until);
    const isTooMuch = changes === null || changes.length > MAX_CHANGES || changes.some(isResync);
    if (isTooMuch) resyncOwed = until;
    const rest = (changes ?? []).filter((change) => !isResync(change));
    const messageFor = await composeMessages(withoutExcess(rest), id, toWire);
    const owed = resyncOwed;
    if (owed === null || performance.now() - resyncAt < resyncEvery()) return messageFor;
    resyncOwed = null;
    resyncAt = performance.now();
    const message = resyncMessage(id);
    return (viewer) => ((viewers.get(viewer) ?? owed) < owed ? message : messageFor(viewer));
  }

  function resyncEvery(): number {
    return Math.max(RESYNC_EVERY_MS, viewers.size * RESYNC_FOR_EACH_MS);
  }

  function deliver(viewer: LiveViewer, messageFor: MessageFor<LiveViewer>): void {
    if (!isWelcome(viewer)) return;
    const message = messageFor(viewer);
    if (message === null) return;
    if (viewer.stream.unsent > MAX_UNSENT) {
      letGo(viewer);
      viewer.stream.cut();
      return;
    }
    viewer.stream.send(message);
  }

  /** Whether they may still see anything; if not, their stream ends here. */
  function isWelcome(viewer: LiveViewer): boolean {
    if (!viewers.has(viewer)) return false;
    let isValid: boolean | null;
    try {
      isValid = viewer.stillValid();
    } catch (error) {
      // Nobody knows: nothing more is shown, but the session hasn't ended.
      if (!(error instanceof ServiceError))
        log.error({ err: error }, 'whether a viewer may go on could not be asked');
      isValid = null;
    }
    if (isValid === true) return true;
    letGo(viewer);
    viewer.stream.end(isValid === false ? formatEvent('end', {}, null) : undefined);
    return false;
  }

  async function tick(): Promise<void> {
    // Its own number: the next may begin before this one ends.
    const number = (ticks += 1);
    const isKeepAlive = number % KEEP_ALIVE_TICKS === 0;
    const inATurn = isKeepAlive ? TOLD_IN_A_TURN : ASKED_IN_A_TURN;
    // The turns of many viewers take long on a busy machine: the roles don't wait for them.
    await Promise.all([
      checkRoles(),
      inTurns([...viewers.keys()], inATurn, (viewer) => {
        if (isWelcome(viewer) && isKeepAlive) viewer.stream.send(KEEP_ALIVE);
      }),
    ]);
    if (resyncOwed !== null) schedule();
  }

  /** Whoever lost the role comes again, and sees their own. */
  async function checkRoles(): Promise<void> {
    const seeing = [...viewers.keys()].filter((viewer) => viewer.isAdministrator);
    if (isAskingForRoles || seeing.length === 0) return;
    isAskingForRoles = true;
    try {
      const still = await administratorsAmong([...new Set(seeing.map(({ userId }) => userId))]);
      for (const viewer of seeing) {
        if (still.has(viewer.userId) || !viewers.has(viewer)) continue;
        letGo(viewer);
        viewer.stream.end();
      }
    } finally {
      isAskingForRoles = false;
    }
  }

  function letGo(viewer: LiveViewer): void {
    viewers.delete(viewer);
    if (viewers.size > 0 || ticker === null) return;
    clearInterval(ticker);
    ticker = null;
  }

  function startTicking(): void {
    ticker ??= setInterval(() => {
      tick().catch((error: unknown) => log.warn({ err: error }, 'viewers could not be checked'));
    }, TICK_MS).unref();
  }

  return {
    async add(viewer, lastEventId) {
      if (viewers.size === 0 && !isTelling) {
        // Nobody is left of those who missed something.
        told = feed.newest;
        resyncOwed = null;
      }
      const messages: Buffer[] = [];
      let position = lastEventId === null ? told : feed.positionOf(lastEventId);
      // What is told to the others meanwhile belongs to what was missed.
      while (position !== null && position < told) {
        const until = told;
        const missed = await missedBetween(position, until, viewer, { feed, toWire });
        messages.push(...(missed ?? []));
        position = missed === null ? null : until;
      }
      if (!viewer.stream.isOpen) return;
      viewers.set(viewer, told);
      startTicking();
      if (!isWelcome(viewer)) return;
      const id = feed.idOf(told);
      for (const message of position === null ? [resyncMessage(id)] : [...messages, formatId(id)])
        viewer.stream.send(message);
      if (feed.newest > told) schedule();
    },

    remove: letGo,

    closeAll() {
      for (const viewer of viewers.keys()) {
        letGo(viewer);
        viewer.stream.end();
      }
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}

function pauseUntil(startedAt: number): number {
  const now = performance.now();
  return now + Math.min(LONGEST_PAUSE_MS, (now - startedAt) * PAUSE_FACTOR);
}
