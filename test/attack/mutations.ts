/** Forms of good and of revoked tokens that nobody may accept: as somebody without the key makes them. */
import { createHmac } from 'node:crypto';
import type { Random } from './random.js';

export interface Specimen {
  readonly parts: readonly [header: string, payload: string, signature: string];
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Revoked ones are refused as they are, too. */
  readonly isRevoked: boolean;
}

export interface Mutated {
  readonly kind: string;
  readonly token: string;
}

interface Material {
  readonly specimens: readonly Specimen[];
  /** What everybody may know of the keys, in all the forms in which it could be taken for a secret. */
  readonly knownKeys: readonly (string | Buffer)[];
  readonly random: Random;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const ALGORITHMS = [
  'none',
  'None',
  'NONE',
  'nOnE',
  ' none',
  '',
  'HS256',
  'hs256',
  'HS384',
  'HS512',
  'RS256',
  'rs256',
  'RS384',
  'PS256',
  'ES256',
  'ES512',
  'EdDSA',
  'dir',
  'A128KW',
  'HS256 ',
];
const WEAK = ['', 'secret', 'nodeauthsecret', 'null', 'undefined', '0', 'change-me', 'jwt-secret'];

export const base64url = (data: string | Buffer) => Buffer.from(data).toString('base64url');

export function specimenOf(token: string, isRevoked: boolean): Specimen {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
  return {
    parts: [header, payload, signature],
    header: { ...read(header) },
    payload: { ...read(payload) },
    isRevoked,
  };
}

export function createMutator({ specimens, knownKeys, random }: Material): () => Mutated {
  const { below, pick } = random;
  const good = new Set(
    specimens.flatMap(({ parts, isRevoked }) => (isRevoked ? [] : [parts.join('.')])),
  );
  const revoked = specimens.filter(({ isRevoked }) => isRevoked);
  const any = () => pick(specimens);
  const json = (value: unknown) => base64url(JSON.stringify(value));
  const hmac = (key: string | Buffer, text: string) =>
    createHmac('sha256', key).update(text).digest('base64url');
  /** One of the three parts in the place of its own. */
  const withPart = ({ parts }: Specimen, at: number, part: string) =>
    parts.with(at, part).join('.');
  const signedWith = (key: string | Buffer, header: object, payload: unknown) => {
    const signed = `${json(header)}.${json(payload)}`;
    return `${signed}.${hmac(key, signed)}`;
  };
  const later = () => Math.floor(Date.now() / 1000) + 1 + below(10_000_000);

  const claimOf: Readonly<Record<string, () => unknown>> = {
    exp: later,
    iat: later,
    nbf: () => 0,
    jti: () => pick(specimens).payload['jti'],
    _id: () => pick(specimens).payload['_id'],
    sub: () => pick(['user', 'guest', 'root', null]),
    sid: () => pick([null, undefined, 'another']),
    aud: () => pick(['another', ['https://tiledesk.com'], null]),
    iss: () => pick(['another', null]),
    role: () => 'admin',
    applicationId: () => pick(['another', null]),
  };
  const claim = () => pick(Object.keys(claimOf));

  const kinds: Readonly<Record<string, () => string>> = {
    'one character': () => {
      const token = any().parts.join('.');
      const at = below(token.length);
      return token.slice(0, at) + (ALPHABET[below(64)] ?? '') + token.slice(at + 1);
    },
    'one bit': () => {
      const specimen = any();
      const at = below(3);
      const bytes = Buffer.from(specimen.parts[at] ?? '', 'base64url');
      const byte = below(bytes.length);
      bytes[byte] = (bytes[byte] ?? 0) ^ (1 << below(8));
      return withPart(specimen, at, base64url(bytes));
    },
    'some bytes': () => {
      const specimen = any();
      const at = below(3);
      const bytes = Buffer.from(specimen.parts[at] ?? '', 'base64url');
      for (let count = 1 + below(8); count > 0; count -= 1) bytes[below(bytes.length)] = below(256);
      return withPart(specimen, at, base64url(bytes));
    },
    'another algorithm': () => {
      const specimen = any();
      const header = json({ ...specimen.header, alg: pick(ALGORITHMS) });
      const [, payload, signature] = specimen.parts;
      const end = pick(['', signature, hmac(pick(WEAK), `${header}.${payload}`), 'AA', '.']);
      return `${header}.${payload}.${end}`;
    },
    'an odd algorithm': () => {
      const specimen = any();
      const alg = pick<unknown>([null, 0, true, [], ['HS256'], {}, { toString: 'HS256' }]);
      return withPart(specimen, 0, json({ ...specimen.header, alg }));
    },
    'an empty or missing part': () => {
      const [header, payload, signature] = any().parts;
      return pick([
        `${header}.${payload}.`,
        `${header}.${payload}`,
        `${header}..${signature}`,
        `.${payload}.${signature}`,
        `..${signature}`,
        `${header}..`,
        '..',
        '.',
        payload,
        `${header}.${payload}.${signature}.`,
        `.${header}.${payload}.${signature}`,
        `${header}.${payload}.${signature}.${signature}`,
      ]);
    },
    'parts of several': () => [0, 1, 2].map((at) => any().parts[at]).join('.'),
    'parts in another order': () => {
      const { parts } = any();
      return [0, 1, 2].map(() => pick(parts)).join('.');
    },
    'a changed claim': () => {
      const specimen = any();
      const name = claim();
      return withPart(specimen, 1, json({ ...specimen.payload, [name]: claimOf[name]?.() }));
    },
    'a claim twice': () => {
      const specimen = any();
      const name = claim();
      const text = JSON.stringify(specimen.payload).slice(1, -1);
      const more = `${JSON.stringify(name)}:${JSON.stringify(claimOf[name]?.() ?? null)}`;
      const payload = pick([`{${text},${more}}`, `{${more},${text}}`]);
      return withPart(specimen, 1, base64url(payload));
    },
    'another spelling': () => {
      const specimen = any();
      const token = specimen.parts.join('.');
      // Not in front: after the scheme there may be several blanks (RFC 9110 section 11.4).
      const at = 1 + below(token.length - 1);
      const white = pick([' ', '\t', '%20', '%2E', '=', '==', '\u00a0', '+', '/']);
      return pick([
        `${token}${pick(['=', '==', '===', '.', '%', ';', ',', '"'])}`,
        specimen.parts.map((part) => `${part}=`).join('.'),
        token.replaceAll('-', '+').replaceAll('_', '/') + '=',
        token.slice(0, at) + white + token.slice(at),
        `"${token}"`,
        token.replaceAll('.', '%2E'),
        token.toUpperCase(),
        token.toLowerCase(),
        [...token].toReversed().join(''),
      ]);
    },
    // The same bytes: an id is revoked, not a text, but one token has one spelling here.
    'unused bits': () => {
      const specimen = any();
      const at = below(3);
      const part = specimen.parts[at] ?? '';
      const unused = [0, 0, 4, 2][part.length % 4] ?? 0;
      const last = ALPHABET.indexOf(part.at(-1) ?? '') | below(1 << unused);
      return withPart(specimen, at, part.slice(0, -1) + (ALPHABET[last] ?? ''));
    },
    'cut off': () => {
      const token = any().parts.join('.');
      return token.slice(0, 1 + below(token.length - 1));
    },
    longer: () => {
      const token = any().parts.join('.');
      const more = Array.from({ length: 1 + below(12) }, () => ALPHABET[below(64)]).join('');
      return pick([`${token}${more}`, `${more}${token}`, `${token}.${more}`, `${more}.${token}`]);
    },
    'a guessed secret': () => {
      const { header, payload } = any();
      return signedWith(pick(WEAK), { ...header, alg: 'HS256' }, payload);
    },
    'a known key as the secret': () => {
      const { header, payload } = any();
      return signedWith(pick(knownKeys), { ...header, alg: 'HS256' }, payload);
    },
    'a key of its own': () => {
      const { header, payload } = any();
      const key = Buffer.alloc(32, below(256));
      const jwk = { kty: 'oct', k: base64url(key), alg: 'HS256' };
      const hint = pick([
        { jwk },
        { jku: 'http://127.0.0.1:1/keys', kid: 'a' },
        { x5u: 'http://127.0.0.1:1/cert' },
        { x5c: [base64url(key)] },
        { kid: pick(['../../../../dev/null', '', '__proto__', "' or 1=1", '0']) },
      ]);
      return signedWith(key, { ...header, alg: 'HS256', ...hint }, payload);
    },
    'an odd payload': () => {
      const payload = pick([null, [], [1], 'text', 1, true, {}, { jti: 'x' }, { exp: later() }]);
      return withPart(any(), 1, json(payload));
    },
    'two at once': () => {
      const [one, other] = [pick(revoked).parts.join('.'), any().parts.join('.')];
      return pick([
        `${one},${other}`,
        `${one} ${other}`,
        `${one};${other}`,
        `JWT ${one}`,
        `${one}${other}`,
      ]);
    },
    'a revoked one as it is': () => pick(revoked).parts.join('.'),
  };
  const names = Object.keys(kinds);

  return function mutate() {
    for (;;) {
      const kind = pick(names);
      const token = kinds[kind]?.() ?? '';
      // Some changes change nothing.
      if (!good.has(token)) return { kind, token };
    }
  };
}
