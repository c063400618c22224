/**
 * CORS (the Fetch standard): which other origins' pages may read our answers. A module of our own,
 * because `/auth/verify` is answered before Express and each path has a policy of its own:
 *
 *   - the public keys: everybody, always, without credentials;
 *   - what applications use: the configured origins;
 *   - FusionAuth's dialect: them too, with its cookies (which are SameSite=Strict besides);
 *   - all else, the dashboard and its `/admin` above all: nobody. With its cookie another origin of
 *     the same site could read everything that an administrator can.
 *
 * Headers are set before anything else is done, so that refusals can be read too.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Says what may be read; true = it was a preflight, and is answered. */
export type Cors = (req: IncomingMessage, res: ServerResponse) => boolean;

const PUBLIC = /^\/\.well-known\/jwks\.json(?:\?|$)/;
const FOR_APPLICATIONS =
  /^\/(?:auth\/(?:signin|verify)|(?:v[123]\/)?jwt\/history|v1\/token|api)(?:[/?]|$)/;
const WITH_COOKIES = /^\/api\//;

const METHODS = 'GET, HEAD, POST, DELETE';
const REQUEST_HEADERS = [
  'Authorization',
  'Content-Type',
  'Traceparent',
  'Tracestate',
  'X-FusionAuth-TenantId',
  'X-Request-Id',
  'X-Requested-With',
].join(', ');
const RESPONSE_HEADERS = [
  'Allow',
  'Link',
  'Retry-After',
  'Revocation-Propagation',
  'WWW-Authenticate',
  'X-Application-Id',
  'X-Request-Id',
  'X-Subject-Type',
  'X-Token-Jti',
  'X-User-Id',
].join(', ');
/** A new list of origins is in force everywhere after so long. */
const PREFLIGHT_SECONDS = '600';

/** @param origins as browsers write them: `https://host[:port]`. */
export function createCors(origins: readonly string[]): Cors {
  const known = new Set(origins);

  return function cors(req, res) {
    const path = req.url ?? '';
    if (PUBLIC.test(path)) {
      res.setHeader('Access-Control-Allow-Origin', '*');
      return answerPreflight(req, res, 'GET, HEAD');
    }
    if (known.size === 0 || !FOR_APPLICATIONS.test(path)) return false;
    // Also where there is none, and where it isn't known: a cache must not mix them up.
    res.setHeader('Vary', 'Origin');
    const { origin } = req.headers;
    if (origin === undefined || !known.has(origin)) return false;
    res.setHeader('Access-Control-Allow-Origin', origin);
    res.setHeader('Access-Control-Expose-Headers', RESPONSE_HEADERS);
    if (WITH_COOKIES.test(path)) res.setHeader('Access-Control-Allow-Credentials', 'true');
    return answerPreflight(req, res, METHODS);
  };
}

function answerPreflight(req: IncomingMessage, res: ServerResponse, methods: string): boolean {
  if (req.method !== 'OPTIONS' || req.headers['access-control-request-method'] === undefined)
    return false;
  res.setHeader('Access-Control-Allow-Methods', methods);
  res.setHeader('Access-Control-Allow-Headers', REQUEST_HEADERS);
  res.setHeader('Access-Control-Max-Age', PREFLIGHT_SECONDS);
  res.writeHead(204, { 'Cache-Control': 'no-store' });
  res.end();
  return true;
}
