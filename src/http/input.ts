/** Input at the edge: query, path and body → typed values, or a 400 that names every offending field and what is allowed. */
import { channel } from 'node:diagnostics_channel';
import type { Request, RequestHandler } from 'express';
import { z } from 'zod';
import { MAX_AHEAD_MS } from '../clock.js';
import { type FieldError, invalidInput, ServiceError } from '../errors.js';
import { canonicalId } from '../store/ids.js';
import { fromFusionAuthId } from '../store/user-uuid.js';
import { isId, isPrintable } from '../tokens/jti.js';
import { describeOddity, isPlainObject } from './body-limits.js';

/** `utf8` is what many write for `utf-8`; there is no other charset of that name. */
export const readCharset: RequestHandler = function readCharset(req, _res, next) {
  const type = req.headers['content-type'];
  if (type !== undefined)
    req.headers['content-type'] = type.replace(/(;\s*charset="?)utf8(?="?\s*(?:;|$))/i, '$1utf-8');
  next();
};

/**
 * The query's parameters. Repeated ones arrive as arrays, so a schema of strings refuses them.
 * @throws ServiceError 400 naming each field that is wrong, and what is allowed.
 */
export function parseQuery<T extends z.ZodType>(req: Request, schema: T): z.output<T> {
  return parse(schema, req.query);
}

/** @throws ServiceError 400 naming each field that is wrong, and what is allowed. */
export function parseBody<T extends z.ZodType>(
  req: { readonly body?: unknown },
  schema: T,
): z.output<T> {
  return parse(schema, req.body);
}

/**
 * A path parameter that is an id of ours or of another issuer, in the form in which ids are compared.
 * @throws ServiceError 400 when it is no id, or the token itself.
 */
export function parseIdParameter(req: Request, name: string): string {
  const value = req.params[name];
  if (!isId(value)) throw invalidInput(name, NO_ID);
  if (isTokenText(value)) throw invalidInput(name, NOT_THE_TOKEN);
  return canonicalId(value);
}

const NO_ID = 'must be 1 to 128 characters, none of them a control character.';
const NOT_THE_TOKEN = 'must be an id, not the token itself.';
const OPAQUE_TOKEN = /^[0-9a-f-]{36}\.[\w-]{43}$/i;
const JWT = /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/;

/** Ids are stored, logged and printed: a token in the place of one would be no secret any more. */
function isTokenText(value: string): boolean {
  return OPAQUE_TOKEN.test(value) || JWT.test(value);
}

/** Told which schemas a request is held against; a test throws odd values at every field of each. */
const asked = channel('jwt-history:schema');

function parse<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  if (asked.hasSubscribers) asked.publish(schema);
  const result = schema.safeParse(input, { error: describeIssue });
  if (result.success) return result.data;
  const fields = withoutRepeats(worthTelling(result.error.issues).flatMap(toFieldErrors));
  const first = fields[0] ?? { field: 'input', message: 'is not as it must be.' };
  throw new ServiceError('invalid-input', summarize(fields) || first.message, { fields });
}

/** For what a schema has no words of its own. */
function describeIssue(issue: z.core.$ZodRawIssue): string {
  if (issue.code !== 'invalid_type') return 'is not as it must be.';
  return `must be ${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}.`;
}

/** Of what is no text at all nobody needs to hear that it is also too short. */
function worthTelling(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  const mistyped = new Set(
    issues.filter(({ code }) => code === 'invalid_type').map(({ path }) => path.join('.')),
  );
  return issues.filter(
    ({ code, path }) => code === 'invalid_type' || !mistyped.has(path.join('.')),
  );
}

/** Each message once, after all the fields that it is about. */
function summarize(fields: readonly FieldError[]): string {
  const names = new Map<string, string[]>();
  for (const { field, message } of fields)
    names.set(message, [...(names.get(message) ?? []), field]);
  return [...names]
    .map(([message, about]) => {
      const said =
        about.length > 1 ? message.replace(NOT_HERE, 'are not parameters here.') : message;
      return `${about.join(', ')}: ${said}`;
    })
    .join(' ');
}

