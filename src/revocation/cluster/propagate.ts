/**
 * Telling: what is taken back here is told to the other instances through the log, and is in force
 * everywhere when each of them that may answer from memory has confirmed that it applied it, or has
 * surely lost its lease. What one request waits for, others of the same moment wait for too: their
 * entries, and the looks at what was confirmed, are shared.
 */
import type { Logger } from '../../observability/logger.js';
import type { InstanceState } from '../../store/cluster/instances.js';
import {
  type LogEntry,
  MOST_OPERATIONS,
  type Operation,
  type RevocationLog,
  streamOf,
  writerOf,
} from '../../store/cluster/log.js';
import type { Peers } from './peers.js';
import { type Pending, type PendingItem, UnconfirmedError } from './pending.js';

/** What is known when it is in force everywhere. */
export interface Propagation {
  /** That could have answered from memory, this one included. */
  readonly instances: number;
  readonly confirmed: number;
  /** Whose lease ran out first. */
  readonly expired: number;
  /** How long that took, ms. */
  readonly waitMs: number;
}

export interface Propagate {
  /**
   * To be called in the moment in which these come into force here, after they are durable: checks
   * that they refuse wait from then on until it resolves.
   * @throws ServiceError 503 when it can't be said in time; it goes on behind the request.
   */
  tell(operations: readonly Operation[]): Promise<Propagation>;
  /** The same, of what nobody waits for; it is said again until it succeeds. */
  tellBehind(operations: readonly Operation[]): void;
  /** What another instance told is in force here from now on, and perhaps not everywhere. */
  follow(entry: LogEntry): void;
  /** Looks at the others, and what they have confirmed; to be called several times in a lease. @throws ServiceError 503 */
  beat(): Promise<void>;
  /** Resolves when it is in force everywhere. @throws ServiceError 503 when that takes too long. */
  whenSettled(item: PendingItem): Promise<void>;
  /** What is still to be told gets new numbers: this instance has another id. */
  renamed(): void;
  /** Waits a little for what is still to be told. */
  stop(): Promise<void>;
}

interface Dependencies {
  readonly revocationLog: Pick<RevocationLog, 'append'>;
  readonly peers: Peers;
  readonly pending: Pending;
  readonly ownId: () => string;
  /** ms; of this instance. */
  readonly leaseMs: number;
  readonly monotonic: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Logger;
}

interface Item extends PendingItem {
  readonly isOwn: boolean;
  /** Who told it, and by what number; null = it isn't told yet. */
  told: { readonly from: string; readonly seq: number; readonly at: number } | null;
  readonly since: number;
  /** Those that could answer from memory when it had been told; null = nobody has looked since. */
  waitsFor: Set<string> | null;
  instances: number;
  confirmed: number;
  expired: number;
  /** Somebody waits for it. */
  isUrgent: boolean;
  resolveSettled(): void;
}

/** Between two looks at what was confirmed, while somebody waits. */
const POLL_MS = 2;
const RETRY_MS = 50;
/** Beyond a lease, within which whoever is cut off has lost theirs. */
const PATIENCE_MS = 1500;
const STOP_WITHIN_MS = 2000;
const LOST_LEASES = 2;
/** Items that are told in one go. */
const MOST_AT_ONCE = 500;

