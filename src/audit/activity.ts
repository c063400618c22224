/** How many tokens were issued, revoked and refused, hour by hour: counted in memory, written every few seconds. */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import type { ActivityStore, Counts, HourOfActivity } from '../store/activity.js';
import { createWriteBehind } from '../store/write-behind.js';

export interface Activity {
  /** Never waits and never throws. */
  count(what: keyof Counts, howMany?: number): void;
  /** The last `hours` hours, the current one included: oldest first, none missing. @throws ServiceError 503 */
  buckets(hours: number): Promise<HourOfActivity[]>;
  /** Writes what was counted. @throws ServiceError 503; it stays counted. */
  flush(): Promise<void>;
}

interface Dependencies {
  readonly store: ActivityStore;
  readonly clock: Clock;
  readonly log: Logger;
}

type Pending = Record<keyof Counts, number>;

const HOUR_MS = 3_600_000;
const FLUSH_AFTER_MS = 3000;
const NOTHING: Counts = { issued: 0, revoked: 0, refused: 0 };

export function createActivity({ store, clock, log }: Dependencies): Activity {
  /** By the hour's beginning (ms). While the database is away, an entry for each hour of that. */
  const pending = new Map<number, Pending>();
  const writer = createWriteBehind({
    write: writeAll,
    afterMs: FLUSH_AFTER_MS,
    retryAfterMs: FLUSH_AFTER_MS,
    onFailure: (error) =>
      log.warn({ err: error }, 'the counts of activity could not be written yet'),
  });

  const currentHour = () => Math.floor(clock() / HOUR_MS) * HOUR_MS;

  function add(hour: number, counts: Counts): void {
    const sum = pending.get(hour) ?? { ...NOTHING };
    sum.issued += counts.issued;
    sum.revoked += counts.revoked;
    sum.refused += counts.refused;
    pending.set(hour, sum);
  }

  async function writeAll(): Promise<void> {
    // What is counted meanwhile waits for the next time.
    const all = [...pending];
    for (const [hour, counts] of all) {
      pending.delete(hour);
      try {
        await store.add({ at: new Date(hour), ...counts });
      } catch (error) {
        add(hour, counts);
        throw error;
      }
    }
  }

  return {
    count(what, howMany = 1) {
      if (howMany <= 0) return;
      add(currentHour(), { ...NOTHING, [what]: howMany });
      writer.noted();
    },

    async buckets(hours) {
      // Written first, so that nothing is counted twice or not at all while a write is under way.
      await writer.flush();
      const newest = currentHour();
      const oldest = newest - (hours - 1) * HOUR_MS;
      const stored = await store.since(new Date(oldest));
      const byHour = new Map(stored.map((hour) => [hour.at.getTime(), hour]));
      return Array.from({ length: hours }, (_, i) => {
        const at = oldest + i * HOUR_MS;
        const { issued, revoked, refused } = byHour.get(at) ?? NOTHING;
        return { at: new Date(at), issued, revoked, refused };
      });
    },

    flush: writer.flush,
  };
}
