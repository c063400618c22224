/**
 * `GET /auth/verify` (and HEAD): may this token pass? For nginx `auth_request`, Traefik ForwardAuth,
 * Caddy `forward_auth` and, through a small adapter (docs), Envoy. Answered before Express, through the same token check:
 * it needs nothing of Express, and Express would be the largest cost of a check.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CheckCredentials } from '../../auth/check-credentials.js';
import { parseAuthorization } from '../../auth/credentials.js';
import { ServiceError, unauthenticatedWithoutBasic } from '../../errors.js';
import { deviceBehind } from '../../http/client.js';
import type { Cors } from '../../http/cors.js';
import { chooseRequestId } from '../../http/request-id.js';
import {
  announcesBody,
  hasSeveralCredentials,
  hasTooManyHeaders,
} from '../../http/request-limits.js';
import type { Logger } from '../../observability/logger.js';
import type { Claims } from '../../tokens/claims.js';
import type { Verification } from '../../tokens/verifier.js';
import type { RefusalLog } from '../../log/refusals.js';

/** Answers the request if it is for `/auth/verify`, and says whether it did. */
export type VerifyEndpoint = (req: IncomingMessage, res: ServerResponse) => boolean;

interface Dependencies {
  readonly checkCredentials: CheckCredentials;
  readonly cors: Cors;
  readonly refusals: Pick<RefusalLog, 'note'>;
  readonly log: Logger;
  /** Called for each answer that is 503. */
  readonly onUnavailable: () => void;
  /** How many proxies in front are believed in `X-Forwarded-For`. */
  readonly trustProxyHops: number;
}

/** One request, its answer to be, and the id that ties them to their log lines. */
interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
}

const PATH = '/auth/verify';
const LINGER_MS = 1000;
const EMPTY = ['Cache-Control', 'no-store', 'Content-Length', '0'] as const;
const REFUSED = [
  'WWW-Authenticate',
  unauthenticatedWithoutBasic().headers['WWW-Authenticate'] ?? '',
  ...EMPTY,
] as const;

export function createVerifyEndpoint({
  checkCredentials,
  cors,
  refusals,
  log,
  onUnavailable,
  trustProxyHops,
}: Dependencies): VerifyEndpoint {
  function answerVerified(exchange: Exchange, verification: Verification): void {
    if (verification.accepted) {
      answer(exchange, 204, acceptedHeaders(verification.claims));
      return;
    }
    const { claims, reason } = verification;
    // Only for tokens that are ours: a flood of garbage isn't worth a line each.
    if (claims !== null) refusals.note(exchange.req, exchange.requestId, { claims, reason });
    answer(exchange, 401, REFUSED);
  }

  function fail(exchange: Exchange, error: unknown): void {
    if (error instanceof ServiceError && error.code === 'unavailable') {
      onUnavailable();
      log.warn(
        { err: error.cause ?? error, requestId: exchange.requestId, route: PATH },
        error.message,
      );
      answer(exchange, 503, [...Object.entries(error.headers).flat(), ...EMPTY]);
      return;
    }
    log.error({ err: error, requestId: exchange.requestId }, 'a check failed');
    answer(exchange, 500, EMPTY);
  }

  function check(exchange: Exchange): void {
    const { req } = exchange;
    const credentials = parseAuthorization(req.headers.authorization);
    const checked = checkCredentials(credentials, () => deviceBehind(req, trustProxyHops));
    if (checked === null) {
      answer(exchange, 401, REFUSED);
    } else if (checked instanceof Promise) {
      checked.then(
        (verification) => answerVerified(exchange, verification),
        (error: unknown) => fail(exchange, error),
      );
    } else {
      answerVerified(exchange, checked);
    }
  }

  return function verify(req, res) {
    if (!isVerifyPath(req.url)) return false;
    if (cors(req, res)) return true;
    const exchange = { req, res, requestId: chooseRequestId(req.headers) };
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      answer(exchange, 405, ['Allow', 'GET, HEAD', ...EMPTY]);
    } else if (hasTooManyHeaders(req)) {
      answer(exchange, 431, EMPTY);
    } else if (hasSeveralCredentials(req)) {
      // 401, which every proxy understands: to nginx any other refusal is a failure.
      answer(exchange, 401, REFUSED);
    } else {
      try {
        check(exchange);
      } catch (error) {
        fail(exchange, error);
      }
    }
    return true;
  };
}

/**
 * Not one answer has a body, so it is complete with its headers. A request that announces one is
 * nearly always a proxy's mistake (the length handed on, the body not): the next request on the
 * connection would be taken for it, so there is none. A body that does come is let in for a moment:
 * closed upon unread bytes, a connection breaks, and the answer may be lost.
 */
function answer(
  { req, res, requestId }: Exchange,
  status: number,
  headers: readonly string[],
): void {
  if (!announcesBody(req)) {
    res.writeHead(status, [...headers, 'X-Request-Id', requestId]).end();
    return;
  }
  res.writeHead(status, [...headers, 'X-Request-Id', requestId, 'Connection', 'close']);
  res.flushHeaders();
  const end = () => void res.end();
  const timer = setTimeout(end, LINGER_MS).unref();
  req.once('close', () => clearTimeout(timer));
  req.once('end', end).resume();
}

function isVerifyPath(url: string | undefined): boolean {
  return (
    url !== undefined &&
    url.startsWith(PATH) &&
    (url.length === PATH.length || url[PATH.length] === '?')
  );
}

/** Made once for each token that is remembered: the claims are the same object then. */
const acceptedHeadersOf = new WeakMap<Claims, readonly string[]>();

function acceptedHeaders(claims: Claims): readonly string[] {
  let headers = acceptedHeadersOf.get(claims);
  if (headers === undefined) {
    const { userId, subjectType, jti, applicationId } = claims;
    headers = [
      'Cache-Control',
      'no-store',
      'X-User-Id',
      headerText(userId),
      'X-Subject-Type',
      subjectType,
      'X-Token-Jti',
      headerText(jti),
    ];
    if (applicationId !== null)
      headers = [...headers, 'X-Application-Id', headerText(applicationId)];
    acceptedHeadersOf.set(claims, headers);
  }
  return headers;
}

/** Ids may be any text; a header may not. What isn't plain ASCII is percent-encoded (as UTF-8). */
function headerText(id: string): string {
  return /^[\x21-\x24\x26-\x7e]+$/.test(id) ? id : encodeURIComponent(id);
}
