/** Groups what is asked for at the same time into one command: most of a small operation's cost is the command itself. */

interface Options {
  /** In one group. */
  readonly most: number;
  /** How many groups may be under way: with one, all wait while a single processor works. */
  readonly atOnce?: number;
}

/** A group that takes longer no longer counts: one that hangs must not hold up what comes later. */
const PATIENCE_MS = 250;

/**
 * @param runAll answers a group, in the order given; when it throws, everyone in the group gets the error.
 * @returns asks for one. A group under way is never joined, so that nobody gets an answer from
 *   before the question; what is asked meanwhile forms the next one. Nobody waits for others to come.
 */
export function createGrouping<T, R>(
  runAll: (items: readonly T[]) => Promise<readonly R[]>,
  { most, atOnce = 4 }: Options,
): (item: T) => Promise<R> {
  interface Waiting {
    readonly item: T;
    resolve(result: R | Promise<never>): void;
  }
  const waiting: Waiting[] = [];
  let running = 0;

  function start(): void {
    running += 1;
    // Not at once: what comes in with the same batch of network events goes along.
    setImmediate(() => void work());
  }

  async function work(): Promise<void> {
    let isWaitedFor = true;
    while (isWaitedFor && waiting.length > 0) {
      const group = waiting.splice(0, most);
      const timer = setTimeout(() => {
        isWaitedFor = false;
        running -= 1;
        if (waiting.length > 0) start();
      }, PATIENCE_MS);
      await runAll(group.map(({ item }) => item)).then(
        (results) => {
          for (const [i, { resolve }] of group.entries()) resolve(results[i] as R);
        },
        (error: unknown) => {
          for (const { resolve } of group) resolve(Promise.reject(error));
        },
      );
      clearTimeout(timer);
    }
    if (isWaitedFor) running -= 1;
  }

  return (item) =>
    new Promise<R>((resolve) => {
      waiting.push({ item, resolve });
      if (running < atOnce) start();
    });
}
