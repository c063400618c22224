/**
 * Errors as FusionAuth's clients read them: `application/json` with `fieldErrors` and
 * `generalErrors`; 401 and 404 without a body.
 */
import type { ErrorRequestHandler } from 'express';
import type { ServiceError } from '../../errors.js';
import type { Logger } from '../../observability/logger.js';
import { levelOf, toServiceError } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';

/** @param onUnavailable called for each answer that is 503 */
export function createFusionAuthErrorHandler(
  log: Logger,
  onUnavailable: () => void = () => undefined,
): ErrorRequestHandler {
  return function renderFusionAuthError(error: unknown, _req, res, next) {
    const failure = toServiceError(error);
    const requestId = requestIdOf(res);
    if (failure.code === 'unavailable') onUnavailable();
    if (failure.status >= 500) {
      log[levelOf(failure)](
        { err: failure.cause ?? failure, code: failure.code, requestId },
        failure.message,
      );
    }
    if (res.headersSent) {
      next(error);
      return;
    }
    res.status(failure.status).set(failure.headers).set('Cache-Control', 'no-store');
    if (failure.status === 401 || failure.status === 404) res.end();
    else res.json(toBody(failure, requestId));
  };
}

function toBody(failure: ServiceError, requestId: string) {
  const fieldErrors: Record<string, { code: string; message: string }[]> = Object.create(null);
  for (const { field, message, code } of failure.fields) {
    (fieldErrors[field] ??= []).push({
      code: `[${code ?? 'invalid'}]${field}`,
      message: `${field}: ${message}`,
    });
  }
  const message =
    failure.code === 'internal'
      ? `Something went wrong here. The log has it under request ${requestId}.`
      : failure.message;
  const generalErrors = failure.fields.length > 0 ? [] : [{ code: `[${failure.code}]`, message }];
  return { fieldErrors, generalErrors };
}
