/** The passport middleware of every protected route: Basic or a token, `session: false`, `req.user` on success. */
import type { Request, RequestHandler } from 'express';
import passport from 'passport';
import { forbidden, ServiceError, unauthenticated } from '../errors.js';
import { discardBody } from '../http/body-limits.js';
import type { SigningKeys } from '../tokens/keys.js';
import type { UserStore } from '../store/users/users.js';
import { isUser } from '../store/ids.js';
import { ACTIVE_STATUS, type User } from '../store/records.js';
import type { CheckCredentials } from './check-credentials.js';
import type { Principal } from './principal.js';
import type { PasswordSignIn } from './sign-in.js';
import { type NoteRefused, PasswordStrategy, TokenStrategy } from './strategies.js';

interface Dependencies {
  readonly signIn: PasswordSignIn['signIn'];
  readonly checkCredentials: CheckCredentials;
  readonly keys: SigningKeys;
  readonly noteRefused?: NoteRefused;
}

export function createAuthenticate({
  signIn,
  checkCredentials,
  keys,
  noteRefused = () => undefined,
}: Dependencies): RequestHandler {
  const authenticator = new passport.Passport();
  authenticator.use('jwt', new TokenStrategy(checkCredentials, keys, noteRefused));
  authenticator.use('basic', new PasswordStrategy(signIn));
  // On failure passport hands an AuthenticationError to the error handler, which answers 401.
  return authenticator.authenticate(['jwt', 'basic'], {
    session: false,
    failWithError: true,
  }) as RequestHandler;
}

/**
 * The way to whatever changes something: the credentials are asked for before the body is read, so
 * that nobody's is read in vain, and again once it is here. Whoever holds it back can't act with a
 * token, a session or a password that was revoked meanwhile. The role is asked for after these steps.
 */
export function authenticateAroundBody(
  authenticate: RequestHandler,
  readBody: RequestHandler = discardBody,
): RequestHandler[] {
  return [authenticate, readBody, authenticate];
}

/** The caller, on a route behind `authenticate`. @throws ServiceError 401 on any other route. */
export function principalOf(req: Request): Principal {
  if (!req.user) throw unauthenticated();
  return req.user.principal;
}

/**
 * The caller, if it is a user: whatever is made for somebody is made for users only. Guests, bots and
 * their like see and revoke what they hold, and get nothing new.
 * @throws ServiceError 403 for any other kind of holder.
 */
export function userPrincipalOf(req: Request): Principal {
  const principal = principalOf(req);
  if (isUser(principal.userId)) return principal;
  throw new ServiceError('forbidden', 'Only users can have tokens made for them.');
}

/**
 * Whether this principal is an administrator now: asked of the store, so that a lost role counts at
 * once. No other kind of holder ever has a role, whatever its id.
 */
export async function isAdministrator(
  principal: Pick<Principal, 'userId'>,
  users: UserStore,
): Promise<boolean> {
  if (!isUser(principal.userId)) return false;
  const user = await users.findById(principal.userId);
  return user !== null && isActiveAdministrator(user);
}

/** Those of these users who are administrators now. */
export async function administratorsAmong(
  userIds: readonly string[],
  users: Pick<UserStore, 'findByIds'>,
): Promise<ReadonlySet<string>> {
  const found = await users.findByIds(userIds.filter(isUser));
  return new Set(found.filter(isActiveAdministrator).map(({ id }) => id));
}

function isActiveAdministrator({ role, status }: User): boolean {
  return role === 'admin' && status === ACTIVE_STATUS;
}

/** Who asks, and whether everyone's tokens are theirs to see. */
export interface Caller {
  readonly userId: string;
  readonly isAdministrator: boolean;
}

/** @throws ServiceError 401 on a route that is not behind `authenticate`; 503 when the store fails. */
export async function callerOf(req: Request, users: UserStore): Promise<Caller> {
  const principal = principalOf(req);
  return { userId: principal.userId, isAdministrator: await isAdministrator(principal, users) };
}

/**
 * The id of the token that the request came with; null for a password.
 * @throws ServiceError 401 on a route that is not behind `authenticate`.
 */
export function ownJti(req: Request): string | null {
  const principal = principalOf(req);
  return principal.kind === 'token' ? principal.claims.jti : null;
}

/** Lets administrators pass; everybody else gets 403. */
export function createRequireAdministrator(users: UserStore): RequestHandler {
  return async function requireAdministrator(req, _res, next) {
    if (!(await isAdministrator(principalOf(req), users))) throw forbidden();
    next();
  };
}
