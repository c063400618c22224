/** Tokens that a co-holder of the secret signs, correctly, and that must be refused all the same. */
import { createHmac } from 'node:crypto';
import { base64url, type Mutated, type Specimen } from './mutations.js';
import type { Random } from './random.js';

interface Material {
  readonly secret: string;
  /** Those that are good, and those that are revoked. */
  readonly specimens: readonly Specimen[];
  readonly random: Random;
}

const seconds = () => Math.floor(Date.now() / 1000);

export function createBadSigner({ secret, specimens, random }: Material): () => Mutated {
  const { below, pick } = random;
  const good = specimens.filter(({ isRevoked }) => !isRevoked);
  const revoked = specimens.filter(({ isRevoked }) => isRevoked);

  function signed(header: object, payload: unknown, hash = 'sha256'): string {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    const input = `${base64url(JSON.stringify(header))}.${base64url(text)}`;
    return `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`;
  }
  const HEADER = { alg: 'HS256', typ: 'JWT' };
  /** One that would be good. */
  const claims = () => ({
    ...pick(good).payload,
    jti: `attack-${below(2 ** 31)}`,
    iat: seconds() - 10,
    exp: seconds() + 3600,
  });
  const without = (name: string) =>
    Object.fromEntries(Object.entries(claims()).filter(([each]) => each !== name));

  const kinds: Readonly<Record<string, () => string>> = {
    'of a revoked id': () => {
      const { header, payload } = pick(revoked);
      const iat = seconds() - below(100);
      const changed = pick([
        { exp: seconds() + below(100_000) },
        { iat, exp: seconds() + 3600 },
        { _id: pick(good).payload['_id'] },
        { sub: pick(['guest', 'bot', 'user']) },
        { aud: 'another' },
        { sid: undefined, exp: undefined },
        { extra: below(1000) },
      ]);
      return signed(pick([header, HEADER]), { ...payload, ...changed });
    },
    'without an id': () =>
      signed(
        HEADER,
        pick([
          without('jti'),
          ...['', null, 1, [], ['a'], {}, 'x'.repeat(200), 'a\0'].map((jti) => ({
            ...claims(),
            jti,
          })),
        ]),
      ),
    'of another time': () =>
      signed(
        HEADER,
        pick([
          { ...claims(), exp: seconds() - 1 - below(1000) },
          { ...claims(), exp: pick(['never', [], {}, true]) },
          { ...claims(), nbf: seconds() + 400 + below(1000) },
          { ...claims(), nbf: pick(['0', [], {}, null]) },
          { ...claims(), iat: seconds() + 400 + below(1000) },
        ]),
      ),
    'with an extension': () =>
      signed(
        { ...HEADER, ...pick([{ crit: ['exp'] }, { crit: [] }, { b64: false }, { b64: true }]) },
        claims(),
      ),
    'of another type': () =>
      signed(
        { alg: 'HS256', typ: pick(['JWE', 'dpop+jwt', 'secevent+jwt', 'id', '', 1, []]) },
        claims(),
      ),
    'with another algorithm': () =>
      pick([
        signed({ ...HEADER, alg: 'HS512' }, claims(), 'sha512'),
        signed({ ...HEADER, alg: 'HS384' }, claims(), 'sha384'),
        signed({ ...HEADER, alg: pick(['none', 'RS256', 'hs256']) }, claims()),
      ]),
    'naming a claim twice': () => {
      const text = JSON.stringify(claims()).slice(1, -1);
      const more = pick(['"jti":"other"', '"exp":99999999999', '"iss":"x"', '"\\u006ati":"other"']);
      return signed(HEADER, pick([`{${text},${more}}`, `{${more},${text}}`]));
    },
    'of no claims': () => signed(HEADER, pick([null, [], [claims()], 1, true, '"text"', '{', ''])),
  };
  const names = Object.keys(kinds);
  return function sign() {
    const kind = pick(names);
    return { kind: `signed ${kind}`, token: kinds[kind]?.() ?? '' };
  };
}
