/** Revoked records out of the database's bytes: the short way says what the driver says. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import mongoose from 'mongoose';
import { isIssuedHere, TOKEN_ORIGINS, type TokenRecord } from '../../../src/store/records.js';
import { readRevokedEntries } from '../../../src/store/tokens/revoked-bson.js';
import { type RevokedEntry, toRevokedEntry } from '../../../src/store/tokens/revoked-entry.js';

const { BSON } = mongoose.mongo;
type Fields = Pick<TokenRecord, 'jti' | 'issuer' | 'origin' | 'expiresAt'>;

const bytesOf = (document: object) => Buffer.from(BSON.serialize(document));
const read = (documents: readonly object[], expiredBefore: number) =>
  readRevokedEntries(documents.map(bytesOf), expiredBefore);

/** With the driver, and in the words of the rule. */
function expected(documents: readonly object[], expiredBefore: number): RevokedEntry[] {
  return documents
    .map((document) => BSON.deserialize(bytesOf(document)) as Fields)
    .filter(
      ({ origin, expiresAt }) =>
        !(isIssuedHere(origin) && expiresAt && expiresAt.getTime() < expiredBefore),
    )
    .map(toRevokedEntry);
}

const text = fc.string({ unit: fc.constantFrom('a', '"', '\0', 'é', '\ufffd', '😀', '\x08jti') });
const date = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc
    .constantFrom(-8.64e15, -(2 ** 32), -1, 0, 1, 2 ** 31, 2 ** 32, 8.64e15)
    .map((ms) => new Date(ms)),
);
const fields = fc.record({
  jti: text,
  issuer: text,
  origin: fc.constantFrom(...TOKEN_ORIGINS),
  expiresAt: fc.oneof(date, fc.constant(null)),
});
const expiredBefore = date.map((at) => at.getTime());

describe('revoked records in BSON', () => {
  it('are read as the driver reads them', () => {
    fc.assert(
      fc.property(fc.array(fields), expiredBefore, (documents, before) => {
        expect(read(documents, before)).toEqual(expected(documents, before));
      }),
    );
  });

  it('are read as the driver reads them in any order, with fields missing or of other names', () => {
    const anyLayout = fields.chain((document) =>
      fc
        .shuffledSubarray([...Object.entries(document), ['more', 1], ['jti2', 'x'], ['_id', null]])
        .map((entries): object => Object.fromEntries(entries)),
    );
    fc.assert(
      fc.property(anyLayout, expiredBefore, (document, before) => {
        expect(read([document], before)).toEqual(expected([document], before));
      }),
    );
  });

  it.each<[string, object]>([
    ['an issuer that is null', { jti: 'a', issuer: null, origin: 'signin', expiresAt: null }],
    ['an unknown origin', { jti: 'a', issuer: 'b', origin: 'other', expiresAt: new Date(0) }],
    ['a field behind', { jti: 'a', issuer: 'b', origin: 'signin', expiresAt: null, more: 'c' }],
    ['a field in front', { _id: 'x', jti: 'a', issuer: 'b', origin: 'signin', expiresAt: null }],
  ])('are read as the driver reads them: %s', (_, document) => {
    expect(read([document], 1)).toEqual(expected([document], 1));
    expect(read([document], 1)).toMatchObject([{ jti: 'a', expiresAt: null }]);
  });

  it('forget what was issued here and expired before, to the millisecond, and nothing else', () => {
    const of = (jti: string, origin: string, expiresAt: Date | null) => {
      const issuer = '';
      return { jti, issuer, origin, expiresAt };
    };
    const at = (ms: number) => new Date(1000 + ms);
    const documents = [
      ...['signin', 'fusionauth', 'woleet'].map((origin) => of(`gone-${origin}`, origin, at(-1))),
      of('just-in-time', 'signin', at(0)),
      of('never', 'woleet', null),
      of('adopted', 'adopted', at(-1)),
      of('registered', 'registered', at(-1)),
    ];
    expect(read(documents, 1000)).toEqual([
      { jti: 'just-in-time', issuer: '', expiresAt: 1000 },
      { jti: 'never', issuer: '', expiresAt: null },
      { jti: 'adopted', issuer: '', expiresAt: null },
      { jti: 'registered', issuer: '', expiresAt: null },
    ]);
  });

  it('are refused, not misread, when a text is no UTF-8', () => {
    const bytes = bytesOf({ jti: 'abc', issuer: '', origin: 'signin', expiresAt: null });
    bytes[bytes.indexOf('abc')] = 0xff;
    expect(() => readRevokedEntries([bytes], 0)).toThrow(/utf-?8/i);
  });
});
