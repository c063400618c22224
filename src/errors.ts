/**
 * The error catalogue: every failure that a caller can meet, with its HTTP status and its title.
 * How an error looks on the wire is each dialect's business (`http/problem.ts` and its siblings).
 */

const catalogue = {
  'invalid-input': { status: 400, title: 'Invalid input' },
  unauthenticated: { status: 401, title: 'Unauthorized' },
  forbidden: { status: 403, title: 'Forbidden' },
  'not-found': { status: 404, title: 'Not found' },
  'method-not-allowed': { status: 405, title: 'Method not allowed' },
  'request-timeout': { status: 408, title: 'Request timeout' },
  conflict: { status: 409, title: 'Conflict' },
  'too-large': { status: 413, title: 'Body too large' },
  'unsupported-media-type': { status: 415, title: 'Unsupported media type' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'too-many-headers': { status: 431, title: 'Request header fields too large' },
  /** Nobody reads the answer; the status is what nginx logs then. */
  'client-gone': { status: 499, title: 'Client closed the connection' },
  internal: { status: 500, title: 'Internal error' },
  unavailable: { status: 503, title: 'Service unavailable' },
} as const;

export type ErrorCode = keyof typeof catalogue;

/** One offending field: where it is, and what is allowed there. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
  /** FusionAuth's kind of error, where it isn't `invalid`. */
  readonly code?: 'blank' | 'missing';
}

interface ErrorExtras {
  readonly fields?: readonly FieldError[];
  /** Response headers that belong to this error, such as `Allow` or `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What really happened; for the log only. */
  readonly cause?: unknown;
}

const BEARER = 'Bearer realm="Users"';

/** What each answer with this status must have (RFC 9110 sections 10.2.3 and 15.5.2, RFC 6585 section 4), unless the error knows better. */
const OBLIGATORY_HEADERS: Partial<Record<ErrorCode, Readonly<Record<string, string>>>> = {
  unauthenticated: { 'WWW-Authenticate': BEARER },
  'too-many-requests': { 'Retry-After': '1' },
  unavailable: { 'Retry-After': '1' },
};

/** An error whose `message` may be shown to the caller. The cause never is. */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly title: string;
  readonly fields: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'ServiceError';
    this.code = code;
    this.status = catalogue[code].status;
    this.title = catalogue[code].title;
    this.fields = extras.fields ?? [];
    this.headers = { ...OBLIGATORY_HEADERS[code], ...extras.headers };
  }
}

/** 400 for one field; the message says what is allowed. */
export function invalidInput(field: string, message: string): ServiceError {
  return new ServiceError('invalid-input', `${field}: ${message}`, {
    fields: [{ field, message }],
  });
}

/** 401. The same words for every reason: a caller without valid credentials learns nothing. */
export function unauthenticated(): ServiceError {
  return new ServiceError(
    'unauthenticated',
    'Valid credentials are needed: Authorization: Basic (email and password), JWT or Bearer.',
    {
      headers: { 'WWW-Authenticate': `Basic realm="Users", charset="UTF-8", ${BEARER}` },
    },
  );
}

/**
 * 401 where e-mail and password are no credentials: browsers open a password dialog on a Basic
 * challenge, and nothing that is typed there could ever be right.
 */
export function unauthenticatedWithoutBasic(message = 'A valid token is needed.'): ServiceError {
  return new ServiceError('unauthenticated', message);
}

export function forbidden(): ServiceError {
  return new ServiceError('forbidden', 'Only administrators may do this.');
}

/** 404, for what does not exist and for what belongs to somebody else, alike. */
export function notFound(what: string): ServiceError {
  return new ServiceError('not-found', `No such ${what}.`);
}

/** 503: the outcome is unknown or can't be known now; repeating the request is safe. */
export function unavailable(message: string, cause?: unknown, retryAfterSeconds = 1): ServiceError {
  return new ServiceError('unavailable', message, {
    headers: { 'Retry-After': String(retryAfterSeconds) },
    cause,
  });
}
