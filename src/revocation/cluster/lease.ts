/**
 * The lease: for how long an instance may answer from its memory. Measured by a clock that nothing
 * sets, from the moment at which it last asked for all there was to know: whoever waits for it to run
 * out counts from later, when it saw that asked. That clock may stand still while the machine is
 * suspended, so the time of day must not have gone further, either.
 */
import type { Clock } from '../../clock.js';

export interface Lease {
  /** For how long it lasts each time, ms. */
  readonly leaseMs: number;
  /** @param askedAt by the monotonic clock: when the question was sent whose answer grants it. */
  grant(askedAt: number): void;
  /** It ends now. */
  drop(): void;
  holds(): boolean;
}

/** @param monotonic ms; unlike the time of day, nobody sets it. */
export function createLease(
  leaseMs: number,
  monotonic: () => number,
  timeOfDay: Clock = Date.now,
): Lease {
  let until = -Infinity;
  let untilByDay = -Infinity;
  return {
    leaseMs,
    grant(askedAt) {
      if (askedAt + leaseMs <= until) return;
      until = askedAt + leaseMs;
      untilByDay = timeOfDay() + until - monotonic();
    },
    drop() {
      until = -Infinity;
    },
    holds: () => monotonic() < until && timeOfDay() < untilByDay,
  };
}
