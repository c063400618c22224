/** `/admin/session`: signing in to the dashboard and out again. The session is one of our own tokens, so it is in the history like any other. */
import type { Request, RequestHandler, Router } from 'express';
import { z } from 'zod';
import { authenticateAroundBody, principalOf } from '../../auth/authenticate.js';
import { csrfTokenOf, type DashboardSessions, signedOut } from '../cookie-session.js';
import type { Minting } from '../../auth/minting.js';
import type { PasswordSignIn } from '../../auth/sign-in.js';
import { isEmailAddress } from '../../email.js';
import { parseJsonBody } from '../../http/body.js';
import { clientAddress, clientDevice } from '../../http/client.js';
import { signalOfClient } from '../../http/client-gone.js';
import { parseBody } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import { recordVanished, type Revoker } from '../../revocation/revoke.js';
import { ACTIVE_STATUS, type TokenRecord, type User } from '../../store/records.js';
import type { TokenLookup } from '../../store/tokens/lookup.js';
import type { UserStore } from '../../store/users/users.js';
import type { Claims } from '../../tokens/claims.js';
import type { TokenIssuer } from '../../tokens/issuer.js';
import type { TokenRegistrar } from '../../tokens/registrar.js';
import { DASHBOARD_AUDIENCE } from '../../tokens/verifier.js';
import { toWireUser } from '../../accounts/wire.js';

interface Dependencies {
  readonly signIn: PasswordSignIn['signIn'];
  readonly cookieSessions: DashboardSessions;
  readonly issuer: TokenIssuer;
  readonly minting: Minting;
  readonly users: UserStore;
  readonly tokens: Pick<TokenLookup, 'findByJti'>;
  readonly revoker: Revoker;
  readonly registrar: TokenRegistrar;
  readonly config: {
    readonly dashboardSessionSeconds: number;
    readonly dashboardIdleSeconds: number;
  };
}

export const signInBody = z.strictObject({
  email: z
    .string({ error: 'must be the e-mail address of the account.' })
    .trim()
    .refine(isEmailAddress, { error: 'must be the e-mail address of the account.' }),
  password: z
    .string({ error: 'must be a text.' })
    .min(1, { error: 'must not be empty.' })
    .max(256, { error: 'must be at most 256 characters.' }),
});

export function createAdminSessionRouter(deps: Dependencies): Router {
  const { cookieSessions: sessions, config, users, tokens, revoker, registrar } = deps;
  const { dashboardIdleSeconds: idleSeconds } = config;
  const router = createRouter();

  const signIn: RequestHandler = async (req, res) => {
    const { email, password } = parseBody(req, signInBody);
    const principal = await deps.signIn(email, password, clientAddress(req), signalOfClient(res));
    if (principal === null) throw signedOut('Wrong e-mail or password.');
    const { user } = principal;
    const { id, firstname, lastname } = user;
    // The browser forgets it now: nobody else is to have it either.
    const previous = sessions.claimsOf(req);
    if (previous !== null) await endPrevious(previous, id, requestIdOf(res));
    const { token, record } = await deps.minting.mint(
      principal,
      () =>
        deps.issuer.issueAccessToken({
          origin: 'signin',
          userId: id,
          subject: 'user',
          audience: DASHBOARD_AUDIENCE,
          lifetimeSeconds: config.dashboardSessionSeconds,
          device: { ...clientDevice(req), description: 'Dashboard' },
          claims: { _id: id, email: user.email, firstname, lastname },
        }),
      { door: 'sign-in' },
    );
    sessions.start(req, res, token);
    res
      .status(201)
      .set('Cache-Control', 'no-store')
      .json(toWireSession(user, record, { csrfToken: csrfTokenOf(token), idleSeconds }));
  };

  async function endPrevious(claims: Claims, by: string, requestId: string): Promise<void> {
    const context = { by, via: 'dashboard', reason: 'signed in again', requestId };
    const records = await tokens.findByJti(claims.jti);
    const record = records.find(({ issuer }) => issuer === claims.issuer);
    // Without a record it ended so long ago that nothing is left of it.
    if (record !== undefined) await revoker.revokeRecord(record, context, { keepMinted: true });
  }

  const show: RequestHandler = async (req, res) => {
    const { claims, userId } = cookiePrincipal(req);
    const [user, records] = await Promise.all([
      users.findById(userId),
      tokens.findByJti(claims.jti),
    ]);
    const record = records.find(({ issuer }) => issuer === claims.issuer);
    const isOver = user?.status !== ACTIVE_STATUS || record?.revocation !== null;
    if (user === null || record === undefined || isOver) throw signedOut();
    sessions.renew(req, res);
    const csrfToken = sessions.csrfToken(req);
    res.set('Cache-Control', 'no-store');
    res.json(toWireSession(user, record, { csrfToken, idleSeconds }));
  };

  const signOut: RequestHandler = async (req, res) => {
    const { claims, userId } = cookiePrincipal(req);
    const context = {
      by: userId,
      via: 'dashboard',
      reason: 'signed out',
      requestId: requestIdOf(res),
    };
    const records = await tokens.findByJti(claims.jti);
    const own = records.find(({ issuer }) => issuer === claims.issuer);
    // A token of another service may not have its record yet.
    const record = own ?? (await registrar.register({ token: sessions.tokenOf(req) })).record;
    const revoked = await revoker.revokeRecord(record, context, { keepMinted: true });
    if (revoked === null) throw recordVanished();
    // Not before: without its cookie the page could not ask again after a failure.
    sessions.end(req, res);
    res.status(204).set('Cache-Control', 'no-store').end();
  };

  router.post('/admin/session', sessions.requireSameOrigin, parseJsonBody, signIn);
  router.get('/admin/session', sessions.authenticateCookie, show);
  router.delete(
    '/admin/session',
    sessions.requireSameOrigin,
    authenticateAroundBody(sessions.authenticateCookie),
    signOut,
  );
  router.all('/admin/session', methodNotAllowed('GET', 'HEAD', 'POST', 'DELETE'));
  return router;
}

interface SessionTerms {
  /** To be sent as `X-CSRF-Token` with everything but GET. */
  readonly csrfToken: string;
  /** The page signs out after so long without a touch; so does the cookie. */
  readonly idleSeconds: number;
}

/** @param record of the session's own token. */
export function toWireSession(user: User, record: TokenRecord, terms: SessionTerms) {
  return {
    user: toWireUser(user),
    /** Sees everyone's tokens; anyone else sees their own only, through the same calls. */
    isAdministrator: user.role === 'admin' && user.status === ACTIVE_STATUS,
    tokenId: record.id,
    expiresAt: record.expiresAt,
    ...terms,
  };
}

function cookiePrincipal(req: Request) {
  const principal = principalOf(req);
  if (principal.kind !== 'token') throw signedOut();
  return principal;
}
