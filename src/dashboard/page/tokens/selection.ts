/** What is ticked: some rows, on any page of the list, or all that match its filter. */
import { computed, effect, signal } from '@preact/signals';
import type { Selection } from '../../wire.ts';
import { activeFilter, listKey } from './results.ts';

/** As many ids as the service takes in one call. */
const MAX_TICKED = 1000;

export const ticked = signal<ReadonlySet<string>>(new Set());
export const isAllMatching = signal(false);

export const selection = computed<Selection | null>(() => {
  if (isAllMatching.value) return { filter: activeFilter.value };
  return ticked.value.size === 0 ? null : { ids: [...ticked.value] };
});

export function tick(ids: readonly string[], isTicked: boolean): void {
  const set = new Set(ticked.value);
  for (const id of ids) {
    if (!isTicked) set.delete(id);
    else if (set.size < MAX_TICKED) set.add(id);
  }
  isAllMatching.value = false;
  ticked.value = set;
}

export function untickAll(): void {
  isAllMatching.value = false;
  ticked.value = new Set();
}

export function startSelection(): void {
  effect(() => {
    // Another list: what was ticked may not even be in it.
    if (listKey.value !== '') untickAll();
  });
}
