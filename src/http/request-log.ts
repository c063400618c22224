/** One log line per request: method, route, status, duration. Never the URL itself: it can
 * hold a token. Routers name full paths, so the route's pattern says enough. */
import type { Request, RequestHandler } from 'express';
import type { Logger } from '../observability/logger.js';
import type { RepeatedLines } from '../observability/repeated-lines.js';
import { clientAddress } from './client.js';
import { requestIdOf, traceIdOf } from './request-id.js';

/** Health checks come every few seconds; they are logged at `debug`. */
const QUIET = new Set(['/healthz', '/readyz']);

/** Of requests that were answered with an error only the first some of a minute are written one by one. */
export interface RequestLines {
  /** Those that were refused, of one address. */
  readonly refused: RepeatedLines;
  /** Those that failed here, whoever asked: in an outage everybody's do. */
  readonly failed: RepeatedLines;
}

interface Dependencies {
  readonly log: Logger;
  readonly lines: {
    readonly [K in keyof RequestLines]: Pick<RequestLines[K], 'note'>;
  };
}

export function createRequestLog({ log, lines }: Dependencies): RequestHandler {
  return function logRequest(req, res, next) {
    const startedAt = performance.now();
    // Now: a connection that has been closed doesn't tell any more whose it was.
    const address = clientAddress(req) ?? 'unknown';
    res.once('close', () => {
      const route = routeOf(req);
      const level = QUIET.has(route) ? 'debug' : res.statusCode >= 500 ? 'error' : 'info';
      const status = res.writableFinished ? res.statusCode : 499;
      const kind = { method: req.method, route, status };
      const write = (count: number) =>
        log[level](
          {
            requestId: requestIdOf(res),
            traceId: traceIdOf(req.headers['traceparent']) ?? undefined,
            ...kind,
            address,
            ms: Math.round((performance.now() - startedAt) * 10) / 10,
            userId: req.user?.principal.userId,
            ...(count > 1 ? { count } : {}),
          },
          'request',
        );
      const name = `${status} ${kind.method} ${route}`;
      if (status < 400) {
        write(1);
      } else if (status >= 500) {
        lines.failed.note(name, write, (count) => log[level]({ ...kind, count }, 'request'));
      } else {
        const summarize = (count: number) => log[level]({ ...kind, address, count }, 'request');
        lines.refused.note(`${name} ${address}`, write, summarize);
      }
    });
    next();
  };
}

/** The pattern of the route, never the path: that can hold a token. */
export function routeOf(req: Request): string {
  const pattern = (req.route as { path?: unknown } | undefined)?.path;
  return typeof pattern === 'string' ? pattern : 'unmatched';
}
