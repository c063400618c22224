/** What the dashboard's inspector reads in a pasted text, before anything is sent anywhere. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { decode, toToken } from '../../../src/dashboard/page/decode.js';

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (payload: unknown, signature = 'c2ln') =>
  `${part({ alg: 'HS256', typ: 'JWT' })}.${part(payload)}.${signature}`;
const SECRET = 'S'.repeat(43);

describe('toToken', () => {
  it.each([
    ['  abc.def.ghi \n', 'abc.def.ghi'],
    ['JWT abc.def.ghi', 'abc.def.ghi'],
    ['bearer   abc.def.ghi', 'abc.def.ghi'],
    ['Authorization: Bearer abc.def.ghi', 'abc.def.ghi'],
    ['"JWT abc.def.ghi",', 'abc.def.ghi'],
    ['abc.\n  def.\n  ghi', 'abc.def.ghi'],
    ['', ''],
  ])('takes the token alone from %j', (pasted, token) => {
    expect(toToken(pasted)).toBe(token);
  });
});

describe('decode', () => {
  it('shows header and payload, texts as they are, times as moments', () => {
    const payload = {
      sub: 'Ünï<b>',
      iat: 1_700_000_000,
      exp: 1_700_000_000_000,
      nbf: 'soon',
      n: [1],
    };
    expect(decode(jwt(payload))).toEqual({
      form: 'jwt',
      header: {
        claims: [
          { name: 'alg', value: 'HS256', time: null },
          { name: 'typ', value: 'JWT', time: null },
        ],
      },
      payload: {
        claims: [
          { name: 'sub', value: 'Ünï<b>', time: null },
          { name: 'iat', value: '1700000000', time: 1_700_000_000_000 },
          { name: 'exp', value: '1700000000000', time: expect.stringContaining('milliseconds') },
          { name: 'nbf', value: 'soon', time: expect.stringContaining('not a number') },
          { name: 'n', value: '[1]', time: null },
        ],
      },
      signature: null,
    });
  });

  it('knows an id with a secret, and gives the secret to nobody', () => {
    const id = '0198f3a2-1111-7222-8333-444455556666';
    const decoded = decode(`${id}.${SECRET}`);
    expect(decoded).toEqual({ form: 'opaque', id });
    expect(JSON.stringify(decoded)).not.toContain(SECRET);
  });

  it.each([
    ['abc', 'no dot'],
    ['a.b', '2 parts'],
    ['a.b.c.d', '4 parts'],
    ['a.b.c.d.e', 'encrypted'],
  ])('says what %s is instead', (token, why) => {
    expect(decode(token)).toEqual({ form: 'unknown', why: expect.stringContaining(why) });
  });

  it.each([
    ['', 'empty'],
    ['ab*d', 'place 3'],
    ['abcde', 'cut'],
    [Buffer.from([0xff, 0xfe, 0x00]).toString('base64url'), 'UTF-8'],
    [Buffer.from('{"a":').toString('base64url'), 'JSON'],
    [part([1]), 'not an object'],
    [part(null), 'not an object'],
  ])('explains a payload of %j', (payload, why) => {
    const decoded = decode(`${part({ alg: 'none' })}.${payload}.`);
    expect(decoded).toMatchObject({
      payload: { why: expect.stringContaining(why) },
      signature: expect.stringContaining('none'),
    });
  });

  it('reads back whatever was signed, and throws for no text at all', () => {
    const claims = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean()));
    fc.assert(
      fc.property(claims, (payload) => {
        const decoded = decode(jwt(payload));
        if (decoded.form !== 'jwt' || !('claims' in decoded.payload)) throw new Error('unread');
        expect(decoded.payload.claims.map(({ name, value }) => [name, value])).toEqual(
          Object.entries(JSON.parse(JSON.stringify(payload)) as object).map(([name, value]) => [
            name,
            typeof value === 'string' ? value : JSON.stringify(value),
          ]),
        );
      }),
    );
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        (text) => typeof decode(toToken(text)).form === 'string',
      ),
    );
  });
});
