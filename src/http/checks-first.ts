/**
 * Requests begin a few at a time: those that only ask whether a token is good are answered at once
 * (routes/verify.ts), and would else wait until everything that arrived with them has begun.
 */
import type { RequestHandler } from 'express';

/** In one turn of the event loop. One request takes no longer, mostly. */
const BEGIN_FOR_MS = 1;

/** To come before whatever costs time, and behind what has to see a request while its client is there. */
export function createChecksFirst(): RequestHandler {
  const waiting: (() => void)[] = [];

  function beginSome(): void {
    const until = performance.now() + BEGIN_FOR_MS;
    try {
      do waiting.shift()?.();
      while (waiting.length > 0 && performance.now() < until);
    } finally {
      if (waiting.length > 0) setImmediate(beginSome);
    }
  }

  return function letChecksPass(_req, _res, next) {
    waiting.push(next);
    if (waiting.length === 1) setImmediate(beginSome);
  };
}
