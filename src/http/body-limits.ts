/** What a body may be before anything looks into it: complete in time, neither deep nor wide, without names that mean something to a database or to JavaScript. */
import type { RequestHandler } from 'express';
import { invalidInput, ServiceError } from '../errors.js';
import { isPrintable } from '../tokens/jti.js';
import { announcesBody } from './request-limits.js';

/** From the headers on. Whoever sends them and then waits holds memory, and a right that may be revoked meanwhile. */
const BODY_WITHIN_MS = 5000;
const MAX_BODY_BYTES = 102_400;
const MAX_FIELDS = 100;
/** Of what one field holds: the deepest that any route takes is `eventInfo`. */
const OF_A_FIELD = { depth: 6, members: 5000 } as const;

export interface JsonLimits {
  /** Objects and arrays in one another; `{}` is 1 deep. */
  readonly depth: number;
  /** Keys and elements, at all depths together. */
  readonly members: number;
}

/** The reader, given so long; then 408, and the connection ends. */
export function readInTime(read: RequestHandler, withinMs = BODY_WITHIN_MS): RequestHandler {
  return function readBodyInTime(req, res, next) {
    let isOver = false;
    const end = (error?: unknown) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      next(error);
    };
    const timer = setTimeout(() => {
      res.set('Connection', 'close');
      end(
        new ServiceError(
          'request-timeout',
          `body: must be here within ${withinMs / 1000} s of the headers.`,
        ),
      );
    }, withinMs);
    void read(req, res, end);
  };
}

/** For routes that take no body: one that was announced is waited for all the same, so that what they do comes last. */
export const discardBody: RequestHandler = readInTime(function discard(req, _res, next) {
  if (!announcesBody(req) || req.readableEnded) return next();
  let length = 0;
  req.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) next(tooLarge());
  });
  req.once('error', next);
  req.once('end', () => next());
});

export function tooLarge(): ServiceError {
  const message = 'at most 100 kB are accepted.';
  return new ServiceError('too-large', `body: ${message}`, {
    fields: [{ field: 'body', message }],
  });
}

/**
 * What is wrong with a value that came as JSON; null = nothing. Without recursion, because what is
 * nested thousands deep breaks whatever recurs: JSON.stringify, schemas, and the database engine.
 */
export function describeOddity(value: unknown, { depth, members }: JsonLimits): string | null {
  let count = 0;
  let level: unknown[] = [value];
  for (let reached = 0; level.length > 0; reached += 1) {
    const inner: unknown[] = [];
    for (const each of level) {
      if (typeof each !== 'object' || each === null) continue;
      if (reached >= depth) return `must be nested at most ${depth} deep.`;
      const entries = Object.entries(each);
      count += entries.length;
      if (count > members) return `must have at most ${members} members.`;
      if (entries.some(([key]) => isOddKey(key))) return ODD_KEY;
      for (const [, member] of entries) inner.push(member);
    }
    level = inner;
  }
  return null;
}

const ODD_KEY =
  'must not have keys that begin with $, hold control characters, or are names that JavaScript or the database take for their own (__proto__, _bsontype, …).';
const OWN_NAMES = new Set(['prototype', '_bsontype', 'toBSON', 'toJSON', 'toObject']);

function isOddKey(key: string): boolean {
  return key.startsWith('$') || key in Object.prototype || OWN_NAMES.has(key) || !isPrintable(key);
}

export function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** 400 that names the field; null = nothing is odd. */
export function oddityOfBody(body: object): ServiceError | null {
  const entries = Object.entries(body);
  if (entries.length > MAX_FIELDS)
    return invalidInput('body', `must have at most ${MAX_FIELDS} fields.`);
  for (const [field, value] of entries) {
    if (isOddKey(field)) return invalidInput('body', ODD_KEY);
    const oddity = describeOddity(value, OF_A_FIELD);
    if (oddity !== null) return invalidInput(/^[\w.-]{1,24}$/.test(field) ? field : 'body', oddity);
  }
  return null;
}

/**
 * The same body without what would be refused: an empty object in the place of such a value, so that
 * it is not taken for absent. For where a body's odd part must not keep the rest from being acted on.
 */
export function withoutOddities(body: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(body)
      .slice(0, MAX_FIELDS)
      .filter(([field]) => !isOddKey(field))
      .map(([field, value]) => [field, describeOddity(value, OF_A_FIELD) === null ? value : {}]),
  );
}
