/** How often each of many keys has failed in the last while, in bounded memory. */
import type { Clock } from '../clock.js';
import { createRecent } from '../recent.js';

export interface FailureCounter {
  /** Failures counted for `key` in the window that runs; 0 when none does. */
  count(key: string): number;
  /** Counts one; the first begins a window. */
  add(key: string): void;
  /** Takes one back that turned out to be none. */
  takeBack(key: string): void;
  /** Whole seconds until the window of `key` is over, 1 at least. */
  secondsLeft(key: string): number;
}

interface Options {
  readonly windowMs: number;
  /** Beyond so many keys, the one that was counted longest ago is forgotten. */
  readonly maxKeys: number;
  readonly clock: Clock;
}

export function createFailureCounter({ windowMs, maxKeys, clock }: Options): FailureCounter {
  const windows = createRecent<{ failures: number; endsAt: number }>(maxKeys);

  function running(key: string) {
    const window = windows.peek(key);
    return window !== undefined && window.endsAt > clock() ? window : undefined;
  }

  return {
    count: (key) => running(key)?.failures ?? 0,

    add(key) {
      const window = running(key) ?? { failures: 0, endsAt: clock() + windowMs };
      window.failures += 1;
      windows.set(key, window);
    },

    takeBack(key) {
      const window = running(key);
      if (window !== undefined) window.failures = Math.max(0, window.failures - 1);
    },

    secondsLeft(key) {
      const window = running(key);
      return window === undefined ? 1 : Math.max(1, Math.ceil((window.endsAt - clock()) / 1000));
    },
  };
}
