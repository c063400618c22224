/**
 * What the dashboard's cookie holds: the session's token, when it was last used, and a code that
 * nobody else can make. So the idle time holds wherever the cookie is brought, at every instance and
 * after every restart, and no token that was had in another way is good as a cookie.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { SigningKeys } from '../tokens/keys.js';

export interface Stamped {
  readonly token: string;
  /** ms since the epoch, in whole seconds. */
  readonly usedAt: number;
}

export interface SessionStamps {
  /** @param now ms since the epoch. */
  seal(token: string, now: number): string;
  /** null = none of ours, or changed. */
  open(cookie: string): Stamped | null;
}

const SEALED = /^([\w-]+\.[\w-]+\.[\w-]+)\.([0-9a-z]{1,9})\.([\w-]{43})$/;

/** All instances have the same signing key, so they have the same here. */
export function createSessionStamps({
  signingKey,
}: Pick<SigningKeys, 'signingKey'>): SessionStamps {
  const secret =
    signingKey.type === 'secret'
      ? signingKey.export()
      : signingKey.export({ type: 'pkcs8', format: 'der' });
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'jwt-history dashboard session', 32));
  const codeOf = (text: string) => createHmac('sha256', key).update(text).digest('base64url');

  return {
    seal(token, now) {
      const text = `${token}.${Math.floor(now / 1000).toString(36)}`;
      return `${text}.${codeOf(text)}`;
    },

    open(cookie) {
      const [, token, used, code] = SEALED.exec(cookie) ?? [];
      if (token === undefined || used === undefined || code === undefined) return null;
      const expected = codeOf(`${token}.${used}`);
      if (!timingSafeEqual(Buffer.from(code), Buffer.from(expected))) return null;
      return { token, usedAt: Number.parseInt(used, 36) * 1000 };
    },
  };
}
