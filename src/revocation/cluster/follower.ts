/**
 * Follows the log: reads what others take back, puts it in force, says so, and so renews the lease by
 * which this instance answers from memory. Joins first, and again when its lease was ended or its
 * place in the log is lost: then everything is loaded anew before anything is answered.
 */
import type { Logger } from '../../observability/logger.js';
import type { InstanceStore } from '../../store/cluster/instances.js';
import {
  type LogEntry,
  type LogReader,
  type Operation,
  type RevocationLog,
  streamOf,
  writerOf,
} from '../../store/cluster/log.js';
import { createApplied } from './applied.js';
import type { Lease } from './lease.js';
import type { Peers } from './peers.js';
import type { Propagate } from './propagate.js';

export interface Follower {
  /**
   * Joins, then follows until stopped. Resolves when it has its first lease.
   * @param options.isAlone nobody else can be using the database: what is left of earlier ones goes.
   * @throws what loading throws, when that goes on failing for half a minute.
   */
  start(options?: { readonly isAlone: boolean }): Promise<void>;
  /** Gives the lease up, and tells the others. Doesn't throw. */
  stop(): Promise<void>;
  /** What failed last, while something does. */
  readonly failure: unknown;
}

interface Dependencies {
  readonly instances: InstanceStore;
  readonly revocationLog: RevocationLog;
  readonly peers: Peers;
  readonly propagate: Propagate;
  readonly lease: Lease;
  /** Another one for each time that it joins: what was sent under an earlier one counts for nothing. */
  readonly identity: { readonly id: string; renew(): void };
  /** Loads everything. @throws ServiceError 503 */
  readonly load: () => Promise<void>;
  /** Makes sure, after an outage, that the other connection works too. @throws ServiceError 503 */
  readonly lookAfter: () => Promise<void>;
  /** Reads what is new in the database. @throws ServiceError 503 */
  readonly refresh: () => Promise<void>;
  /** Puts in force here what others told; neither waits nor throws. */
  readonly apply: (operations: readonly Operation[]) => void;
  readonly monotonic: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Logger;
}

/** The lease was ended by another, or the place in the log is lost. */
class MustJoinError extends Error {}

/**
 * Between two reads that find nothing, where the server doesn't wait for something to come: the longer
 * ago something came, the longer. A read costs about 1 ms of a core here, and 0.5 ms of the engine's.
 */
const LEAST_REST_MS = 4;
const MOST_REST_MS = 40;
const REST_OF_SILENCE = 0.02;
const RETRY_MS = 50;
const START_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 1000;
/** Renewed so often in a lease that one failure costs nothing. */
const BEATS_IN_LEASE = 4;

