/** The one list of everything that answers a request. It reads no environment, connects to nothing, listens nowhere. */
import type { RequestListener } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { createAuthenticate, createRequireAdministrator } from './auth/authenticate.js';
import { createWatchCaller } from './auth/caller-watch.js';
import type { Core } from './core.js';
import { createAdminApiKeysRouter } from './dashboard/api/api-keys.js';
import { createAdminCutoffsRouter } from './dashboard/api/cutoffs.js';
import { createAdminEventsRouter } from './dashboard/api/events.js';
import { createAdminExportRouter } from './dashboard/api/export.js';
import { createAdminInspectRouter } from './dashboard/api/inspect.js';
import { createAdminRevocationsRouter } from './dashboard/api/revocations.js';
import { createAdminSessionRouter } from './dashboard/api/session.js';
import { createAdminSummaryRouter } from './dashboard/api/summary.js';
import { createAdminWire } from './dashboard/api/token-wire.js';
import { createAdminTokensRouter } from './dashboard/api/tokens.js';
import { createAdminUsersRouter } from './dashboard/api/users.js';
import { createPageRouter } from './dashboard/assets.js';
import { createDashboardSessions } from './dashboard/cookie-session.js';
import { createSessionStamps } from './dashboard/session-stamp.js';
import { createVerifyEndpoint } from './dialects/forward-auth/endpoint.js';
import { createFusionAuthRouter } from './dialects/fusionauth/router.js';
import { createJwtHistoryRouter } from './dialects/tiledesk/history.js';
import { createSignInRouter } from './dialects/tiledesk/sign-in.js';
import { createWoleetRouter } from './dialects/woleet/router.js';
import { createChecksFirst } from './http/checks-first.js';
import { createConnectionTurns } from './http/connection-turns.js';
import { createCors } from './http/cors.js';
import { createHealthRouter } from './http/health.js';
import { readCharset } from './http/input.js';
import { createProblemHandler, refuseUnknownPath } from './http/problem.js';
import { createPropagationHeader } from './http/propagation-header.js';
import type { Readiness } from './http/readiness.js';
import { assignRequestId } from './http/request-id.js';
import {
  closeAfterOddBody,
  refuseSeveralCredentials,
  refuseTooManyHeaders,
} from './http/request-limits.js';
import { createRequestLog } from './http/request-log.js';
import { createRequestsInLog } from './log/requests.js';

export interface App {
  /** Answers every request. */
  readonly handler: RequestListener;
  /** What answers behind the check; its routes can be listed. */
  readonly app: Express;
  /** Writes what the log only counted. */
  flushLog(): void;
}

interface Life {
  readonly readiness: () => Readiness;
  /** What is to be done first when the service stops. */
  readonly onStop: (stop: () => void) => void;
}

export function createApp(core: Core, life: Life): App {
  const { config, log, outages, keys, users } = core;
  const { trustProxyHops } = config;
  const inLog = createRequestsInLog({ log, clock: core.logClock, trustProxyHops });
  const { noteRefused, refusals } = inLog;
  const onUnavailable = outages.refused;
  const cors = createCors(config.corsOrigins);
  const authenticate = createAuthenticate({ ...core, noteRefused });
  const common = { ...core, authenticate, noteRefused, onUnavailable, trustProxyHops };

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // `page[$gt]=` must arrive as an odd name, not as an object.
  app.set('query parser', 'simple');
  app.set('trust proxy', trustProxyHops);

  app.use(createConnectionTurns());
  app.use(assignRequestId);
  app.use(createRequestLog({ log, lines: inLog.lines }));
  app.use(createPropagationHeader(core.propagations.take));
  app.use(createChecksFirst());
  app.use(securityHeaders());
  app.use((req, res, next) => {
    if (!cors(req, res)) next();
  });
  app.use(refuseTooManyHeaders);
  app.use(refuseSeveralCredentials);
  app.use(closeAfterOddBody);
  app.use(readCharset);

  app.use(createHealthRouter(life));
  app.use(createSignInRouter(core));
  app.use(createJwtHistoryRouter(common));

  // The page, and what it asks under `/admin`.
  const cookieSessions = createDashboardSessions({ ...common, stamps: createSessionStamps(keys) });
  const admin = {
    ...core,
    ...life,
    cookieSessions,
    authenticate: cookieSessions.authenticate,
    requireAdministrator: createRequireAdministrator(users),
    toWire: createAdminWire(core),
    watchCaller: createWatchCaller(core),
  };
  app.use(createPageRouter());
  app.use(createAdminSessionRouter(admin));
  app.use(createAdminExportRouter(admin));
  app.use(createAdminTokensRouter(admin));
  app.use(createAdminRevocationsRouter(admin));
  app.use(createAdminCutoffsRouter(admin));
  app.use(createAdminSummaryRouter(admin));
  app.use(createAdminInspectRouter(admin));
  app.use(createAdminEventsRouter(admin));
  app.use(createAdminUsersRouter(admin));
  app.use(createAdminApiKeysRouter(admin));

  app.use(createFusionAuthRouter(common));
  app.use(createWoleetRouter(common));

  app.use(refuseUnknownPath);
  app.use(createProblemHandler(log, onUnavailable));

  /** Answered before Express, which would be the largest cost of a check. */
  const verify = createVerifyEndpoint({ ...common, cors, refusals });
  return {
    handler: (req, res) => {
      if (!verify(req, res)) app(req, res);
    },
    app,
    flushLog: inLog.flush,
  };
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