/** Several rules about one field can say the same. */
function withoutRepeats(fields: readonly FieldError[]): FieldError[] {
  return [...new Map(fields.map((each) => [`${each.field}: ${each.message}`, each])).values()];
}

const MAX_NAME = 24;
const NOT_HERE = 'is not a parameter here.';

function toFieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, 5).map((key) => ({
      // Longer than any name here: it may be a value in the place of the name.
      field: key.length > MAX_NAME ? '…' : cleanName(key),
      message: NOT_HERE,
    }));
  }
  return [{ field: cleanName(issue.path.join('.')) || 'body', message: issue.message }];
}

/** A field's name may come from the caller: it is shown cut and without anything unprintable. */
function cleanName(name: string): string {
  return name.replaceAll(/[^\w$.[\]-]/g, '?').slice(0, 64);
}

/** The text of a whole token, somewhere within: ours to refuse wherever it would be kept. */
const TOKEN_WITHIN = /[0-9a-f-]{36}\.[\w-]{43}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/i;

/** A text that people write for people: kept and shown, so no token may be in it. */
export function noteField(max: number) {
  return textField(max).refine((value) => !TOKEN_WITHIN.test(value), {
    error: 'must not hold a token; name it by its id, the part before the dot.',
  });
}

/** A text field: printable, well-formed, `max` characters at most. */
export function textField(max: number) {
  const message = `must be a text of 1 to ${max} characters, without control characters.`;
  return z
    .string({ error: message })
    .min(1, { error: message })
    .refine((value) => [...value].length <= max && isPrintable(value), { error: message });
}

const FREE_FORM = { depth: 5, members: 100 } as const;

/** An object of whatever fields, kept as given: so limited that the database takes it. */
export function freeFormField(maxLength: number) {
  return z
    .custom<Readonly<Record<string, unknown>>>(isPlainObject, {
      error: 'must be an object.',
      abort: true,
    })
    .superRefine((value, { addIssue }) => {
      const oddity = describeOddity(value, FREE_FORM);
      if (oddity !== null) addIssue({ code: 'custom', message: oddity });
      else if (JSON.stringify(value).length > maxLength)
        addIssue({ code: 'custom', message: `must be at most ${maxLength} characters of JSON.` });
    });
}

/** An id: 1–128 characters; in the form in which ids are compared. */
export function idField() {
  return z
    .custom<string>(isId, { error: NO_ID, abort: true })
    .refine((value) => !isTokenText(value), { error: NOT_THE_TOKEN })
    .transform(canonicalId);
}

/** An id of a user, or of another holder; also as `/api/*` shows it. */
export function userIdField() {
  return idField().transform(fromFusionAuthId);
}

/** The same in a path. @throws ServiceError 400 */
export function parseUserIdParameter(req: Request, name: string): string {
  return fromFusionAuthId(parseIdParameter(req, name));
}

/** A whole number given as text in a query. */
export function wholeNumberField(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}.`;
  return z
    .string({ error: message })
    .regex(/^\d{1,9}$/, { error: message })
    .transform(Number)
    .refine((n) => n >= min && n <= max, { error: message });
}

export function choiceField<const T extends readonly string[]>(values: T) {
  return z.enum(values, {
    error: `must be ${values.length > 1 ? 'one of ' : ''}${values.join(', ')}.`,
  });
}

const FIRST_YEAR_MS = Date.parse('1970-01-01T00:00:00Z');
const LAST_YEAR_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** A point in time, as ISO 8601 with a zone; of the years 1970 to 9999. */
export function dateField() {
  return z.iso
    .datetime({
      offset: true,
      error: 'must be an ISO 8601 date and time, such as 2030-01-31T00:00:00Z.',
      abort: true,
    })
    .transform((value) => new Date(value))
    .refine((date) => date.getTime() >= FIRST_YEAR_MS && date.getTime() <= LAST_YEAR_MS, {
      error: 'must be from the years 1970 to 9999.',
    });
}

/** A point in time that was: ahead of `now` (ms) only as far as clocks may differ. */
export function pastDateField(now: number) {
  return dateField().refine((date) => date.getTime() <= now + MAX_AHEAD_MS, {
    error: 'must not be more than 5 minutes in the future.',
  });
}