export function createFollower(deps: Dependencies): Follower {
  const { instances, revocationLog, peers, propagate, lease, identity, monotonic, sleep, log } =
    deps;
  const { leaseMs } = lease;
  const beatMs = leaseMs / BEATS_IN_LEASE;
  let applied = createApplied(monotonic);
  let reader: LogReader = revocationLog.reader();
  let isJoined = false;
  let isStopped = false;
  /** When that was asked for which there was nothing more in the log. */
  let atEndSince = -Infinity;
  let foundAt = -Infinity;
  let isUnconfirmed = false;
  let isTaking = false;
  let failure: unknown = null;
  let running: Promise<unknown> = Promise.resolve();
  let beating: Promise<void> = Promise.resolve();
  let beatError: unknown = null;
  let endRest = () => {};
  const stopped = new Promise<void>((resolve) => {
    endRest = resolve;
  });

  /** One read, put in force. @returns whether there was something. @throws MustJoinError */
  async function read(waitMs: number): Promise<boolean> {
    const askedAt = monotonic();
    const { entries, isAtEnd, isWhole } = await reader.read(waitMs);
    if (isWhole && !entries.some(({ id }) => applied.hasRead(id)))
      throw new MustJoinError('the place in the revocation log is lost');
    isTaking = true;
    try {
      for (const entry of entries) if (!applied.hasRead(entry.id)) await take(entry);
    } catch (error) {
      // From where it was: what isn't taken yet comes again.
      reader.reset();
      throw error;
    } finally {
      isTaking = false;
    }
    if (isAtEnd) atEndSince = Math.max(atEndSince, askedAt);
    return entries.length > 0;
  }

  async function take(entry: LogEntry): Promise<void> {
    const isOwn = writerOf(entry.from) === identity.id;
    if (!isOwn) {
      if (entry.operations.some(({ what }) => what === 'refresh')) await deps.refresh();
      deps.apply(entry.operations);
      propagate.follow(entry);
      isUnconfirmed = true;
    }
    applied.note(entry);
  }

  /** Until there is nothing more. @returns when that was asked. */
  async function readToEnd(): Promise<number> {
    const from = monotonic();
    while (atEndSince < from) await read(0);
    return atEndSince;
  }

  async function join(): Promise<void> {
    lease.drop();
    isJoined = false;
    beatError = null;
    identity.renew();
    propagate.renamed();
    reader = revocationLog.reader();
    applied = createApplied(monotonic);
    atEndSince = -Infinity;
    // First: whoever revokes something after this tells it, so that it isn't missed between load and log.
    await revocationLog.create();
    await instances.join(identity.id, leaseMs);
    // All of that is durable, so the load will find it.
    for (const entry of await placeInLog()) applied.note(entry);
    await deps.load();
    // What is loaded may be what nobody was told of, because who revoked it died: the others read it
    // too, before anything is refused here for it.
    await propagate.tell([{ what: 'refresh' }]);
    await readToEnd();
    const askedAt = monotonic();
    if (!(await instances.enter(identity.id, applied.seqs())))
      throw new MustJoinError('the document of this instance is gone');
    // From now on others wait for it; what they told before that is read now.
    await readToEnd();
    await instances.confirm(identity.id, applied.seqs());
    isUnconfirmed = false;
    await propagate.beat();
    // Its document may be gone by now: then nobody waits for it.
    if (isStopped) throw new MustJoinError('this instance is stopping');
    isJoined = true;
    lease.grant(askedAt);
  }

  /** What is in the log now. There is always something: by what it has read, a reader knows its place. */
  async function placeInLog(): Promise<readonly LogEntry[]> {
    const { entries } = await reader.read(0);
    if (entries.length > 0) return entries;
    await revocationLog.append({ from: streamOf(identity.id, 0), seq: 0, operations: [] });
    reader.reset();
    return (await reader.read(0)).entries;
  }

  /** Renews the lease beside the reading: over a slow link either would hold the other up. */
  function startBeat(): void {
    isUnconfirmed = false;
    const { id } = identity;
    beating = beat(id, monotonic()).catch((error: unknown) => {
      // Of an earlier life: that it is over is known.
      if (id !== identity.id) return;
      beatError = error;
      isUnconfirmed = true;
    });
  }

  async function beat(id: string, askedAt: number): Promise<void> {
    if (!(await instances.renew(id, applied.seqs())))
      throw new MustJoinError('the lease of this instance was ended by another one');
    if (id === identity.id && isJoined) lease.grant(askedAt);
    await propagate.beat();
  }

  /** One turn of following. */
  async function follow(): Promise<void> {
    if (beatError !== null) {
      const error = beatError;
      beatError = null;
      throw error;
    }
    const startedAt = monotonic();
    const found = await read(peers.hasOthers ? leaseMs / 5 : 0);
    if (isUnconfirmed) {
      await instances.confirm(identity.id, applied.seqs());
      isUnconfirmed = false;
    }
    if (found) {
      foundAt = startedAt;
      return;
    }
    const silence = startedAt - foundAt;
    const between = Math.min(MOST_REST_MS, Math.max(LEAST_REST_MS, REST_OF_SILENCE * silence));
    // Alone, nobody is there to be heard of sooner.
    const rest = peers.hasOthers ? between - (monotonic() - startedAt) : beatMs;
    if (rest > 0) await restFor(rest);
  }

  /** Renews the lease until stopped. */
  async function beatOn(): Promise<void> {
    while (!isStopped) {
      await restFor(beatMs);
      // Whoever can't read may not go on answering; taking in what was read may take its time.
      const canRead = isTaking || atEndSince >= monotonic() - leaseMs;
      if (isJoined && canRead) startBeat();
    }
  }

  async function restFor(ms: number): Promise<void> {
    await Promise.race([sleep(ms), stopped]);
  }

  async function joinAgain(): Promise<void> {
    if (failure !== null) await deps.lookAfter();
    await join();
  }

  function noteRecovery(): void {
    failure = null;
    log.info('what other instances revoke is followed again');
    deps.lookAfter().catch(() => undefined);
  }

  function noteFailure(error: unknown): void {
    if (failure === null)
      log.warn({ err: error }, 'what other instances revoke can not be followed');
    failure = error;
  }

  async function run(): Promise<void> {
    while (!isStopped) {
      try {
        if (isJoined) await follow();
        else await joinAgain();
        if (failure !== null) noteRecovery();
      } catch (error) {
        if (isStopped) return;
        noteFailure(error);
        if (error instanceof MustJoinError) {
          lease.drop();
          isJoined = false;
        }
        // Nobody is to wait for the one that it was.
        if (!isJoined) await instances.leave(identity.id).catch(() => undefined);
        await restFor(RETRY_MS);
      }
    }
  }

  return {
    async start({ isAlone } = { isAlone: false }) {
      const giveUpAt = monotonic() + START_WITHIN_MS;
      for (;;) {
        try {
          if (isAlone) await instances.clear();
          await join();
          break;
        } catch (error) {
          await instances.leave(identity.id).catch(() => undefined);
          if (isStopped || monotonic() > giveUpAt) throw error;
          noteFailure(error);
          await restFor(RETRY_MS);
        }
      }
      failure = null;
      running = Promise.all([run(), beatOn()]);
    },

    async stop() {
      isStopped = true;
      isJoined = false;
      lease.drop();
      endRest();
      await Promise.race([Promise.all([running, beating]), sleep(STOP_WITHIN_MS)]);
      await instances.leave(identity.id).catch(() => undefined);
    },

    get failure() {
      return failure;
    },
  };
}
