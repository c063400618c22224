/** FusionAuth's refresh-token API: login, exchange, list, revoke, logout, validate, and the public keys. */
import type { Request, RequestHandler, Response, Router } from 'express';
import { authenticateAroundBody, isAdministrator, principalOf } from '../../auth/authenticate.js';
import { parseAuthorization } from '../../auth/credentials.js';
import type { Minting } from '../../auth/minting.js';
import type { PasswordSignIn } from '../../auth/sign-in.js';
import type { NoteRefused } from '../../auth/strategies.js';
import type { Clock } from '../../clock.js';
import {
  notFound,
  ServiceError,
  unauthenticated,
  unauthenticatedWithoutBasic,
} from '../../errors.js';
import {
  parseJsonBody,
  parseLenientBody,
  parseOptionalBody,
  parseOptionalJson,
} from '../../http/body.js';
import { clientAddress, clientDevice } from '../../http/client.js';
import { signalOfClient } from '../../http/client-gone.js';
import { clearCookie, readCookie, setCookie } from '../../http/cookies.js';
import { createFusionAuthErrorHandler } from './errors.js';
import { parseIdParameter } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import { isFromOwnPage } from '../../http/same-origin.js';
import type { Logger } from '../../observability/logger.js';
import { recordVanished, type RevocationContext, type Revoker } from '../../revocation/revoke.js';
import type { TokenRecord } from '../../store/records.js';
import type { TokenLookup } from '../../store/tokens/lookup.js';
import type { TokenSearches } from '../../store/tokens/query/search.js';
import type { UserStore } from '../../store/users/users.js';
import type { PublicJwk } from '../../tokens/keys.js';
import type { Session, Sessions } from '../../tokens/session.js';
import { stateOf } from '../../tokens/state.js';
import type { CheckToken } from '../../tokens/token-check.js';
import { parseExchange, parseLogin, parseLogout, parseRevoke, parseUserId } from './input.js';
import { createIsKnown } from './known.js';
import { toFusionAuthToken, toFusionAuthUser } from './shape.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly signIn: PasswordSignIn['signIn'];
  readonly minting: Minting;
  readonly checkToken: CheckToken;
  readonly sessions: Sessions;
  readonly tokens: Pick<TokenLookup & TokenSearches, 'findByJti' | 'hasRecordOf' | 'list'>;
  readonly users: UserStore;
  readonly revoker: Revoker;
  readonly isRevoked: (record: TokenRecord) => boolean;
  readonly clock: Clock;
  readonly ownIssuer: string;
  /** Other origins whose pages may use the cookies as our own do. */
  readonly trustedOrigins: ReadonlySet<string>;
  readonly publicKeys: readonly PublicJwk[];
  readonly log: Logger;
  readonly onUnavailable: () => void;
  readonly noteRefused: NoteRefused;
}

const REFRESH = '/api/jwt/refresh';
const MAX_LISTED = 1000;

