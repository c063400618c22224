/** The parameters of FusionAuth's routes. Its clients send absent arguments as the text `undefined` or `null`: these, and '', count as absent. */
import type { Request } from 'express';
import { z } from 'zod';
import { ServiceError } from '../../errors.js';
import { freeFormField, idField, parseBody, textField, userIdField } from '../../http/input.js';

const absent = (value: unknown) =>
  value === undefined ||
  value === null ||
  value === '' ||
  value === 'undefined' ||
  value === 'null';
const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (absent(value) ? undefined : value), schema.optional());

const MAX_EVENT_INFO = 4096;
/** Kept as given, whatever its fields, within limits. */
const eventInfo = optional(freeFormField(MAX_EVENT_INFO));

const token = optional(
  z.string({ error: 'must be a text.' }).max(512, { error: 'must be at most 512 characters.' }),
);

const loginBody = z.looseObject({
  loginId: z
    .string({ error: 'must be the e-mail address of the account.' })
    .min(1, { error: 'must not be empty.' }),
  password: z
    .string({ error: 'must be a text.' })
    .min(1, { error: 'must not be empty.' })
    .max(256, { error: 'must be at most 256 characters.' }),
  applicationId: optional(idField()),
  noJWT: optional(z.boolean({ error: 'must be true or false.' })),
  metaData: optional(
    z.looseObject({
      device: optional(
        z.looseObject({
          name: optional(textField(128)),
          description: optional(textField(256)),
          type: optional(textField(64)),
        }),
      ),
    }),
  ),
  eventInfo,
});
export const parseLogin = (req: Request) => parseBody(req, loginBody);

const exchangeBody = z.looseObject({
  refreshToken: token,
  token: optional(z.string({ error: 'must be a JWT.' })),
  timeToLiveInSeconds: optional(
    z
      .number({ error: 'must be a whole number of seconds, at least 1.' })
      .int({ error: 'must be a whole number of seconds, at least 1.' })
      .min(1, { error: 'must be a whole number of seconds, at least 1.' }),
  ),
  /** Left out where it can't be kept: a used token that comes back is acted on whatever comes with it. */
  eventInfo: eventInfo.catch(undefined),
});
export const parseExchange = (req: Request) => parseBody(req, exchangeBody);

/** Strict: a misspelt name must not widen what is revoked. */
const criteria = z.strictObject({
  token,
  userId: optional(userIdField()),
  applicationId: optional(idField()),
  eventInfo,
});
export type RevokeCriteria = z.output<typeof criteria>;

/**
 * What a revoke is to hit, from the query and the body together.
 * @throws ServiceError 400 when they contradict each other, or nothing is named: never "everyone".
 */
export function parseRevoke(req: Request): RevokeCriteria {
  const query = readCriteria(req.query);
  const body = readCriteria(req.body);
  for (const name of ['token', 'userId', 'applicationId'] as const) {
    if (query[name] !== undefined && body[name] !== undefined && query[name] !== body[name]) {
      throw new ServiceError('invalid-input', `${name}: differs between the query and the body.`, {
        fields: [{ field: name, message: 'differs between the query and the body.' }],
      });
    }
  }
  const merged = {
    token: query.token ?? body.token,
    userId: query.userId ?? body.userId,
    applicationId: query.applicationId ?? body.applicationId,
    eventInfo: body.eventInfo,
  };
  if (
    merged.token === undefined &&
    merged.userId === undefined &&
    merged.applicationId === undefined
  ) {
    throw new ServiceError(
      'invalid-input',
      'Name what to revoke: token, userId, applicationId, or userId and applicationId.',
    );
  }
  return merged;
}

function readCriteria(input: unknown): RevokeCriteria {
  return parseBody({ body: input }, criteria);
}

const userIdQuery = z.object({ userId: userIdField() });
/** @throws ServiceError 400 without a user id. */
export const parseUserId = (req: Request) =>
  parseBody({ body: absent(req.query['userId']) ? {} : req.query }, userIdQuery).userId;

const logoutInput = z.object({
  global: optional(
    z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')], {
      error: 'must be true or false.',
    }),
  ),
  refreshToken: token,
});
/** Parameter before body. @throws ServiceError 400 */
export function parseLogout(req: Request) {
  const query = parseBody({ body: req.query }, logoutInput);
  const body = parseBody({ body: req.body }, logoutInput);
  return {
    global: query.global ?? body.global ?? false,
    refreshToken: query.refreshToken ?? body.refreshToken,
  };
}
