/** The configuration: what the environment means, and everything that is wrong with it, said at once. */
import { createPrivateKey, generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { type Config, ConfigError, parseConfig } from '../../src/config/config.js';
import { variables } from '../../src/config/variables.js';
import { createRsaKeys } from '../../src/tokens/keys.js';
import { rsaPem, SECRET } from '../support/harness.js';

type Environment = Record<string, string | undefined>;

/** The problems of an environment that must not start. */
function problemsOf(env: Environment): readonly string[] {
  try {
    parseConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The one problem of an environment, so that one mistake is reported as one. */
function problemOf(env: Environment): string {
  const problems = problemsOf(env);
  expect(problems).toHaveLength(1);
  return problems[0] ?? '';
}

const URI = 'mongodb://db.example:27017/tiledesk';
const folder = mkdtempSync(join(tmpdir(), 'jwt-history-test-'));
let files = 0;
function fileWith(content: string): string {
  const path = join(folder, String(++files));
  writeFileSync(path, content);
  return path;
}
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DEFAULTS: Config = {
  port: 3000,
  host: undefined,
  mongodbUri: null,
  refuseStandalone: false,
  dataDir: resolve('./data'),
  signing: { algorithm: 'HS256', secret: null, weakness: null },
  tokenIssuer: 'https://tiledesk.com',
  tokenAudience: 'https://tiledesk.com',
  accessTokenTtlSeconds: 30 * 86_400,
  fusionAuthTokenSeconds: 3600,
  dashboardSessionSeconds: 12 * 3600,
  dashboardIdleSeconds: 1800,
  refreshTokenSeconds: 30 * 86_400,
  refreshTokenUsage: 'one-time',
  refreshTokenGraceSeconds: 10,
  unknownTokens: 'adopt',
  leaseMs: 1000,
  staleAfterSeconds: null,
  retentionSeconds: 90 * 86_400,
  shutdownDelayMs: 250,
  adminEmail: 'admin@localhost',
  adminPassword: null,
  passwordHash: null,
  onPremises: true,
  signInAttemptsPerMinute: 30,
  signInAttemptsPerAccount: 100,
  mintRate: 60,
  maxEndlessTokens: 1000,
  trustProxyHops: 0,
  corsOrigins: [],
  logLevel: 'info',
  settings: {},
};

describe('values', () => {
  it('needs nothing', () => {
    expect(parseConfig({})).toEqual(DEFAULTS);
  });

  it('takes empty values as unset, and knows nothing of other variables', () => {
    const names = Object.keys(variables).flatMap((name) => [name, `${name}_FILE`]);
    expect(parseConfig(Object.fromEntries(names.map((name) => [name, ''])))).toEqual(DEFAULTS);
    expect(
      parseConfig({ HOME: '/root', PORT_FILE: '/nowhere', port: '1', 'PORT ': '2', PORTS: '3' }),
    ).toEqual(DEFAULTS);
  });

  const set: [Environment, Partial<Config>][] = [
    [{ PORT: '0' }, { port: 0 }],
    [{ PORT: '65535' }, { port: 65_535 }],
    [{ HOST: '::1' }, { host: '::1' }],
    [{ MONGODB_URI: URI, GLOBAL_SECRET: SECRET }, { mongodbUri: URI }],
    [{ DATABASE_URI: URI, GLOBAL_SECRET: SECRET }, { mongodbUri: URI }],
    [{ DATABASE_URI: URI, MONGODB_URI: URI, GLOBAL_SECRET: SECRET }, { mongodbUri: URI }],
    [{ DATABASE_URI: URI, MONGODB_URI: '', GLOBAL_SECRET: SECRET }, { mongodbUri: URI }],
    [
      { MONGODB_URI: 'mongodb+srv://db.example', GLOBAL_SECRET: SECRET },
      { mongodbUri: 'mongodb+srv://db.example' },
    ],
    [{ DATA_DIR: '/var/lib/jwt history' }, { dataDir: '/var/lib/jwt history' }],
    [
      { GLOBAL_SECRET: SECRET },
      { signing: { algorithm: 'HS256', secret: SECRET, weakness: null } },
    ],
    [
      { TOKEN_ISSUER: 'https://i', TOKEN_AUDIENCE: 'a' },
      { tokenIssuer: 'https://i', tokenAudience: 'a' },
    ],
    [{ UNKNOWN_TOKENS: 'deny' }, { unknownTokens: 'deny' }],
    [{ SHUTDOWN_DELAY: '0' }, { shutdownDelayMs: 0 }],
    [{ SHUTDOWN_DELAY: '0.001' }, { shutdownDelayMs: 1 }],
    [{ SHUTDOWN_DELAY: '20s' }, { shutdownDelayMs: 20_000 }],
    [{ SHUTDOWN_DELAY: '5m' }, { shutdownDelayMs: 300_000 }],
    [{ UNKNOWN_TOKENS: 'allow' }, { unknownTokens: 'allow' }],
    [{ ADMIN_EMAIL: 'Root@Example.COM' }, { adminEmail: 'root@example.com' }],
    [{ ADMIN_PASSWORD: ' 8 chars ' }, { adminPassword: ' 8 chars ' }],
    [{ ON_PREMISES: 'false' }, { onPremises: false }],
    [{ SIGN_IN_ATTEMPTS: '1' }, { signInAttemptsPerMinute: 1 }],
    [{ SIGN_IN_ATTEMPTS_PER_ACCOUNT: '1' }, { signInAttemptsPerAccount: 1 }],
    [{ MINT_RATE: '5' }, { mintRate: 5 }],
    [
      { MINT_RATE: '0', MAX_ENDLESS_TOKENS: '0' },
      { mintRate: 0, maxEndlessTokens: 0 },
    ],
    [{ MAX_ENDLESS_TOKENS: '1000000' }, { maxEndlessTokens: 1_000_000 }],
    [{ TRUST_PROXY: '2' }, { trustProxyHops: 2 }],
    [{ CORS_ORIGINS: 'https://app.example.com' }, { corsOrigins: ['https://app.example.com'] }],
    [
      { CORS_ORIGINS: ' https://A.example/ ,http://localhost:4200,https://a.example:443,' },
      { corsOrigins: ['https://a.example', 'http://localhost:4200'] },
    ],
    [{ CORS_ORIGINS: 'http://[2001:DB8::1]:8080' }, { corsOrigins: ['http://[2001:db8::1]:8080'] }],
    [{ LOG_LEVEL: 'silent' }, { logLevel: 'silent' }],
    [{ LOG_LEVEL: 'verbose' }, { logLevel: 'debug' }],
    [{ LOG_LEVEL: 'http' }, { logLevel: 'debug' }],
    [{ LOG_LEVEL: 'silly' }, { logLevel: 'trace' }],
    [{ PASSWORD_HASH: 'bcrypt' }, { passwordHash: 'bcrypt' }],
    [{ PASSWORD_HASH: '' }, { passwordHash: null }],
  ];
  it.each(set)('%j', (env, expected) => {
    expect(parseConfig(env)).toMatchObject(expected);
  });

  it.each([
    ['900', 900],
    ['45s', 45],
    ['15m', 900],
    ['12h', 43_200],
    ['30d', 2_592_000],
    ['0', 0],
    ['0d', 0],
    ['007', 7],
    ['36500d', 3_153_600_000],
  ])('reads the duration %s', (text, seconds) => {
    expect(parseConfig({ ACCESS_TOKEN_TTL: text })).toMatchObject({
      accessTokenTtlSeconds: seconds,
    });
  });

  it('is frozen', () => {
    const config = parseConfig({ GLOBAL_SECRET: SECRET });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.signing)).toBe(true);
    expect(() => Object.assign(config, { port: 1 })).toThrow(TypeError);
    expect(() => Object.assign(config.signing, { secret: 'x' })).toThrow(TypeError);
    expect(config).toMatchObject({ port: 3000, signing: { secret: SECRET } });
  });
});

describe('problems', () => {
  it('are all reported at once, each with its variable and its mend, and never with a secret', () => {
    const canary = 'canary-7f3a';
    const env = {
      PORT: 'http',
      ADMIN_EMAIL: 'nobody',
      UNKNOWN_TOKENS: 'maybe',
      ACCESS_TOKEN_TTL: '1.5h',
      GLOBAL_SECRET: canary,
    };
    let thrown: unknown;
    try {
      parseConfig(env);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigError);
    const error = thrown as ConfigError;
    expect(error.name).toBe('ConfigError');
    expect(error.problems.toSorted()).toEqual([
      'ACCESS_TOKEN_TTL: "1.5h" can\'t be used; give seconds, or a number with s, m, h or d (900, 15m, 30d), at most 100 years.',
      'ADMIN_EMAIL: "nobody" can\'t be used; give an e-mail address.',
      'GLOBAL_SECRET has only 11 bytes (32 are the least): anyone could sign tokens. Make one with: openssl rand -base64 48 (ALLOW_WEAK_SECRET=true starts all the same).',
      'PORT: "http" can\'t be used; give a whole number from 0 to 65535.',
      'UNKNOWN_TOKENS: "maybe" can\'t be used; give one of adopt, allow, deny.',
    ]);
    expect(error.message).toBe(
      `The configuration has 5 problem(s):\n${error.problems.map((p) => `  - ${p}`).join('\n')}`,
    );
    expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain(canary);
  });

  const secrets = Object.entries(variables)
    .filter(([, spec]) => 'secret' in spec)
    .map(([name]) => name);
  it.each(secrets)('of %s never show its value, given directly or as a file', (name) => {
    const canary = 'c4nary';
    for (const env of [{ [name]: canary }, { [`${name}_FILE`]: fileWith(canary) }]) {
      const problem = problemOf(name.endsWith('_URI') ? { ...env, GLOBAL_SECRET: SECRET } : env);
      expect(problem).toContain(name);
      expect(problem).not.toContain(canary);
    }
  });

  it.each([
    ['PORT', ['-1', '65536', '80.5', '0x50', '1e3', ' 80', 'null'], 'whole number from 0'],
    ['TRUST_PROXY', ['true', '-1', '17', '10.0.0.0/8'], 'whole number from 0 to 16'],
    ['SIGN_IN_ATTEMPTS', ['0', '-1', '100001', 'many'], 'whole number from 1 to 100000'],
    ['SIGN_IN_ATTEMPTS_PER_ACCOUNT', ['0', '1.5', '100001'], 'whole number from 1 to 100000'],
    ['MONGODB_URI', ['localhost:27017', 'postgres://db', 'mongodb://', ' mongodb://x'], 'mongodb'],
    ['DATABASE_URI', ['http://db', 'MONGODB://db'], 'mongodb'],
    ['GLOBAL_SECRET_ALGORITHM', ['none', 'hs256', 'HS512', 'ES256'], 'HS256, RS256'],
    ['ALLOW_WEAK_SECRET', ['1', 'yes', 'TRUE'], 'true or false'],
    ['ALLOW_STANDALONE', ['1', 'yes', 'TRUE'], 'true or false'],
    ['ON_PREMISES', ['0', 'no', 'False'], 'true or false'],
    ['UNKNOWN_TOKENS', ['ADOPT', 'reject'], 'adopt, allow, deny'],
    ['LOG_LEVEL', ['loud', 'INFO'], 'trace, debug, info'],
    ['PASSWORD_HASH', ['BCRYPT', 'argon2', 'scrypt'], 'argon2id, bcrypt'],
    [
      'CORS_ORIGINS',
      [
        '*',
        'null',
        'app.example.com',
        'https://*.example.com',
        'https://a.example/path',
        'https://a.example?x',
        'https://a.example#',
        'https://user@a.example',
        'ftp://a.example',
        'https://a.example https://b.example',
        'https://a.example,*',
      ],
      'https://host',
    ],
    [
      'SHUTDOWN_DELAY',
      ['-1', '301', '300.001s', '5.01m', '.5', '1.', '1e2', '20 s', '20S', '250ms', '1h', 'never'],
      'seconds from 0 to 300',
    ],
    ['ADMIN_EMAIL', ['root', 'a b@c', '@c', 'a@', ' a@b', 'a@b, c@d'], 'e-mail address'],
    ['ADMIN_PASSWORD', ['short', '1234567'], 'at least 8'],
    ['ADMIN_PASSWORD', ['x'.repeat(257)], 'at most 256'],
    ...['ACCESS_TOKEN_TTL', 'RETENTION'].map((name): [string, string[], string] => [
      name,
      ['-1', '1.5h', '99999999999d', '36501d', '15M', '15 m', 'm', '1h30m', '1w', 'never', '１５m'],
      '15m',
    ]),
  ])('name %s and what it may be, when it is one of %j', (name, values, mend) => {
    for (const value of values) {
      const problem = problemOf({ [name]: value, GLOBAL_SECRET: SECRET });
      expect(problem).toMatch(new RegExp(`^${name}: .*can't be used; give `));
      expect(problem).toContain(mend);
    }
  });

  it('quote no more than the beginning of a long value', () => {
    const problem = problemOf({ PORT: `${'9'.repeat(80)}END` });
    expect(problem).toContain('9'.repeat(80));
    expect(problem).not.toContain('END');
  });

  it('name both of two addresses that differ, and show neither', () => {
    const problem = problemOf({
      MONGODB_URI: 'mongodb://one:pass1@db',
      DATABASE_URI: 'mongodb://two:pass2@db',
      GLOBAL_SECRET: SECRET,
    });
    expect(problem).toBe('MONGODB_URI and DATABASE_URI differ: set only one of them.');
  });
});

describe('secrets in files', () => {
  it.each([
    ['as it is', SECRET],
    ['less the line end', `${SECRET}\n`],
    ['less the line end of Windows', `${SECRET}\r\n`],
  ])('are taken %s', (_name, content) => {
    expect(parseConfig({ GLOBAL_SECRET_FILE: fileWith(content) }).signing).toEqual({
      algorithm: 'HS256',
      secret: SECRET,
      weakness: null,
    });
  });

  it('keep every other space', () => {
    const path = fileWith(`  ${SECRET} \n\n`);
    expect(parseConfig({ GLOBAL_SECRET_FILE: path }).signing).toMatchObject({
      secret: `  ${SECRET} \n`,
    });
  });

  it('are read for every secret', () => {
    const config = parseConfig({
      MONGODB_URI_FILE: fileWith(`${URI}\n`),
      GLOBAL_SECRET_ALGORITHM: 'RS256',
      GLOBAL_SECRET_OR_PRIVATE_KEY_FILE: fileWith(rsaPem.privateKey),
      GLOBAL_SECRET_OR_PUB_KEY_FILE: fileWith(rsaPem.publicKey),
      ADMIN_PASSWORD_FILE: fileWith('from a file\n'),
    });
    expect(config).toMatchObject({
      mongodbUri: URI,
      signing: { algorithm: 'RS256', publicKey: rsaPem.publicKey },
      adminPassword: 'from a file',
    });
    expect(
      parseConfig({ DATABASE_URI_FILE: fileWith(URI), GLOBAL_SECRET: SECRET }).mongodbUri,
    ).toBe(URI);
  });

  it('may not compete with the variable itself', () => {
    const path = fileWith(SECRET);
    expect(problemOf({ GLOBAL_SECRET: SECRET, GLOBAL_SECRET_FILE: path })).toBe(
      'GLOBAL_SECRET and GLOBAL_SECRET_FILE are both set: set only one of them.',
    );
    expect(parseConfig({ GLOBAL_SECRET: '', GLOBAL_SECRET_FILE: path }).signing).toMatchObject({
      secret: SECRET,
    });
  });

  it('must be readable, and hold something', () => {
    const missing = join(folder, 'missing');
    expect(problemOf({ GLOBAL_SECRET_FILE: missing })).toBe(
      `GLOBAL_SECRET_FILE: ${missing} can't be read (ENOENT); give the path of a readable file.`,
    );
    expect(problemOf({ ADMIN_PASSWORD_FILE: folder })).toBe(
      `ADMIN_PASSWORD_FILE: ${folder} can't be read (EISDIR); give the path of a readable file.`,
    );
    for (const nothing of ['', '\n', '\r\n']) {
      const path = fileWith(nothing);
      expect(problemOf({ GLOBAL_SECRET_FILE: path })).toBe(
        `GLOBAL_SECRET_FILE: ${path} is empty; put the value in it.`,
      );
    }
  });

  it('are checked like the variable itself', () => {
    expect(problemOf({ GLOBAL_SECRET_FILE: fileWith('nodeauthsecret\n') })).toMatch(
      /^GLOBAL_SECRET is a well-known value: /,
    );
  });
});

describe('one mistake is one problem', () => {
  // What is wrong is not also missing: the second line would send its reader the wrong way.
  it.each([
    ['a file that can’t be read', { GLOBAL_SECRET_FILE: '/nowhere/secret' }],
    ['a secret that is set twice', { GLOBAL_SECRET: SECRET, GLOBAL_SECRET_FILE: '/nowhere' }],
  ])('%s isn’t a secret that is not set', (_name, env) => {
    expect(problemOf({ MONGODB_URI: URI, ...env })).toMatch(/GLOBAL_SECRET_FILE/);
  });

  it('a private key that can’t be read isn’t one of the wrong kind', () => {
    const problem = problemOf({
      GLOBAL_SECRET_ALGORITHM: 'RS256',
      GLOBAL_SECRET_OR_PRIVATE_KEY_FILE: '/nowhere/key.pem',
    });
    expect(problem).toMatch(/^GLOBAL_SECRET_OR_PRIVATE_KEY_FILE: /);
  });

  it('an algorithm that is misspelt makes no mistake of its keys', () => {
    const problem = problemOf({
      GLOBAL_SECRET_ALGORITHM: 'rs256',
      MONGODB_URI: URI,
      GLOBAL_SECRET_OR_PRIVATE_KEY: rsaPem.privateKey,
    });
    expect(problem).toMatch(/^GLOBAL_SECRET_ALGORITHM: "rs256" can't be used; /);
  });

  it('a wrong address doesn’t hide that there is no secret', () => {
    const problems = problemsOf({ MONGODB_URI: 'db.example:27017' });
    expect(problems).toEqual([
      expect.stringMatching(/^MONGODB_URI: its value can't be used; /),
      expect.stringMatching(/^GLOBAL_SECRET is not set: /),
    ]);
  });
});

describe('HS256', () => {
  const weak: [string, string, string][] = [
    ['Tiledesk’s default', 'nodeauthsecret', 'is a well-known value'],
    ['it in capitals', ' NodeAuthSecret ', 'is a well-known value'],
    ['a long well-known one', 'a-string-secret-at-least-256-bits-long', 'is a well-known value'],
    ['31 bytes', SECRET.slice(0, 31), 'has only 31 bytes (32 are the least)'],
    ['one byte', 'x', 'has only 1 bytes (32 are the least)'],
    ['one character, repeated', 'a'.repeat(64), 'repeats a few characters'],
    ['seven characters, repeated', 'abcdefg'.repeat(6), 'repeats a few characters'],
  ];
  it.each(weak)('refuses %s', (_name, secret, weakness) => {
    const problem = problemOf({ GLOBAL_SECRET: secret });
    expect(problem).toBe(
      `GLOBAL_SECRET ${weakness}: anyone could sign tokens. Make one with: openssl rand -base64 48 (ALLOW_WEAK_SECRET=true starts all the same).`,
    );
    expect(problemOf({ GLOBAL_SECRET: secret, ALLOW_WEAK_SECRET: 'false' })).toBe(problem);
  });

  it.each(weak)('takes %s where that is allowed, and says why it is weak', (_name, secret, why) => {
    expect(parseConfig({ GLOBAL_SECRET: secret, ALLOW_WEAK_SECRET: 'true' }).signing).toEqual({
      algorithm: 'HS256',
      secret,
      weakness: why,
    });
  });

  it.each([
    ['32 bytes', SECRET.slice(0, 32)],
    ['32 bytes of UTF-8', 'éèêëàâäôöùûüçñßœ'],
    ['32 spaces and letters', '  q 7Xd w Zr9 k T2v m B4h s L8c y '],
  ])('takes %s', (_name, secret) => {
    expect(Buffer.byteLength(secret)).toBeGreaterThanOrEqual(32);
    expect(parseConfig({ GLOBAL_SECRET: secret }).signing).toEqual({
      algorithm: 'HS256',
      secret,
      weakness: null,
    });
  });

  it('needs a secret where the database is shared', () => {
    for (const env of [{ MONGODB_URI: URI }, { DATABASE_URI: URI }]) {
      expect(problemOf(env)).toBe(
        'GLOBAL_SECRET is not set: with MONGODB_URI every instance needs the same signing key. Make one with: openssl rand -base64 48',
      );
      expect(problemOf({ ...env, ALLOW_WEAK_SECRET: 'true' })).toMatch(/^GLOBAL_SECRET is not set/);
    }
  });

  it.each([
    { GLOBAL_SECRET_OR_PRIVATE_KEY: rsaPem.privateKey },
    { GLOBAL_SECRET_OR_PUB_KEY: rsaPem.publicKey },
    { GLOBAL_SECRET_OR_PUB_KEY: rsaPem.publicKey, GLOBAL_SECRET: SECRET },
  ])('has no use for a key pair', (env) => {
    const problem = problemOf(env);
    expect(problem).toBe(
      'GLOBAL_SECRET_OR_PRIVATE_KEY and GLOBAL_SECRET_OR_PUB_KEY need GLOBAL_SECRET_ALGORITHM=RS256; for HS256 use GLOBAL_SECRET.',
    );
  });
});

function toPem(
  pair: KeyPairKeyObjectResult,
  publicType: 'spki' | 'pkcs1',
  privateType: 'pkcs8' | 'pkcs1',
) {
  return {
    publicKey: pair.publicKey.export({ type: publicType, format: 'pem' }).toString(),
    privateKey: pair.privateKey.export({ type: privateType, format: 'pem' }).toString(),
  };
}

describe('RS256', () => {
  const { privateKey, publicKey } = rsaPem;
  const escaped = (pem: string) => pem.replaceAll('\n', '\\n');
  const pkcs1 = toPem(generateKeyPairSync('rsa', { modulusLength: 2048 }), 'pkcs1', 'pkcs1');
  const ec = toPem(generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'spki', 'pkcs8');
  const small = toPem(generateKeyPairSync('rsa', { modulusLength: 1024 }), 'spki', 'pkcs8');
  const pss = toPem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }), 'spki', 'pkcs8');
  const encrypted = createPrivateKey(privateKey)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'passphrase' })
    .toString();
  const withKeys = (priv: string | undefined, pub?: string): Environment => ({
    GLOBAL_SECRET_ALGORITHM: 'RS256',
    GLOBAL_SECRET_OR_PRIVATE_KEY: priv,
    GLOBAL_SECRET_OR_PUB_KEY: pub,
  });

  it.each([
    ['a private key alone', privateKey, undefined],
    ['a pair', privateKey, publicKey],
    ['a pair with \\n for line ends', escaped(privateKey), escaped(publicKey)],
    ['a pair without a last line end', privateKey.trimEnd(), publicKey.trimEnd()],
    ['a pair with the line ends of Windows', privateKey.replaceAll('\n', '\r\n'), publicKey],
  ])('takes %s', (_name, priv, pub) => {
    for (const more of [{}, { MONGODB_URI: URI }]) {
      const { signing } = parseConfig({ ...withKeys(priv, pub), ...more });
      if (signing.algorithm !== 'RS256') throw new Error('RS256 was asked for');
      expect(Object.keys(signing).toSorted()).toEqual(['algorithm', 'privateKey', 'publicKey']);
      expect(signing.publicKey).toBe(publicKey);
      expect(signing.privateKey).not.toContain('\\n');
      const keys = createRsaKeys(signing.privateKey, signing.publicKey);
      const token = jwt.sign({ jti: 't' }, keys.signingKey, { algorithm: 'RS256' });
      expect(jwt.verify(token, keys.verificationKey)).toMatchObject({ jti: 't' });
      expect(Object.isFrozen(signing)).toBe(true);
    }
  });

  it('takes a pair in PKCS #1', () => {
    const { signing } = parseConfig(withKeys(pkcs1.privateKey, pkcs1.publicKey));
    expect(signing).toMatchObject({
      algorithm: 'RS256',
      publicKey: expect.stringMatching(/^-----BEGIN PUBLIC KEY-----\n/),
    });
  });

  it.each([
    ['no private key', undefined, undefined],
    ['no private key, but a public one', undefined, publicKey],
    ['a public key for a private one', publicKey, undefined],
    ['a key of 1024 bits', small.privateKey, small.publicKey],
    ['an EC key', ec.privateKey, ec.publicKey],
    ['an RSA-PSS key', pss.privateKey, pss.publicKey],
    ['an encrypted key', encrypted, publicKey],
    ['a key that is cut off', privateKey.slice(0, 400), undefined],
    ['a text', 'c4nary', undefined],
  ])('refuses %s', (_name, priv, pub) => {
    const problem = problemOf(withKeys(priv, pub));
    expect(problem).toBe(
      'GLOBAL_SECRET_OR_PRIVATE_KEY must be an RSA private key in PEM of 2048 bits or more. Make one with: openssl genrsa 3072',
    );
  });

  it.each([
    ['another pair', pkcs1.publicKey],
    ['an EC pair', ec.publicKey],
    ['nothing known', 'c4nary'],
  ])('refuses the public half of %s', (_name, pub) => {
    const problem = problemOf(withKeys(privateKey, pub));
    expect(problem).toBe(
      'GLOBAL_SECRET_OR_PUB_KEY is not the public half (PEM) of GLOBAL_SECRET_OR_PRIVATE_KEY: unset it, and it is taken from the private key.',
    );
  });

  it.each([SECRET, 'nodeauthsecret', 'short'])(
    'leaves a shared secret (%s) alone, as a Tiledesk server that has both does',
    (secret) => {
      const { signing } = parseConfig({ ...withKeys(privateKey), GLOBAL_SECRET: secret });
      expect(Object.keys(signing).toSorted()).toEqual(['algorithm', 'privateKey', 'publicKey']);
      expect(signing.algorithm).toBe('RS256');
      expect(JSON.stringify(signing)).not.toContain(secret);
    },
  );
});

