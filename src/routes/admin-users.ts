/** `/admin/users`: administrators list and create users. */
import { type RequestHandler, Router } from 'express';
import { z } from 'zod';
import type { PasswordHasher } from '../auth/password-hash.js';
import { principalOf } from '../auth/authenticate.js';
import { isEmailAddress, normalizeEmail } from '../email.js';
import { ServiceError } from '../errors.js';
import {
  choiceField,
  parseBody,
  parseJsonBody,
  parseQuery,
  textField,
  wholeNumberField,
} from '../http/input.js';
import { methodNotAllowed } from '../http/problem.js';
import { requestIdOf } from '../http/request-id.js';
import type { Logger } from '../observability/logger.js';
import { DuplicateKeyError } from '../store/failures.js';
import type { NewUser, UserStore } from '../store/users.js';
import { toWireUser } from './user-wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly requireAdministrator: RequestHandler;
  readonly users: UserStore;
  readonly hasher: PasswordHasher;
  readonly log: Logger;
}

const newUserBody = z.strictObject({
  email: z
    .string({ error: 'must be an e-mail address.' })
    .transform(normalizeEmail)
    .refine(isEmailAddress, { error: 'must be an e-mail address.' }),
  password: z
    .string({ error: 'must be a text of 8 to 256 characters.' })
    .min(8, { error: 'must have at least 8 characters.' })
    .max(256, { error: 'must have at most 256 characters.' })
    .refine((value) => value.isWellFormed() && !/\p{Cc}/u.test(value), {
      error: 'must not hold control characters.',
    }),
  firstname: textField(100).nullish(),
  lastname: textField(100).nullish(),
  role: choiceField(['admin']).nullish(),
});

const userListQuery = z.strictObject({
  page: wholeNumberField(0, 100_000).default(0),
  limit: wholeNumberField(1, 100).default(40),
});

export function createAdminUsersRouter(deps: Dependencies): Router {
  const { authenticate, requireAdministrator, users, hasher, log } = deps;
  const router = Router();

  router.get('/admin/users', authenticate, requireAdministrator, async (req, res) => {
    const { page, limit } = parseQuery(req, userListQuery);
    const found = await users.list({ skip: page * limit, limit });
    res
      .set('Cache-Control', 'no-store')
      .json({ perPage: limit, count: found.count, page, users: found.users.map(toWireUser) });
  });

  router.post(
    '/admin/users',
    authenticate,
    requireAdministrator,
    parseJsonBody,
    async (req, res) => {
      const { password, email, firstname, lastname, role } = parseBody(req, newUserBody);
      const user = await insertUser({
        email,
        passwordHash: await hasher.hash(password),
        firstname: firstname ?? null,
        lastname: lastname ?? null,
        role: role ?? null,
      });
      const by = principalOf(req).userId;
      log.info(
        { event: 'user.created', userId: user.id, by, requestId: requestIdOf(res) },
        'user created',
      );
      res.status(201).set('Cache-Control', 'no-store').json(toWireUser(user));
    },
  );

  router.all('/admin/users', methodNotAllowed('GET', 'HEAD', 'POST'));
  return router;

  async function insertUser(user: NewUser) {
    try {
      return await users.insert(user);
    } catch (error) {
      if (!(error instanceof DuplicateKeyError)) throw error;
      throw new ServiceError('conflict', 'email: is taken by another user.', {
        fields: [{ field: 'email', message: 'is taken by another user.' }],
      });
    }
  }
}
