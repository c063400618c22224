/** The words for tokens: states, kinds, reasons, and what stops working when one is revoked. */
import type { Kind, Origin, Reason, State, WireMatched, WireToken } from '../../wire.ts';

export const STATES: Record<State, string> = {
  active: 'Active',
  expired: 'Expired',
  revoked: 'Revoked',
};
export const KINDS: Record<Kind, string> = {
  access: 'Access token',
  refresh: 'Refresh token',
  'api-key': 'API key',
};
export const ORIGINS: Record<Origin, string> = {
  signin: 'Sign-in',
  fusionauth: 'FusionAuth',
  woleet: 'Woleet',
  registered: 'Registered',
  adopted: 'Adopted',
};
export const REASONS: Record<Reason, string> = {
  compromised: 'Compromised: lost, leaked or stolen',
  requested: 'Requested by its holder',
  rotated: 'Rotated: replaced by a new one',
  left: 'Its holder has left',
  other: 'Another reason',
};

/** "Access token 0198f3a2…9c41". */
export function nameOf(token: WireToken): string {
  const name = token.kind === 'api-key' ? token.device?.name : null;
  return `${KINDS[token.kind]} ${name ? `“${name}”` : shortId(token.jti)}`;
}

/** The first characters are the time, and the same for a minute: the last ones tell neighbours apart. */
export function shortId(jti: string): string {
  return jti.length > 16 ? `${jti.slice(0, 8)}…${jti.slice(-4)}` : jti;
}

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
});
const DAY_AND_CLOCK = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'medium',
  hour12: false,
});

/** "14:03:22", with the date unless it is today's. */
export function momentOf(at: string): string {
  const date = new Date(at);
  return date.toDateString() === new Date().toDateString()
    ? CLOCK.format(date)
    : DAY_AND_CLOCK.format(date);
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** ": at least 10,000 tokens of 12 users", to go on with after what was done; '' where nobody counted. */
export function hitsOf(matched: WireMatched | null): string {
  if (matched === null) return '';
  const { tokens, users, isLowerBound } = matched;
  if (tokens === 0) return ': no token on record was still good';
  const holders = users > 1 ? ` of ${counted(users, 'user')}` : '';
  return `: ${isLowerBound ? 'at least ' : ''}${counted(tokens, 'token')}${holders}`;
}
