/** One log line per request: method, route, status, duration. Never the URL itself: it can
 * hold a token. Routers name full paths, so the route's pattern says enough. */
import type { RequestHandler } from 'express';
import type { Logger } from '../observability/logger.js';
import { clientAddress } from './client.js';
import { requestIdOf, traceIdOf } from './request-id.js';

/** Health checks come every few seconds; they are logged at `debug`. */
const QUIET = new Set(['/healthz', '/readyz']);

export function createRequestLog(log: Logger): RequestHandler {
  return function logRequest(req, res, next) {
    const startedAt = performance.now();
    // Now: a connection that has been closed doesn't tell any more whose it was.
    const address = clientAddress(req) ?? 'unknown';
    res.once('close', () => {
      const pattern = (req.route as { path?: unknown } | undefined)?.path;
      const route = typeof pattern === 'string' ? pattern : 'unmatched';
      const level = QUIET.has(route) ? 'debug' : res.statusCode >= 500 ? 'error' : 'info';
      log[level](
        {
          requestId: requestIdOf(res),
          traceId: traceIdOf(req.headers['traceparent']) ?? undefined,
          method: req.method,
          route,
          status: res.writableFinished ? res.statusCode : 499,
          ms: Math.round((performance.now() - startedAt) * 10) / 10,
          address,
          userId: req.user?.principal.userId,
        },
        'request',
      );
    });
    next();
  };
}
