/**
 * Writes a long answer piece by piece: the next piece is only made when the reader has taken the
 * last one, so that a reader who takes nothing costs one piece, and is let go after a while.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

interface Options {
  /** A piece that isn't taken by then ends the answer (ms). */
  readonly takeWithinMs: number;
  /** Ends the answer by force. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when everything was handed to the operating system.
 * @throws when the reader is gone or too slow, the signal fires, or the pieces fail. Once the status
 *   has been sent, the connection is broken off then, which says that this isn't all.
 */
export async function writePieces(
  res: ServerResponse,
  pieces: AsyncIterable<string>,
  { takeWithinMs, signal }: Options,
): Promise<void> {
  const closed = new AbortController();
  const onClose = () => closed.abort(new Error('the reader is gone'));
  if (res.destroyed) onClose();
  res.once('close', onClose);
  const ended = AbortSignal.any([signal, closed.signal]);

  async function taken(event: 'drain' | 'finish'): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new Error(`nothing was taken for ${takeWithinMs} ms`)),
      takeWithinMs,
    );
    const until = AbortSignal.any([ended, late.signal]);
    try {
      await once(res, event, { signal: until });
    } catch (error) {
      // What `once` throws for a signal only says that there was one.
      until.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  // At once, also while a piece is being made.
  const cut = () => {
    if (res.headersSent) res.destroy();
  };
  ended.addEventListener('abort', cut, { once: true });
  try {
    ended.throwIfAborted();
    for await (const piece of pieces) {
      ended.throwIfAborted();
      if (!res.write(piece)) await taken('drain');
    }
    ended.throwIfAborted();
    const finished = taken('finish');
    res.end();
    await finished;
  } catch (error) {
    if (res.headersSent) res.destroy();
    throw error;
  } finally {
    res.off('close', onClose);
    ended.removeEventListener('abort', cut);
  }
}
