/** What a token may say of itself: its id, which carries a time, and its other claims. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Claims, parseClaims } from '../../src/tokens/claims.js';
import { createJti, timeOfJti } from '../../src/tokens/jti.js';
import { START } from '../support/harness.js';
import { NOW_SECONDS } from './forge.js';

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
