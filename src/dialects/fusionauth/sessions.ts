/** A session's life as its own client leads it: login, exchange, logout, validate; by body or by cookie. */
import type { Request, RequestHandler, Response } from 'express';
import { parseAuthorization } from '../../auth/credentials.js';
import type { Minting } from '../../auth/minting.js';
import type { PasswordSignIn } from '../../auth/sign-in.js';
import type { NoteRefused } from '../../auth/strategies.js';
import { notFound, ServiceError, unauthenticatedWithoutBasic } from '../../errors.js';
import { clientAddress, clientDevice } from '../../http/client.js';
import { signalOfClient } from '../../http/client-gone.js';
import { clearCookie, readCookie, setCookie } from '../../http/cookies.js';
import { isFromOwnPage } from '../../http/same-origin.js';
import { recordVanished, type Revoker } from '../../revocation/revoke.js';
import type { Sessions } from '../../tokens/session.js';
import type { Session } from '../../tokens/exchange.js';
import type { CheckToken } from '../../tokens/token-check.js';
import { contextOf } from './context.js';
import { parseExchange, parseLogin, parseLogout } from './input.js';
import { toFusionAuthUser } from './shape.js';

export interface SessionDependencies {
  readonly signIn: PasswordSignIn['signIn'];
  readonly minting: Minting;
  readonly checkToken: CheckToken;
  readonly sessions: Sessions;
  readonly revoker: Revoker;
  readonly noteRefused: NoteRefused;
  /** Other origins whose pages may use the cookies as our own do. */
  readonly config: { readonly corsOrigins: readonly string[] };
}

export function createSessionHandlers(
  deps: SessionDependencies,
): Record<'login' | 'exchange' | 'logout' | 'validate', RequestHandler> {
  const { sessions, revoker } = deps;
  const trusted = new Set(deps.config.corsOrigins);

  /** Otherwise another page could sign this browser in as somebody else, or out. */
  function maySetCookies(req: Request): boolean {
    return isFromOwnPage(req, { trusted });
  }

  /** A cookie comes along by itself: another page doesn't know what is in it, and must not act with it. */
  function refreshCookieOf(req: Request): string | undefined {
    const cookie = readCookie(req, 'refresh_token');
    if (cookie === undefined || maySetCookies(req)) return cookie;
    throw new ServiceError(
      'forbidden',
      'The cookie refresh_token is taken from pages of this origin and those in CORS_ORIGINS only. Others send the token in the body.',
    );
  }

  const login: RequestHandler = async (req, res) => {
    const { loginId, password, applicationId, noJWT, metaData } = parseLogin(req);
    const principal = await deps.signIn(loginId, password, clientAddress(req), signalOfClient(res));
    if (principal === null) throw notFound('user');
    const { user } = principal;
    res.set('Cache-Control', 'no-store');
    if (noJWT === true) {
      res.json({ user: toFusionAuthUser(user) });
      return;
    }
    const { name, description, type } = metaData?.device ?? {};
    const device = {
      ...clientDevice(req),
      name: name ?? null,
      description: description ?? null,
      type: type ?? null,
    };
    const session = await deps.minting.mint(
      principal,
      () => sessions.open({ user, applicationId: applicationId ?? null, device }),
      { door: 'sign-in' },
    );
    if (maySetCookies(req)) setSessionCookies(req, res, session);
    res.json({
      token: session.accessToken,
      tokenExpirationInstant: session.accessTokenExpiresAt.getTime(),
      refreshToken: session.refreshToken,
      refreshTokenId: session.refreshTokenId,
      user: toFusionAuthUser(user),
    });
  };

  const exchange: RequestHandler = async (req, res) => {
    const body = parseExchange(req);
    const presented = body.refreshToken ?? refreshCookieOf(req);
    if (presented === undefined)
      throw refreshTokenError('blank', 'is needed, in the body or as the cookie refresh_token.');
    const result = await sessions.exchange(presented, body.timeToLiveInSeconds ?? null);
    if (result.outcome === 'reused') {
      const revoked = await revoker.revokeRecord(
        result.record,
        contextOf(req, 'system', {
          reason: 'a used refresh token came back',
          ...(body.eventInfo ? { eventInfo: body.eventInfo } : {}),
        }),
      );
      if (revoked === null) throw recordVanished();
    }
    if (result.outcome !== 'exchanged')
      throw refreshTokenError(undefined, 'is not valid (any more). Log in again.');
    const { session } = result;
    if (maySetCookies(req)) setSessionCookies(req, res, session);
    res.set('Cache-Control', 'no-store').json({
      token: session.accessToken,
      refreshToken: session.refreshToken,
      refreshTokenId: session.refreshTokenId,
    });
  };

  /** 200 whatever the token was: whoever logs out is to end up logged out. Not when that failed. */
  const logout: RequestHandler = async (req, res) => {
    const input = parseLogout(req);
    const presented = input.refreshToken ?? refreshCookieOf(req);
    const found = presented === undefined ? null : await sessions.recognize(presented);
    const record = found?.record ?? null;
    if (record !== null && record.userId !== null) {
      const reason = found?.isUsed === true ? 'logout with a used refresh token' : 'logout';
      const by = contextOf(req, record.userId, { reason });
      // A used one may be a thief's: then what was minted falls too.
      const keepMinted = found?.isUsed !== true;
      const revoked = await revoker.revokeRecord(record, by, { keepMinted });
      if (revoked === null) throw recordVanished();
      if (input.global) {
        await revoker.revokeScope(
          { userId: record.userId, applicationId: null, sessionsOnly: true },
          by,
        );
      }
    }
    if (maySetCookies(req)) {
      clearCookie(req, res, 'access_token');
      clearCookie(req, res, 'refresh_token');
    }
    res.end();
  };

  const validate: RequestHandler = async (req, res) => {
    const credentials = parseAuthorization(req.headers.authorization);
    const token =
      credentials.scheme === 'token' ? credentials.token : readCookie(req, 'access_token');
    const checked =
      token === undefined ? null : await deps.checkToken(token, () => clientDevice(req));
    if (checked !== null) deps.noteRefused(req, checked);
    if (token === undefined || checked === null || !checked.accepted)
      throw unauthenticatedWithoutBasic();
    res.set('Cache-Control', 'no-store').json({ jwt: payloadOf(token) });
  };

  return { login, exchange, logout, validate };
}

function setSessionCookies(req: Request, res: Response, session: Session): void {
  setCookie(req, res, 'access_token', session.accessToken);
  setCookie(req, res, 'refresh_token', session.refreshToken, session.refreshTokenExpiresAt);
}

/** Only for a token that was verified just before. */
function payloadOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
}

function refreshTokenError(code: 'blank' | undefined, message: string): ServiceError {
  return new ServiceError('invalid-input', `refreshToken: ${message}`, {
    fields: [{ field: 'refreshToken', message, ...(code ? { code } : {}) }],
  });
}
