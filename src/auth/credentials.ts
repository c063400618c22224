/**
 * The `Authorization` grammar of all dialects, parsed in one pass: what the caller presents, not
 * whether it is any good.
 *
 *   Basic base64(email:password) · Basic base64(apikey:KEY) · JWT <jwt> · Bearer <jwt> ·
 *   a bare <jwt> · a bare API key (also after Bearer)
 */
import { isCompactJws, MAX_TOKEN_LENGTH } from '../tokens/compact-jws.js';

export type Credentials =
  | { readonly scheme: 'basic'; readonly email: string; readonly password: string }
  | { readonly scheme: 'token'; readonly token: string }
  | { readonly scheme: 'api-key'; readonly key: string }
  /** Nothing was presented. */
  | { readonly scheme: 'none' }
  /** Something was, but it is none of the forms above. */
  | { readonly scheme: 'malformed' };

const NO_CREDENTIALS: Credentials = { scheme: 'none' };
const MALFORMED: Credentials = { scheme: 'malformed' };
const MAX_HEADER_LENGTH = MAX_TOKEN_LENGTH + 16;
const API_KEY = /^[0-9a-f-]{36}\.[a-z0-9_-]{43}$/i;
const API_KEY_USER = 'apikey';
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function parseAuthorization(header: string | undefined): Credentials {
  if (header === undefined || header === '') return NO_CREDENTIALS;
  if (header.length > MAX_HEADER_LENGTH) return MALFORMED;
  const space = header.indexOf(' ');
  if (space === -1) return parseToken(header);
  const value = header.slice(space + 1).trim();
  switch (header.slice(0, space).toLowerCase()) {
    case 'basic':
      return parseBasic(value);
    case 'jwt':
    case 'bearer':
      return parseToken(value);
    default:
      return MALFORMED;
  }
}

/** The token in a parameter, where a leading `JWT ` or `Bearer ` is accepted too. */
export function tokenOfParameter(value: string): string {
  return /^(?:jwt|bearer) +/i.test(value) ? value.slice(value.indexOf(' ')).trim() : value;
}

function parseToken(value: string): Credentials {
  if (isCompactJws(value)) return { scheme: 'token', token: value };
  return API_KEY.test(value) ? { scheme: 'api-key', key: value } : MALFORMED;
}

/** RFC 7617: UTF-8, split at the first colon, no control characters. */
function parseBasic(encoded: string): Credentials {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return MALFORMED;
  let decoded: string;
  try {
    decoded = utf8.decode(Buffer.from(encoded, 'base64'));
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    return MALFORMED;
  }
  const colon = decoded.indexOf(':');
  if (colon < 1 || /[\u0000-\u001f\u007f]/.test(decoded)) return MALFORMED;
  const user = decoded.slice(0, colon);
  const password = decoded.slice(colon + 1);
  if (user === API_KEY_USER) {
    return API_KEY.test(password) ? { scheme: 'api-key', key: password } : MALFORMED;
  }
  return { scheme: 'basic', email: user, password };
}
