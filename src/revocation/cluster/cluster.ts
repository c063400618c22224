/**
 * What one instance has to do with the others, made once: its lease, what it tells them, and what is
 * not in force everywhere yet.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../clock.js';
import type { Logger } from '../../observability/logger.js';
import type { InstanceStore } from '../../store/cluster/instances.js';
import type { RevocationLog } from '../../store/cluster/log.js';
import type { RevocationIndex, RevocationQuestion } from '../revocation-index.js';
import { createLease } from './lease.js';
import { createPeers } from './peers.js';
import { createPending, NotEverywhereError } from './pending.js';
import { createPropagate } from './propagate.js';

export type Cluster = ReturnType<typeof createCluster>;

interface Options {
  readonly instances: InstanceStore;
  readonly revocationLog: RevocationLog;
  readonly leaseMs: number;
  readonly log: Logger;
  /** ms; unset = the process's own. */
  readonly monotonic?: () => number;
  /** Unset = the process's own. */
  readonly timeOfDay?: Clock;
  /** Unset = a timer that keeps nothing alive. */
  readonly sleep?: (ms: number) => Promise<void>;
}

/** A check that waited so often answers 503. */
const MOST_WAITS = 20;

export function createCluster({ instances, revocationLog, leaseMs, log, ...time }: Options) {
  const monotonic = time.monotonic ?? (() => performance.now());
  const sleep =
    time.sleep ?? ((ms: number) => new Promise<void>((done) => void setTimeout(done, ms).unref()));
  const identity = createIdentity();
  const ownId = () => identity.id;
  const lease = createLease(leaseMs, monotonic, time.timeOfDay);
  const peers = createPeers({ instances, ownId, leaseMs, monotonic, log });
  const pending = createPending();
  const propagate = createPropagate({
    revocationLog,
    peers,
    pending,
    ownId,
    leaseMs,
    monotonic,
    sleep,
    log,
  });

  return {
    lease,
    peers,
    pending,
    propagate,
    identity,
    monotonic,
    sleep,

    /** @throws NotEverywhereError where the answer would be yes, and another instance may not know yet. */
    refusesEverywhere(index: Pick<RevocationIndex, 'isRevoked'>) {
      return (question: RevocationQuestion): boolean => {
        const isRevoked = index.isRevoked(question);
        if (!isRevoked || pending.size === 0) return isRevoked;
        const item = pending.hits(question);
        if (item !== null) throw new NotEverywhereError(item);
        return true;
      };
    },

    /** The same check, which waits for what isn't in force everywhere yet, and only then for anything. */
    waiting<A extends unknown[], R>(check: (...args: A) => R | Promise<R>) {
      async function again(error: unknown, args: A): Promise<R> {
        let reason = error;
        for (let waits = 0; waits < MOST_WAITS; waits += 1) {
          if (!(reason instanceof NotEverywhereError)) throw reason;
          await propagate.whenSettled(reason.item);
          try {
            return await check(...args);
          } catch (next) {
            reason = next;
          }
        }
        throw reason;
      }
      return function checkWaiting(...args: A): R | Promise<R> {
        try {
          const checked = check(...args);
          return checked instanceof Promise
            ? checked.catch((error: unknown) => again(error, args))
            : checked;
        } catch (error) {
          if (!(error instanceof NotEverywhereError)) throw error;
          return again(error, args);
        }
      };
    },

    /** Before it is said that a password is wrong, or a user disabled. @throws ServiceError 503 */
    async whenUserSettled(userId: string): Promise<void> {
      const item = pending.hitsUser(userId);
      if (item !== null) await propagate.whenSettled(item);
    },
  };
}

function createIdentity() {
  let id = randomUUID() as string;
  return {
    get id() {
      return id;
    },
    renew() {
      id = randomUUID();
    },
  };
}
