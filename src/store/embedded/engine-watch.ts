// Asks a running engine every second for a sign of life: one that hangs, or that nobody can reach
// any more since its socket was deleted, would otherwise stay as it is for ever.

import { connect, type Socket } from 'node:net';

export interface WatchTiming {
  readonly everyMs: number;
  /** How long an engine may leave a question unanswered. */
  readonly hungAfterMs: number;
  /** In ms, from any start; never set back. */
  readonly clock: () => number;
}

export const USUAL_TIMING: WatchTiming = {
  everyMs: 1000,
  hungAfterMs: 30_000,
  clock: () => performance.now(),
};

interface Watched {
  /** Of the socket, or of a link to it. */
  readonly path: string;
  /** Whether the socket can be found there. */
  isThere(): boolean;
}

/** Calls `onLost` once, with the reason, when the engine has to be replaced. @returns what ends the watch. */
export function watchEngine(
  { path, isThere }: Watched,
  { everyMs, hungAfterMs, clock }: WatchTiming,
  onLost: (why: string) => void,
): () => void {
  let connection: Socket | null = null;
  let askedAt: number | null = null;
  let lookedAt = clock();

  function ask(): void {
    askedAt = clock();
    if (connection === null) {
      const opened = connect(path);
      connection = opened;
      opened.unref();
      opened.on('data', () => {
        if (connection === opened) askedAt = null;
      });
      // Refused, or ended: asked again over another one; the time goes on.
      opened.on('error', () => opened.destroy());
      opened.on('close', () => {
        if (connection === opened) connection = null;
      });
    }
    connection.write(PING);
  }

  function look(): void {
    const now = clock();
    // When this process stood still itself, the engine may have as well: it is given its time anew.
    if (now - lookedAt > hungAfterMs / 2 && askedAt !== null) askedAt = now;
    lookedAt = now;
    if (!isThere()) return lost('its socket is gone');
    if (askedAt === null) return ask();
    if (now - askedAt >= hungAfterMs)
      return lost(`it has not answered for ${Math.round((now - askedAt) / 1000)} s`);
    if (connection === null) {
      const since = askedAt;
      ask();
      askedAt = since;
    }
  }

  function lost(why: string): void {
    stop();
    onLost(why);
  }

  function stop(): void {
    clearInterval(timer);
    connection?.destroy();
    connection = null;
  }

  const timer = setInterval(look, everyMs).unref();
  return stop;
}

/**
 * An OP_MSG of one section: length, request id, response to, opcode; flags; kind 0; and as BSON
 * `{ ping: 1, $db: 'admin' }`. Ready made: to load what makes it takes as long as the engine's start.
 */
export const PING = Buffer.from(
  '330000000100000000000000dd0700000000000000' +
    '1e0000001070696e67000100000002246462000600000061646d696e0000',
  'hex',
);
