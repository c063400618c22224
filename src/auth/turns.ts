/**
 * Who may work next: a few tasks at once. The lanes have turns, and in each lane the clients have,
 * so that neither a crowd in one lane nor a client with many requests holds up the others.
 */

/** Where a task waits. */
export interface Place<Lane extends string> {
  /** A function is asked again when the turn comes: whoever belongs elsewhere by then, waits there. */
  readonly lane: Lane | (() => Lane);
  /** Whose task it is: the tasks of one client are served in order, those of several by turns. */
  readonly client: string;
  /** Gives up waiting. What has begun isn't stopped. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs the task when its turn has come.
 * @throws the lane's refusal when there is no room; the signal's reason when it gave up first.
 */
export type Turns<Lane extends string> = <T>(
  place: Place<Lane>,
  task: () => Promise<T>,
) => Promise<T>;

interface Options<Lane extends string> {
  readonly atOnce: number;
  /** How many may wait in each lane, of one client and of all. */
  readonly waiting: { readonly perClient: number; readonly inAll: number };
  readonly lanes: Readonly<Record<Lane, LaneOptions>>;
}

interface LaneOptions {
  /** What whoever finds no room gets. */
  readonly refusal: () => Error;
  /** Of `n`, while others wait: the lane is served once where theirs are `n` times. 1 unless given. */
  readonly cost?: number;
}

interface Waiter<Lane extends string> {
  readonly place: Place<Lane>;
  readonly go: () => void;
  readonly refuse: (reason: unknown) => void;
}

interface Queue<Lane extends string> {
  readonly lane: Lane;
  /** The client that was served longest ago comes first; none is here without a waiter. */
  readonly clients: Map<string, Waiter<Lane>[]>;
  size: number;
  readonly cost: number;
  /** When it is served again, on a clock that turns move. */
  due: number;
}

export function createTurns<Lane extends string>(options: Options<Lane>): Turns<Lane> {
  const { atOnce, waiting, lanes } = options;
  const queues: Queue<Lane>[] = (Object.keys(lanes) as Lane[]).map((lane) => ({
    lane,
    clients: new Map(),
    size: 0,
    cost: lanes[lane].cost ?? 1,
    due: 0,
  }));
  let now = 0;
  let running = 0;

  /** Room is made for those with little by those with most: a crowd can't keep a newcomer out. */
  function enter(waiter: Waiter<Lane>): void {
    const { client } = waiter.place;
    const queue = queueOf(queues, waiter.place);
    const own = queue.clients.get(client)?.length ?? 0;
    if (own >= waiting.perClient) throw lanes[queue.lane].refusal();
    if (queue.size >= waiting.inAll) {
      const most = [...queue.clients.values()].reduce((a, b) => (b.length > a.length ? b : a));
      const last = most.at(-1);
      if (last === undefined || most.length <= own + 1) throw lanes[queue.lane].refusal();
      leave(queue, last);
      last.refuse(lanes[queue.lane].refusal());
    }
    append(queue, waiter);
  }

  function next(): Waiter<Lane> | undefined {
    // Twice: the first time may only bring waiters to the lane where they belong by now.
    const byDue = queues.toSorted((a, b) => Math.max(a.due, now) - Math.max(b.due, now));
    for (const queue of [...byDue, ...byDue]) {
      const waiter = nextIn(queue);
      if (waiter === undefined) continue;
      // A lane that was empty for long has saved nothing up.
      now = Math.max(queue.due, now);
      queue.due = now + queue.cost;
      return waiter;
    }
    return undefined;
  }

  function nextIn(queue: Queue<Lane>): Waiter<Lane> | undefined {
    for (const [client, waiters] of queue.clients) {
      // All that don't belong here any more move: passed over, they would wait for the next one to come.
      for (let [first] = waiters; first !== undefined; [first] = waiters) {
        leave(queue, first);
        const its = queueOf(queues, first.place);
        if (its === queue) {
          // To the end of the rotation, with what else waits for this client.
          const rest = queue.clients.get(client);
          if (queue.clients.delete(client) && rest !== undefined) queue.clients.set(client, rest);
          return first;
        }
        append(its, first);
      }
    }
    return undefined;
  }

  async function wait(place: Place<Lane>): Promise<void> {
    const { signal } = place;
    let giveUp = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        const waiter: Waiter<Lane> = { place, go: resolve, refuse: reject };
        giveUp = () => {
          for (const queue of queues) leave(queue, waiter);
          reject(signal?.reason);
        };
        enter(waiter);
        signal?.addEventListener('abort', giveUp, { once: true });
      });
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  return async (place, task) => {
    place.signal?.throwIfAborted();
    if (running >= atOnce) await wait(place);
    else running += 1;
    try {
      place.signal?.throwIfAborted();
      return await task();
    } finally {
      // The place is handed on, not given back, so that nobody gets in between.
      const waiter = next();
      if (waiter) waiter.go();
      else running -= 1;
    }
  };
}

function queueOf<Lane extends string>(
  queues: readonly Queue<Lane>[],
  { lane }: Place<Lane>,
): Queue<Lane> {
  const wanted = typeof lane === 'function' ? lane() : lane;
  const queue = queues.find((each) => each.lane === wanted);
  if (queue === undefined) throw new Error(`there is no lane ${wanted}`);
  return queue;
}

function append<Lane extends string>(queue: Queue<Lane>, waiter: Waiter<Lane>): void {
  const { client } = waiter.place;
  const own = queue.clients.get(client);
  if (own === undefined) queue.clients.set(client, [waiter]);
  else own.push(waiter);
  queue.size += 1;
}

/** Takes the waiter out, if it is there. */
function leave<Lane extends string>(queue: Queue<Lane>, waiter: Waiter<Lane>): void {
  const own = queue.clients.get(waiter.place.client);
  const at = own?.indexOf(waiter) ?? -1;
  if (own === undefined || at === -1) return;
  own.splice(at, 1);
  queue.size -= 1;
  if (own.length === 0) queue.clients.delete(waiter.place.client);
}
