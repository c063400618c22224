/** Attacks `tokens` and `tokens-rs256`: mutated forms of good and of revoked tokens, as fast as they are answered; not one is accepted. */
import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Attack, collectFaults, type Target } from './attack.js';
import { floodWithChecks } from './check-flood.js';
import { type Client, createClient, signInAsAdministrator, signIn } from './client.js';
import { createMutator, type Mutated, type Specimen, specimenOf } from './mutations.js';
import { createRandom } from './random.js';
import { createBadSigner } from './signed-badly.js';

const PASSWORD = 'holder of the tokens to mutate';
const SCHEMES = ['Bearer ', 'JWT ', 'bearer ', ''];
/** As many good tokens in between, so that refusing everything is noticed. */
const GOOD_EVERY = 1000;
const PROGRESS_EVERY_MS = 10_000;
/** Few requests under way: what matters is how many are tried, and others are to be served meanwhile. */
const CONNECTIONS = 4;
const DEPTH = 16;

interface Kind {
  readonly algorithm: 'HS256' | 'RS256';
  readonly count: { readonly short: number; readonly full: number };
}

export const tokens = attackWith({
  algorithm: 'HS256',
  count: { short: 20_000, full: 1_500_000 },
});

export const tokensRs256: Attack = {
  ...attackWith({ algorithm: 'RS256', count: { short: 5_000, full: 500_000 } }),
  settings() {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    return { GLOBAL_SECRET_ALGORITHM: 'RS256', GLOBAL_SECRET_OR_PRIVATE_KEY: privateKey };
  },
};

function attackWith({ algorithm, count }: Kind): Attack {
  return {
    about: `mutated ${algorithm} tokens, ${count.full.toLocaleString('en')} of them: none accepted`,
    async prepare(target) {
      const client = createClient(target);
      const specimens = await makeSpecimens(client, target);
      const random = createRandom(target.seed);
      const knownKeys =
        algorithm === 'RS256' ? await publicKeys(client) : ['jwt-history', 'https://tiledesk.com'];
      client.close();
      const mutate = createMutator({ specimens, knownKeys, random });
      const signBadly =
        algorithm === 'RS256'
          ? null
          : createBadSigner({
              secret: readFileSync(join(target.dataDir, 'signing-secret'), 'utf8').trim(),
              specimens,
              random,
            });
      const next = () => (signBadly !== null && random.below(8) === 0 ? signBadly() : mutate());
      const good = specimens.flatMap(({ parts, isRevoked }) =>
        isRevoked ? [] : [parts.join('.')],
      );
      const howMany = target.short ? count.short : count.full;
      return async () => {
        const startedAt = performance.now();
        const { kinds, statuses, faults } = await throwAll(target, {
          howMany,
          next,
          good,
          scheme: () => random.pick(SCHEMES),
        });
        const perSecond = howMany / ((performance.now() - startedAt) / 1000);
        return {
          numbers: `${howMany.toLocaleString('en')} of ${kinds} kinds, ${Math.round(perSecond).toLocaleString('en')}/s: ${statuses}`,
          faults,
        };
      };
    },
  };
}

interface Throwing {
  readonly howMany: number;
  readonly good: readonly string[];
  next(): Mutated;
  scheme(): string;
}

async function throwAll(target: Target, { howMany, good, next, scheme }: Throwing) {
  const faults = collectFaults();
  const kinds = new Set<string>();
  const statuses = new Map<string, number>();
  const expected = new Map<string, string>();
  let thrown = 0;
  let toldAt = performance.now();
  await floodWithChecks({
    address: target.address,
    connections: CONNECTIONS,
    depth: DEPTH,
    next() {
      if (thrown >= howMany) return null;
      thrown += 1;
      if (performance.now() - toldAt > PROGRESS_EVERY_MS) {
        toldAt = performance.now();
        target.progress(`${thrown.toLocaleString('en')} of ${howMany.toLocaleString('en')}`);
      }
      if (thrown % GOOD_EVERY === 0) {
        const authorization = `Bearer ${good[(thrown / GOOD_EVERY) % good.length] ?? ''}`;
        expected.set(authorization, 'good');
        return authorization;
      }
      const { kind, token } = next();
      kinds.add(kind);
      const authorization = scheme() + token;
      expected.set(authorization, kind);
      return authorization;
    },
    onAnswer(authorization, status, hasRetryAfter) {
      const kind = expected.get(authorization) ?? 'unknown';
      expected.delete(authorization);
      const isGood = kind === 'good';
      const what = `${status === 0 ? 'closed' : status}${isGood ? ' for the good ones' : ''}`;
      statuses.set(what, (statuses.get(what) ?? 0) + 1);
      if (isGood ? status !== 204 : status === 204)
        faults.add(
          isGood ? `a good token was answered ${status}` : `ACCEPTED: ${kind}`,
          authorization,
        );
      if (status >= 500 && !(status === 503 && hasRetryAfter))
        faults.add(`answered ${status}: ${kind}`, authorization);
    },
  });
  return {
    kinds: kinds.size,
    statuses: [...statuses].map(([what, n]) => `${n.toLocaleString('en')} × ${what}`).join(', '),
    faults: faults.list(),
  };
}

/** Tokens of every dialect, and revoked ones beside them. */
async function makeSpecimens(client: Client, target: Target): Promise<Specimen[]> {
  const { createUser } = await signInAsAdministrator(client, target);
  const email = `specimens-${target.seed}@attack.example`;
  await createUser(email, PASSWORD);
  const signedIn = () => signIn(client, { email, password: PASSWORD });
  const login = () =>
    client.expect<{ token: string; refreshToken: string }>('POST', '/api/login', {
      body: { loginId: email, password: PASSWORD },
    });
  const minted = async () => {
    const headers = { Authorization: await signedIn() };
    return (await client.expect<{ token: string }>('GET', '/v1/token', { headers })).token;
  };
  const made: string[] = [];
  for (let i = 0; i < 2; i += 1) made.push(await signedIn(), (await login()).token, await minted());
  const good = made.map((token) => specimenOf(token.replace('JWT ', ''), false));
  const revoked: Specimen[] = [];
  for (const token of [await signedIn(), await minted()]) {
    const bare = token.replace('JWT ', '');
    const specimen = specimenOf(bare, true);
    const path = `/v3/jwt/history/${String(specimen.payload['jti'])}`;
    await client.expect('DELETE', path, { headers: { Authorization: `JWT ${bare}` } });
    revoked.push(specimen);
  }
  // The session is what is revoked here.
  const session = await login();
  await client.expect('POST', '/api/logout', { body: { refreshToken: session.refreshToken } });
  return [...good, ...revoked, specimenOf(session.token, true)];
}

/** The public key, as it can be fetched, in the forms in which libraries were seen to take it for a secret. */
async function publicKeys(client: Client): Promise<(string | Buffer)[]> {
  const { text } = await client.call('GET', '/.well-known/jwks.json');
  const [jwk] = (JSON.parse(text) as { keys: JsonWebKey[] }).keys;
  if (jwk === undefined) throw new Error('there is no public key');
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const pems = (['spki', 'pkcs1'] as const).map((type) =>
    key.export({ type, format: 'pem' }).toString(),
  );
  return [
    ...pems.flatMap((pem) => [pem, pem.trim(), pem.replaceAll('\n', '\\n'), pem.trim() + '\r\n']),
    key.export({ type: 'spki', format: 'der' }),
    key.export({ type: 'pkcs1', format: 'der' }),
    text,
    JSON.stringify(jwk),
    jwk.n ?? '',
    Buffer.from(jwk.n ?? '', 'base64url'),
  ];
}
