/** The clock of the attacked service, which the attacker moves on: what comes back does so after minutes or days. */
import type { Target } from './attack.js';
import type { Client } from './client.js';
import { setTimeout as delay } from 'node:timers/promises';

const READY_WITHIN_MS = 60_000;

/** Settings with which each call of `moveClock` moves it on by so much. */
export function movableClock(stepMs: number): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${new URL('./movable-clock.mjs', import.meta.url).href}`,
    ATTACK_CLOCK_STEP_MS: String(stepMs),
    // A jump looks like a database that was away so long.
    STALE_AFTER: '1d',
  };
}

/** Resolves when the service answers again: after a jump it reads what is revoked first. */
export async function moveClock({ pid }: Target, client: Client): Promise<void> {
  process.kill(pid, 'SIGWINCH');
  // A signal takes a moment, and so does what is due by then.
  await delay(500);
  const endAt = performance.now() + READY_WITHIN_MS;
  while ((await client.call('GET', '/readyz')).status !== 200) {
    if (performance.now() > endAt) throw new Error('not ready after its clock was moved');
    await delay(50);
  }
  // The list is read every second, and leaves out what has expired.
  await delay(1500);
}
