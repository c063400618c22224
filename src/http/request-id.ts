/** The id that ties a response to its log lines: the caller's trace (W3C `traceparent`), its `X-Request-Id`, or a new one. */
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { RequestHandler, Response } from 'express';

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;
const NO_TRACE = '0'.repeat(32);
const SAFE_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** Sets `X-Request-Id` on every response. */
export const assignRequestId: RequestHandler = function assignRequestId(req, res, next) {
  res.setHeader('X-Request-Id', chooseRequestId(req.headers));
  next();
};

/** The caller's id, where it has one that may be logged. */
export function chooseRequestId(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && SAFE_ID.test(given)
    ? given
    : (traceIdOf(headers['traceparent']) ?? randomUUID());
}

export function requestIdOf(res: Response): string {
  return String(res.getHeader('X-Request-Id') ?? '');
}

/** The trace id of a W3C `traceparent`, or null. */
export function traceIdOf(traceparent: unknown): string | null {
  const id = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
  return id === undefined || id === NO_TRACE ? null : id;
}