export function createPropagate(deps: Dependencies): Propagate {
  const { revocationLog, peers, pending, ownId, leaseMs, monotonic, sleep, log } = deps;
  const items = new Set<Item>();
  let lastSeq = 0;
  let failedAppends = 0;
  let isRunning = false;
  let isStopped = false;
  let isFailing = false;
  /** Those that were last waited for. */
  let laggards: readonly InstanceState[] = [];

  function createItem(operations: readonly Operation[], isOwn: boolean): Item {
    let resolveSettled = () => {};
    const settled = new Promise<void>((resolve) => {
      resolveSettled = resolve;
    });
    const item: Item = {
      operations,
      isOwn,
      settled,
      told: null,
      since: monotonic(),
      waitsFor: null,
      instances: 1,
      confirmed: 1,
      expired: 0,
      isUrgent: false,
      resolveSettled,
    };
    items.add(item);
    pending.add(item);
    return item;
  }

  function settle(item: Item): void {
    items.delete(item);
    pending.delete(item);
    item.resolveSettled();
  }

  /** A moment's operations in few entries. */
  async function send(): Promise<void> {
    const now = monotonic();
    // What a log lost that was put back to an earlier state is sent once more.
    const isLost = ({ told }: Item) => told !== null && now - told.at > LOST_LEASES * leaseMs;
    const own = [...items].filter((item) => item.isOwn && (item.told === null || isLost(item)));
    // Those that somebody waits for first, and only some at a time: others may come.
    const unsent = own
      .toSorted((a, b) => Number(b.isUrgent) - Number(a.isUrgent))
      .slice(0, MOST_AT_ONCE);
    while (unsent.length > 0) {
      const group: Item[] = [];
      const operations: Operation[] = [];
      do {
        const item = unsent.shift();
        if (item === undefined) break;
        group.push(item);
        operations.push(...item.operations);
      } while (operations.length + (unsent[0]?.operations.length ?? 0) <= MOST_OPERATIONS);
      const from = streamOf(ownId(), failedAppends);
      lastSeq += 1;
      const seq = lastSeq;
      try {
        await revocationLog.append({ from, seq, operations });
      } catch (error) {
        // It may be there all the same, later than the next one, which would count as both.
        failedAppends += 1;
        throw error;
      }
      for (const item of group) {
        item.told = { from, seq, at: monotonic() };
        item.waitsFor = null;
      }
    }
  }

  /**
   * @param asked those that were in force here before these were asked for. @param askedAt when that was.
   * @returns those that somebody waits for.
   */
  function evaluate(
    states: readonly InstanceState[],
    asked: readonly Item[],
    askedAt: number,
  ): InstanceState[] {
    const byId = new Map(states.map((state) => [state.id, state]));
    const late = new Map<string, InstanceState>();
    for (const item of asked) {
      const { told } = item;
      // Whoever comes after this loads everything, what is durable by now included.
      if (states.length === 0) settle(item);
      // Not before it was told: whoever was joining may have entered without having read it.
      if (told === null || told.at > askedAt) continue;
      item.waitsFor ??= waitedFor(item, told.from, states);
      for (const id of item.waitsFor) {
        const state = byId.get(id);
        if (state === undefined) {
          item.waitsFor.delete(id);
          item.expired += 1;
        } else if ((state.applied[told.from] ?? -1) >= told.seq) {
          item.waitsFor.delete(id);
          item.confirmed += 1;
        } else {
          late.set(id, state);
        }
      }
      if (item.waitsFor.size === 0) settle(item);
    }
    return [...late.values()];
  }

  /** All who could answer from memory. Whoever joins reads the log to its end after this, and only then answers. */
  function waitedFor(item: Item, from: string, states: readonly InstanceState[]): Set<string> {
    const others = states.filter(({ id, isJoining }) => !isJoining && id !== writerOf(from));
    const known = item.isOwn ? 1 : 2;
    item.instances = known + others.length;
    item.confirmed = known;
    return new Set(others.map(({ id }) => id));
  }

  async function round(): Promise<void> {
    // Where nobody else was, most likely nobody is: then nothing is to be sent.
    if (peers.hasOthers) await send();
    const asked = [...items];
    const askedAt = monotonic();
    laggards = evaluate(await peers.look(), asked, askedAt);
    if (laggards.length > 0) await peers.finish(laggards);
  }

  /** As long as somebody waits, or something is still to be said. */
  async function run(): Promise<void> {
    for (;;) {
      const isWanted = [...items].some((item) => item.isUrgent || item.isOwn);
      if (!isWanted || isStopped) return;
      try {
        await round();
        isFailing = false;
      } catch (error) {
        if (!isFailing)
          log.warn({ err: error }, 'what was revoked could not be told to the other instances yet');
        isFailing = true;
        laggards = [];
        await sleep(RETRY_MS);
      }
      const isNew = [...items].some(({ told }) => told === null);
      if (!isNew && items.size > 0) await sleep(POLL_MS);
    }
  }

  function wake(): void {
    if (isRunning) return;
    isRunning = true;
    void run().finally(() => {
      isRunning = false;
    });
  }

  async function whenSettled(item: PendingItem): Promise<void> {
    if (isStopped) throw new UnconfirmedError();
    (item as Item).isUrgent = true;
    wake();
    let isSettled = false;
    const limitMs = Math.max(leaseMs, peers.longestLeaseMs) + PATIENCE_MS;
    const late = sleep(limitMs).then(() => {
      if (isSettled) return;
      log.warn(
        { event: 'revoke.unconfirmed', ms: Math.round(limitMs) },
        `not every instance has confirmed what was revoked: ${laggards.length > 0 ? laggards.map(({ where }) => where).join('; ') : 'nobody could be asked'}`,
      );
      throw new UnconfirmedError();
    });
    late.catch(() => undefined);
    await Promise.race([item.settled, late]);
    isSettled = true;
  }

  return {
    async tell(operations) {
      const item = createItem(operations, true);
      await whenSettled(item);
      const { instances, confirmed, expired, since } = item;
      return { instances, confirmed, expired, waitMs: monotonic() - since };
    },

    tellBehind(operations) {
      for (let at = 0; at < operations.length; at += MOST_OPERATIONS)
        createItem(operations.slice(at, at + MOST_OPERATIONS), true);
      wake();
    },

    follow({ from, seq, operations }) {
      if (operations.length === 0) return;
      createItem(operations, false).told = { from, seq, at: monotonic() };
    },

    async beat() {
      const asked = [...items];
      const askedAt = monotonic();
      const states = await peers.look();
      evaluate(states, asked, askedAt);
      await peers.finishSilent(states);
    },

    whenSettled,

    renamed() {
      for (const item of items) {
        if (!item.isOwn) continue;
        item.told = null;
        item.waitsFor = null;
      }
    },

    async stop() {
      const own = [...items].filter(({ isOwn }) => isOwn);
      await Promise.race([
        Promise.all(own.map(({ settled }) => settled)),
        sleep(own.length === 0 ? 0 : STOP_WITHIN_MS),
      ]);
      isStopped = true;
    },
  };
}
