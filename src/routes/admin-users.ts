/** `/admin/users`: administrators list and create users, and set their passwords. */
import { type RequestHandler, Router } from 'express';
import { z } from 'zod';
import type { PasswordHasher } from '../auth/password-hash.js';
import { principalOf } from '../auth/authenticate.js';
import type { PasswordSignIn } from '../auth/sign-in.js';
import { isEmailAddress, normalizeEmail } from '../email.js';
import { notFound, ServiceError } from '../errors.js';
import {
  choiceField,
  parseBody,
  parseIdParameter,
  parseJsonBody,
  parseQuery,
  textField,
  wholeNumberField,
} from '../http/input.js';
import { methodNotAllowed } from '../http/problem.js';
import { requestIdOf } from '../http/request-id.js';
import type { Trail } from '../audit/trail.js';
import type { Logger } from '../observability/logger.js';
import type { Revoker } from '../revocation/revoke.js';
import { DuplicateKeyError } from '../store/failures.js';
import type { NewUser, UserStore } from '../store/users.js';
import { toWireUser } from './user-wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly requireAdministrator: RequestHandler;
  readonly users: UserStore;
  readonly hasher: PasswordHasher;
  readonly passwordSignIn: Pick<PasswordSignIn, 'forgetVerified'>;
  readonly revoker: Revoker;
  readonly log: Logger;
  readonly trail: Pick<Trail, 'record'>;
}

const passwordField = z
  .string({ error: 'must be a text of 8 to 256 characters.' })
  .min(8, { error: 'must have at least 8 characters.' })
  .max(256, { error: 'must have at most 256 characters.' })
  .refine((value) => value.isWellFormed() && !/\p{Cc}/u.test(value), {
    error: 'must not hold control characters.',
  });

const newUserBody = z.strictObject({
  email: z
    .string({ error: 'must be an e-mail address.' })
    .transform(normalizeEmail)
    .refine(isEmailAddress, { error: 'must be an e-mail address.' }),
  password: passwordField,
  firstname: textField(100).nullish(),
  lastname: textField(100).nullish(),
  role: choiceField(['admin']).nullish(),
});

const passwordBody = z.strictObject({ password: passwordField });

const userListQuery = z.strictObject({
  /** The beginning of an e-mail address. */
  search: textField(254).transform(normalizeEmail).optional(),
  page: wholeNumberField(0, 100_000).default(0),
  limit: wholeNumberField(1, 100).default(40),
});

export function createAdminUsersRouter(deps: Dependencies): Router {
  const { authenticate, requireAdministrator, users, hasher, passwordSignIn, revoker, log, trail } =
    deps;
  const router = Router();

  router.get('/admin/users', authenticate, requireAdministrator, async (req, res) => {
    const { page, limit, search } = parseQuery(req, userListQuery);
    const found = await users.list({ skip: page * limit, limit, emailPrefix: search });
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
      const act = { userId: user.id, by: principalOf(req).userId, requestId: requestIdOf(res) };
      trail.record({ type: 'user.created', via: 'admin', ...act });
      log.info({ event: 'user.created', ...act }, 'user created');
      res.status(201).set('Cache-Control', 'no-store').json(toWireUser(user));
    },
  );

  router.post(
    '/admin/users/:id/password',
    authenticate,
    requireAdministrator,
    parseJsonBody,
    async (req, res) => {
      const { password } = parseBody(req, passwordBody);
      const id = parseIdParameter(req, 'id');
      const user = await users.setPassword(id, await hasher.hash(password));
      if (user === null) throw notFound('user');
      passwordSignIn.forgetVerified();
      const context = {
        by: principalOf(req).userId,
        via: 'dashboard',
        reason: 'password changed',
        requestId: requestIdOf(res),
      };
      // Whoever knew the old password may hold tokens. When this fails, asking again is safe.
      await revoker.revokeScope(
        { userId: user.id, applicationId: null, sessionsOnly: false },
        context,
      );
      const { by, via, requestId } = context;
      trail.record({ type: 'password.changed', userId: user.id, by, via, requestId });
      log.info({ event: 'password.changed', userId: user.id, by, requestId }, 'password changed');
      res.status(204).set('Cache-Control', 'no-store').end();
    },
  );

  router.all('/admin/users', methodNotAllowed('GET', 'HEAD', 'POST'));
  router.all('/admin/users/:id/password', methodNotAllowed('POST'));
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
