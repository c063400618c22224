/** The Express application: the one list of its middleware and routers. It reads no environment, connects to nothing, listens nowhere. */
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { createAuthenticate, createRequireAdministrator } from './auth/authenticate.js';
import type { Accounts } from './accounts/accounts.js';
import type { Audit } from './audit/audit.js';
import { createWatchCaller } from './auth/caller-watch.js';
import type { ConfirmCaller } from './auth/confirm-caller.js';
import type { Minting } from './auth/minting.js';
import type { ApiKeys } from './auth/api-keys.js';
import type { CheckCredentials } from './auth/check-credentials.js';
import type { PasswordHasher } from './auth/password-hash.js';
import type { PasswordSignIn } from './auth/sign-in.js';
import type { NoteRefused } from './auth/strategies.js';
import { createDashboardSessions } from './dashboard/cookie-session.js';
import { createSessionStamps } from './dashboard/session-stamp.js';
import type { Clock } from './clock.js';
import type { Config } from './config/config.js';
import { createPageRouter } from './dashboard/assets.js';
import { createChecksFirst } from './http/checks-first.js';
import { createConnectionTurns } from './http/connection-turns.js';
import type { Cors } from './http/cors.js';
import { readCharset } from './http/input.js';
import { createProblemHandler, refuseUnknownPath } from './http/problem.js';
import type { Readiness } from './http/readiness.js';
import { assignRequestId } from './http/request-id.js';
import {
  closeAfterOddBody,
  refuseSeveralCredentials,
  refuseTooManyHeaders,
} from './http/request-limits.js';
import { createRequestLog, type RequestLines } from './http/request-log.js';
import type { Logger } from './observability/logger.js';
import type { CutoffMarker } from './revocation/cutoff-marker.js';
import type { LowerCutoff } from './revocation/lower-cutoff.js';
import type { Revoker } from './revocation/revoke.js';
import { createAdminApiKeysRouter } from './dashboard/api/api-keys.js';
import { createAdminCutoffsRouter } from './dashboard/api/cutoffs.js';
import { createAdminEventsRouter } from './dashboard/api/events.js';
import { createAdminExportRouter } from './dashboard/api/export.js';
import { createAdminInspectRouter } from './dashboard/api/inspect.js';
import { createAdminRevocationsRouter } from './dashboard/api/revocations.js';
import { createAdminSessionRouter } from './dashboard/api/session.js';
import { createAdminSummaryRouter } from './dashboard/api/summary.js';
import { createAdminTokensRouter } from './dashboard/api/tokens.js';
import { createAdminUsersRouter } from './dashboard/api/users.js';
import { createAdminWire } from './dashboard/api/token-wire.js';
import { createFusionAuthRouter } from './dialects/fusionauth/router.js';
import { createHealthRouter } from './http/health.js';
import { createJwtHistoryRouter } from './dialects/tiledesk/history.js';
import { createSignInRouter } from './dialects/tiledesk/sign-in.js';
import { createWoleetRouter } from './dialects/woleet/router.js';
import type { Store } from './store/database/connect.js';
import type { TokenIssuer } from './tokens/issuer.js';
import type { TokenRecord } from './store/records.js';
import type { Claims } from './tokens/claims.js';
import { publicKeysOf, type SigningKeys } from './tokens/keys.js';
import type { TokenRegistrar } from './tokens/registrar.js';
import type { SessionState } from './tokens/session-state.js';
import type { Sessions } from './tokens/session.js';
import type { CheckToken } from './tokens/token-check.js';
import type { TokenVerifier } from './tokens/verifier.js';
import type { UsageRecorder } from './tokens/usage-recorder.js';

export interface AppDependencies {
  readonly config: Pick<
    Config,
    | 'onPremises'
    | 'corsOrigins'
    | 'trustProxyHops'
    | 'tokenIssuer'
    | 'tokenAudience'
    | 'accessTokenTtlSeconds'
    | 'dashboardSessionSeconds'
    | 'dashboardIdleSeconds'
    | 'unknownTokens'
  >;
  readonly clock: Clock;
  readonly log: Logger;
  readonly cors: Cors;
  /** What refused and failed requests leave in the log. */
  readonly requestLines: RequestLines;
  readonly noteRefused: NoteRefused;
  /** Called for each answer that is 503. */
  readonly onUnavailable: () => void;
  readonly store: Store;
  readonly keys: SigningKeys;
  readonly hasher: PasswordHasher;
  readonly passwordSignIn: PasswordSignIn;
  readonly accounts: Accounts;
  readonly issuer: TokenIssuer;
  readonly minting: Minting;
  readonly confirmCaller: ConfirmCaller;
  readonly marker: Pick<CutoffMarker, 'settled'>;
  readonly registrar: TokenRegistrar;
  readonly checkToken: CheckToken;
  readonly checkCredentials: CheckCredentials;
  readonly verifier: TokenVerifier;
  readonly sessionState: SessionState;
  readonly isRevoked: (record: TokenRecord) => boolean;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  readonly usage: UsageRecorder;
  readonly revoker: Revoker;
  readonly lowerCutoff: LowerCutoff;
  readonly readiness: () => Readiness;
  readonly audit: Audit;
  /** Neither expired nor revoked. @throws ServiceError 503 when that can't be known. */
  readonly isUsable: (claims: Claims) => boolean;
  /** What is to be done first when the service stops. */
  readonly onStop: (stop: () => void) => void;
}

