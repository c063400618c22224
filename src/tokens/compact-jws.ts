/** The shape of a compact JWS (RFC 7515 section 7.1), checked in one pass before anything is decoded. */

export const MAX_TOKEN_LENGTH = 8192;

/** The value of each base64url character, or 255. */
const SEXTETS = new Uint8Array(128).fill(255);
for (const [value, character] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
].entries()) {
  SEXTETS[character.charCodeAt(0)] = value;
}

/**
 * Three non-empty parts of canonical base64url: no padding, and no set bit beyond the last byte,
 * so that one token has one spelling (16 spellings of a last character decode alike).
 */
export function isCompactJws(token: string): boolean {
  if (token.length > MAX_TOKEN_LENGTH) return false;
  let parts = 1;
  let partLength = 0;
  let sextet = 0;
  for (let i = 0; i <= token.length; i += 1) {
    const unit = i === token.length ? DOT : token.charCodeAt(i);
    if (unit === DOT) {
      if (partLength === 0 || !endsCanonically(partLength, sextet)) return false;
      if (i < token.length) parts += 1;
      partLength = 0;
      continue;
    }
    sextet = unit < 128 ? (SEXTETS[unit] ?? 255) : 255;
    if (sextet === 255) return false;
    partLength += 1;
  }
  return parts === 3;
}

const DOT = 0x2e;

function endsCanonically(length: number, lastSextet: number): boolean {
  switch (length % 4) {
    case 0:
      return true;
    case 2:
      return (lastSextet & 0x0f) === 0;
    case 3:
      return (lastSextet & 0x03) === 0;
    default:
      return false;
  }
}