export function createFusionAuthRouter(deps: Dependencies): Router {
  const { authenticate, sessions, tokens, users, revoker } = deps;
  const isKnown = createIsKnown({ users, tokens });

  const context = (
    req: Request,
    by: string,
    more: Partial<RevocationContext> = {},
  ): RevocationContext => ({
    by,
    via: 'fusionauth',
    reason: null,
    requestId: req.res === undefined ? '' : requestIdOf(req.res),
    ...more,
  });

  /**
   * The live refresh token with this id that the caller may touch; everything else is 404.
   * @param ifRevoked what is done first with one that is revoked already.
   */
  async function findTouchable(
    req: Request,
    jti: string,
    ifRevoked?: (record: TokenRecord) => Promise<void>,
  ): Promise<TokenRecord> {
    const principal = principalOf(req);
    const record = (await tokens.findByJti(jti)).find(
      ({ issuer, kind }) => issuer === deps.ownIssuer && kind === 'refresh',
    );
    if (record === undefined) throw notFound('refresh token');
    if (record.userId !== principal.userId && !(await isAdministrator(principal, users))) {
      throw notFound('refresh token');
    }
    if (isLive(record)) return record;
    if (record.revocation !== null) await ifRevoked?.(record);
    throw notFound('refresh token');
  }

  function isLive(record: TokenRecord): boolean {
    return stateOf(record, deps.clock(), deps.isRevoked) === 'active';
  }

  /** Otherwise another page could sign this browser in as somebody else, or out. */
  function maySetCookies(req: Request): boolean {
    return isFromOwnPage(req, { trusted: deps.trustedOrigins });
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
        context(req, 'system', {
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

  const listOfUser: RequestHandler = async (req, res) => {
    const userId = parseUserId(req);
    const principal = principalOf(req);
    const mayList = principal.userId === userId || (await isAdministrator(principal, users));
    // For somebody else the list is empty, as it is for nobody.
    const found = mayList
      ? await tokens.list(
          { userIds: [userId], kind: 'refresh', state: 'active' },
          { sortField: 'createdAt', direction: -1, skip: 0, limit: MAX_LISTED },
        )
      : [];
    res
      .set('Cache-Control', 'no-store')
      .json({ refreshTokens: found.filter(isLive).map(toFusionAuthToken) });
  };

  const retrieve: RequestHandler = async (req, res) => {
    const record = await findTouchable(req, parseIdParameter(req, 'id'));
    res.set('Cache-Control', 'no-store').json({ refreshToken: toFusionAuthToken(record) });
  };

  const revokeOne: RequestHandler = async (req, res) => {
    // A repeat finishes what a failed one began, and takes what signing out had spared.
    const finish = (revoked: TokenRecord) => revokeRecord(req, revoked, {});
    const record = await findTouchable(req, parseIdParameter(req, 'id'), finish);
    await revokeRecord(req, record, {});
    res.end();
  };

  const revokeByCriteria: RequestHandler = async (req, res) => {
    const { token, userId, applicationId, eventInfo } = parseRevoke(req);
    const details = eventInfo === undefined ? {} : { eventInfo };
    if (token !== undefined) {
      const found = await sessions.recognize(token);
      const finish = (revoked: TokenRecord) => revokeRecord(req, revoked, details);
      const record = found === null ? null : await findTouchable(req, found.record.jti, finish);
      const matches =
        record !== null &&
        (userId === undefined || record.userId === userId) &&
        (applicationId === undefined || record.applicationId === applicationId);
      if (!matches) throw notFound('refresh token');
      const reason = found?.isUsed === true ? 'a used refresh token was presented' : null;
      await revokeRecord(req, record, { ...details, reason });
    } else {
      const principal = principalOf(req);
      if (!(await isAdministrator(principal, users))) throw unauthenticated();
      if (!(await isKnown({ userId, applicationId }))) throw notFound('user or application');
      await revoker.revokeScope(
        { userId: userId ?? null, applicationId: applicationId ?? null, sessionsOnly: true },
        context(req, principal.userId, details),
      );
    }
    res.end();
  };

  async function revokeRecord(
    req: Request,
    record: TokenRecord,
    details: Partial<RevocationContext>,
  ): Promise<void> {
    const revoked = await revoker.revokeRecord(
      record,
      context(req, principalOf(req).userId, details),
    );
    if (revoked === null) throw notFound('refresh token');
  }

  /** 200 whatever the token was: whoever logs out is to end up logged out. Not when that failed. */
  const logout: RequestHandler = async (req, res) => {
    const input = parseLogout(req);
    const presented = input.refreshToken ?? refreshCookieOf(req);
    const found = presented === undefined ? null : await sessions.recognize(presented);
    const record = found?.record ?? null;
    if (record !== null && record.userId !== null) {
      const reason = found?.isUsed === true ? 'logout with a used refresh token' : 'logout';
      const by = context(req, record.userId, { reason });
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

  const router = createRouter();
  router.post('/api/login', parseJsonBody, login);
  router.all('/api/login', methodNotAllowed('POST'));
  router.post(REFRESH, parseOptionalJson, exchange);
  router.get(REFRESH, authenticate, listOfUser);
  router.delete(REFRESH, authenticateAroundBody(authenticate, parseOptionalBody), revokeByCriteria);
  router.all(REFRESH, methodNotAllowed('GET', 'HEAD', 'POST', 'DELETE'));
  router.get(`${REFRESH}/:id`, authenticate, retrieve);
  router.delete(`${REFRESH}/:id`, authenticateAroundBody(authenticate), revokeOne);
  router.all(`${REFRESH}/:id`, methodNotAllowed('GET', 'HEAD', 'DELETE'));
  router.post('/api/logout', parseLenientBody, logout);
  router.all('/api/logout', methodNotAllowed('POST'));
  router.get('/api/jwt/validate', validate);
  router.all('/api/jwt/validate', methodNotAllowed('GET', 'HEAD'));
  router.get('/.well-known/jwks.json', (_req, res) => {
    res.set('Cache-Control', 'public, max-age=300').json({ keys: deps.publicKeys });
  });
  router.use('/api', createFusionAuthErrorHandler(deps.log, deps.onUnavailable));
  return router;
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
