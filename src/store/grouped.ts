/**
 * Calls that come close together become one operation of the store: a command costs the database
 * and the driver far more than one more entry in it. A lone call waits for nothing but the end of
 * the event loop's turn.
 */

interface Options<Item, Result> {
  /** Begins after each of the calls was made; resolves with each one's answer. Its failure is everybody's. */
  readonly perform: (items: readonly Item[]) => Promise<(item: Item) => Result>;
  /** Of an item that could make the whole operation fail: it goes alone. */
  readonly isRisky?: (item: Item) => boolean;
}

interface Call<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

const AT_ONCE = 2;
/** An operation that takes longer no longer counts: one that hangs must not hold up later calls. */
const PATIENCE_MS = 250;
const LARGEST = 200;

export function createGrouped<Item, Result>({
  perform,
  isRisky = () => false,
}: Options<Item, Result>): (item: Item) => Promise<Result> {
  let waiting: Call<Item, Result>[] = [];
  let isScheduled = false;
  let underWay = 0;

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      while (waiting.length > 0 && underWay < AT_ONCE) void performNext();
    });
  }

  function takeNext(): Call<Item, Result>[] {
    const risky = waiting.findIndex(({ item }) => isRisky(item));
    const size = risky === -1 ? LARGEST : Math.max(1, Math.min(LARGEST, risky));
    const group = waiting.slice(0, size);
    waiting = waiting.slice(size);
    return group;
  }

  async function performNext(): Promise<void> {
    const group = takeNext();
    underWay += 1;
    let counts = true;
    const release = () => {
      if (!counts) return;
      counts = false;
      underWay -= 1;
      if (waiting.length > 0) schedule();
    };
    const timer = setTimeout(release, PATIENCE_MS);
    try {
      const answerOf = await perform(group.map(({ item }) => item));
      for (const { item, resolve } of group) resolve(answerOf(item));
    } catch (error) {
      for (const { reject } of group) reject(error);
    } finally {
      clearTimeout(timer);
      release();
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}
