/**
 * `GET /auth/verify` (and HEAD): may this token pass? For nginx `auth_request`, Traefik ForwardAuth,
 * Caddy `forward_auth` and, through a small adapter (docs), Envoy. Answered before Express, through the same token check:
 * it needs nothing of Express, and Express would be the largest cost of a check.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CheckCredentials } from '../auth/check-credentials.js';
import { parseAuthorization } from '../auth/credentials.js';
import { ServiceError, unauthenticated } from '../errors.js';
import { cleanText, deviceBehind } from '../http/client.js';
import type { Logger } from '../observability/logger.js';
import type { Claims } from '../tokens/claims.js';
import type { Verification } from '../tokens/verifier.js';

/** Answers the request if it is for `/auth/verify`, and says whether it did. */
export type VerifyEndpoint = (req: IncomingMessage, res: ServerResponse) => boolean;

interface Dependencies {
  readonly checkCredentials: CheckCredentials;
  readonly log: Logger;
  /** How many proxies in front are believed in `X-Forwarded-For`. */
  readonly trustProxyHops: number;
}

const PATH = '/auth/verify';
const CHALLENGE = unauthenticated().headers['WWW-Authenticate'] ?? '';

export function createVerifyEndpoint({
  checkCredentials,
  log,
  trustProxyHops,
}: Dependencies): VerifyEndpoint {
  function conclude(req: IncomingMessage, res: ServerResponse, verification: Verification): void {
    if (verification.accepted) {
      res.writeHead(204, acceptedHeaders(verification.claims));
      res.end();
      return;
    }
    const { claims, reason } = verification;
    // Only for tokens that are ours: a flood of garbage isn't worth a line each.
    if (claims !== null && log.isLevelEnabled('info')) {
      log.info(
        {
          event: 'token.refused',
          reason,
          jti: claims.jti,
          userId: claims.userId,
          ...originalRequest(req),
        },
        'token refused',
      );
    }
    refuse(res);
  }

  function fail(res: ServerResponse, error: unknown): void {
    if (error instanceof ServiceError && error.code === 'unavailable') {
      res.writeHead(503, { ...error.headers, 'Cache-Control': 'no-store', 'Content-Length': 0 });
      res.end();
      return;
    }
    log.error({ err: error }, 'a check failed');
    res.writeHead(500, { 'Cache-Control': 'no-store', 'Content-Length': 0 });
    res.end();
  }

  return function verify(req, res) {
    if (!isVerifyPath(req.url)) return false;
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': 0 });
      res.end();
      return true;
    }
    try {
      const credentials = parseAuthorization(req.headers.authorization);
      const checked = checkCredentials(credentials, () => deviceBehind(req, trustProxyHops));
      if (checked === null) {
        refuse(res);
      } else if (checked instanceof Promise) {
        checked.then(
          (verification) => conclude(req, res, verification),
          (error: unknown) => fail(res, error),
        );
      } else {
        conclude(req, res, checked);
      }
    } catch (error) {
      fail(res, error);
    }
    return true;
  };
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

function acceptedHeaders(claims: Claims): string[] {
  let headers = acceptedHeadersOf.get(claims);
  if (headers === undefined) {
    const { userId, jti, applicationId } = claims;
    headers = [
      'Cache-Control',
      'no-store',
      'X-User-Id',
      headerText(userId),
      'X-Token-Jti',
      headerText(jti),
    ];
    if (applicationId !== null)
      headers = [...headers, 'X-Application-Id', headerText(applicationId)];
    acceptedHeadersOf.set(claims, headers);
  }
  return [...headers];
}

/** Ids may be any text; a header may not. What isn't plain ASCII is percent-encoded (as UTF-8). */
function headerText(id: string): string {
  return /^[\x21-\x24\x26-\x7e]+$/.test(id) ? id : encodeURIComponent(id);
}

function refuse(res: ServerResponse): void {
  res.writeHead(401, {
    'WWW-Authenticate': CHALLENGE,
    'Cache-Control': 'no-store',
    'Content-Length': 0,
  });
  res.end();
}

/** What the proxy says that was asked for: nginx `X-Original-URI`, Traefik and Caddy `X-Forwarded-Uri`. Without the query, which can hold a token. */
function originalRequest(req: IncomingMessage): { method?: string; route?: string } {
  const uri = header(req, 'x-original-uri') ?? header(req, 'x-forwarded-uri');
  const method = header(req, 'x-original-method') ?? header(req, 'x-forwarded-method');
  // Masked before it is cut: a long segment can be a token, in whatever spelling.
  const path = cleanText(uri?.split(/[?#]/)[0]?.replaceAll(/[^/]{40,}/g, '…'), 200);
  return {
    ...(path === null ? {} : { route: path }),
    ...(method !== undefined && /^[A-Z]{1,16}$/.test(method) ? { method } : {}),
  };
}

function header(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return typeof value === 'string' ? value : undefined;
}
