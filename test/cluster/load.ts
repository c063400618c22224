/** The clients of a run, all of them at once, at a steady pace. */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from './instance.js';
import { mintSomething } from './minting.js';
import { revokeSomething } from './revoking.js';
import { checkToken, pickInstance, type World } from './world.js';

export interface Load {
  /** How many times as often things are revoked. */
  setStorm(times: number): void;
  stop(): Promise<void>;
}

/** One client after the other acts every so many ms; one instance that hangs must not take them all with it. */
const CHECKERS = { clients: 24, atOneInstance: 9 };
const MINTERS = { clients: 4, atOneInstance: 2, everyMs: 160 };
const REVOKERS = { clients: 6, atOneInstance: 3, everyMs: 330 };

interface Group {
  readonly clients: number;
  readonly atOneInstance: number;
  readonly everyMs: () => number;
  readonly act: (instance: Instance) => Promise<void>;
}

/** @param checksPerSecond as many as the machine can, at most so many. */
export function startLoad(world: World, checksPerSecond: number): Load {
  const stopping = new AbortController();
  const { signal } = stopping;
  setMaxListeners(0, signal);
  let storm = 1;

  function startGroup({ clients, atOneInstance, everyMs, act }: Group): Promise<void>[] {
    const underWay = new Map<Instance, number>();
    const countOf = (instance: Instance) => underWay.get(instance) ?? 0;

    async function actSomewhere(): Promise<void> {
      const instance = pickInstance(world);
      if (countOf(instance) >= atOneInstance) return;
      underWay.set(instance, countOf(instance) + 1);
      await act(instance);
      underWay.set(instance, countOf(instance) - 1);
    }

    async function client(): Promise<void> {
      await delay(everyMs() * (world.random.below(100) / 100));
      while (!signal.aborted) {
        const startedAt = performance.now();
        await actSomewhere();
        const restMs = everyMs() - (performance.now() - startedAt);
        await delay(Math.max(1, restMs), undefined, { signal }).catch(() => undefined);
      }
    }
    return Array.from({ length: clients }, client);
  }

  const running = [
    ...startGroup({
      ...CHECKERS,
      everyMs: () => (1000 * CHECKERS.clients) / checksPerSecond,
      async act(instance) {
        const token = world.pool.pickToCheck();
        if (token !== null) await checkToken(world, instance, token);
      },
    }),
    ...startGroup({
      ...MINTERS,
      everyMs: () => MINTERS.everyMs,
      act: (instance) => mintSomething(world, instance),
    }),
    ...startGroup({
      ...REVOKERS,
      everyMs: () => REVOKERS.everyMs / storm,
      act: (instance) => revokeSomething(world, instance),
    }),
  ];
  return {
    setStorm: (times) => (storm = times),
    async stop() {
      stopping.abort();
      // One that failed has ended the run already.
      await Promise.allSettled(running);
    },
  };
}
