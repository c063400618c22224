/** Attack `time`: what is revoked stays so when its time is over, and dates from the future lock nobody out and hide nothing. */
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuiltService, startBuiltService } from '../../bench/built-service.js';
import { type Attack, collectFaults, type Faults, type Target } from './attack.js';
import { type Client, createClient, signIn, signInAsAdministrator } from './client.js';
import { moveClock } from './clock.js';
import { base64url } from './mutations.js';
import { LIFETIME_S, STEP_S, unusualSettings } from './settings.js';

const PASSWORD = 'what is revoked stays revoked';

type Claims = Readonly<Record<string, unknown>>;
type Administrator = Awaited<ReturnType<typeof signInAsAdministrator>>;

interface Scene {
  readonly client: Client;
  readonly target: Target;
  readonly root: Administrator;
  readonly faults: Faults;
  /** Seconds, by the service's clock. */
  now(): number;
  moveClock(): Promise<void>;
  /** As somebody does who shares the key. */
  sign(claims: Claims): string;
  /** An instance that has started since, and read what is revoked by then. */
  startInstance(): Promise<void>;
  /** Asks for the token, at every instance; a fault unless it is answered so. */
  check(what: string, token: string, expected: 204 | 401): Promise<void>;
}

export const times: Attack = {
  about: 'the id of a revoked token signed again with a later exp, dates of 2099, iat 300 s ahead',
  settings: unusualSettings,
  async prepare(target) {
    const client = createClient(target);
    const root = await signInAsAdministrator(client, target);
    const secret = readFileSync(join(target.dataDir, 'signing-secret'), 'utf8').trim();
    const faults = collectFaults();
    const instances: { readonly service: BuiltService; readonly client: Client }[] = [];
    let asked = 0;
    let aheadS = 0;
    const scene: Scene = {
      client,
      target,
      root,
      faults,
      now: () => Math.floor(Date.now() / 1000) + aheadS,
      async moveClock() {
        aheadS += STEP_S;
        await moveClock(target, client);
      },
      sign(claims) {
        const input = [{ alg: 'HS256', typ: 'JWT' }, claims]
          .map((part) => base64url(JSON.stringify(part)))
          .join('.');
        return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
      },
      async startInstance() {
        const folder = join(target.dataDir, `instance-${instances.length}`);
        const socket = encodeURIComponent(join(target.dataDir, 'engine.sock'));
        const service = await startBuiltService(folder, {
          ...unusualSettings(),
          ATTACK_CLOCK_AHEAD_MS: String(aheadS * 1000),
          MONGODB_URI: `mongodb://${socket}`,
          GLOBAL_SECRET: secret,
        });
        instances.push({ service, client: createClient(service) });
      },
      async check(what, token, expected) {
        const headers = { Authorization: `Bearer ${token}` };
        for (const at of [client, ...instances.map((instance) => instance.client)]) {
          asked += 1;
          const { status } = await at.call('GET', '/auth/verify', { headers });
          const where = at === client ? '' : ', after a restart';
          if (status !== expected) faults.add(`${what}${where}: ${status} instead of ${expected}`);
        }
      },
    };
    return async () => {
      const again = await revokedComeAgain(scene);
      const future = await datesOfTheFuture(scene);
      const ahead = await issuedAhead(scene);
      const looks = [again, future, ahead];
      try {
        await scene.moveClock();
        // An index forgets in minutes, but whoever starts reads only what may still matter.
        await scene.startInstance();
        for (const look of looks) await look('after its expiry');
      } finally {
        for (const each of instances) {
          each.client.close();
          await each.service.stop();
        }
      }
      client.close();
      return {
        numbers: `${asked} checks, before and ${STEP_S / 60} minutes later by the service's clock, also after a restart`,
        faults: [...faults.list(), ...client.faults.list()],
        movedClock: true,
      };
    };
  },
};

type LookAgain = (when: string) => Promise<void>;

async function newUser({ root, target, client }: Scene, name: string) {
  const email = `${name}-${target.seed}@attack.example`;
  const userId = await root.createUser(email, PASSWORD);
  const login = async () =>
    client.expect<{ token: string; refreshToken: string }>('POST', '/api/login', {
      body: { loginId: email, password: PASSWORD },
    });
  return { email, userId, login };
}

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;

