/** When every instance works again: checks from memory, and revokes. */
import { setTimeout as delay } from 'node:timers/promises';
import { createJti } from '../../src/tokens/jti.js';
import { isOk } from './http.js';
import type { Instance } from './instance.js';
import type { World } from './world.js';

export interface Recovery {
  /** Until the last of the instances answered a check with anything but 503, ms. */
  readonly checksAfterMs: number;
  /** Until the last of them acknowledged a revoke, ms. */
  readonly revokesAfterMs: number;
}

const WITHIN_MS = 60_000;
const ASK_AGAIN_MS = 10;

/** @throws when one doesn't work within a minute. */
export async function recovered(world: World): Promise<Recovery> {
  const from = performance.now();
  const times = await Promise.all(
    world.instances.map(async (instance) => ({
      check: await untilWell(world, instance, checks, from),
      revoke: await untilWell(world, instance, revokes, from),
    })),
  );
  return {
    checksAfterMs: Math.max(...times.map(({ check }) => check)),
    revokesAfterMs: Math.max(...times.map(({ revoke }) => revoke)),
  };
}

async function untilWell(
  world: World,
  instance: Instance,
  isWell: (world: World, instance: Instance) => Promise<boolean>,
  from: number,
): Promise<number> {
  while (!(await isWell(world, instance))) {
    if (performance.now() - from > WITHIN_MS)
      throw new Error(`instance ${instance.index} did not recover: ${instance.log()}`);
    await delay(ASK_AGAIN_MS);
  }
  return performance.now() - from;
}

async function checks({ http, admin }: World, { port }: Instance): Promise<boolean> {
  const { status } = await http.ask(port, { path: '/auth/verify', authorization: admin });
  return status === 204;
}

/** An id that nobody has: one request, which must be written. */
async function revokes({ http, admin }: World, { port }: Instance): Promise<boolean> {
  const path = `/v3/jwt/history/${createJti(Date.now())}`;
  return isOk(await http.ask(port, { method: 'DELETE', path, authorization: admin }));
}
