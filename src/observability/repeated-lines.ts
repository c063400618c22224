/**
 * Lines that one caller can make come again and again: the first of a kind are written at once, the
 * others are counted, and the count is written at most once a minute. Bounded, whatever comes.
 */
import type { Clock } from '../clock.js';

export interface RepeatedLines {
  /**
   * Writes the line, or counts it. `write` is called at once or never, with how many it stands for;
   * `summarize` later, with how many were not written: it must hold on to nothing of the request.
   */
  note(kind: string, write: (count: number) => void, summarize: (count: number) => void): void;
  /** Writes every count that waits. */
  flush(): void;
}

interface Options {
  readonly clock: Clock;
  /** How many of a kind are written in a minute before they are counted. */
  readonly atOnce: number;
}

interface Kind {
  since: number;
  written: number;
  /** Those since the last line. */
  counted: number;
  summarize: (count: number) => void;
}

const WINDOW_MS = 60_000;
const MAX_KINDS = 10_000;

export function createRepeatedLines({ clock, atOnce }: Options): RepeatedLines {
  /** In the order in which their minutes began. */
  const kinds = new Map<string, Kind>();
  let timer: NodeJS.Timeout | null = null;

  function begin(name: string, summarize: Kind['summarize'], written: number): void {
    kinds.delete(name);
    const oldest = kinds.size < MAX_KINDS ? undefined : kinds.entries().next().value;
    if (oldest !== undefined) {
      kinds.delete(oldest[0]);
      tell(oldest[1]);
    }
    kinds.set(name, { since: clock(), written, counted: 0, summarize });
    schedule();
  }

  function tell({ counted, summarize }: Kind): void {
    if (counted > 0) summarize(counted);
  }

  /** A clock that was set back ends it too. */
  function isOver({ since }: Kind): boolean {
    const age = clock() - since;
    return age >= WINDOW_MS || age < 0;
  }

  function sweep(): void {
    for (const [name, kind] of [...kinds].filter(([, each]) => isOver(each))) {
      tell(kind);
      // It was told of just now: what comes next is counted for another minute.
      if (kind.counted > 0) begin(name, kind.summarize, atOnce);
      else kinds.delete(name);
    }
  }

  function schedule(): void {
    timer ??= setTimeout(() => {
      timer = null;
      sweep();
      if (kinds.size > 0) schedule();
    }, WINDOW_MS).unref();
  }

  return {
    note(name, write, summarize) {
      const kind = kinds.get(name);
      if (kind === undefined || isOver(kind)) {
        write((kind?.counted ?? 0) + 1);
        begin(name, summarize, 1);
      } else if (kind.written < atOnce) {
        kind.written += 1;
        write(1);
      } else {
        kind.counted += 1;
      }
    },
    flush() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      for (const kind of kinds.values()) tell(kind);
      kinds.clear();
    },
  };
}
