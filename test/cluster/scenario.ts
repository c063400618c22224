/** Runs one fault after the other while the clients go on, and keeps what came of each. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault, FaultOutcome, Scene } from './faults.js';
import { PASS } from './link.js';
import { recovered, type Recovery } from './recovery.js';

export interface Episode {
  readonly name: string;
  readonly from: number;
  /** Until the next one begins. */
  readonly until: number;
  readonly outcome: FaultOutcome;
  /** null = it didn't. */
  readonly recovery: Recovery | null;
  /** Why it could not be carried out, or did not recover. */
  readonly failure: string | null;
}

/** @param quietMs how long all is well before the next one. */
export async function runFault(
  scene: Scene,
  name: string,
  fault: Fault,
  quietMs: number,
): Promise<Episode> {
  const from = performance.now();
  let outcome: FaultOutcome = {};
  let recovery: Recovery | null = null;
  let failure: string | null = null;
  try {
    outcome = await fault(scene);
    recovery = await recovered(scene.world);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    await startAnew(scene);
  }
  await delay(quietMs);
  return { name, from, until: performance.now(), outcome, recovery, failure };
}

/** So that one failure isn't that of all that follow. */
async function startAnew({ world, load }: Scene): Promise<void> {
  load.setStorm(1);
  for (const { link } of world.instances) {
    link.setMode(PASS);
    link.failWrites(null);
  }
  for (const instance of world.instances) {
    await instance.kill();
    await instance.start();
  }
}

export interface Healthy {
  readonly from: number;
  readonly until: number;
  /** Of a bare journaled write under the same load, ms. */
  readonly bareWrites: readonly number[];
}

const BARE_EVERY_MS = 40;

/** No fault at all: what a revoke takes then, and what a bare write takes beside it. */
export async function runHealthy({ world, database }: Scene, forMs: number): Promise<Healthy> {
  await recovered(world);
  const from = performance.now();
  const bareWrites: number[] = [];
  while (performance.now() - from < forMs) {
    bareWrites.push(await database.bareWrite());
    await delay(BARE_EVERY_MS);
  }
  await database.close();
  return { from, until: performance.now(), bareWrites };
}
