/** Who asks this process to stop: signals, and errors that nobody caught. Listens from its first moment on, when there is nothing to stop yet. */

export interface StopReason {
  readonly signal?: NodeJS.Signals;
  /** What nobody caught. */
  readonly err?: unknown;
}

export interface StopRequests {
  /** Why, once somebody asked. */
  readonly first: Promise<StopReason>;
  /** Aborted with the first. */
  readonly asked: AbortSignal;
  /** Aborted when somebody asks again: who does so doesn't want to wait. */
  readonly hurry: AbortSignal;
  /** Aborted when the first was an error: nobody new should be let in by what is broken. */
  readonly failed: AbortSignal;
}

export type Stopping = Omit<StopRequests, 'first'>;

/** For what nobody stops by a signal. */
export const NO_STOP_REQUESTS: Stopping = {
  asked: new AbortController().signal,
  hurry: new AbortController().signal,
  failed: new AbortController().signal,
};

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/** A Ctrl-C comes twice: from the terminal, and from the npm that was started there. */
const SAME_REQUEST_MS = 1000;

/**
 * From now on these signals don't end the process any more, and whoever called this has to.
 * SIGHUP is no request: the terminal is gone, the service is not.
 */
export function listenForStopRequests(): StopRequests {
  const asked = new AbortController();
  const hurry = new AbortController();
  const failed = new AbortController();
  const { promise: first, resolve } = withResolvers<StopReason>();
  let askedAt = 0;

  function stop(reason: StopReason): void {
    if (!asked.signal.aborted) {
      askedAt = performance.now();
      resolve(reason);
      if (reason.signal === undefined) failed.abort();
      asked.abort();
    } else if (performance.now() - askedAt > SAME_REQUEST_MS) {
      hurry.abort();
    }
  }

  for (const signal of SIGNALS) process.on(signal, () => stop({ signal }));
  process.on('SIGHUP', () => undefined);
  process.on('uncaughtException', (err: unknown) => stop({ err }));
  process.on('unhandledRejection', (err) => stop({ err }));
  // What people read may have gone away with their terminal.
  process.stderr.on('error', () => undefined);
  return { first, asked: asked.signal, hurry: hurry.signal, failed: failed.signal };
}

/** Promise.withResolvers comes with Node 22. */
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
