/**
 * The other instances, as this one sees them: who has a lease, who may have lost it, and since when,
 * by the monotonic clock of this one.
 */
import type { Logger } from '../../observability/logger.js';
import type { InstanceState, InstanceStore } from '../../store/cluster/instances.js';

export interface Peers {
  /** Reads them. Whoever asks while a read is under way waits for the next: it has begun after the question. @throws ServiceError 503 */
  look(): Promise<readonly InstanceState[]>;
  /** Ends those of these whose lease has surely run out. @throws ServiceError 503 */
  finish(states: readonly InstanceState[]): Promise<void>;
  /** Ends those that have been silent for long, so that no revoke has to wait for them. @throws ServiceError 503 */
  finishSilent(states: readonly InstanceState[]): Promise<void>;
  /** The longest lease that one of them may hold, ms. */
  readonly longestLeaseMs: number;
  /** When this process last looked, there was another one. */
  readonly hasOthers: boolean;
}

interface Dependencies {
  readonly instances: Pick<InstanceStore, 'all' | 'finish'>;
  /** The id of this one, as long as it has one. */
  readonly ownId: () => string;
  /** ms; of this instance. */
  readonly leaseMs: number;
  /** ms */
  readonly monotonic: () => number;
  readonly log: Logger;
}

/** Of its lease: one that is silent for longer is ended without being asked for. */
const SILENT_LEASES = 2;
/** Whoever hasn't looked for longer, as while the database was away, begins anew; and of the own lease, within which it looks several times. */
const BLIND_MS = 700;
const BLIND_OF_LEASE = 0.7;
/** One that joins may take its time to load everything; it holds nobody up. */
const JOINING_MS = 900_000;

interface Seen {
  readonly renewed: number;
  /** When the first answer came that said so: what it renewed with was sent before. */
  readonly since: number;
}

export function createPeers({ instances, ownId, leaseMs, monotonic, log }: Dependencies): Peers {
  const blindMs = Math.max(BLIND_MS, BLIND_OF_LEASE * leaseMs);
  const seen = new Map<string, Seen>();
  let hasOthers = false;
  let longestLeaseMs = 0;
  let lookedAt = -Infinity;
  let reading: Promise<readonly InstanceState[]> | null = null;
  let next: Promise<readonly InstanceState[]> | null = null;

  async function read(): Promise<readonly InstanceState[]> {
    const all = await instances.all();
    const now = monotonic();
    // Nobody could be seen renewing, and perhaps nobody could renew: they get their time once more.
    if (now - lookedAt > blindMs) seen.clear();
    lookedAt = now;
    const states = all.filter(({ id }) => id !== ownId());
    const ids = new Set(states.map(({ id }) => id));
    for (const id of seen.keys()) if (!ids.has(id)) seen.delete(id);
    for (const { id, renewed } of states)
      if (seen.get(id)?.renewed !== renewed) seen.set(id, { renewed, since: now });
    hasOthers = states.length > 0;
    longestLeaseMs = Math.max(0, ...states.map((state) => state.leaseMs));
    return states;
  }

  function start(): Promise<readonly InstanceState[]> {
    reading = read().finally(() => {
      reading = null;
    });
    return reading;
  }

  /** ms for which it has not renewed its lease, as far as is known; 0 when it isn't known as it is. */
  function silence({ id, renewed }: InstanceState): number {
    const known = seen.get(id);
    return known === undefined || known.renewed !== renewed ? 0 : monotonic() - known.since;
  }

  async function finishAfter(
    states: readonly InstanceState[],
    after: (state: InstanceState) => number,
  ): Promise<void> {
    const over = states.filter((state) => silence(state) > after(state));
    await Promise.all(
      over.map(async (state) => {
        await instances.finish(state.id, state.renewed);
        log.warn(
          { event: 'instance.finished', ms: Math.round(silence(state)) },
          `the lease of another instance has run out (${state.where}): it answers nothing until it has loaded everything anew`,
        );
      }),
    );
  }

  return {
    look() {
      if (reading === null) return start();
      next ??= reading
        .catch(() => undefined)
        .then(() => {
          next = null;
          return start();
        });
      return next;
    },

    finish: (states) =>
      finishAfter(
        states.filter(({ isJoining }) => !isJoining),
        (state) => state.leaseMs,
      ),

    finishSilent: (states) =>
      finishAfter(states, (state) =>
        state.isJoining ? JOINING_MS : SILENT_LEASES * state.leaseMs,
      ),

    get longestLeaseMs() {
      return longestLeaseMs;
    },

    get hasOthers() {
      return hasOthers;
    },
  };
}
