/** Which texts have the shape of a token: one spelling each, and no longer than the longest. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { isCompactJws, MAX_TOKEN_LENGTH } from '../../src/tokens/compact-jws.js';
import { ALPHABET, goodToken, KINDS, otherSpellings } from './forge.js';

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
