/** What this instance has read of the log: which entries, and up to which number of each who wrote some. */
import type { Applied } from '../../store/cluster/instances.js';
import type { LogEntry } from '../../store/cluster/log.js';

export interface AppliedEntries {
  note(entry: LogEntry): void;
  hasRead(id: string): boolean;
  /** As it is said to the others. */
  seqs(): Applied;
}

/** More than the log holds. */
const MOST_IDS = 50_000;
/** Others may still wait for what somebody told who has ended since: a few leases of any length. */
const KEPT_MS = 300_000;
/** Those who wrote something, at the most: each time that an instance joins, it is another one. */
const MOST_WRITERS = 500;

export function createApplied(monotonic: () => number): AppliedEntries {
  const ids = new Set<string>();
  const writers = new Map<string, { readonly seq: number; readonly at: number }>();

  return {
    note({ id, from, seq }) {
      ids.add(id);
      if (ids.size > MOST_IDS) for (const oldest of ids) if (ids.delete(oldest)) break;
      if (from === '') return;
      const known = writers.get(from)?.seq ?? 0;
      // In the order in which they were last heard of.
      writers.delete(from);
      writers.set(from, { seq: Math.max(known, seq), at: monotonic() });
      const [oldest] = writers;
      if (oldest === undefined) return;
      const isOver = monotonic() - oldest[1].at > KEPT_MS && writers.size > 1;
      if (isOver || writers.size > MOST_WRITERS) writers.delete(oldest[0]);
    },

    hasRead: (id) => ids.has(id),

    seqs: () => Object.fromEntries([...writers].map(([from, { seq }]) => [from, seq])),
  };
}
