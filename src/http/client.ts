/** The client behind a request: its address and its device, as far as headers tell. Cleaned, because both end up in lists and logs. */
import { isIP } from 'node:net';
import type { Request } from 'express';
import type { Device } from '../store/records.js';

const MAX_USER_AGENT = 512;

export function clientDevice(req: Request): Device {
  return {
    name: null,
    description: null,
    type: null,
    userAgent: cleanText(req.headers['user-agent'], MAX_USER_AGENT),
    ip: clientAddress(req),
    location: null,
  };
}

/** The address as Express found it (`trust proxy`). */
export function clientAddress(req: Request): string {
  return cleanAddress(req.ip) ?? 'unknown';
}

/** An IP address, without the prefix that IPv4 gets on an IPv6 socket; null for anything else. */
export function cleanAddress(value: string | undefined): string | null {
  const address = (value ?? '').trim().replace(/^::ffff:(?=\d+\.)/i, '');
  return isIP(address) === 0 ? null : address;
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
