/** Which secrets start the service: what people think up is refused, what a generator makes never is. */
import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { ConfigError, parseConfig } from '../../src/config/config.js';
import { isLeaked } from '../../src/config/leaked-secrets.js';
import { strengthOf } from '../../src/config/secret-strength.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const hex = (text: string) => Buffer.from(text).toString('hex');

/** Why it doesn't start; null when it does. */
function refusal(secret: string): string | null {
  try {
    parseConfig({ GLOBAL_SECRET: secret });
    return null;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.join('\n');
  }
}

const PHRASES = [
  'this-is-my-own-little-signing-secret',
  'the quick brown fox jumps over the lazy dog',
  'correct horse battery staple correct horse',
  'thisisthesecretofourproductionserver',
  'my_super_secure_and_very_long_jwt_key_2024',
  'MyCompanyProductionTokenSigningKey2023!',
  'we-should-really-have-a-better-secret-here',
  'el-secreto-mas-seguro-de-todo-el-mundo',
  'une-phrase-assez-longue-pour-le-serveur',
  'ein-ziemlich-langes-geheimnis-fuer-alle',
  'Sup3rS3cr3tK3yF0rTh3Pr0duct10nS3rv3r',
];
const REPEATS = [
  'test123-test123-test123-test123-test123',
  'a8Kx0pQzTfA1a8Kx0pQzTfA1a8Kx0pQzTfA1',
  '0123456789abcdef0123456789abcdef0123456789abcdef',
  'abcdefghijklmnopqrstuvwxyz0123456789',
  'qwertyuiopasdfghjklzxcvbnm1234567890',
  '31.12.1999-31.12.1999-31.12.1999-31.12.1999',
  'secretsecretsecretsecretsecretsecretsecret',
];
const PLACEHOLDERS = [
  'REPLACE THIS WITH YOUR JWT SECRET',
  'please-change-me-please-change-me-please',
  'change_this_to_something_else_altogether',
  'your-256-bit-secret-your-256-bit-secret',
  'YOUR_OWN_RANDOM_GENERATED_SECRET_KEY',
  'PLACEHOLDER_PLACEHOLDER_PLACEHOLDER',
  'framework-insecure-4f!k0z@x9q^w7v&m2c*b5n(1j)3h',
];
const DISGUISED = [
  base64('this is the secret of our production server'),
  base64(base64('this is the secret of our production server')),
  hex('this is the secret of our production server'),
  base64('secretsecretsecretsecretsecret').replace(/=+$/, ''),
  randomUUID(),
  `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.${'Zk3'.repeat(14)}`,
];

describe('a secret that a person thought up', () => {
  it.each([...PHRASES, ...REPEATS, ...PLACEHOLDERS, ...DISGUISED])(
    '%s doesn’t start, and isn’t shown',
    (secret) => {
      expect(Buffer.byteLength(secret)).toBeGreaterThanOrEqual(32);
      const problem = refusal(secret);
      expect(problem).toMatch(
        /^GLOBAL_SECRET (is easy to guess \(about \d+ bits; 128 are the least\)|is a placeholder that was to be replaced|is a token itself|repeats a few characters|is a well-known value): anyone could sign tokens\. Make one with: openssl rand -base64 48 /,
      );
      expect(problem).not.toContain(secret);
      // Where it is allowed all the same, the warning says why it is weak.
      const { signing } = parseConfig({ GLOBAL_SECRET: secret, ALLOW_WEAK_SECRET: 'true' });
      expect(signing).toMatchObject({ secret, weakness: expect.stringMatching(/^(is|repeats) /) });
    },
  );
});

describe('a secret that was published', () => {
  it('doesn’t start, though it looks generated', () => {
    // Published since 2020; its strength alone wouldn't give it away.
    const published = 'G8myiWdh74ZxsIrFdVTo3j36ftvoqNSE';
    expect(strengthOf(published)).toBeGreaterThanOrEqual(128);
    expect(isLeaked(published)).toBe(true);
    expect(refusal(published)).toMatch(/^GLOBAL_SECRET is in a public list of leaked secrets: /);
    expect(isLeaked(createHash('sha256').update(published).digest('hex'))).toBe(false);
  });
});

describe('a generated secret', () => {
  const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  const drawn = (length: number, symbols: string) =>
    Array.from({ length }, () => symbols[randomInt(symbols.length)]).join('');
  const forms: Record<string, () => string> = {
    'hex of 16 bytes': () => randomBytes(16).toString('hex'),
    'hex of 32 bytes': () => randomBytes(32).toString('hex'),
    'hex of 48 bytes in capitals': () => randomBytes(48).toString('hex').toUpperCase(),
    'hex of 64 bytes': () => randomBytes(64).toString('hex'),
    'base64 of 24 bytes': () => randomBytes(24).toString('base64'),
    'base64 of 25 to 64 bytes': () => randomBytes(randomInt(25, 65)).toString('base64'),
    'base64url of 24 to 64 bytes': () => randomBytes(randomInt(24, 65)).toString('base64url'),
    'base64 without padding': () => randomBytes(32).toString('base64').replace(/=+$/, ''),
    'two UUIDs': () => `${randomUUID()}${['', '-', '.', ' '][randomInt(4)]}${randomUUID()}`,
    'two UUIDs without dashes': () => `${randomUUID()}${randomUUID()}`.replaceAll('-', ''),
    'letters and digits': () => drawn(randomInt(32, 65), ALPHANUMERIC),
    'small letters and digits': () => drawn(32, ALPHANUMERIC.slice(26)),
    base32: () => drawn(32, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'),
    'a password manager’s': () => drawn(32, `${ALPHANUMERIC}!@#$%^&*()-_=+[]{};:,.<>?/~`),
    'a prefix and hex': () => `jwt-secret-${randomBytes(32).toString('hex')}`,
  };
  it.each(Object.keys(forms))('as %s always starts', (form) => {
    const refused: string[] = [];
    for (let i = 0; i < 200; i += 1) {
      const secret = forms[form]?.() ?? '';
      const why = refusal(secret);
      if (why !== null) refused.push(`${secret}: ${why}`);
    }
    expect(refused).toEqual([]);
  });
});

describe('the estimate', () => {
  it('counts a UUID for what is random in it, and twice the same for one', () => {
    const [one, two] = [randomUUID(), randomUUID()];
    expect(strengthOf(one)).toBe(122);
    expect(strengthOf(`${one}${one}`)).toBe(122);
    expect(strengthOf(`${one}${two}`)).toBe(244);
    expect(strengthOf('a8098c1a-f86e-11da-bd1a-00112444be1e')).toBe(60);
  });

  it('takes any text', () => {
    for (const text of ['', ' ', '\0', '😀'.repeat(40), 'é'.repeat(300), 'x'.repeat(100_000)]) {
      expect(strengthOf(text)).toBeLessThan(400);
    }
  });
});