/** Ids and sessions that were revoked, signed again by somebody who shares the key, to live longer. */
async function revokedComeAgain(scene: Scene): Promise<LookAgain> {
  const { client, root, sign, now } = scene;
  const { login, userId } = await newUser(scene, 'again');
  const byId = await login();
  const bySession = await login();
  const foreign = { jti: `foreign-${randomUUID()}`, _id: userId, iss: 'https://elsewhere.example' };
  const first = sign({ ...foreign, iat: now(), exp: now() + LIFETIME_S });
  await scene.check('a token signed elsewhere', first, 204);
  const revoke = (jti: unknown) =>
    client.expect('DELETE', `/v3/jwt/history/${String(jti)}`, { headers: root.headers });
  await revoke(claimsOf(byId.token)['jti']);
  await revoke(foreign.jti);
  await client.expect('POST', '/api/logout', { body: { refreshToken: bySession.refreshToken } });
  const later = () => ({ iat: now(), exp: now() + 86_400 });
  return async (when) => {
    const { jti, sid, iss, _id, sub, aud } = { ...claimsOf(bySession.token) };
    const own = claimsOf(byId.token);
    await scene.check(`a revoked id, ${when}`, sign({ ...own, ...later() }), 401);
    await scene.check(`a revoked id without exp, ${when}`, sign({ ...own, exp: undefined }), 401);
    await scene.check(
      `the id of a revoked session's token, ${when}`,
      sign({ jti, iss, _id, sub, aud, ...later() }),
      401,
    );
    const inSession = { jti: randomUUID(), sid, iss, _id: userId, sub, aud };
    await scene.check(
      `a new id in a revoked session, ${when}`,
      sign({ ...inSession, ...later() }),
      401,
    );
    await scene.check(
      `a revoked id of another issuer, ${when}`,
      sign({ ...foreign, ...later() }),
      401,
    );
  };
}

/** A record from 2099, cut-offs of 2099: whoever signs in afterwards gets a token that works. */
async function datesOfTheFuture(scene: Scene): Promise<LookAgain> {
  const { client, root, faults } = scene;
  const { email, userId } = await newUser(scene, 'future');
  const tries: [string, object][] = [
    [
      '/v3/jwt/history',
      {
        jti: `future-${userId}`,
        userId,
        issuedAt: '2099-01-01T00:00:00Z',
        expiresAt: '2100-01-01T00:00:00Z',
      },
    ],
    [
      '/v3/jwt/history',
      {
        jti: `nearer-${userId}`,
        userId,
        issuedAt: new Date((scene.now() + 299) * 1000).toISOString(),
      },
    ],
    ['/admin/cutoffs', { userId, before: '2099-01-01T00:00:00Z', reason: 'left' }],
  ];
  for (const [path, body] of tries) {
    const { status } = await client.call('POST', path, { headers: root.headers, body });
    if (![200, 201, 400].includes(status))
      faults.add(`${path} with a date of the future: ${status}`);
  }
  const password = `${PASSWORD}!`;
  await client.expect('POST', `/admin/users/${userId}/password`, {
    headers: root.headers,
    body: { password },
  });
  return async (when) => {
    // What was cut off at a moment is what was issued until then.
    const token = await signIn(client, { email, password });
    await scene.check(`a new sign-in, ${when}`, token.replace('JWT ', ''), 204);
  };
}

/** Signed before a cut-off, by a clock that is ahead or is said to be: seen before it, and not. */
async function issuedAhead(scene: Scene): Promise<LookAgain> {
  const { client, root, sign, now } = scene;
  const [one, other] = [await newUser(scene, 'ahead'), await newUser(scene, 'unseen')];
  const claims = (userId: string, ahead: number) => ({
    _id: userId,
    iss: 'https://elsewhere.example',
    jti: randomUUID(),
    iat: now() + ahead,
    exp: now() + 86_400,
  });
  const [seen, unseen] = [sign(claims(one.userId, 299)), sign(claims(other.userId, 299))];
  await scene.check('a token with iat ahead', seen, 204);
  for (let i = 0; i < 20; i += 1)
    await scene.check('a newer token', sign(claims(one.userId, -1)), 204);
  for (const { userId } of [one, other])
    await client.expect('POST', `/admin/users/${userId}/password`, {
      headers: root.headers,
      body: { password: `${PASSWORD}?` },
    });
  const look: LookAgain = async (when) => {
    await scene.check(`iat ahead and seen before the cut-off, ${when}`, seen, 401);
    await scene.check(`iat ahead and not seen before it, ${when}`, unseen, 401);
  };
  await look('at once');
  return look;
}
