/** What a caller presents: the grammar of `Authorization`, and of a token as a parameter. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { parseAuthorization, tokenOfParameter } from '../../src/auth/credentials.js';
import { isCompactJws, MAX_TOKEN_LENGTH } from '../../src/tokens/compact-jws.js';
import { mint } from '../support/harness.js';

const TOKEN = mint({ jti: 'token-1', sub: 'user-1' });
const API_KEY = `0195518e-1a2b-7c3d-8e4f-5a6b7c8d9e0f.${'Ab-_5'.repeat(8)}xyz`;
const MALFORMED = { scheme: 'malformed' };
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const basicOf = (...bytes: number[]) => `Basic ${Buffer.from(bytes).toString('base64')}`;

/** The last of 43 characters has two unused bits. */
function otherSpelling(token: string): string {
  const code = Buffer.from(`AAA${token.slice(-1)}`, 'base64url').readUInt8(2);
  const other = Buffer.from([0, 0, code + 1]).toString('base64url');
  return token.slice(0, -1) + other.slice(-1);
}

describe('Authorization', () => {
  it.each([undefined, ''])('%j is nothing', (header) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'none' });
  });

  const a = 'alice@example.com';
  it.each([
    ['an e-mail and a password', basic(`${a}:secret`), a, 'secret'],
    ['a password with colons', basic(`${a}:se:cr:et:`), a, 'se:cr:et:'],
    ['a password of colons', basic(`${a}:::`), a, '::'],
    ['a password with spaces', basic(`${a}: se cret `), a, ' se cret '],
    // Who signs in with it is refused; it is well-formed all the same.
    ['an empty password', basic(`${a}:`), a, ''],
    ['UTF-8', basic('zoë@example.com:pässwörd€😀'), 'zoë@example.com', 'pässwörd€😀'],
    ['BaSiC', `BaSiC ${basic(`${a}:x`).slice(6)}`, a, 'x'],
    ['basic', `basic ${basic(`${a}:x`).slice(6)}`, a, 'x'],
    ['several spaces', `Basic    ${basic(`${a}:x`).slice(6)}  `, a, 'x'],
    ['base64 without its padding', basic(`${a}:xy`).replace(/=+$/, ''), a, 'xy'],
    ['+ and / in the base64', basic('>>>???:ÿÿ'), '>>>???', 'ÿÿ'],
    ['apikey in capitals, a user like any', basic('APIKEY:x'), 'APIKEY', 'x'],
    ['C1 controls, which RFC 7617 leaves', basic(`${a}:\u0085`), a, '\u0085'],
    ['a user that begins with U+FEFF', basic('\ufeffbob:x'), '\ufeffbob', 'x'],
  ])('Basic takes %s', (_name, header, email, password) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'basic', email, password });
  });

  it.each([
    ['the bare token', TOKEN],
    ['JWT', `JWT ${TOKEN}`],
    ['jwt', `jwt ${TOKEN}`],
    ['JwT', `JwT ${TOKEN}`],
    ['Bearer', `Bearer ${TOKEN}`],
    ['BEARER', `BEARER ${TOKEN}`],
    ['several spaces', `Bearer   ${TOKEN} `],
  ])('takes a token as %s', (_name, header) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'token', token: TOKEN });
  });

  it.each([
    ['the bare key', API_KEY],
    ['Bearer', `Bearer ${API_KEY}`],
    ['Basic apikey:<key>', basic(`apikey:${API_KEY}`)],
  ])('takes an API key as %s', (_name, header) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'api-key', key: API_KEY });
  });

  const alice = basic(`${a}:x`);
  it.each([
    ['Basic without a colon', basic(a)],
    ['Basic without a user', basic(':secret')],
    ['Basic with nothing in it', basic(':')],
    ['Basic with NUL in the user', basic('al\0ice:secret')],
    ['Basic with NUL in the password', basic(`${a}:se\0cret`)],
    ['Basic with NUL behind the password', basic(`${a}:secret\0`)],
    ['Basic with a line end', basic(`${a}:secret\r\nX: y`)],
    ['Basic with a tab', basic(`${a}:se\tcret`)],
    ['Basic with DEL', basic(`${a}:se\u007fcret`)],
    ['Basic with a byte that is no UTF-8', basicOf(0x61, 0x3a, 0xff)],
    ['Basic with overlong UTF-8', basicOf(0x61, 0x3a, 0xc0, 0xaf)],
    ['Basic with a surrogate in UTF-8', basicOf(0x61, 0x3a, 0xed, 0xa0, 0x80)],
    ['Basic with half a character', basicOf(0x61, 0x3a, 0xe2, 0x82)],
    ['Basic in Latin-1', `Basic ${Buffer.from(`${a}:é`, 'latin1').toString('base64')}`],
    ['Basic with base64url', `Basic ${Buffer.from('>>>???:ÿÿ').toString('base64url')}`],
    ['Basic with signs', 'Basic !!!!'],
    ['Basic with a space inside', `Basic ${alice.slice(6, 14)} ${alice.slice(14)}`],
    ['Basic with padding inside', 'Basic YQ==OmI='],
    ['Basic with much padding', `${basic(`${a}:xy`)}==`],
    ['Basic with padding only', 'Basic =='],
    ['Basic with plain text', `Basic ${a}:secret`],
    ['Basic with a token', `Basic ${TOKEN}`],
    ['Basic alone', 'Basic'],
    ['Basic and a space', 'Basic '],
    ['Basic and a tab', `Basic\t${alice.slice(6)}`],
    ['a space before Basic', ` ${alice}`],
    ['a scheme that contains Basic', `NotBasicAtAll ${alice.slice(6)}`],
    ['a scheme that begins with Basic', `Basics ${alice.slice(6)}`],
    ['a scheme that contains Bearer', `XBearer ${TOKEN}`],
    ['Token', `Token ${TOKEN}`],
    ['Digest', 'Digest username="alice"'],
    ['Negotiate', 'Negotiate YQ=='],
    ['Bearer alone', 'Bearer'],
    ['Bearer and a space', 'Bearer '],
    ['Bearer with null', 'Bearer null'],
    ['Bearer with undefined', 'Bearer undefined'],
    ['Bearer twice', `Bearer Bearer ${TOKEN}`],
    ['Bearer with a colon', `Bearer: ${TOKEN}`],
    ['Bearer and a tab', `Bearer\t${TOKEN}`],
    ['Bearer in quotes', `Bearer "${TOKEN}"`],
    ['two parts of a token', TOKEN.slice(0, TOKEN.lastIndexOf('.'))],
    ['a token with padding', `Bearer ${TOKEN}=`],
    ['a token in another spelling of the same bytes', `Bearer ${otherSpelling(TOKEN)}`],
    ['two tokens', `${TOKEN},${TOKEN}`],
    ['two credentials', `Bearer ${TOKEN}, ${alice}`],
    ['two credentials, the other way round', `${alice}, Bearer ${TOKEN}`],
    ['two credentials without a space', `${alice},${alice}`],
    ['two words', `${TOKEN} ${TOKEN}`],
    ['a short API key', API_KEY.slice(0, -1)],
    ['a long API key', `${API_KEY}A`],
    ['an API key and a line end', `${API_KEY}\n`],
    ['apikey with something else', basic('apikey:secret')],
    ['apikey with a token', basic(`apikey:${TOKEN}`)],
    ['apikey with nothing', basic('apikey:')],
    ['a null character', '\0'],
    ['the name of a property', '__proto__'],
    ['the name of a property and more', `constructor ${TOKEN}`],
  ])('refuses %s', (_name, header) => {
    expect(parseAuthorization(header)).toEqual(MALFORMED);
  });

  it('takes the longest token, and refuses what is longer than any credential', () => {
    const longest = `AAAA.AAAA.${'A'.repeat(MAX_TOKEN_LENGTH - 10)}`;
    expect(parseAuthorization(`Bearer ${longest}`)).toEqual({ scheme: 'token', token: longest });
    for (const header of [
      `Bearer ${longest}A`,
      'A'.repeat(16_384),
      `${'A'.repeat(8000)}.`.repeat(2),
      `Bearer ${'A'.repeat(16_384)}`,
      `Bearer${' '.repeat(16_384)}${TOKEN}`,
      ' '.repeat(16_384),
      `Basic ${'A'.repeat(16_384)}`,
      // At the cap, where it is still parsed.
      'A'.repeat(MAX_TOKEN_LENGTH + 16),
      `Basic ${'='.repeat(MAX_TOKEN_LENGTH + 10)}`,
    ]) {
      expect(parseAuthorization(header)).toEqual(MALFORMED);
    }
  });

  it('gives back every e-mail and password without control characters', () => {
    const text = fc
      .oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'grapheme' }),
        fc.string({ unit: fc.constantFrom(...' :@=+/aé😀') }),
      )
      .map((some) => some.replaceAll(/[\u0000-\u001f\u007f]/g, ''));
    const user = text
      .map((some) => some.replaceAll(':', ''))
      .filter((some) => some !== '' && some !== 'apikey');
    fc.assert(
      fc.property(user, text, (email, password) => {
        expect(parseAuthorization(basic(`${email}:${password}`))).toEqual({
          scheme: 'basic',
          email,
          password,
        });
      }),
      { numRuns: 500 },
    );
  });

  it('never throws, and a token is always a compact JWS', () => {
    const seen = new Set<string>();
    const units = fc
      .array(fc.nat({ max: 0xffff }), { maxLength: 40 })
      .map((codes) => String.fromCharCode(...codes));
    const dotted = fc
      .array(
        fc.base64String().map((some) => some.replace(/=+$/, '')),
        { maxLength: 4 },
      )
      .map((parts) => parts.join('.'));
    const value = fc.oneof(
      units,
      fc.string({ unit: 'binary' }),
      fc.base64String(),
      dotted,
      fc.string().map((some) => basic(`u:${some}`).slice(6)),
      fc.constantFrom(TOKEN, API_KEY),
    );
    const scheme = fc.constantFrom(
      '',
      '',
      'Basic ',
      'basic  ',
      'JWT ',
      'Bearer ',
      'bEARER  ',
      'X ',
    );
    fc.assert(
      fc.property(scheme, value, fc.constantFrom('', '', ' ', ',', '=', '\n'), (s, v, end) => {
        const parsed = parseAuthorization(s + v + end);
        seen.add(parsed.scheme);
        if (parsed.scheme === 'token') expect(isCompactJws(parsed.token)).toBe(true);
        if (parsed.scheme === 'basic') {
          expect(parsed.email).toMatch(/^[^:\p{Cs}]+$/u);
          expect(parsed.email + parsed.password).not.toMatch(/[\u0000-\u001f\u007f]/);
        }
      }),
      { numRuns: 2000 },
    );
    expect(seen).toEqual(new Set(['basic', 'token', 'api-key', 'none', 'malformed']));
  });
});

describe('tokenOfParameter', () => {
  it.each([
    [TOKEN, TOKEN],
    [`JWT ${TOKEN}`, TOKEN],
    [`jwt   ${TOKEN} `, TOKEN],
    [`Bearer ${TOKEN}`, TOKEN],
    [`bEaReR ${TOKEN}`, TOKEN],
    // Anything else stays as it is, for the check to refuse.
    ['', ''],
    ['JWT', 'JWT'],
    ['JWT ', ''],
    [`JWT${TOKEN}`, `JWT${TOKEN}`],
    [`JWT\t${TOKEN}`, `JWT\t${TOKEN}`],
    [` JWT ${TOKEN}`, ` JWT ${TOKEN}`],
    [`Basic ${TOKEN}`, `Basic ${TOKEN}`],
    [`JWT Bearer ${TOKEN}`, `Bearer ${TOKEN}`],
    ['undefined', 'undefined'],
  ])('%j → %j', (value, token) => {
    expect(tokenOfParameter(value)).toBe(token);
  });
});
