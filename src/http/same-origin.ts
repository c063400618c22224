/** Where a request comes from, as browsers tell it: cookies come along by themselves, also from another site, or another port of this host. */
import type { Request } from 'express';

const NO_ORIGINS: ReadonlySet<string> = new Set();

interface Rules {
  /** Origins of other pages that may do the same, as browsers write them. */
  readonly trusted?: ReadonlySet<string>;
  /** Also what was typed into the address bar, or is a bookmark. */
  readonly typed?: boolean;
}

/**
 * Whether one of our own pages (or a trusted one) made this request. Without a word of where it comes
 * from it isn't a browser's, and no cookie comes along by itself.
 */
export function isFromOwnPage(
  req: Request,
  { trusted = NO_ORIGINS, typed = false }: Rules = {},
): boolean {
  const origin = req.get('origin');
  if (origin !== undefined && trusted.has(origin)) return true;
  const site = req.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin' || (typed && site === 'none');
  return origin === undefined || hostOf(origin) === req.host;
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
