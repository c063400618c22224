/** The cookies of FusionAuth's dialect and of the dashboard: HttpOnly, for this site only, `Secure` on https. */
import type { CookieOptions, Request, Response } from 'express';

/** The dashboard's session: only `/admin` takes it. */
export const SESSION_COOKIE = 'jwt_history_session';

type CookieName = 'access_token' | 'refresh_token' | typeof SESSION_COOKIE;

/** By hand: what we set needs no unquoting, and the package `cookie` 0.7 would save 5 lines, without types. */
export function readCookie(req: Request, name: CookieName): string | undefined {
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}

export function setCookie(
  req: Request,
  res: Response,
  name: CookieName,
  value: string,
  expires?: Date,
): void {
  forget(res, name);
  res.cookie(name, value, { ...options(req), ...(expires ? { expires } : {}) });
}

export function clearCookie(req: Request, res: Response, name: CookieName): void {
  forget(res, name);
  res.clearCookie(name, options(req));
}

/** What this answer said of it before: the last word counts, and is the only one. */
function forget(res: Response, name: CookieName): void {
  const before = [res.getHeader('Set-Cookie') ?? []].flat().map(String);
  const others = before.filter((cookie) => !cookie.startsWith(`${name}=`));
  if (others.length === 0) res.removeHeader('Set-Cookie');
  else res.setHeader('Set-Cookie', others);
}

function options(req: Request): CookieOptions {
  return { httpOnly: true, sameSite: 'strict', secure: req.secure, path: '/' };
}
