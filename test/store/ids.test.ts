/** Ids in the form in which they are compared, and whose a token is: no kind of holder can be taken for another. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  bareIdOf,
  canonicalBeginning,
  canonicalId,
  holderOf,
  holderOfRecord,
  isUser,
  subjectTypeOf,
} from '../../src/store/ids.js';

const hex = (length: number) =>
  fc.string({
    unit: fc.constantFrom(...'0123456789abcdefABCDEF'),
    minLength: length,
    maxLength: length,
  });
const uuid = fc.tuple(hex(8), hex(4), hex(4), hex(4), hex(12)).map((parts) => parts.join('-'));
const shaped = fc.oneof(uuid, hex(24));
const KINDS = ['userexternal', 'useranonymous', 'guest', 'bot', 'subscription'] as const;
const kind = fc.constantFrom(...KINDS);
const anyId = fc.oneof(
  shaped,
  fc.string({ minLength: 1 }),
  fc
    .tuple(fc.constantFrom(...KINDS, 'user', 'other', 'other:x', 'GUEST', 'a', ''), fc.string())
    .map(([prefix, id]) => `${prefix}:${id}`),
);
const subject = fc.oneof(
  kind,
  fc.constantFrom(null, 'user', 'User', '', 'other', 'agent', 'user:x', 'a:b', 'a%3Ab', '%'),
  anyId,
);

describe('the canonical form of ids', () => {
  it('is the same for every case of letters of UUIDs and ObjectIds, alone or behind a kind', () => {
    fc.assert(
      fc.property(shaped, fc.option(kind, { nil: null }), (id, ofKind) => {
        const prefix = ofKind === null ? '' : `${ofKind}:`;
        const expected = prefix + id.toLowerCase();
        for (const spelling of [id, id.toUpperCase(), id.toLowerCase()])
          expect(canonicalId(prefix + spelling)).toBe(expected);
      }),
    );
  });

  it('leaves every other id alone, and is its own form', () => {
    const SHAPE = /(?:^|:)(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24})$/i;
    fc.assert(
      fc.property(fc.oneof(anyId, fc.string({ minLength: 24, maxLength: 36 })), (id) => {
        const canonical = canonicalId(id);
        expect(canonicalId(canonical)).toBe(canonical);
        if (!SHAPE.test(id)) expect(canonical).toBe(id);
      }),
    );
  });

  it.each([
    'A',
    'ABCDEF0123456789ABCDEF0',
    'ABCDEF0123456789ABCDEF012',
    'ABCDEF0123456789ABCDEF0G',
    '3F2504E04F8941D39A0C0305E82C3301',
    '{3F2504E0-4F89-41D3-9A0C-0305E82C3301}',
    '3F2504E0-4F89-41D3-9A0C-0305E82C330G',
    '3F2504E0-4F89-41D3-9A0C_0305E82C3301',
    '3F2504E-04F89-41D3-9A0C-0305E82C3301',
    'ＡBCDEF0123456789ABCDEF01',
  ])('leaves %s alone', (id) => {
    expect(canonicalId(id)).toBe(id);
    expect(canonicalId(`guest:${id}`)).toBe(`guest:${id}`);
  });

  it('has the beginnings of UUIDs and ObjectIds in lower case, and no others', () => {
    fc.assert(
      fc.property(shaped, fc.nat(36), (id, length) => {
        const begin = id.slice(0, length);
        expect(canonicalBeginning(begin)).toBe(begin.toLowerCase());
      }),
    );
    for (const text of ['TOKEN-1', 'ABCDEF01_', 'ABCDEF01-X', '3F2504E04F8941D39A0C0305E82C3301-'])
      expect(canonicalBeginning(text)).toBe(text);
  });
});

describe('whose a token is', () => {
  it.each([
    ['65e1', null, '65e1', 'user'],
    ['65e1', 'user', '65e1', 'user'],
    ['65e1', '65e1', '65e1', 'user'],
    ['auth0|x', 'auth0|x', 'auth0|x', 'user'],
    ['urn:x', null, 'urn:x', 'user'],
    ['507F1F77BCF86CD799439011', '507f1f77bcf86cd799439011', '507f1f77bcf86cd799439011', 'user'],
    ['65e1', 'guest', 'guest:65e1', 'guest'],
    ['507F1F77BCF86CD799439011', 'bot', 'bot:507f1f77bcf86cd799439011', 'bot'],
    ['guest', 'guest', 'guest:guest', 'guest'],
    ['guest:65e1', 'guest', 'guest:guest:65e1', 'guest'],
    ['guest:65e1', 'user', 'user:guest:65e1', 'user'],
    ['guest:65e1', 'guest:65e1', 'user:guest:65e1', 'user'],
    ['Guest:65e1', null, 'user:Guest:65e1', 'user'],
    ['user:65e1', 'user', 'user:user:65e1', 'user'],
    ['other:a:1', null, 'user:other:a:1', 'user'],
    ['65e1', 'agent', 'other:agent:65e1', 'other'],
    ['65e1', 'User', 'other:User:65e1', 'other'],
    ['65e1', ' user', 'other: user:65e1', 'other'],
    ['65e1', '', 'other::65e1', 'other'],
    ['b:c', 'a', 'other:a:b:c', 'other'],
    ['c', 'a:b', 'other:a%3Ab:c', 'other'],
    ['c', 'a%3Ab', 'other:a%253Ab:c', 'other'],
  ])('%j with sub %j is %s, a %s', (id, sub, holder, type) => {
    expect(holderOf(id, sub)).toBe(holder);
    expect(subjectTypeOf(holder)).toBe(type);
    expect(isUser(holder)).toBe(type === 'user');
    expect(bareIdOf(holder)).toBe(canonicalId(id));
  });

  it('never is the same for two kinds, nor for two ids of a kind', () => {
    const nameSpace = (id: string, sub: string | null) =>
      sub === null || sub === 'user' || (canonicalId(sub) === canonicalId(id) && !isKind(sub))
        ? 'user'
        : sub;
    const isKind = (sub: string) => (KINDS as readonly string[]).includes(sub);
    // Few texts that are made of one another's parts, so that they meet.
    const part = fc.constantFrom('a', 'guest', 'user', 'other', 'b', '%3A', '%');
    const text = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(':'));
    const sub = fc.option(text, { nil: null });
    fc.assert(
      fc.property(text, sub, text, sub, (id, subOf, other, subOfOther) => {
        const isSame = nameSpace(id, subOf) === nameSpace(other, subOfOther) && id === other;
        expect(holderOf(id, subOf) === holderOf(other, subOfOther)).toBe(isSame);
      }),
      { numRuns: 5000 },
    );
  });

  it('of another kind never looks like an id of a user', () => {
    fc.assert(
      fc.property(anyId, subject, (id, sub) => {
        const holder = holderOf(id, sub);
        const isUsers = sub === null || sub === 'user' || canonicalId(sub) === canonicalId(id);
        if (!isUsers) {
          expect(isUser(holder)).toBe(false);
          expect(holder).not.toMatch(/^[0-9a-f]{24}$/i);
        }
      }),
    );
  });

  it('is found for a record in either form, and stays', () => {
    fc.assert(
      fc.property(anyId, subject, (id, sub) => {
        const holder = holderOf(id, sub);
        if (sub !== null) expect(holderOfRecord(holder, sub)).toBe(holder);
        const mended = holderOfRecord(id, sub);
        expect(holderOfRecord(mended, sub)).toBe(mended);
      }),
    );
    expect(holderOfRecord('65E1', 'guest')).toBe('guest:65E1');
    expect(holderOfRecord('guest:65E1', null)).toBe('guest:65E1');
  });
});