describe('the tables of variables', () => {
  /** Name, default and meaning of each row of the section, as they are shown. */
  function rowsOf(path: string, heading: string) {
    const text = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
    const section = new RegExp(`^#+ ${heading}$(.*?)(?=^#+ |$(?![^]))`, 'ms').exec(text)?.[1] ?? '';
    const rows = section.matchAll(/^\| *`([^`]+)` *\| *(.*?) *\| *(\S.*?) *\|$/gm);
    return [...rows].map(
      ([, name = '', shown = '', meaning = '']) => [name, shown, meaning] as const,
    );
  }
  const all = rowsOf('docs/configuration.md', 'Configuration');

  it('docs/configuration.md lists every variable with its default', () => {
    const listed = all.map(([name, shown]) => {
      const value = /^`([^`]+)`$/.exec(shown)?.[1];
      return [name, value ?? (/^[—-]$/.test(shown) ? null : `unexpected: ${shown}`)];
    });
    expect(listed).toEqual(
      Object.entries(variables).map(([name, spec]) => [
        name,
        'fallback' in spec ? (spec.fallback ?? null) : null,
      ]),
    );
  });

  it('README.md lists the ten most used, in the same words and order', () => {
    const used = rowsOf('README.md', 'Configuration');
    expect(used).toHaveLength(10);
    expect(used).toEqual(all.filter(([name]) => used.some(([other]) => other === name)));
  });
});
