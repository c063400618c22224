/** The line about a token of ours that a check refused: who, why, from where, for what. Each token's first at once, the further ones counted. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock.js';
import { addressBehind, cleanText } from '../http/client.js';
import { traceIdOf } from '../http/request-id.js';
import type { Logger } from '../observability/logger.js';
import { createRepeatedLines } from '../observability/repeated-lines.js';
import type { Claims } from '../tokens/claims.js';
import type { RefusalReason } from '../tokens/verifier.js';

export interface RefusalLog {
  /** @param asked for what it was; unset = what the proxy in front says. */
  note(req: IncomingMessage, requestId: string, refused: RefusedToken, asked?: Asked): void;
  /** Writes the counts that wait. */
  flush(): void;
}

interface RefusedToken {
  readonly claims: Claims;
  readonly reason: RefusalReason;
}

interface Asked {
  readonly method?: string;
  readonly route?: string;
}

interface Dependencies {
  readonly log: Logger;
  readonly clock: Clock;
  readonly trustProxyHops: number;
}

export function createRefusalLog({ log, clock, trustProxyHops }: Dependencies): RefusalLog {
  const lines = createRepeatedLines({ clock, atOnce: 1 });
  const message = 'token refused';

  return {
    note(req, requestId, { claims, reason }, asked) {
      if (!log.isLevelEnabled('info')) return;
      const { issuer, jti, userId } = claims;
      const token = { event: 'token.refused', reason, jti, userId };
      lines.note(
        `${reason}\n${issuer}\n${jti}`,
        (count) => {
          log.info(
            {
              ...token,
              requestId,
              traceId: traceIdOf(req.headers['traceparent']) ?? undefined,
              address: addressBehind(req, trustProxyHops) ?? 'unknown',
              ...(asked ?? originalRequest(req)),
              ...(count > 1 ? { count } : {}),
            },
            message,
          );
        },
        (count) => log.info({ ...token, count }, message),
      );
    },
    flush: lines.flush,
  };
}

/**
 * What the proxy says that was asked for: ingress-nginx `X-Original-URL` (a whole one), nginx
 * `X-Original-URI`, Traefik and Caddy `X-Forwarded-Uri`. Without the query, which can hold a token.
 */
function originalRequest(req: IncomingMessage): Asked {
  const uri =
    header(req, 'x-original-url') ??
    header(req, 'x-original-uri') ??
    header(req, 'x-forwarded-uri');
  const method = header(req, 'x-original-method') ?? header(req, 'x-forwarded-method');
  const path = uri?.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '').split(/[?#]/)[0];
  // Masked before it is cut: a long segment can be a token, in whatever spelling.
  const route = cleanText(path === '' ? '/' : path?.replaceAll(/[^/]{40,}/g, '…'), 200);
  return {
    ...(route === null ? {} : { route }),
    ...(method !== undefined && /^[A-Z]{1,16}$/.test(method) ? { method } : {}),
  };
}

function header(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return typeof value === 'string' ? value : undefined;
}
