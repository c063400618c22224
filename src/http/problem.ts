/**
 * Errors on the wire: `application/problem+json` (RFC 9457) with the members `success` and `msg`
 * that Tiledesk clients read. The one place where an error becomes a response.
 */
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { invalidInput, notFound, ServiceError, unauthenticated } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import { tooLarge } from './body-limits.js';
import { requestIdOf } from './request-id.js';

/** @param onUnavailable called for each answer that is 503 */
export function createProblemHandler(
  log: Logger,
  onUnavailable: () => void = () => undefined,
): ErrorRequestHandler {
  return function renderProblem(error: unknown, req, res, next) {
    const failure = toServiceError(error);
    if (failure.code === 'unavailable') onUnavailable();
    if (failure.status >= 500) {
      const { code } = failure;
      log[levelOf(failure)](
        { err: failure.cause ?? failure, code, requestId: requestIdOf(res), method: req.method },
        failure.message,
      );
    }
    if (res.headersSent) {
      next(error);
      return;
    }
    sendProblem(res, failure);
  };
}

export const refuseUnknownPath: RequestHandler = function refuseUnknownPath() {
  throw notFound('path; see the README for what there is');
};

/** 405 with `Allow`, for the other methods of a path that exists. */
export function methodNotAllowed(...allowed: readonly string[]): RequestHandler {
  return function refuseMethod(req) {
    throw new ServiceError(
      'method-not-allowed',
      `${req.method} is not possible here; ${allowed.join(', ')} ${allowed.length === 1 ? 'is' : 'are'}.`,
      { headers: { Allow: allowed.join(', ') } },
    );
  };
}

function sendProblem(res: Response, failure: ServiceError): void {
  const internal = failure.code === 'internal';
  const msg = internal
    ? `Something went wrong here. The log has it under request ${requestIdOf(res)}.`
    : failure.message;
  res
    .status(failure.status)
    .set(failure.headers)
    .set('Cache-Control', 'no-store')
    .type('application/problem+json')
    .send(
      JSON.stringify({
        type: 'about:blank',
        title: failure.title,
        status: failure.status,
        detail: msg,
        code: failure.code,
        ...(failure.fields.length > 0
          ? { errors: failure.fields.map(({ field, message }) => ({ field, message })) }
          : {}),
        ...(failure.status >= 500 ? { requestId: requestIdOf(res) } : {}),
        success: false,
        msg,
      }),
    );
}

/** An outage is told of by itself; everything else is a mistake of ours. */
export function levelOf({ code }: ServiceError): 'warn' | 'error' {
  return code === 'unavailable' ? 'warn' : 'error';
}

/** Any thrown value → an error of the catalogue. What isn't known there is internal. */
export function toServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error instanceof Error && error.name === 'AuthenticationError') return unauthenticated();
  return (
    fromHttpParser(error) ?? new ServiceError('internal', 'unexpected error', { cause: error })
  );
}

const ENCODINGS = 'must be UTF-8, without compression or with gzip, deflate or br.';

/** What Express and its body parsers throw. Their messages quote the input, so they're not passed on. */
function fromHttpParser(error: unknown): ServiceError | null {
  if (!(error instanceof Error)) return null;
  const { type, status } = error as { type?: unknown; status?: unknown };
  if (error instanceof URIError || type === 'querystring.parse.rangeError') {
    return invalidInput('path', 'is not valid percent-encoding of UTF-8.');
  }
  switch (type) {
    case 'entity.too.large':
      return tooLarge();
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return new ServiceError('unsupported-media-type', `body: ${ENCODINGS}`, {
        fields: [{ field: 'body', message: ENCODINGS }],
      });
    case 'entity.parse.failed':
      return invalidInput('body', 'must be a JSON object.');
    case 'too.many.parameters':
    case 'parameters.too.many':
      return invalidInput('body', 'has too many parameters.');
    default:
      return typeof status === 'number' && status >= 400 && status < 500
        ? invalidInput('body', 'could not be read.')
        : null;
  }
}
