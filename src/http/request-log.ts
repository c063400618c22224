/** One log line per request: method, route, status, duration. Never the URL itself: it can
 * hold a token. Routers name full paths, so the route's pattern says enough. */
import type { RequestHandler } from 'express';
import type { Logger } from '../observability/logger.js';
import type { RepeatedLines } from '../observability/repeated-lines.js';
import { clientAddress } from './client.js';
import { requestIdOf, traceIdOf } from './request-id.js';

/** Health checks come every few seconds; they are logged at `debug`. */
const QUIET = new Set(['/healthz', '/readyz']);

interface Dependencies {
  readonly log: Logger;
  /** Of refused requests only the first some of a minute are written one by one. */
  readonly lines: Pick<RepeatedLines, 'note'>;
}

export function createRequestLog({ log, lines }: Dependencies): RequestHandler {
  return function logRequest(req, res, next) {
    const startedAt = performance.now();
    // Now: a connection that has been closed doesn't tell any more whose it was.
    const address = clientAddress(req) ?? 'unknown';
    res.once('close', () => {
      const pattern = (req.route as { path?: unknown } | undefined)?.path;
      const route = typeof pattern === 'string' ? pattern : 'unmatched';
      const level = QUIET.has(route) ? 'debug' : res.statusCode >= 500 ? 'error' : 'info';
      const status = res.writableFinished ? res.statusCode : 499;
      const kind = { method: req.method, route, status, address };
      const write = (count: number) =>
        log[level](
          {
            requestId: requestIdOf(res),
            traceId: traceIdOf(req.headers['traceparent']) ?? undefined,
            ...kind,
            ms: Math.round((performance.now() - startedAt) * 10) / 10,
            userId: req.user?.principal.userId,
            ...(count > 1 ? { count } : {}),
          },
          'request',
        );
      if (status < 400) write(1);
      else {
        const summarize = (count: number) => log[level]({ ...kind, count }, 'request');
        lines.note(`${status} ${kind.method} ${route} ${address}`, write, summarize);
      }
    });
    next();
  };
}
