/**
 * Requests begin one in each turn of the event loop: those that only ask whether a token is good are
 * answered at once (dialects/forward-auth), and would else wait until all that arrived with them have
 * begun. The addresses take turns, so that a crowd of one keeps nobody else waiting.
 */
import type { RequestHandler } from 'express';
import { clientAddress } from './client.js';

/** To come before whatever costs time, and behind what has to see a request while its client is there. */
export function createChecksFirst(): RequestHandler {
  /** By address, in the order of their turns; each has a request at least. */
  const waiting = new Map<string, (() => void)[]>();

  function beginNext(): void {
    for (const [address, line] of waiting) {
      const begin = line.shift();
      waiting.delete(address);
      if (line.length > 0) waiting.set(address, line);
      // In the next turn of the event loop, whatever becomes of this one.
      if (waiting.size > 0) setImmediate(beginNext);
      begin?.();
      return;
    }
  }

  return function letChecksPass(req, _res, next) {
    if (waiting.size === 0) setImmediate(beginNext);
    const address = clientAddress(req) ?? '';
    const line = waiting.get(address);
    if (line === undefined) waiting.set(address, [next]);
    else line.push(next);
  };
}
