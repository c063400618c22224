/** Catches catch only what they mean: each that takes everything is named here, with the reason; and a bug never reads as an answer. */
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parseAuthorization } from '../src/auth/credentials.js';
import { createPasswordHasher } from '../src/auth/password-hash.js';
import { createRsaKeys, createSecretKeys, type SigningKeys } from '../src/tokens/keys.js';
import { createTokenVerifier } from '../src/tokens/verifier.js';
import { mint, rsaPem, SECRET, START } from './support/harness.js';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** How many, and why a failure of any kind means the same there. */
const ALLOWED: Record<string, readonly [count: number, reason: string]> = {
  'auth/password-hash.ts': [1, 'who asked is told; the next one asks again'],
  'store/write-behind.ts': [
    1,
    'who asked for that write is told; the next one only waits for its end',
  ],
  'tokens/usage-recorder.ts': [1, 'who asked for that write is told; the next one only waits'],
  'instance.ts': [1, 'a wait that ends early is over all the same'],
  'store/tokens/load-revoked.ts': [
    3,
    'the batch fetched ahead is awaited later; what is closed has been read, or has failed already',
  ],
  'store/cutoffs/cutoffs.ts': [1, 'what is closed has been read, or has failed already'],
  'store/tokens/cutoff-scope.ts': [1, 'what is closed has been read, or has failed already'],
  'store/database/connect.ts': [
    3,
    'a connection is closed to be opened anew, which tells whether that works; who asked for it is told',
  ],
  'store/cluster/side-connection.ts': [1, 'it is given up, with whatever hangs on it'],
  'revocation/revoking-act.ts': [1, 'whoever waits for all of it is told'],
  'revocation/cluster/follower.ts': [
    4,
    'a document that stays is ended by the others in time; an outage that goes on is met again',
  ],
  'revocation/cluster/peers.ts': [1, 'who asked for that look is told; the next one only waits'],
  'revocation/cluster/propagate.ts': [1, 'a wait that nobody is in any more may end as it likes'],
  'store/embedded/engine.ts': [1, 'the stop ends the rest before the next try'],
  'store/embedded/host-process.ts': [1, 'who waits for it to be ready is told'],
  'dialects/fusionauth/input.ts': [1, 'free text that cannot be kept must not keep a revoke'],
  'dashboard/page/ui/copy.tsx': [1, 'the clipboard is refused in many ways; there is another one'],
  'dashboard/page/ui/stored.ts': [3, 'storage is refused in many ways, or holds anything'],
  'dashboard/page/decode.ts': [3, 'what was pasted may be anything'],
  'dashboard/page/api.ts': [1, 'an answer without a readable body has its status'],
  'dashboard/page/tokens/own.ts': [1, 'whether the session stands is asked again anyway'],
};

const TAKES_EVERYTHING = /\bcatch\s*\{|\.catch\(\s*(?:async\s*)?\(\s*\)\s*=>|\.catch\(\s*\w+\s*\)/g;

describe('catches', () => {
  it('that take everything are those with a reason', () => {
    const found = Object.fromEntries(
      readdirSync(SRC, { recursive: true, encoding: 'utf8' })
        .filter((path) => /\.tsx?$/.test(path))
        .map(
          (path) => [path, readFileSync(join(SRC, path), 'utf8').match(TAKES_EVERYTHING)] as const,
        )
        .flatMap(([path, matches]) => (matches === null ? [] : [[path, matches.length]])),
    );
    expect(found).toEqual(
      Object.fromEntries(Object.entries(ALLOWED).map(([path, [count]]) => [path, count])),
    );
  });
});

describe('a bug', () => {
  const token = mint({ jti: 'a', _id: 'user' });
  const verifierOf = (keys: SigningKeys, isRevoked = () => false) =>
    createTokenVerifier({ keys, clock: () => START, isRevoked });

  it('of the key does not read as a bad signature, at the next use either', () => {
    const keys = createSecretKeys(SECRET);
    for (const verificationKey of [undefined, 5, {}]) {
      const broken = { ...keys, verificationKey } as unknown as SigningKeys;
      const { check, identify } = verifierOf(broken);
      for (let i = 0; i < 2; i += 1) {
        expect(() => check(token)).toThrow();
        expect(() => identify(token)).toThrow();
      }
    }
    expect(verifierOf(keys).check(token).accepted).toBe(true);
  });

  it('of the index does not read as not revoked', () => {
    const { check } = verifierOf(createSecretKeys(SECRET), () => {
      throw new TypeError('a bug');
    });
    expect(() => check(token)).toThrow('a bug');
  });

  it.each([
    ['{"alg":"HS256","typ":"JWT"}', 'not json'],
    ['{"alg":"HS256","typ":"JWT"}', '{"jti":'],
    ['{"alg":"HS256","typ":"JWT"}', ''],
    ['{"alg":"HS256"}', 'not json'],
    ['not json', '{}'],
    ['null', '{}'],
    ['5', '{}'],
    ['[]', '{}'],
    ['"text"', '{}'],
    ['{}', '{}'],
    ['{"alg":5}', '{}'],
    ['{"alg":["HS256"]}', '{}'],
    ['{"alg":null}', '{}'],
    ['{"alg":"none"}', '{}'],
    ['{"alg":"HS512"}', '{}'],
    ['{"alg":"RS256"}', '{}'],
    ['{"alg":"ES256"}', '{}'],
    ['{"alg":"HS256","typ":{}}', '{}'],
    ['{"alg":"HS256","__proto__":null}', '{"__proto__":1}'],
    ['{"alg":"HS256"}', `${'['.repeat(300)}${']'.repeat(300)}`],
  ])('is not what a bad token is: header %s, payload %s', (header, payload) => {
    const encode = (text: string) => Buffer.from(text).toString('base64url');
    const signed = `${encode(header)}.${encode(payload)}`;
    const right = createHmac('sha256', SECRET).update(signed).digest('base64url');
    for (const keys of [
      createSecretKeys(SECRET),
      createRsaKeys(rsaPem.privateKey, rsaPem.publicKey),
    ]) {
      const { check } = verifierOf(keys);
      for (const signature of ['', 'AAAA', 'A'.repeat(43), 'A'.repeat(342), right])
        expect(check(`${signed}.${signature}`).accepted).toBe(false);
    }
  });

  it('of the caller does not read as a wrong password, and a damaged hash does', async () => {
    const hasher = createPasswordHasher();
    const good = await hasher.hash('right');
    for (const damaged of [
      '$argon2',
      good.slice(0, -50),
      good.replace('m=19456', 'm=1'),
      '$2b$10$x',
    ])
      expect(await hasher.verify(damaged, 'right')).toBe(false);
    const bcrypt = `$2b$10$${'a'.repeat(53)}`;
    await expect(hasher.verify(bcrypt, undefined as unknown as string)).rejects.toThrow();
    expect(await hasher.verify(bcrypt, 'right')).toBe(false);
    expect(await hasher.verify(good, 'right')).toBe(true);
  });

  it('is not what undecodable credentials are', () => {
    const basic = (bytes: number[]) => `Basic ${Buffer.from(bytes).toString('base64')}`;
    expect(parseAuthorization(basic([0xff, 0x3a, 0x61]))).toEqual(parseAuthorization('Basic !'));
  });
});
