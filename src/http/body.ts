/** The body, read as JSON or a form, within its limits; or why it can't be: 400, 408, 413, 415. */
import express, { type NextFunction, type Request, type RequestHandler } from 'express';
import { invalidInput, ServiceError } from '../errors.js';
import { isPlainObject, oddityOfBody, readInTime, withoutOddities } from './body-limits.js';
import { announcesBody } from './request-limits.js';

const MAX_BODY = '100kb';

const readJson = express.json({ limit: MAX_BODY });
const readAnyJson = express.json({ limit: MAX_BODY, strict: false });
const readForm = express.urlencoded({ extended: false, limit: MAX_BODY });

/** Reads a JSON object; anything else is 400 or 415. */
export const parseJsonBody: RequestHandler = readInTime(function parseJsonBody(req, res, next) {
  readJson(req, res, (error?: unknown) => {
    if (error !== undefined) next(error);
    else if (req.body === undefined) next(notJson());
    else acceptObject(req, next);
  });
});

/**
 * Reads a JSON object where there may be none: no body, an empty one, `null` and `[]` are `{}`. What
 * can't be read is 415, because without it the request could mean more than was meant.
 */
export const parseOptionalBody: RequestHandler = optionalReader([readAnyJson, readForm], {
  refusal: notJsonNorForm,
  accept: acceptObject,
});

/** The same, JSON only; what is odd in it is left out: what follows must be done whatever else was sent along. */
export const parseOptionalJson: RequestHandler = optionalReader([readAnyJson], {
  refusal: notJson,
  accept: acceptLeniently,
});

/** The same, or a form. */
export const parseLenientBody: RequestHandler = optionalReader([readAnyJson, readForm], {
  refusal: notJsonNorForm,
  accept: acceptLeniently,
});

function optionalReader(
  [read, readOther]: readonly [RequestHandler, RequestHandler?],
  { refusal, accept }: { refusal: () => ServiceError; accept: typeof acceptObject },
): RequestHandler {
  return readInTime(function readOptional(req, res, next) {
    const end = (error?: unknown) => {
      if (error !== undefined) next(error);
      else if (req.body === undefined && announcesBody(req)) next(refusal());
      else {
        if (isNothing(req.body)) req.body = {};
        accept(req, next);
      }
    };
    void read(req, res, (error?: unknown) => {
      if (error !== undefined || req.body !== undefined || readOther === undefined) end(error);
      else void readOther(req, res, end);
    });
  });
}

function acceptObject(req: Request, next: NextFunction): void {
  if (isPlainObject(req.body)) next(oddityOfBody(req.body) ?? undefined);
  else next(invalidInput('body', 'must be a JSON object.'));
}

function acceptLeniently(req: Request, next: NextFunction): void {
  if (!isPlainObject(req.body)) return next(invalidInput('body', 'must be a JSON object.'));
  req.body = withoutOddities(req.body);
  next();
}

function isNothing(body: unknown): boolean {
  return body === undefined || body === null || (Array.isArray(body) && body.length === 0);
}

/** 415 unless the request says `Content-Type: application/json`. */
export const requireJsonContentType: RequestHandler = function requireJsonContentType(
  req,
  _res,
  next,
) {
  const type = (req.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw notJson();
  next();
};

function notJson(): ServiceError {
  return wrongContentType('must be application/json.');
}

function notJsonNorForm(): ServiceError {
  return wrongContentType('must be application/json or application/x-www-form-urlencoded.');
}

function wrongContentType(message: string): ServiceError {
  return new ServiceError('unsupported-media-type', `Content-Type: ${message}`, {
    fields: [{ field: 'Content-Type', message }],
  });
}
