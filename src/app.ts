/** The Express application: the one list of its middleware and routers. It reads no environment, connects to nothing, listens nowhere. */
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { createAuthenticate, createRequireAdministrator } from './auth/authenticate.js';
import type { ApiKeys } from './auth/api-keys.js';
import type { CheckCredentials } from './auth/check-credentials.js';
import type { PasswordHasher } from './auth/password-hash.js';
import type { PasswordSignIn } from './auth/sign-in.js';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import { createProblemHandler, refuseUnknownPath } from './http/problem.js';
import { assignRequestId } from './http/request-id.js';
import { createRequestLog } from './http/request-log.js';
import type { Logger } from './observability/logger.js';
import type { Revoker } from './revocation/revoke.js';
import { createAdminApiKeysRouter } from './routes/admin-api-keys.js';
import { createAdminUsersRouter } from './routes/admin-users.js';
import { createFusionAuthRouter } from './routes/fusionauth.js';
import { createHealthRouter, type Readiness } from './routes/health.js';
import { createJwtHistoryRouter } from './routes/jwt-history.js';
import { createSignInRouter } from './routes/sign-in.js';
import { createWoleetRouter } from './routes/woleet.js';
import type { Store } from './store/connect.js';
import type { TokenIssuer } from './tokens/issuer.js';
import type { TokenRecord } from './store/records.js';
import type { Claims } from './tokens/claims.js';
import { publicKeysOf, type SigningKeys } from './tokens/keys.js';
import type { TokenRegistrar } from './tokens/registrar.js';
import type { Sessions } from './tokens/session.js';
import type { CheckToken } from './tokens/token-check.js';
import type { UsageRecorder } from './tokens/usage-recorder.js';

export interface AppDependencies {
  readonly config: Pick<
    Config,
    'onPremises' | 'trustProxyHops' | 'tokenIssuer' | 'tokenAudience' | 'accessTokenTtlSeconds'
  >;
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: Store;
  readonly keys: SigningKeys;
  readonly hasher: PasswordHasher;
  readonly passwordSignIn: PasswordSignIn;
  readonly issuer: TokenIssuer;
  readonly registrar: TokenRegistrar;
  readonly checkToken: CheckToken;
  readonly checkCredentials: CheckCredentials;
  readonly identify: (token: string) => Claims | null;
  readonly isRevoked: (record: TokenRecord) => boolean;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  readonly usage: UsageRecorder;
  readonly revoker: Revoker;
  readonly readiness: Readiness;
}

export function createApp(deps: AppDependencies): Express {
  const { config, clock, log, store, keys, hasher, passwordSignIn, issuer, checkToken, usage } =
    deps;
  const { signIn } = passwordSignIn;
  const authenticate = createAuthenticate({
    signIn,
    checkCredentials: deps.checkCredentials,
    keys,
  });
  const requireAdministrator = createRequireAdministrator(store.users);

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // `page[$gt]=` must arrive as an odd name, not as an object.
  app.set('query parser', 'simple');
  app.set('trust proxy', config.trustProxyHops);

  app.use(assignRequestId);
  app.use(createRequestLog(log));
  app.use(securityHeaders());

  app.use(createHealthRouter({ readiness: deps.readiness }));
  app.use(
    createSignInRouter({
      signIn,
      issuer,
      audience: config.tokenAudience,
      lifetimeSeconds: config.accessTokenTtlSeconds,
    }),
  );
  app.use(
    createJwtHistoryRouter({
      authenticate,
      tokens: store.tokens,
      users: store.users,
      usage,
      revoker: deps.revoker,
      registrar: deps.registrar,
      clock,
      onPremises: config.onPremises,
    }),
  );
  app.use(
    createAdminUsersRouter({ authenticate, requireAdministrator, users: store.users, hasher, log }),
  );

  app.use(
    createAdminApiKeysRouter({
      authenticate,
      requireAdministrator,
      apiKeys: deps.apiKeys,
      clock,
      log,
    }),
  );
  app.use(
    createFusionAuthRouter({
      authenticate,
      signIn,
      checkToken,
      sessions: deps.sessions,
      tokens: store.tokens,
      users: store.users,
      revoker: deps.revoker,
      isRevoked: deps.isRevoked,
      clock,
      ownIssuer: config.tokenIssuer,
      publicKeys: publicKeysOf(keys),
      log,
    }),
  );
  app.use(
    createWoleetRouter({
      authenticate,
      issuer,
      identify: deps.identify,
      registrar: deps.registrar,
      revoker: deps.revoker,
      users: store.users,
      audience: config.tokenAudience,
    }),
  );

  app.use(refuseUnknownPath);
  app.use(createProblemHandler(log));
  return app;
}

/** HSTS and `upgrade-insecure-requests` are the TLS proxy's business: here they would break plain-http installations. */
function securityHeaders(): RequestHandler {
  return helmet({
    strictTransportSecurity: false,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
      },
    },
  });
}
