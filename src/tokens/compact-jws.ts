/** The shape of a compact JWS (RFC 7515 section 7.1), checked in linear time before anything is decoded. */

export const MAX_TOKEN_LENGTH = 8192;

const FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * Three non-empty parts of canonical base64url: no padding, and no set bit beyond the last byte,
 * so that one token has one spelling (16 spellings of a last character decode alike).
 */
export function isCompactJws(token: string): boolean {
  if (token.length > MAX_TOKEN_LENGTH || !FORM.test(token)) return false;
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  return (
    endsCanonically(token, 0, first) &&
    endsCanonically(token, first + 1, second) &&
    endsCanonically(token, second + 1, token.length)
  );
}

function endsCanonically(token: string, start: number, end: number): boolean {
  const unusedBits = UNUSED_BITS[(end - start) % 4] ?? -1;
  if (unusedBits === -1) return false;
  const last = ALPHABET.indexOf(token[end - 1] ?? '');
  return (last & ((1 << unusedBits) - 1)) === 0;
}

/** By length modulo 4: how many bits of the last character carry nothing. One character alone is no byte. */
const UNUSED_BITS = [0, -1, 4, 2];
