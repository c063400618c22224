/**
 * Writing behind the request: what is noted is written a little later, together with what else was
 * noted by then; what can't be written is tried again. One write at a time.
 */

export interface WriteBehind {
  /** Something was noted. Never waits and never throws. */
  noted(): void;
  /** Resolves when everything noted before is written. @throws what the write throws; it is tried again. */
  flush(): Promise<void>;
}

interface Options {
  /** Writes all that is noted; what it can't write stays noted. */
  readonly write: () => Promise<void>;
  readonly afterMs: number;
  readonly retryAfterMs: number;
  /** A write that nobody waited for failed; it may not throw. */
  readonly onFailure: (error: unknown) => void;
}

export function createWriteBehind(options: Options): WriteBehind {
  let timer: NodeJS.Timeout | null = null;
  /** The write under way, and the one that starts after it for all who asked meanwhile. */
  let writing: Promise<void> | null = null;
  let next: Promise<void> | null = null;

  function schedule(delayMs: number): void {
    timer ??= setTimeout(() => {
      timer = null;
      flush().catch(options.onFailure);
    }, delayMs).unref();
  }

  async function write(): Promise<void> {
    try {
      await options.write();
    } catch (error) {
      schedule(options.retryAfterMs);
      throw error;
    } finally {
      writing = null;
    }
  }

  function flush(): Promise<void> {
    if (writing === null) {
      writing = write();
      return writing;
    }
    next ??= writing
      .catch(() => undefined)
      .then(() => {
        next = null;
        return flush();
      });
    return next;
  }

  return { noted: () => schedule(options.afterMs), flush };
}
