/** A view of its own that keeps up with the live feed: what it can't take over from a batch it loads anew. */
import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { WireChange } from '../../wire.ts';
import { changes, missed } from '../live.ts';

/** Changes come in bursts: one load is for all of them. */
const RELOAD_AFTER_MS = 500;

/** @param take takes over what it can; true = the rest must be loaded. */
export function useFollow(
  take: (batch: readonly WireChange[]) => boolean,
  reload: () => void,
): void {
  const seen = useRef({ batch: changes.peek(), missed: missed.peek() });
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useSignalEffect(() => {
    const now = { batch: changes.value, missed: missed.value };
    const before = seen.current;
    seen.current = now;
    const isOutdated =
      now.missed !== before.missed || (now.batch !== before.batch && take(now.batch));
    // A load that is planned already takes this in: put off further, a busy token would never load.
    if (isOutdated && timer.current === undefined) {
      timer.current = setTimeout(() => {
        timer.current = undefined;
        reload();
      }, RELOAD_AFTER_MS);
    }
  });
  useEffect(() => () => clearTimeout(timer.current), []);
}
