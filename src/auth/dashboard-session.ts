/**
 * The dashboard's way in: its session cookie, which holds one of our own tokens, or an
 * `Authorization` header as anywhere else. A cookie comes along by itself, so whatever changes
 * something must also come from the page itself and bring the session's CSRF token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import { ServiceError, unauthenticatedWithoutBasic } from '../errors.js';
import { clearCookie, readCookie, SESSION_COOKIE, setCookie } from '../http/cookies.js';
import { clientDevice } from '../http/client.js';
import type { CheckToken } from '../tokens/token-check.js';
import type { NoteRefused } from './strategies.js';
import type { Claims } from '../tokens/claims.js';

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
  /** Only a page of ours can know it: it's derived from the token in the cookie, which no script can read. */
  csrfToken(req: Request): string;
}

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly checkToken: CheckToken;
  readonly noteRefused: NoteRefused;
  /** The cookie is forgotten after so long without a request. */
  readonly idleSeconds: number;
  readonly now: () => number;
}

const STREAM = '/admin/events/stream';
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createDashboardSessions(deps: Dependencies): DashboardSessions {
  async function claimsOfCookie(req: Request, res: Response): Promise<Claims> {
    const token = readCookie(req, SESSION_COOKIE);
    const checked =
      token === undefined ? null : await deps.checkToken(token, () => clientDevice(req));
    if (checked !== null) deps.noteRefused(req, checked);
    if (checked === null || !checked.accepted) {
      if (token !== undefined) clearCookie(req, res, SESSION_COOKIE);
      throw signedOut();
    }
    return checked.claims;
  }

  const start: DashboardSessions['start'] = (req, res, token) => {
    setCookie(req, res, SESSION_COOKIE, token, new Date(deps.now() + deps.idleSeconds * 1000));
  };

  const renew: DashboardSessions['renew'] = (req, res) => {
    start(req, res, readCookie(req, SESSION_COOKIE) ?? '');
  };

  const authenticateCookie: RequestHandler = async function authenticateCookie(req, res, next) {
    const claims = await claimsOfCookie(req, res);
    if (!SAFE_METHODS.has(req.method)) {
      assertSameOrigin(req);
      assertCsrfToken(req);
    }
    req.user = { principal: { kind: 'token', userId: claims.userId, claims } };
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
      assertSameOrigin(req);
      next();
    },
    start,
    end: (req, res) => clearCookie(req, res, SESSION_COOKIE),
    tokenOf: (req) => readCookie(req, SESSION_COOKIE) ?? '',
    csrfToken: (req) => csrfTokenOf(readCookie(req, SESSION_COOKIE) ?? ''),
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

/** Browsers say where a request comes from; without a word it isn't a browser's, and carries no cookie by itself. */
function assertSameOrigin(req: Request): void {
  const site = req.get('sec-fetch-site');
  const origin = req.get('origin');
  const isSame =
    site !== undefined
      ? site === 'same-origin'
      : origin === undefined || hostOf(origin) === req.host;
  if (!isSame) {
    throw new ServiceError(
      'forbidden',
      'This must be asked for by the dashboard itself, not by another page.',
    );
  }
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

function assertCsrfToken(req: Request): void {
  const given = Buffer.from(req.get('x-csrf-token') ?? '');
  const expected = Buffer.from(csrfTokenOf(readCookie(req, SESSION_COOKIE) ?? ''));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new ServiceError(
      'forbidden',
      'X-CSRF-Token: must be the csrfToken that GET /admin/session answers; load the page anew.',
    );
  }
}
