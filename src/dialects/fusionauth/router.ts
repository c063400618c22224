/** The routes of FusionAuth's refresh-token API. */
import type { RequestHandler, Router } from 'express';
import { authenticateAroundBody } from '../../auth/authenticate.js';
import {
  parseJsonBody,
  parseLenientBody,
  parseOptionalBody,
  parseOptionalJson,
} from '../../http/body.js';
import { methodNotAllowed } from '../../http/problem.js';
import { createRouter } from '../../http/router.js';
import type { Logger } from '../../observability/logger.js';
import { publicKeysOf, type SigningKeys } from '../../tokens/keys.js';
import { createFusionAuthErrorHandler } from './errors.js';
import { createRefreshTokenHandlers, type RefreshTokenDependencies } from './refresh-tokens.js';
import { createSessionHandlers, type SessionDependencies } from './sessions.js';

interface Dependencies extends SessionDependencies, RefreshTokenDependencies {
  readonly sessions: SessionDependencies['sessions'];
  readonly authenticate: RequestHandler;
  readonly keys: SigningKeys;
  readonly log: Logger;
  readonly onUnavailable: () => void;
}

const REFRESH = '/api/jwt/refresh';

export function createFusionAuthRouter(deps: Dependencies): Router {
  const { authenticate } = deps;
  const { login, exchange, logout, validate } = createSessionHandlers(deps);
  const { listOfUser, retrieve, revokeOne, revokeByCriteria } = createRefreshTokenHandlers(deps);
  const publicKeys = publicKeysOf(deps.keys);

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
    res.set('Cache-Control', 'public, max-age=300').json({ keys: publicKeys });
  });
  router.use('/api', createFusionAuthErrorHandler(deps.log, deps.onUnavailable));
  return router;
}
