/**
 * The dashboard's way in: its session cookie, which holds a token that is good for nothing else, or
 * an `Authorization` header as anywhere else. A cookie comes along by itself, so it is taken from our
 * own page only, and whatever changes something must bring the session's CSRF token too.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import type { Clock } from '../clock.js';
import { ServiceError, unauthenticatedWithoutBasic } from '../errors.js';
import { clearCookie, readCookie, SESSION_COOKIE, setCookie } from '../http/cookies.js';
import { clientDevice } from '../http/client.js';
import { isFromOwnPage } from '../http/same-origin.js';
import type { CheckToken } from '../tokens/token-check.js';
import type { NoteRefused } from '../auth/strategies.js';
import type { Claims } from '../tokens/claims.js';
import { DASHBOARD_AUDIENCE } from '../tokens/verifier.js';
import type { TokenPrincipal } from '../auth/principal.js';
import type { SessionStamps } from './session-stamp.js';

export interface DashboardSessions {
  /** For `/admin/*`: by cookie or by `Authorization`. */
  readonly authenticate: RequestHandler;
  /** Accepts the cookie only: what is asked is about the session itself. */
  readonly authenticateCookie: RequestHandler;
  /** Refuses requests that another site (or another port) made the browser send. */
  readonly requireSameOrigin: RequestHandler;
  start(req: Request, res: Response, token: string): void;
  /** The idle time begins anew. */
  renew(req: Request, res: Response): void;
  end(req: Request, res: Response): void;
  /** The session's own token, from its cookie. */
  tokenOf(req: Request): string;
  /** The session that the browser has, in whatever state it is; null = none. */
  claimsOf(req: Request): Claims | null;
  /** Only a page of ours can know it: it's derived from the token in the cookie, which no script can read. */
  csrfToken(req: Request): string;
}

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly checkToken: CheckToken;
  /** Is this a token of ours at all? */
  readonly identify: (token: string) => Claims | null;
  readonly stamps: SessionStamps;
  readonly noteRefused: NoteRefused;
  /** After so long without a request the cookie is good for nothing, and forgotten. */
  readonly config: { readonly dashboardIdleSeconds: number };
  readonly clock: Clock;
}

const STREAM = '/admin/events/stream';
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createDashboardSessions(deps: Dependencies): DashboardSessions {
  const stampedOf = (req: Request) => deps.stamps.open(readCookie(req, SESSION_COOKIE) ?? '');
  const tokenOf = (req: Request) => stampedOf(req)?.token ?? '';
  const isIdle = (usedAt: number) =>
    deps.clock() >= usedAt + deps.config.dashboardIdleSeconds * 1000;

  async function principalOfCookie(req: Request, res: Response): Promise<TokenPrincipal> {
    const stamped = stampedOf(req);
    const checked =
      stamped === null || isIdle(stamped.usedAt)
        ? null
        : await deps.checkToken(stamped.token, () => clientDevice(req), 'dashboard');
    if (checked !== null) deps.noteRefused(req, checked);
    if (stamped === null || checked === null || !checked.accepted) {
      if (readCookie(req, SESSION_COOKIE) !== undefined) clearCookie(req, res, SESSION_COOKIE);
      throw signedOut();
    }
    const { claims } = checked;
    const idleAt = stamped.usedAt + deps.config.dashboardIdleSeconds * 1000;
    return { kind: 'token', userId: claims.userId, claims, idleAt };
  }

  const start: DashboardSessions['start'] = (req, res, token) => {
    const now = deps.clock();
    const cookie = deps.stamps.seal(token, now);
    setCookie(
      req,
      res,
      SESSION_COOKIE,
      cookie,
      new Date(now + deps.config.dashboardIdleSeconds * 1000),
    );
  };

  const renew: DashboardSessions['renew'] = (req, res) => start(req, res, tokenOf(req));

  const authenticateCookie: RequestHandler = async function authenticateCookie(req, res, next) {
    const principal = await principalOfCookie(req, res);
    const changes = !SAFE_METHODS.has(req.method);
    // What only reads costs something too, begins the idle time anew, and takes places.
    assertOwnPage(req, !changes);
    if (changes) assertCsrfToken(req, tokenOf(req));
    req.user = { principal };
    next();
  };

  return {
    authenticate: function authenticateDashboard(req, res, next) {
      if (req.headers.authorization !== undefined) return deps.authenticate(req, res, next);
      return authenticateCookie(req, res, (error?: unknown) => {
        // The stream connects by itself, so it's no sign of anybody being there.
        if (error === undefined && req.path !== STREAM) renew(req, res);
        next(error);
      });
    },
    authenticateCookie,
    renew,
    requireSameOrigin: function requireSameOrigin(req, _res, next) {
      assertOwnPage(req, false);
      next();
    },
    start,
    end: (req, res) => clearCookie(req, res, SESSION_COOKIE),
    tokenOf,
    claimsOf(req) {
      const stamped = stampedOf(req);
      const claims = stamped === null ? null : deps.identify(stamped.token);
      return claims?.audience === DASHBOARD_AUDIENCE ? claims : null;
    },
    csrfToken: (req) => csrfTokenOf(tokenOf(req)),
  };
}

export function csrfTokenOf(sessionToken: string): string {
  return createHash('sha256').update(`jwt-history csrf\n${sessionToken}`).digest('base64url');
}

/** 401 without a Basic challenge: with one, the browser would ask for a password by itself. */
export function signedOut(message?: string): ServiceError {
  return unauthenticatedWithoutBasic(
    message ?? 'Sign in first: there is no session here, or it has ended.',
  );
}

function assertOwnPage(req: Request, typed: boolean): void {
  if (isFromOwnPage(req, { typed })) return;
  throw new ServiceError(
    'forbidden',
    'This must be asked for by the dashboard itself, not by another page.',
  );
}

function assertCsrfToken(req: Request, sessionToken: string): void {
  const given = Buffer.from(req.get('x-csrf-token') ?? '');
  const expected = Buffer.from(csrfTokenOf(sessionToken));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new ServiceError(
      'forbidden',
      'X-CSRF-Token: must be the csrfToken that GET /admin/session answers; load the page anew.',
    );
  }
}
