/**
 * The requests of one connection take turns: a client may send many without waiting for an answer
 * (pipelining), and Node would have all of them worked on at once, each with its answer in memory
 * until those before it are written.
 */
import type { Socket } from 'node:net';
import type { RequestHandler } from 'express';

/**
 * Of one connection. Each that waits holds some 8 kB, and Node goes on reading whatever is paused
 * here, so that further ones end the connection. Whoever pipelines has a few under way.
 */
const MAX_WAITING = 100;

interface Line {
  readonly waiting: (() => void)[];
  /** The connection ends with the answer that was sent last: nobody would get another one. */
  isOver: boolean;
}

/** To come before everything that works on a request. */
export function createConnectionTurns(): RequestHandler {
  /** There is one as long as somebody has the turn. */
  const lines = new WeakMap<Socket, Line>();

  return function takeConnectionTurn({ socket }, res, next) {
    function begin(): void {
      // Also when the client is gone: then nobody waits for the others.
      res.once('close', pass);
      next();
    }

    function pass(): void {
      const line = lines.get(socket);
      if (line === undefined) return;
      line.isOver = socket.destroyed || /\bclose\b/i.test(String(res.getHeader('connection')));
      if (line.isOver) line.waiting.length = 0;
      else if (line.waiting.length === 0) lines.delete(socket);
      else line.waiting.shift()?.();
    }

    const line = lines.get(socket);
    if (line === undefined) {
      lines.set(socket, { waiting: [], isOver: false });
      begin();
    } else if (!line.isOver) {
      if (line.waiting.length < MAX_WAITING) line.waiting.push(begin);
      else socket.destroy();
    }
  };
}
