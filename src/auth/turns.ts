/** Who may work next: a few tasks at once, the lanes by turns, so that a crowd in one doesn't hold up the other. */

export type Turns<Lane extends string> = <T>(lane: Lane, task: () => Promise<T>) => Promise<T>;

interface Options<Lane extends string> {
  readonly atOnce: number;
  /** How many may wait in each lane. */
  readonly waiting: number;
  /** What whoever finds the lane full gets. */
  readonly refusals: Readonly<Record<Lane, () => Error>>;
}

/** Runs at most `atOnce` tasks, lets `waiting` more wait in each lane, and refuses the rest. */
export function createTurns<Lane extends string>(options: Options<Lane>): Turns<Lane> {
  const { atOnce, waiting, refusals } = options;
  /** The lane that was served longest ago comes first. */
  const lanes = (Object.keys(refusals) as Lane[]).map((lane) => ({
    lane,
    queue: [] as (() => void)[],
  }));
  let running = 0;

  function next(): (() => void) | undefined {
    const place = lanes.findIndex(({ queue }) => queue.length > 0);
    const [served] = place === -1 ? [] : lanes.splice(place, 1);
    if (served === undefined) return undefined;
    lanes.push(served);
    return served.queue.shift();
  }

  return async (lane, task) => {
    if (running >= atOnce) {
      const queue = lanes.find((each) => each.lane === lane)?.queue ?? [];
      if (queue.length >= waiting) throw refusals[lane]();
      await new Promise<void>((resolve) => queue.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await task();
    } finally {
      // The place is handed on, not given back, so that nobody gets in between.
      const hand = next();
      if (hand) hand();
      else running -= 1;
    }
  };
}
