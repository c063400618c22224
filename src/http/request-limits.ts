/** What is odd about a request before anybody reads it: more headers than one looks at, a body where none belongs. */
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { invalidInput, ServiceError } from '../errors.js';

/** Node reads them all, up to 16 kB; it would drop those past a number of its own without a word. */
const MAX_HEADERS = 100;

export function hasTooManyHeaders(req: IncomingMessage): boolean {
  return req.rawHeaders.length > 2 * MAX_HEADERS;
}

export const refuseTooManyHeaders: RequestHandler = function refuseTooManyHeaders(req, _res, next) {
  if (hasTooManyHeaders(req)) {
    const message = `at most ${MAX_HEADERS} are accepted.`;
    throw new ServiceError('too-many-headers', `headers: ${message}`, {
      fields: [{ field: 'headers', message }],
    });
  }
  next();
};

/**
 * Whether it brings more than one `Authorization`: Node keeps the first and drops the others without
 * a word, and whoever is in front of us may have looked at another one.
 */
export function hasSeveralCredentials({ rawHeaders }: IncomingMessage): boolean {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) count += 1;
  }
  return count > 1;
}

const AUTHORIZATION = 'authorization';

export const refuseSeveralCredentials: RequestHandler = function refuseSeveralCredentials(
  req,
  _res,
  next,
) {
  if (hasSeveralCredentials(req)) throw invalidInput('Authorization', 'must be given only once.');
  next();
};

/** Whether it says that a body follows. */
export function announcesBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined;
}

/**
 * A GET with a body is a mistake, nearly always of a proxy that handed the length on and not the
 * body: the next request on the connection would be taken for it, so there is none.
 */
export const closeAfterOddBody: RequestHandler = function closeAfterOddBody(req, res, next) {
  if ((req.method === 'GET' || req.method === 'HEAD') && announcesBody(req)) {
    res.set('Connection', 'close');
    req.resume();
  }
  next();
};
