/** The client behind a request: its address and its device, as far as headers tell. Cleaned, because both end up in lists and logs. */
import type { IncomingMessage } from 'node:http';
import { isIP, SocketAddress } from 'node:net';
import type { Request } from 'express';
import type { Device } from '../store/records.js';

const MAX_USER_AGENT = 512;

export function clientDevice(req: Request): Device {
  return deviceBehind(req, trustedHops(req));
}

/** The client's address, told from those of `trust proxy`'s proxies; null when nothing tells it. */
export function clientAddress(req: Request): string | null {
  return addressBehind(req, trustedHops(req));
}

function trustedHops(req: Request): number {
  return Number(req.app.get('trust proxy'));
}

/** The device of whoever is behind `hops` proxies. */
export function deviceBehind(req: IncomingMessage, hops: number): Device {
  return {
    name: null,
    description: null,
    type: null,
    userAgent: cleanText(req.headers['user-agent'], MAX_USER_AGENT),
    ip: addressBehind(req, hops),
    location: null,
  };
}

/**
 * The address that the outermost of `hops` trusted proxies saw, counted as Express counts: from the
 * right of `X-Forwarded-For`, and its first entry when there are fewer. An entry that is no address
 * is null, and not the proxy's own: that one belongs to somebody else. `Forwarded` isn't read: a
 * proxy that writes only the one hands on what its client says in the other.
 */
export function addressBehind(req: IncomingMessage, hops: number): string | null {
  const list = hops > 0 ? (req.headers['x-forwarded-for'] ?? '') : '';
  // Node joins repeated ones by itself.
  const entries = (typeof list === 'string' ? list : list.join(','))
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);
  const forwarded = entries[Math.max(0, entries.length - hops)];
  return forwarded === undefined ? cleanAddress(req.socket.remoteAddress) : cleanAddress(forwarded);
}

/**
 * An IP address in its one spelling; null for anything else. Proxies add ports, brackets and quotes
 * (RFC 7239 section 6 has all three), a zone, and the prefix that IPv4 gets on an IPv6 socket.
 */
export function cleanAddress(value: string | undefined): string | null {
  const text = (value ?? '').trim().replace(/^"(.*)"$/, '$1');
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? withoutPort(text);
  const address = bare.replace(/%.*$/, '');
  const family = isIP(address);
  if (family === 0) return null;
  if (family === 4) return address;
  return new SocketAddress({ address, family: 'ipv6' }).address.replace(/^::ffff:(?=\d+\.)/i, '');
}

/** What is an address as a whole has no port: that of IPv6 can only be told apart by brackets. */
function withoutPort(text: string): string {
  if (isIP(text) !== 0) return text;
  const [, address = ''] = /^(.*):\d{1,5}$/.exec(text) ?? [];
  return isIP(address) === 0 ? text : address;
}

/** Without control characters and lone surrogates, cut to `max` characters; null when nothing is left. */
export function cleanText(value: string | undefined, max: number): string | null {
  const clean = (value ?? '')
    .slice(0, max)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim();
  return clean === '' ? null : clean;
}
