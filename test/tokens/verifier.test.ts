/** Verifying a token: its signature for each algorithm, its times, and whether it is revoked; and all that must not pass for it. */
import { constants, createPublicKey, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { unavailable } from '../../src/errors.js';
import { type Claims, parseClaims } from '../../src/tokens/claims.js';
import { createJti } from '../../src/tokens/jti.js';
import { createTokenVerifier } from '../../src/tokens/verifier.js';
import { rsaPem, SECRET, START } from '../support/harness.js';
import {
  ALPHABET,
  forge,
  goodToken,
  hmac,
  KINDS,
  NOW_SECONDS,
  otherSpellings,
  PAYLOAD,
  rsa,
} from './forge.js';

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
