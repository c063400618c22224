/**
 * What a token's text shows by itself, read in the page and sent nowhere. Reading isn't verifying:
 * whether it is genuine and accepted only the service knows.
 */

export type Decoded =
  | { readonly form: 'empty' }
  /** Not to be shown whole: everything after the id is a secret. */
  | { readonly form: 'opaque'; readonly id: string }
  | {
      readonly form: 'jwt';
      readonly header: Part;
      readonly payload: Part;
      /** What is odd about its third part; null = nothing. */
      readonly signature: string | null;
    }
  | { readonly form: 'unknown'; readonly why: string };

export type Part =
  | { readonly claims: readonly Claim[] }
  /** Why it can't be read. */
  | { readonly why: string };

export interface Claim {
  readonly name: string;
  /** As JSON, except texts, which are shown as they are. */
  readonly value: string;
  /** A claim that is a time: the moment in milliseconds, or why it isn't one. */
  readonly time: number | string | null;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TIMES: ReadonlySet<string> = new Set(['iat', 'exp', 'nbf', 'auth_time', 'updated_at']);
/** JavaScript's last date. */
const LAST_MS = 8.64e15;
/** As seconds that is the year 5138; as milliseconds it is 1973. */
const MILLISECONDS_FROM = 1e11;

/** The token alone, from what people paste: a header line, a scheme, quotes, line breaks. */
export function toToken(pasted: string): string {
  return pasted
    .trim()
    .replace(/^authorization\s*:\s*/i, '')
    .replace(/^["'`]+|["'`,;]+$/g, '')
    .replace(/^(?:bearer|jwt)\s+/i, '')
    .replaceAll(/\s+/g, '');
}

export function decode(token: string): Decoded {
  if (token === '') return { form: 'empty' };
  const parts = token.split('.');
  const [first = '', second = '', third = ''] = parts;
  if (parts.length === 2 && UUID.test(first)) return { form: 'opaque', id: first };
  if (parts.length === 3) {
    return {
      form: 'jwt',
      header: readPart(first),
      payload: readPart(second),
      signature: oddSignature(third),
    };
  }
  if (parts.length === 5) {
    return {
      form: 'unknown',
      why: 'It has five parts: an encrypted token (JWE). Only its receiver can read it, and this service doesn’t accept such tokens.',
    };
  }
  return {
    form: 'unknown',
    why:
      parts.length === 1
        ? 'There is no dot in it. A JWT has three parts with dots between them; a refresh token or an API key has two, an id and a secret.'
        : `It has ${parts.length} parts. A JWT has three parts with dots between them. Was it cut, or is something of the surroundings pasted with it?`,
  };
}

function readPart(text: string): Part {
  if (text === '') return { why: 'It is empty.' };
  const stray = /[^A-Za-z0-9_-]/u.exec(text)?.[0];
  if (stray !== undefined) {
    return {
      why: `At place ${text.indexOf(stray) + 1} it has “${stray}”, which base64url doesn’t have (only letters, digits, - and _).`,
    };
  }
  const bytes = fromBase64url(text);
  if (bytes === null) return { why: 'Its length is none that base64url can have: it was cut.' };
  let json: string;
  try {
    json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { why: 'It is base64url, but what is in it isn’t UTF-8 text.' };
  }
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { why: 'It is base64url, but what is in it isn’t JSON: was it cut or changed?' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { why: 'It is JSON, but not an object with names and values.' };
  return { claims: Object.entries(value).map(([name, each]) => toClaim(name, each)) };
}

function fromBase64url(text: string): Uint8Array | null {
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

function toClaim(name: string, value: unknown): Claim {
  return {
    name,
    value: typeof value === 'string' ? value : JSON.stringify(value),
    time: TIMES.has(name) ? toTime(value) : null,
  };
}

function toTime(value: unknown): number | string {
  if (typeof value !== 'number') return 'not a number, so not a time';
  if (Math.abs(value) >= MILLISECONDS_FROM)
    return 'too large for seconds: were milliseconds written by mistake?';
  return Math.abs(value * 1000) > LAST_MS ? 'beyond any date' : value * 1000;
}

function oddSignature(text: string): string | null {
  if (text === '') return 'There is none: nobody vouches for this token.';
  return /^[A-Za-z0-9_-]+$/.test(text) ? null : 'It isn’t base64url.';
}
