/** `/admin/users`: administrators list and create users, set their passwords, disable, enable and delete them. */
import type { Request, RequestHandler, Router } from 'express';
import { z } from 'zod';
import type { PasswordHasher } from '../../auth/password-hash.js';
import type { Accounts } from '../../accounts/accounts.js';
import { authenticateAroundBody, principalOf } from '../../auth/authenticate.js';
import type { ConfirmCaller } from '../../auth/confirm-caller.js';
import { isEmailAddress, normalizeEmail } from '../../email.js';
import { notFound, ServiceError } from '../../errors.js';
import { parseJsonBody } from '../../http/body.js';
import {
  choiceField,
  parseBody,
  parseUserIdParameter,
  parseQuery,
  textField,
  wholeNumberField,
} from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import type { Trail } from '../../audit/trail.js';
import type { Logger } from '../../observability/logger.js';
import type { RevocationContext } from '../../audit/report.js';
import type { User } from '../../store/records.js';
import { DuplicateKeyError } from '../../store/database/failures.js';
import type { NewUser, UserStore } from '../../store/users/users.js';
import { revokeBody, toReason } from './reason.js';
import { toWireUser } from '../../accounts/wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly requireAdministrator: RequestHandler;
  readonly users: UserStore;
  readonly hasher: PasswordHasher;
  readonly accounts: Accounts;
  readonly confirmCaller: ConfirmCaller;
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

export const newUserBody = z.strictObject({
  email: z
    .string({ error: 'must be an e-mail address.' })
    .transform(normalizeEmail)
    .refine(isEmailAddress, { error: 'must be an e-mail address.' }),
  password: passwordField,
  firstname: textField(100).nullish(),
  lastname: textField(100).nullish(),
  role: choiceField(['admin']).nullish(),
});

export const passwordBody = z.strictObject({ password: passwordField });

const userListQuery = z.strictObject({
  /** The beginning of an e-mail address. */
  search: textField(254).transform(normalizeEmail).optional(),
  page: wholeNumberField(0, 100_000).default(0),
  limit: wholeNumberField(1, 100).default(40),
});

export function createAdminUsersRouter(deps: Dependencies): Router {
  const { authenticate, requireAdministrator, users, hasher, accounts, confirmCaller, log, trail } =
    deps;
  const router = createRouter();

  const steps = [authenticateAroundBody(authenticate, parseJsonBody), requireAdministrator].flat();

  router.get('/admin/users', authenticate, requireAdministrator, async (req, res) => {
    const { page, limit, search } = parseQuery(req, userListQuery);
    const found = await users.list({ skip: page * limit, limit, emailPrefix: search });
    res.set('Cache-Control', 'no-store').json(toWireUserPage(found, page, limit));
  });

  const create: RequestHandler = async (req, res) => {
    const { password, email, firstname, lastname, role } = parseBody(req, newUserBody);
    await confirmCaller(principalOf(req), 'administrator');
    // Hashing waits for its turn, and whoever asked for it may have been revoked meanwhile.
    const passwordHash = await hasher.hash(password);
    await confirmCaller(principalOf(req), 'administrator');
    const user = await insertUser({
      email,
      passwordHash,
      firstname: firstname ?? null,
      lastname: lastname ?? null,
      role: role ?? null,
    });
    const about = { userId: user.id, by: principalOf(req).userId, requestId: requestIdOf(res) };
    trail.record({ type: 'user.created', via: 'admin', ...about });
    log.info({ event: 'user.created', ...about }, 'user created');
    res.status(201).set('Cache-Control', 'no-store').json(toWireUser(user));
  };

  const setPassword: RequestHandler = async (req, res) => {
    const { password } = parseBody(req, passwordBody);
    const id = parseUserIdParameter(req, 'id');
    await confirmCaller(principalOf(req), 'administrator');
    // Hashing waits for its turn, and whoever asked for it may have been revoked meanwhile.
    const passwordHash = await hasher.hash(password);
    await confirmCaller(principalOf(req), 'administrator');
    const user = await accounts.setPassword(id, passwordHash, contextOf(req, 'password changed'));
    if (user === null) throw notFound('user');
    res.status(204).set('Cache-Control', 'no-store').end();
  };

  /** Disabling, enabling, deleting: not one's own account, so that an administrator is always left. */
  function act(name: 'disable' | 'enable' | 'remove'): RequestHandler {
    return async function actOnUser(req, res) {
      const reason = toReason(parseBody(req, revokeBody));
      const id = parseUserIdParameter(req, 'id');
      await confirmCaller(principalOf(req), 'administrator');
      if (id.toLowerCase() === principalOf(req).userId.toLowerCase()) {
        throw new ServiceError('conflict', 'This is your own account; ask another administrator.');
      }
      const user = await accounts[name](id, contextOf(req, reason));
      if (user === null) throw notFound('user');
      res.set('Cache-Control', 'no-store');
      if (name === 'remove') res.status(204).end();
      else res.json(toWireUser(user));
    };
  }

  router.post('/admin/users', steps, create);
  router.post('/admin/users/:id/password', steps, setPassword);
  router.post('/admin/users/:id/disable', steps, act('disable'));
  router.post('/admin/users/:id/enable', steps, act('enable'));
  router.delete('/admin/users/:id', steps, act('remove'));
  router.all('/admin/users', methodNotAllowed('GET', 'HEAD', 'POST'));
  router.all('/admin/users/:id', methodNotAllowed('DELETE'));
  for (const name of ['password', 'disable', 'enable'])
    router.all(`/admin/users/:id/${name}`, methodNotAllowed('POST'));
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

export function toWireUserPage(
  found: { readonly users: readonly User[]; readonly count: number },
  page: number,
  perPage: number,
) {
  return { perPage, count: found.count, page, users: found.users.map(toWireUser) };
}

function contextOf(req: Request, reason: string): RevocationContext {
  return {
    by: principalOf(req).userId,
    via: 'dashboard',
    reason,
    requestId: req.res === undefined ? '' : requestIdOf(req.res),
  };
}
