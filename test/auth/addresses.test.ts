/** Whose address a request has: every spelling that proxies write is read, both ways in agree, and nobody is locked out for somebody else's failures. */
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import * as fc from 'fast-check';
import { addressBehind, cleanAddress } from '../../src/http/client.js';
import { createJti } from '../../src/tokens/jti.js';
import {
  jtiOf,
  mint,
  PASSWORD,
  START,
  startTestService,
  type TestService,
} from '../support/harness.js';

const SPELLINGS: readonly (readonly [written: string, read: string | null])[] = [
  ['203.0.113.7', '203.0.113.7'],
  ['203.0.113.7:1042', '203.0.113.7'],
  ['"203.0.113.7:1042"', '203.0.113.7'],
  [' 203.0.113.7 ', '203.0.113.7'],
  ['2001:db8::1', '2001:db8::1'],
  ['2001:DB8:0:0::0001', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['"[2001:db8::1]"', '2001:db8::1'],
  ['"[2001:db8::1]:443"', '2001:db8::1'],
  ['2001:db8:1:2:3:4:5:6:443', '2001:db8:1:2:3:4:5:6'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['::FFFF:cb00:7107', '203.0.113.7'],
  ['[::ffff:203.0.113.7]:443', '203.0.113.7'],
  ['fe80::1%eth0', 'fe80::1'],
  ['[fe80::1%25eth0]:443', 'fe80::1'],
  ['unknown', null],
  ['_hidden', null],
  ['unix:', null],
  ['203.0.113.7:', null],
  ['203.0.113.7:1042:1', null],
  ['203.0.113.256', null],
  ['[203.0.113.7', null],
  ['[2001:db8::1]x', null],
  ['2001:db8::1]:443', null],
  ['""', null],
  ['example.com:443', null],
];

describe('an address', () => {
  it.each(SPELLINGS)('written as %s is %s', (written, read) => {
    expect(cleanAddress(written)).toBe(read);
  });

  it('is read once and for all: reading it again changes nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const read = cleanAddress(address);
        expect(read).not.toBeNull();
        expect(cleanAddress(read ?? '')).toBe(read);
        expect(cleanAddress(`[${address}]:1`)).toBe(read);
        expect(cleanAddress(`"[${read}]:65535"`)).toBe(read);
      }),
    );
  });
});

describe('the entry that counts', () => {
  it('is the one that Express takes, whatever the header and however many proxies', () => {
    const entry = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV4().map((address) => `${address}:1042`),
      fc.ipV6().map((address) => `"[${address}]:443"`),
      fc.constantFrom('', ' ', 'unknown', '_x', 'for=203.0.113.7', 'a b', '"'),
    );
    const app = express();
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 5 }),
        fc.constantFrom(',', ', ', ' ,'),
        fc.option(
          fc.oneof(
            fc.ipV4(),
            fc.ipV6().map((address) => `::ffff:${address}`),
          ),
        ),
        fc.integer({ min: 0, max: 6 }),
        (entries, comma, peer, hops) => {
          const forwarded = entries.join(comma);
          const headers = entries.length === 0 ? {} : { 'x-forwarded-for': forwarded };
          app.set('trust proxy', hops);
          const req = Object.create(app.request, {
            headers: { value: headers },
            socket: { value: { remoteAddress: peer ?? undefined } },
            app: { value: app },
          }) as IncomingMessage & { readonly ip: string | undefined };
          expect(addressBehind(req, hops)).toBe(cleanAddress(req.ip));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('behind a proxy', () => {
  let t: TestService;
  beforeAll(async () => {
    t = await startTestService({ TRUST_PROXY: '1', SIGN_IN_ATTEMPTS: '2' });
    await t.createUser('alice@example.com');
    await t.createUser('bob@example.com');
    await t.createUser('carol@example.com');
  });
  afterAll(() => t.close());

  const signIn = (forwarded: string, email: string, password = PASSWORD) =>
    t.http().post('/auth/signin').set('X-Forwarded-For', forwarded).send({ email, password });

  it.each(SPELLINGS.filter(([written]) => written.trim() === written && written !== '""'))(
    'the history shows %s as %s, whichever path saw it',
    async (written, read) => {
      const tokens = ['/auth/verify', '/v3/jwt/history', '/api/jwt/validate'].map((path) => ({
        path,
        token: mint({ jti: createJti(START), _id: 'user-1', iat: Math.floor(START / 1000) }),
      }));
      for (const { path, token } of tokens) {
        const answer = await t
          .http()
          .get(path)
          .set({ Authorization: `JWT ${token}`, 'X-Forwarded-For': `192.0.2.1, ${written}` });
        expect([path, answer.status < 300]).toEqual([path, true]);
      }
      await t.service.usage.flush();
      for (const { token } of tokens) {
        const [record] = await t.store.tokens.findByJti(jtiOf(token));
        expect(record?.device?.ip).toBe(read);
      }
    },
  );

  it.each([
    ['with ports', '203.0.113.1:1000', '203.0.113.2:1000', '203.0.113.1:2000'],
    ['in brackets', '[2001:db8:1:1::1]', '[2001:db8:1:2::1]', '[2001:DB8:1:1::1]'],
    ['in brackets with ports', '[2001:db8:2:1::1]:1', '[2001:db8:2:2::1]:1', '[2001:db8:2:1::1]:2'],
    ['quoted', '"[2001:db8:3:1::1]:1"', '"[2001:db8:3:2::1]:1"', '2001:db8:3:1::1'],
  ])('an attacker %s locks out nobody but itself', async (_what, attacker, other, again) => {
    for (let i = 0; i < 2; i += 1)
      expect((await signIn(attacker, 'alice@example.com', `wrong ${i}`)).status).toBe(401);
    expect((await signIn(attacker, 'alice@example.com', 'wrong')).status).toBe(429);
    // From another port it is the same one.
    expect((await signIn(again, 'alice@example.com', 'wrong')).status).toBe(429);
    t.clock.now += 31_000;
    expect((await signIn(other, 'alice@example.com')).status).toBe(200);
  });

  it('an attacker whom nobody can tell from others locks out one account there, and no other', async () => {
    for (const unknown of ['unknown', '_a', 'garbage', '"'])
      await signIn(unknown, 'carol@example.com', `wrong for ${unknown}`);
    const refused = await signIn('unknown', 'Carol@example.com', 'wrong');
    expect([refused.status, refused.body.msg]).toEqual([
      429,
      expect.stringMatching(/^Too many failed sign-ins for this account\. Try again in \d+ s\.$/),
    ]);
    expect((await signIn('unknown', 'bob@example.com')).status).toBe(200);
    // Whoever has an address isn't concerned.
    expect((await signIn('203.0.113.99', 'carol@example.com')).status).toBe(200);
  });
});
