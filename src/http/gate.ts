/**
 * In front of everything that answers: until it is opened, and once it is shut, every request gets
 * 503. So the port can be taken first, and still nothing is answered before everything that can
 * refuse the start has been asked.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type ServiceError, unavailable } from '../errors.js';
import type { Readiness } from './readiness.js';

export interface Gate {
  /** For the server; answers every request, whatever comes. */
  readonly handler: RequestListener;
  /** From now on `handler` answers. @throws Error when it was shut before. */
  open(handler: RequestListener): void;
  /** For good: only a new start may open again. @param reason for `/readyz` */
  shut(reason: string): void;
}

const HEALTH = '/healthz';
const READINESS = '/readyz';

export function createGate(): Gate {
  let reason = 'the service is starting';
  let isShut = false;
  let behind: RequestListener | null = null;

  return {
    handler(req, res) {
      if (behind === null) refuse(req, res, reason);
      else behind(req, res);
    },
    open(handler) {
      if (isShut) throw new Error(reason);
      behind = handler;
    },
    shut(why) {
      isShut = true;
      reason = why;
      behind = null;
    },
  };
}

function refuse(req: IncomingMessage, res: ServerResponse, reason: string): void {
  const path = (req.url ?? '').split('?')[0];
  const failure = unavailable(`Nothing can be answered now: ${reason}.`);
  if (path === HEALTH) send(req, res, { body: { status: 'ok' }, type: 'application/json' });
  else if (path === READINESS) send(req, res, { failure, body: notReady(reason) });
  else send(req, res, { failure, body: problemOf(failure), type: 'application/problem+json' });
}

function notReady(reason: string): Readiness {
  return {
    status: 'not ready',
    checks: { running: false, revocationIndex: false, store: false },
    reasons: [reason],
  };
}

function problemOf({ title, status, message, code }: ServiceError) {
  return {
    type: 'about:blank',
    title,
    status,
    detail: message,
    code,
    success: false,
    msg: message,
  };
}

interface Answer {
  readonly body: object;
  readonly type?: string;
  readonly failure?: ServiceError;
}

/** The body of the request is not read: the connection ends with the answer. */
function send(
  req: IncomingMessage,
  res: ServerResponse,
  { body, failure, type = 'application/json' }: Answer,
): void {
  const content = Buffer.from(JSON.stringify(body));
  res.writeHead(failure?.status ?? 200, {
    ...failure?.headers,
    'Content-Type': `${type}; charset=utf-8`,
    'Content-Length': content.length,
    'Cache-Control': 'no-store',
    Connection: 'close',
  });
  res.end(req.method === 'HEAD' ? undefined : content);
}
