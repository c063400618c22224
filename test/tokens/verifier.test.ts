/** What counts as a token: its shape, its id, its claims, and the check of all of them in order. */
import { constants, createHmac, createPublicKey, createSecretKey, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import jwt from 'jsonwebtoken';
import { unavailable } from '../../src/errors.js';
import { type Claims, parseClaims } from '../../src/tokens/claims.js';
import { isCompactJws, MAX_TOKEN_LENGTH } from '../../src/tokens/compact-jws.js';
import { createJti, timeOfJti } from '../../src/tokens/jti.js';
import { createRsaKeys, createSecretKeys } from '../../src/tokens/keys.js';
import { createTokenVerifier } from '../../src/tokens/verifier.js';
import { rsaPem, SECRET, START } from '../support/harness.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const NOW_SECONDS = Math.floor(START / 1000);

type Signer = (input: string) => Buffer;
const hmac =
  (secret: string | Buffer, hash = 'sha256'): Signer =>
  (input) =>
    createHmac(hash, secret).update(input).digest();
const rsa =
  (pem = rsaPem.privateKey, hash = 'sha256'): Signer =>
  (input) =>
    sign(hash, Buffer.from(input), pem);

/** A JWS of any header and payload, given as values or as raw JSON text. */
function forge(header: object | string, payload: object | string, signer: Signer): string {
  const encode = (part: object | string) =>
    Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signer(input).toString('base64url')}`;
}

const KINDS = [
  {
    algorithm: 'HS256',
    keys: createSecretKeys(SECRET),
    signer: hmac(SECRET),
    signingKey: createSecretKey(Buffer.from(SECRET)),
    spellings: 4,
  },
  {
    algorithm: 'RS256',
    keys: createRsaKeys(rsaPem.privateKey, rsaPem.publicKey),
    signer: rsa(),
    signingKey: rsaPem.privateKey,
    spellings: 16,
  },
] as const;
type Kind = (typeof KINDS)[number];

const PAYLOAD = { jti: 'token-1', sub: 'user-1', iat: NOW_SECONDS, exp: NOW_SECONDS + 3600 };
/** `noTimestamp` would remove an `iat` that is given. */
const goodToken = (kind: Kind, claims: object = PAYLOAD) =>
  jwt.sign(claims, kind.signingKey, { algorithm: kind.algorithm, noTimestamp: !('iat' in claims) });

/** The same bytes, spelled with another last character. */
function otherSpellings(token: string): string[] {
  const signature = token.slice(token.lastIndexOf('.') + 1);
  const bytes = Buffer.from(signature, 'base64url').toString('hex');
  return [...ALPHABET]
    .map((last) => signature.slice(0, -1) + last)
    .filter((text) => text !== signature)
    .filter((text) => Buffer.from(text, 'base64url').toString('hex') === bytes)
    .map((text) => token.slice(0, -signature.length) + text);
}

describe('isCompactJws', () => {
  /** The definition, naively: three parts, each of which re-encodes to itself. */
  function isCompactJwsNaively(text: string): boolean {
    const parts = text.split('.');
    return (
      text.length <= 8192 &&
      parts.length === 3 &&
      parts.every((part) => {
        return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;
      })
    );
  }

  const canonical = fc
    .uint8Array({ minLength: 1, maxLength: 12 })
    .map((bytes) => Buffer.from(bytes).toString('base64url'));
  const alphabetic = fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 9 });
  const odd = fc.string({
    unit: fc.oneof(fc.constantFrom(...'Aw-_=+/ \n\0é€😀'), fc.string({ unit: 'binary' })),
    maxLength: 6,
  });

  it('agrees with the naive definition, on 1 to 7 parts of anything', () => {
    const seen = new Set<boolean>();
    const part = fc.oneof(
      { weight: 8, arbitrary: canonical },
      { weight: 3, arbitrary: alphabetic },
      { weight: 1, arbitrary: odd },
    );
    const parts = fc.oneof(
      fc.tuple(part, part, part),
      fc.array(part, { minLength: 1, maxLength: 7 }),
    );
    fc.assert(
      fc.property(parts, (some) => {
        const text = some.join('.');
        const accepted = isCompactJws(text);
        seen.add(accepted);
        expect(accepted).toBe(isCompactJwsNaively(text));
      }),
      { numRuns: 3000 },
    );
    expect(seen).toEqual(new Set([true, false]));
  });

  it('agrees with it on one character of every kind in every place of a part', () => {
    for (const length of [1, 2, 3, 4, 5, 6, 7]) {
      for (let unit = 0; unit < 300; unit += 1) {
        for (const at of [0, length - 1]) {
          const part = 'A'.repeat(at) + String.fromCharCode(unit) + 'A'.repeat(length - 1 - at);
          for (const text of [`${part}.AA.AA`, `AA.${part}.AA`, `AA.AA.${part}`]) {
            expect([text, isCompactJws(text)]).toEqual([text, isCompactJwsNaively(text)]);
          }
        }
      }
    }
  });

  it.each([
    ['nothing', ''],
    ['one dot', '.'],
    ['dots only', '..'],
    ['two parts', 'AAAA.AAAA'],
    ['four parts', 'AAAA.AAAA.AAAA.AAAA'],
    ['the five parts of a JWE', 'AAAA.AAAA.AAAA.AAAA.AAAA'],
    ['seven parts', 'AAAA.AAAA.AAAA.AAAA.AAAA.AAAA.AAAA'],
    ['an empty header', '.AAAA.AAAA'],
    ['an empty payload', 'AAAA..AAAA'],
    ['an empty signature', 'AAAA.AAAA.'],
    ['a dot more', 'AAAA.AAAA.AAAA.'],
    ['padding', 'AA==.AAAA.AAAA'],
    ['padding at the end', 'AAAA.AAAA.AA=='],
    ['an impossible length', 'AAAAA.AAAA.AAAA'],
    ['unused bits in the header', 'AB.AAAA.AAAA'],
    ['unused bits in the payload', 'AAAA.AAB.AAAA'],
    ['unused bits in the signature', 'AAAA.AAAA.AB'],
    ['standard base64', 'AA+/.AAAA.AAAA'],
    ['a space before', ' AAAA.AAAA.AAAA'],
    ['a line end after', 'AAAA.AAAA.AAAA\n'],
    ['NUL', 'AAAA.AA\0A.AAAA'],
    ['a full-width letter', 'AAAA.AAAＡ.AAAA'],
    ['a full-width dot', 'AAAA．AAAA.AAAA'],
    ['a letter whose low byte is A', 'AAAA.AAA\u0141.AAAA'],
    ['a dot whose low byte is one', 'AAAA\u012eAAAA.AAAA'],
    ['an emoji', 'AAAA.😀AA.AAAA'],
    ['a lone surrogate', 'AAAA.AAA\ud800.AAAA'],
  ])('refuses %s', (_name, text) => {
    expect(isCompactJws(text)).toBe(false);
  });

  it('accepts 8192 characters and refuses 8193', () => {
    const ofLength = (length: number) => `AAAA.AAAA.${'A'.repeat(length - 10)}`;
    expect(MAX_TOKEN_LENGTH).toBe(8192);
    expect(isCompactJws(ofLength(8192))).toBe(true);
    expect(isCompactJws(ofLength(8193))).toBe(false);
    expect(isCompactJws(ofLength(8194))).toBe(false);
  });

  it.each(KINDS)('knows one spelling of an $algorithm token', (kind) => {
    const token = goodToken(kind);
    const siblings = otherSpellings(token);
    expect(siblings).toHaveLength(kind.spellings - 1);
    expect(isCompactJws(token)).toBe(true);
    expect(siblings.filter((sibling) => isCompactJws(sibling))).toEqual([]);
  });
});

describe('jti', () => {
  const UUID_V7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

  it('is a UUIDv7 that carries the millisecond', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 48 - 1 }), (ms) => {
        const jti = createJti(ms);
        expect(jti).toMatch(UUID_V7);
        expect(jti.replaceAll('-', '').slice(0, 12)).toBe(ms.toString(16).padStart(12, '0'));
        expect(timeOfJti(jti)).toBe(ms);
      }),
    );
    for (const ms of [0, START, 2 ** 48 - 1]) expect(timeOfJti(createJti(ms))).toBe(ms);
  });

  it('sorts by time', () => {
    const later = [1, 255, 256, 65_536, 2 ** 40].map((ms) => createJti(START + ms));
    expect(later.toSorted()).toEqual(later);
  });

  it('is unique, 10,000 times in one millisecond', () => {
    expect(new Set(Array.from({ length: 10_000 }, () => createJti(START))).size).toBe(10_000);
  });

  it.each([
    '',
    'token-1',
    '0195518e-1a2b-4c3d-8e4f-5a6b7c8d9e0f', // v4
    '0195518e-1a2b-6c3d-8e4f-5a6b7c8d9e0f', // v6
    '0195518e-1a2b-7c3d-ce4f-5a6b7c8d9e0f', // another variant
    '0195518E-1A2B-7C3D-8E4F-5A6B7C8D9E0F',
    '{0195518e-1a2b-7c3d-8e4f-5a6b7c8d9e0f}',
    '0195518e1a2b7c3d8e4f5a6b7c8d9e0f',
    '0195518e-1a2b-7c3d-8e4f-5a6b7c8d9e0f\n',
    ' 0195518e-1a2b-7c3d-8e4f-5a6b7c8d9e0f',
    '0195518g-1a2b-7c3d-8e4f-5a6b7c8d9e0f',
  ])('tells no time of %j', (jti) => {
    expect(timeOfJti(jti)).toBeNull();
  });
});

describe('claims', () => {
  /** As they arrive: raw JSON, in which the last of two equal names wins. */
  const withClaims = (raw: string) => parseClaims(JSON.parse(`{"jti":"t","sub":"u",${raw}}`));
  const text = (length: number) => JSON.stringify('x'.repeat(length));

  it.each([
    'null',
    'true',
    '7',
    '"text"',
    '[]',
    '["jti"]',
    '[{"jti":"t","sub":"u"}]',
    '{}',
    '{"sub":"u"}',
    '{"jti":"t"}',
  ])('refuses the payload %s', (raw) => {
    expect(parseClaims(JSON.parse(raw))).toBeNull();
  });

  it.each([
    ['jti', ['null', '""', '7', 'true', '["t"]', '{"$ne":null}', '{"toString":"t"}', text(129)]],
    ['jti', ['"a\\u0000b"', '"a\\u001fb"', '"a\\nb"', '"a\\u007fb"', '"a\\u0085b"']],
    ['jti', ['"a\\ud800b"', '"\\udc00\\ud800"', '"a\\udfff"', '"😀\\u0000"', '"😀\\ud83d"']],
    ['exp', ['null', '"1772370000"', 'true', '[1772370000]', '{}', '-1', '-1e400']],
    // In milliseconds, or beyond every number: both would mean "never".
    ['exp', ['1772370000000', '253402300800', '1e400', '1e308']],
    ['iat', ['null', '"1772370000"', 'false', '[]', '-1', '1772370000000', '1e400']],
    ['iss', ['"*"', 'null', '7', '["x"]', '{}', text(257), '"a\\u0000"', '"\\ud800"']],
    ['sub', ['null', '7', '["u"]', '{"$gt":""}', '""', text(257), '"a\\u0000"', '"\\ud800"']],
    ['aud', ['null', '7', '{}', '[1]', '["a",null]', '[["a"]]', text(257), `[${text(257)}]`]],
    ['aud', [`[${Array(17).fill('"a"').join(',')}]`, '["a\\u0000"]']],
    ['sid', ['null', '""', '7', '["s"]', '{"$ne":1}', text(129), '"\\u0000"', '"\\ud800"']],
    ['applicationId', ['null', '""', '7', '["a"]', '{"$ne":1}', text(129), '"\\u0000"']],
    ['_id', ['null', '""', '7', '["u"]', '{"$oid":"65e1c0ffee"}', text(129), '"\\u0000"']],
    ['_doc', ['{"_id":null}', '{"_id":""}', '{"_id":7}', '{"_id":["u"]}', '{"_id":{"a":1}}']],
  ])('refuses %s when it is one of %j', (name, values) => {
    for (const value of values) {
      expect([value, withClaims(`${JSON.stringify(name)}:${value}`)]).toEqual([value, null]);
    }
  });

  it('refuses an array of ids behind a good id of the same name', () => {
    expect(withClaims('"jti":"good","jti":["bad"]')).toBeNull();
    expect(withClaims('"jti":["bad"],"jti":"good"')).toMatchObject({ jti: 'good' });
  });

  it.each(['user', 'userexternal', 'useranonymous', 'guest', 'bot', 'subscription'])(
    'takes sub %s for a kind of subject, never for a user',
    (sub) => {
      expect(withClaims(`"sub":"${sub}"`)).toBeNull();
      expect(withClaims(`"sub":"${sub}","_id":"65e1"`)).toMatchObject({
        subject: sub,
        userId: sub === 'user' ? '65e1' : `${sub}:65e1`,
        subjectType: sub,
      });
    },
  );

  it('takes nothing but the claims, and has a value for each', () => {
    expect(withClaims('"password":"never-shown","role":"admin"')).toEqual({
      jti: 't',
      issuer: '',
      subject: 'u',
      audience: null,
      userId: 'u',
      subjectType: 'user',
      applicationId: null,
      sessionId: null,
      issuedAt: null,
      sessionIssuedAt: null,
      expiresAt: null,
      cdata: null,
    });
    expect(
      withClaims(
        '"iss":"i","aud":"a","_id":"u","applicationId":"app","sid":"s","iat":5,"exp":6,"cdata":"c"',
      ),
    ).toEqual({
      jti: 't',
      issuer: 'i',
      subject: 'u',
      audience: 'a',
      userId: 'u',
      subjectType: 'user',
      applicationId: 'app',
      sessionId: 's',
      issuedAt: 5000,
      sessionIssuedAt: null,
      expiresAt: 6000,
      cdata: 'c',
    });
  });

  const accepted: [string, string, Partial<Claims>][] = [
    ['a jti of one character', '"jti":"a"', { jti: 'a' }],
    ['a jti of 128', `"jti":${text(128)}`, { jti: 'x'.repeat(128) }],
    ['a jti with an emoji', '"jti":"\\ud83d\\ude00 é"', { jti: '😀 é' }],
    ['a jti of spaces and signs', '"jti":" $ne/.."', { jti: ' $ne/..' }],
    ['an empty iss, as none', '"iss":""', { issuer: '' }],
    ['an iss of 256', `"iss":${text(256)}`, { issuer: 'x'.repeat(256) }],
    ['exp 0', '"exp":0', { expiresAt: 0 }],
    ['the last exp', '"exp":253402300799', { expiresAt: 253_402_300_799_000 }],
    ['a broken exp, rounded down', '"exp":1.0019', { expiresAt: 1001 }],
    ['a broken iat', '"iat":1.5', { issuedAt: 1000 }],
    ['several audiences', '"aud":["a","b"]', { audience: ['a', 'b'] }],
    [
      '16 audiences',
      `"aud":[${Array(16).fill('"a"').join(',')}]`,
      { audience: Array<string>(16).fill('a') },
    ],
    ['_id before _doc._id', '"sub":"user","_id":"1","_doc":{"_id":"2"}', { userId: '1' }],
    ['_doc._id without _id', '"sub":"user","_doc":{"_id":"2"}', { userId: '2' }],
    [
      '_id before _doc._id and sub, of no user',
      '"_id":"1","_doc":{"_id":"2"}',
      { userId: 'other:u:1', subjectType: 'other', subject: 'u' },
    ],
    ['_doc._id before sub, of no user', '"_doc":{"_id":"2"}', { userId: 'other:u:2' }],
    ['a _doc without _id, as none', '"_doc":{}', { userId: 'u' }],
    ['a _doc that is no object, as none', '"_doc":["x"]', { userId: 'u' }],
    ['a cdata that is no text, as none', '"cdata":7', { cdata: null }],
    ['__proto__, as none', '"__proto__":{"_id":"evil","exp":9}', { userId: 'u', expiresAt: null }],
  ];
  it.each(accepted)('accepts %s', (_name, raw, expected) => {
    expect(withClaims(raw)).toMatchObject(expected);
  });

  it('knows the issue time exactly where the jti agrees with iat, and to the second otherwise', () => {
    const jti = createJti(START);
    const timeFor = (claims: object) => {
      const { issuedAt } = parseClaims({ sub: 'u', ...claims }) ?? {};
      return { issuedAt };
    };
    const seconds = NOW_SECONDS * 1000;
    expect(seconds).not.toBe(START);
    for (const id of [jti, jti.toUpperCase()])
      expect(timeFor({ jti: id, iat: NOW_SECONDS })).toEqual({ issuedAt: START });
    for (const [odd, issuedAt] of [
      [{ jti, iat: NOW_SECONDS + 1 }, seconds + 1000],
      [{ jti, iat: NOW_SECONDS - 1 }, seconds - 1000],
      [{ jti, iat: NOW_SECONDS + 0.25 }, seconds],
      [{ jti: `${jti.slice(0, 14)}4${jti.slice(15)}`, iat: NOW_SECONDS }, seconds],
      [{ jti: 'token-1', iat: NOW_SECONDS }, seconds],
      [{ jti }, null],
    ] as const) {
      expect([odd, timeFor(odd)]).toEqual([odd, { issuedAt }]);
    }
  });

  it('never throws, and lets nothing through that could not be stored', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.string({ unit: 'binary' }),
      fc.double(),
      fc.constantFrom('user', '*', 1.5, NOW_SECONDS),
    );
    const payload = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          jti: fc.oneof(fc.uuid({ version: 7 }), value),
          sub: fc.oneof(fc.constant('u'), value),
          iss: value,
          aud: value,
          exp: value,
          iat: value,
          sid: value,
          _id: value,
          _doc: fc.oneof(value, fc.record({ _id: value })),
        },
        { requiredKeys: ['jti', 'sub'] },
      ),
    );
    fc.assert(
      fc.property(payload, (some) => {
        const claims = parseClaims(some);
        if (claims === null) return;
        for (const id of [claims.jti, claims.userId, claims.sessionId ?? 'absent']) {
          expect(id).toMatch(/^[^\p{Cc}\p{Cs}]{1,128}$/u);
        }
        for (const time of [claims.issuedAt ?? 0, claims.expiresAt ?? 0]) {
          expect(new Date(time).getTime()).toBe(time);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe.each(KINDS)('the $algorithm verifier', (kind) => {
  const { algorithm: alg, signer } = kind;
  const ofAnother = alg === 'HS256' ? hmac(`${SECRET}x`) : hmac(SECRET);

  /** A verifier at `now`, and what its `isRevoked` was asked. */
  function setUp({ now = START, isRevoked = (): boolean => false } = {}) {
    const asked: Claims[] = [];
    const clock = { now };
    const verifier = createTokenVerifier({
      keys: kind.keys,
      clock: () => clock.now,
      isRevoked: (claims) => {
        asked.push(claims);
        return isRevoked();
      },
    });
    return { ...verifier, asked, clock };
  }
  const { check, identify } = setUp();
  const forged = (header: object | string, payload: object | string = PAYLOAD, by = signer) =>
    forge(header, payload, by);
  const claims = parseClaims(PAYLOAD);

  it('accepts a good token, however it was built', () => {
    for (const token of [goodToken(kind), forged({ alg }), forged({ typ: 'JWT', alg })]) {
      expect(check(token)).toEqual({ accepted: true, claims });
      expect(identify(token)).toEqual(claims);
    }
  });

  it.each([
    ['typ JWT', { typ: 'JWT' }],
    ['typ jwt', { typ: 'jwt' }],
    ['typ at+jwt', { typ: 'at+jwt' }],
    ['typ AT+JWT', { typ: 'AT+JWT' }],
    ['an unknown kid', { kid: 'nobody' }],
    ['a kid that is a path', { kid: '../../../../dev/null' }],
    ['a kid of the prototype', { kid: '__proto__' }],
    ['a kid that is no text', { kid: { $ne: null } }],
    ['a jku', { jku: 'https://attacker.example/jwks.json' }],
    ['an x5u', { x5u: 'https://attacker.example/chain.pem' }],
    ['an x5c', { x5c: ['AAAA'] }],
    ['a jwk', { jwk: { kty: 'oct', k: 'AAAA' } }],
  ])('accepts %s in the header of a token signed with its key', (_name, header) => {
    expect(check(forged({ alg, ...header }))).toEqual({ accepted: true, claims });
  });

  it.each([
    ['crit', { crit: ['exp'] }],
    ['an empty crit', { crit: [] }],
    ['crit null', { crit: null }],
    ['b64 false, said to be critical', { b64: false, crit: ['b64'] }],
    ['b64 false', { b64: false }],
    ['b64 true', { b64: true }],
    ['typ dpop+jwt', { typ: 'dpop+jwt' }],
    ['typ logout+jwt', { typ: 'logout+jwt' }],
    ['typ JOSE', { typ: 'JOSE' }],
    ['an empty typ', { typ: '' }],
    ['typ 7', { typ: 7 }],
    ['typ null', { typ: null }],
    ['typ in an array', { typ: ['JWT'] }],
  ])('refuses %s in the header of a token signed with its key', (_name, header) => {
    const token = forged({ alg, ...header });
    expect(check(token)).toEqual({ accepted: false, reason: 'bad-signature', claims: null });
    expect(identify(token)).toBeNull();
  });

  const spki = createPublicKey(rsaPem.publicKey);
  const badlySigned: [string, string][] = [
    ['another key', forged({ alg }, PAYLOAD, ofAnother)],
    ['another key, sent along as jwk', forged({ alg, jwk: { kty: 'oct' } }, PAYLOAD, ofAnother)],
    ['no key', forged({ alg }, PAYLOAD, () => Buffer.alloc(alg === 'HS256' ? 32 : 256))],
    ['an empty secret', forged({ alg: 'HS256' }, PAYLOAD, hmac(''))],
    ['alg none and some signature', forged({ alg: 'none' })],
    ['alg None', forged({ alg: 'None' })],
    ['no alg', forged({ typ: 'JWT' })],
    ['alg in an array', forged({ alg: [alg] })],
    ['alg null', forged({ alg: null })],
    ['a second alg', forged(`{"alg":"${alg}","alg":"none"}`)],
    ['alg in lower case', forged({ alg: alg.toLowerCase() })],
    ['HS384', forged({ alg: 'HS384' }, PAYLOAD, hmac(SECRET, 'sha384'))],
    ['HS512', forged({ alg: 'HS512' }, PAYLOAD, hmac(SECRET, 'sha512'))],
    ['RS512', forged({ alg: 'RS512' }, PAYLOAD, rsa(rsaPem.privateKey, 'sha512'))],
    [
      'PS256',
      forged({ alg: 'PS256' }, PAYLOAD, (input) =>
        sign('sha256', Buffer.from(input), {
          key: rsaPem.privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 32,
        }),
      ),
    ],
    [
      'the other algorithm, with its own right key',
      alg === 'HS256'
        ? forged({ alg: 'RS256' }, PAYLOAD, rsa())
        : forged({ alg: 'HS256' }, PAYLOAD, hmac(SECRET)),
    ],
    ['the public key’s PEM as secret', forged({ alg: 'HS256' }, PAYLOAD, hmac(rsaPem.publicKey))],
    [
      'the public key’s PEM as secret, called RS256',
      forged({ alg: 'RS256' }, PAYLOAD, hmac(rsaPem.publicKey)),
    ],
    [
      'the public key’s DER as secret',
      forged({ alg: 'HS256' }, PAYLOAD, hmac(spki.export({ type: 'spki', format: 'der' }))),
    ],
    ['a header that is no JSON', forged('{alg', PAYLOAD)],
    ['a header that is an array', forged('[]', PAYLOAD)],
    ['a header that is null', forged('null', PAYLOAD)],
    ['a header that is a text', forged(`"${alg}"`, PAYLOAD)],
    ['a payload that is no JSON', forged({ alg, typ: 'JWT' }, '{jti')],
  ];
  it.each(badlySigned)('refuses a token signed with %s', (_name, token) => {
    expect(check(token)).toEqual({ accepted: false, reason: 'bad-signature', claims: null });
    expect(identify(token)).toBeNull();
  });

  it('refuses what is no token, before anything else', () => {
    const token = goodToken(kind);
    const [header = '', payload = '', signature = ''] = token.split('.');
    for (const text of [
      '',
      'null',
      `${header}.${payload}.`,
      forge({ alg: 'none' }, PAYLOAD, () => Buffer.alloc(0)),
      `${header}.${payload}`,
      `${token}.${signature}`,
      `${token}=`,
      ` ${token}`,
      `JWT ${token}`,
      forged({ alg }, { ...PAYLOAD, pad: 'x'.repeat(8192) }),
      ...otherSpellings(token),
    ]) {
      expect([text, check(text)]).toEqual([
        text,
        { accepted: false, reason: 'malformed', claims: null },
      ]);
      expect(identify(text)).toBeNull();
    }
  });

  it.each([
    ['an array', '["jti"]'],
    ['a text', '"jti"'],
    ['a number', '7'],
    ['a boolean', 'true'],
    ['empty', '{}'],
    ['without a jti', '{"sub":"u"}'],
    ['with a jti of null', '{"jti":null,"sub":"u"}'],
    ['with an operator for a jti', '{"jti":{"$ne":null},"sub":"u"}'],
    ['of nobody', '{"jti":"t","sub":"user"}'],
    ['that never expires, by an exp beyond every number', '{"jti":"t","sub":"u","exp":1e400}'],
    ['with an exp in milliseconds', '{"jti":"t","sub":"u","exp":1772370000000}'],
    ['with every issuer', '{"jti":"t","sub":"u","iss":"*"}'],
  ])('refuses a correctly signed payload that is %s', (_name, payload) => {
    for (const header of [{ alg }, { alg, typ: 'JWT' }]) {
      const token = forged(header, payload);
      expect(check(token)).toEqual({ accepted: false, reason: 'bad-claims', claims: null });
      expect(identify(token)).toBeNull();
    }
  });

  it('refuses a correctly signed payload that is null', () => {
    for (const header of [{ alg }, { alg, typ: 'JWT' }]) {
      const token = forged(header, 'null');
      expect(check(token)).toMatchObject({ accepted: false, claims: null });
      expect(identify(token)).toBeNull();
    }
  });

  it('refuses from the millisecond of exp on', () => {
    const { check: checkAt, clock, identify: identifyAt } = setUp();
    const token = goodToken(kind);
    for (const [now, reason] of [
      [PAYLOAD.exp * 1000 - 1, null],
      [PAYLOAD.exp * 1000, 'expired'],
      [PAYLOAD.exp * 1000 + 1, 'expired'],
    ] as const) {
      clock.now = now;
      expect([now, checkAt(token)]).toEqual([
        now,
        reason === null ? { accepted: true, claims } : { accepted: false, reason, claims },
      ]);
      expect(identifyAt(token)).toEqual(claims);
    }
  });

  it('accepts a token without exp for ever', () => {
    const token = goodToken(kind, { jti: 't', sub: 'u' });
    expect(setUp({ now: Date.parse('9999-12-31') }).check(token)).toMatchObject({ accepted: true });
  });

  const NOT_BEFORE = NOW_SECONDS + 600;
  it.each([
    [
      'of in 5 minutes, as far as clocks may differ',
      `${NOT_BEFORE}`,
      NOT_BEFORE * 1000 - 300_000,
      true,
    ],
    ['a millisecond further ahead', `${NOT_BEFORE}`, NOT_BEFORE * 1000 - 300_001, false],
    ['long ago', '0', START, true],
    ['in milliseconds', '1772370000000', START, false],
    ['beyond every number', '1e400', START, false],
    ['that is a text', '"0"', START, false],
    ['that is null', 'null', START, false],
    ['that is an array', '[0]', START, false],
    ['that is a boolean', 'false', START, false],
  ])('obeys an nbf %s', (_name, nbf, now, ok) => {
    const token = forged({ alg }, `{"jti":"t","sub":"u","nbf":${nbf}}`);
    const { check: checkThen, identify: identifyThen, asked } = setUp({ now });
    const expected = ok ? { accepted: true } : { accepted: false, reason: 'not-yet-valid' };
    expect(checkThen(token)).toMatchObject(expected);
    expect(asked).toHaveLength(ok ? 1 : 0);
    expect(identifyThen(token)).toMatchObject({ jti: 't' });
  });

  it('refuses a token that claims to come from more than five minutes ahead', () => {
    const now = NOW_SECONDS * 1000;
    const { check: checkThen } = setUp({ now });
    const ahead = (seconds: number, jti = 't') =>
      checkThen(goodToken(kind, { jti, sub: 'u', iat: NOW_SECONDS + seconds }));
    expect(ahead(300)).toMatchObject({ accepted: true });
    expect(ahead(301)).toMatchObject({ accepted: false, reason: 'not-yet-valid' });
    // The millisecond in the jti counts too.
    expect(ahead(300, createJti(now + 300_000))).toMatchObject({ accepted: true });
    expect(ahead(300, createJti(now + 300_001))).toMatchObject({
      accepted: false,
      reason: 'not-yet-valid',
      claims: { issuedAt: now + 300_001 },
    });
  });

  it('asks whether it is revoked last, once, with the claims', () => {
    const revoking = setUp({ isRevoked: () => true });
    const refused: [string, string][] = [
      ['malformed', 'x'],
      ['bad-signature', forged({ alg }, PAYLOAD, ofAnother)],
      ['bad-claims', forged({ alg }, { ...PAYLOAD, jti: [] })],
      ['expired', forged({ alg }, { ...PAYLOAD, exp: NOW_SECONDS })],
      ['not-yet-valid', forged({ alg }, { ...PAYLOAD, nbf: NOW_SECONDS + 3000 })],
      ['not-yet-valid', forged({ alg }, { ...PAYLOAD, iat: NOW_SECONDS + 3000 })],
    ];
    for (const [reason, token] of refused) {
      expect(revoking.check(token)).toMatchObject({ accepted: false, reason });
    }
    expect(revoking.identify(goodToken(kind))).toEqual(claims);
    expect(revoking.asked).toEqual([]);

    expect(revoking.check(goodToken(kind))).toEqual({ accepted: false, reason: 'revoked', claims });
    expect(revoking.asked).toEqual([claims]);
    const accepting = setUp();
    expect(accepting.check(goodToken(kind))).toEqual({ accepted: true, claims });
    expect(accepting.asked).toEqual([claims]);
  });

  it('passes on that it can’t be known, and never takes that for an answer', () => {
    const failure = unavailable('The revocation list is not loaded yet.');
    const failing = setUp({
      isRevoked: () => {
        throw failure;
      },
    });
    let thrown: unknown;
    try {
      failing.check(goodToken(kind));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBe(failure);
    expect(thrown).toMatchObject({ code: 'unavailable', status: 503 });
    expect(failing.check(forged({ alg }, PAYLOAD, ofAnother))).toMatchObject({ accepted: false });
    expect(failing.identify(goodToken(kind))).toEqual(claims);
  });

  it('refuses the parts of two good tokens, put together', () => {
    const one = goodToken(kind).split('.');
    const two = goodToken(kind, { ...PAYLOAD, jti: 'token-2' }).split('.');
    expect(check([one[0], two[1], one[2]].join('.'))).toMatchObject({ reason: 'bad-signature' });
    expect(check([one[0], one[1], two[2]].join('.'))).toMatchObject({ reason: 'bad-signature' });
  });

  it('never accepts a good token with one character changed, added or taken away', () => {
    const token = goodToken(kind);
    const character = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...ALPHABET) },
      { weight: 1, arbitrary: fc.constantFrom(...'.= +/\n\0') },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
    );
    // The last characters are where one token could have two spellings.
    const place = fc.oneof(fc.nat(token.length), fc.integer({ min: -3, max: -1 }));
    fc.assert(
      fc.property(place, fc.nat(2), character, (at, kindOfChange, added) => {
        const index = at < 0 ? token.length + at : at;
        const taken = kindOfChange === 0 ? 0 : 1;
        const changed =
          token.slice(0, index) + (kindOfChange === 2 ? '' : added) + token.slice(index + taken);
        expect([changed, check(changed).accepted]).toEqual([changed, changed === token]);
      }),
      { numRuns: 1500 },
    );
  });
});
