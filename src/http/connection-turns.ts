/**
 * The requests of one connection take turns: a client may send many without waiting for an answer
 * (pipelining), and Node would have all of them worked on at once, each with its answer in memory
 * until those before it are written.
 */
import type { Socket } from 'node:net';
import type { RequestHandler } from 'express';

/** To come before everything that works on a request. */
export function createConnectionTurns(): RequestHandler {
  /** What waits for its turn, by connection; there is a list as long as somebody has the turn. */
  const lines = new WeakMap<Socket, (() => void)[]>();

  return function takeConnectionTurn({ socket }, res, next) {
    function begin(): void {
      // Also when the client is gone: then nobody waits for the others.
      res.once('close', pass);
      next();
    }

    function pass(): void {
      const line = lines.get(socket) ?? [];
      const following = socket.destroyed ? undefined : line.shift();
      if (following === undefined) lines.delete(socket);
      else following();
      // No more is read than what came with the last read.
      if (line.length === 0 && socket.isPaused()) socket.resume();
    }

    const line = lines.get(socket);
    if (line === undefined) {
      lines.set(socket, []);
      begin();
    } else {
      line.push(begin);
      socket.pause();
    }
  };
}