export function createApp(deps: AppDependencies): Express {
  const { config, clock, log, store, keys, passwordSignIn, issuer, checkToken, usage } = deps;
  const { signIn } = passwordSignIn;
  const authenticate = createAuthenticate({
    signIn,
    checkCredentials: deps.checkCredentials,
    noteRefused: deps.noteRefused,
    keys,
  });
  const requireAdministrator = createRequireAdministrator(store.users);

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // `page[$gt]=` must arrive as an odd name, not as an object.
  app.set('query parser', 'simple');
  app.set('trust proxy', config.trustProxyHops);

  app.use(createConnectionTurns());
  app.use(assignRequestId);
  app.use(createRequestLog({ log, lines: deps.requestLines }));
  app.use(createChecksFirst());
  app.use(securityHeaders());
  app.use((req, res, next) => {
    if (!deps.cors(req, res)) next();
  });
  app.use(refuseTooManyHeaders);
  app.use(refuseSeveralCredentials);
  app.use(closeAfterOddBody);
  app.use(readCharset);

  app.use(createHealthRouter({ readiness: deps.readiness }));
  app.use(
    createSignInRouter({
      signIn,
      issuer,
      minting: deps.minting,
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
      isRevoked: deps.isRevoked,
      confirmCaller: deps.confirmCaller,
      settled: deps.marker.settled,
      clock,
      onPremises: config.onPremises,
      unknownTokens: config.unknownTokens,
      trail: deps.audit.trail,
    }),
  );
  useDashboard(app, deps, { authenticate, requireAdministrator });
  app.use(
    createFusionAuthRouter({
      authenticate,
      signIn,
      minting: deps.minting,
      checkToken,
      sessions: deps.sessions,
      tokens: store.tokens,
      users: store.users,
      revoker: deps.revoker,
      isRevoked: deps.isRevoked,
      clock,
      ownIssuer: config.tokenIssuer,
      trustedOrigins: new Set(config.corsOrigins),
      publicKeys: publicKeysOf(keys),
      log,
      onUnavailable: deps.onUnavailable,
      noteRefused: deps.noteRefused,
    }),
  );
  app.use(
    createWoleetRouter({
      authenticate,
      issuer,
      minting: deps.minting,
      identify: deps.verifier.identify,
      registrar: deps.registrar,
      revoker: deps.revoker,
      users: store.users,
      audience: config.tokenAudience,
    }),
  );

  app.use(refuseUnknownPath);
  app.use(createProblemHandler(log, deps.onUnavailable));
  return app;
}

/** The page, and what it asks under `/admin`. */
function useDashboard(
  app: Express,
  deps: AppDependencies,
  given: { authenticate: RequestHandler; requireAdministrator: RequestHandler },
): void {
  const { config, clock, log, store, passwordSignIn, revoker, isRevoked, audit } = deps;
  const { trail } = audit;
  const { tokens, users } = store;
  const { requireAdministrator } = given;
  const sessions = createDashboardSessions({
    authenticate: given.authenticate,
    checkToken: deps.checkToken,
    identify: deps.verifier.identify,
    stamps: createSessionStamps(deps.keys),
    noteRefused: deps.noteRefused,
    idleSeconds: config.dashboardIdleSeconds,
    now: clock,
  });
  const { authenticate } = sessions;
  const toWire = createAdminWire({ users, isRevoked, clock });
  const common = {
    authenticate,
    requireAdministrator,
    tokens,
    users,
    revoker,
    toWire,
    confirmCaller: deps.confirmCaller,
    settled: deps.marker.settled,
    clock,
    log,
    trail,
  };

  app.use(createPageRouter());
  app.use(
    createAdminSessionRouter({
      signIn: passwordSignIn.signIn,
      sessions,
      issuer: deps.issuer,
      minting: deps.minting,
      users,
      tokens,
      revoker,
      registrar: deps.registrar,
      lifetimeSeconds: config.dashboardSessionSeconds,
      idleSeconds: config.dashboardIdleSeconds,
    }),
  );
  const { isUsable, onStop, confirmCaller } = deps;
  const watchCaller = createWatchCaller({ isUsable, confirmCaller, users });
  app.use(createAdminExportRouter({ ...common, watchCaller }));
  app.use(createAdminTokensRouter({ ...common, cutoffs: store.cutoffs, usage: deps.usage }));
  app.use(createAdminRevocationsRouter(common));
  app.use(createAdminCutoffsRouter({ ...common, lowerCutoff: deps.lowerCutoff }));
  app.use(createAdminSummaryRouter(common));
  app.use(
    createAdminInspectRouter({
      ...common,
      verifier: deps.verifier,
      sessionState: deps.sessionState,
      recognize: deps.sessions.recognize,
      isRevoked,
      unknownTokens: config.unknownTokens,
      ownIssuer: config.tokenIssuer,
    }),
  );
  app.use(createAdminEventsRouter({ ...common, events: store.events, audit, isUsable, onStop }));
  app.use(createAdminUsersRouter({ ...common, hasher: deps.hasher, accounts: deps.accounts }));
  app.use(createAdminApiKeysRouter({ ...common, apiKeys: deps.apiKeys, minting: deps.minting }));
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
