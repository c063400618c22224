/** The parameters of the JWT history routes, and what is allowed in each. */
import type { Request } from 'express';
import { z } from 'zod';
import { tokenOfParameter } from '../../auth/credentials.js';
import {
  choiceField,
  dateField,
  idField,
  parseBody,
  pastDateField,
  textField,
  userIdField,
  wholeNumberField,
} from '../../http/input.js';
import { ANY_ISSUER, TOKEN_KINDS } from '../../store/records.js';
import { SORT_FIELDS, TOKEN_STATES, type TokenFilter } from '../../store/tokens/query/filter.js';
import type { Registration } from '../../tokens/registrar.js';

/** Of a jti, for `search` to find it: what users' and applications' ids seldom have in common. */
const MIN_JTI_PREFIX = 8;
/** Pages are found by counting from the start: that has to end somewhere. */
const MAX_SKIP = 100_000;

const listFields = {
  page: wholeNumberField(0, MAX_SKIP).default(0),
  limit: wholeNumberField(1, 100).default(40),
  sortField: choiceField(SORT_FIELDS).optional(),
  sort: choiceField(SORT_FIELDS).optional(),
  direction: choiceField(['1', '-1']).default('-1'),
  /** jQuery's cache breaker, which some clients send. */
  _: z.unknown().optional(),
};

const administratorFields = {
  /** `*` = everyone. */
  userId: userIdField().optional(),
  state: choiceField(TOKEN_STATES).optional(),
  kind: choiceField(TOKEN_KINDS).optional(),
  applicationId: idField().optional(),
  search: textField(128).optional(),
};

export function historyQuery(isAdministrator: boolean) {
  return z
    .strictObject(isAdministrator ? { ...listFields, ...administratorFields } : listFields)
    .refine(({ sort, sortField }) => !sort || !sortField || sort === sortField, {
      path: ['sort'],
      error: 'is another name for sortField; give only one of them.',
    })
    .refine(({ page, limit }) => page * limit <= MAX_SKIP, {
      path: ['page'],
      error: `must not lead further than ${MAX_SKIP} records from the start; narrow the list with a filter.`,
    })
    .transform(({ sort, sortField, direction, ...rest }) => ({
      ...(rest as typeof rest & Partial<z.output<z.ZodObject<typeof administratorFields>>>),
      sortField: sortField ?? sort ?? 'createdAt',
      direction: direction === '1' ? (1 as const) : (-1 as const),
    }));
}

export type HistoryQuery = z.output<ReturnType<typeof historyQuery>>;

/** Everybody lists their own tokens; administrators may name somebody else, or `*`. */
export function toTokenFilter(query: HistoryQuery, callerId: string): TokenFilter {
  const { userId, state, kind, applicationId, search } = query;
  return {
    userIds: userId === '*' ? null : [userId ?? callerId],
    state,
    kind,
    applicationId,
    text:
      search === undefined
        ? undefined
        : { value: search, userIds: [], minJtiPrefix: MIN_JTI_PREFIX },
  };
}

const tokenBody = z.strictObject({
  token: z
    .string({ error: 'must be a JWT.' })
    .min(1, { error: 'must be a JWT.' })
    .transform(tokenOfParameter),
});

/** @param now ms since the epoch */
const fieldsBody = (now: number) =>
  z.strictObject({
    jti: idField(),
    userId: userIdField(),
    expiresAt: dateField().nullish(),
    issuedAt: pastDateField(now).nullish(),
    /** '' = a token without `iss`; absent = whoever issued it. */
    issuer: z
      .union([z.literal(''), textField(256)], {
        error: 'must be the claim iss of the token, at most 256 characters, or empty.',
      })
      .refine((issuer) => issuer !== ANY_ISSUER, { error: 'must name one issuer.' })
      .optional(),
    subject: textField(256).nullish(),
    audience: textField(256).nullish(),
    applicationId: idField().nullish(),
    sessionId: idField().nullish(),
    cdata: textField(64).nullish(),
  });

/** A token to register: its text, or its `jti` and what is known of it. @throws ServiceError 400 */
export function parseRegistration(req: Request, now: number): Registration {
  return Object.hasOwn(req.body as object, 'token')
    ? parseBody(req, tokenBody)
    : parseBody(req, fieldsBody(now));
}
