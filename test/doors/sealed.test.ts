/** Ids that were revoked never come back, whoever signs them again, with whatever claims, and however much later. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import mongoose from 'mongoose';
import { MAX_AHEAD_MS } from '../../src/clock.js';
import { newTokenRecord } from '../../src/store/records.js';
import { createJti } from '../../src/tokens/jti.js';
import { createSeal } from '../../src/tokens/seal.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  SECRET,
  START,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';

const DAY_MS = 86_400_000;
const OWN = 'https://tiledesk.com';

let t: TestService;
let database: string;
const ADMIN = `Basic ${Buffer.from(`root@example.com:${PASSWORD}`).toString('base64')}`;

beforeEach(async () => {
  database = freshDatabase();
  t = await startTestService({}, database);
  await t.createUser('root@example.com', 'admin');
  await t.createUser('bob@example.com');
});
afterEach(() => t.close());

const check = async (token: string, at = t) =>
  (
    await at
      .http()
      .get('/auth/verify')
      .set('Authorization', `JWT ${token.replace(/^JWT /, '')}`)
  ).status;
const claimsOf = (token: string) => jwt.decode(token.replace(/^JWT /, '')) as jwt.JwtPayload;
const headerOf = (token: string) =>
  jwt.decode(token.replace(/^JWT /, ''), { complete: true })?.header as jwt.JwtHeader;
const seconds = () => Math.floor(t.clock.now / 1000);
const login = async () => {
  const { body } = await t
    .http()
    .post('/api/login')
    .send({ loginId: 'bob@example.com', password: PASSWORD })
    .expect(200);
  return body as { token: string; refreshToken: string; refreshTokenId: string };
};

/** What a holder of the key makes of a token: the same id, and whatever else. */
function again(token: string): Record<string, string> {
  const claims = claimsOf(token);
  const header = headerOf(token);
  const { exp: _exp, ...endless } = claims;
  const { iat: _iat, ...undated } = claims;
  const later = { ...claims, exp: seconds() + 3600 };
  const sign = (payload: object, keep = false) =>
    jwt.sign(payload, SECRET, { noTimestamp: true, ...(keep ? { header } : {}) });
  return {
    'with a later exp': sign(later),
    'with a later exp, and the same header': sign(later, true),
    'without exp': sign(endless, true),
    'as if new': sign({ ...later, iat: seconds() }, true),
    'without iat': sign({ ...undated, exp: seconds() + 3600 }, true),
    'for somebody else': sign({ ...later, _id: 'mallory', sub: 'mallory' }, true),
    'of another session': sign({ ...later, sid: randomUUID() }, true),
    'in capitals': sign({ ...later, jti: String(claims.jti).toUpperCase() }, true),
    'with another seal': jwt.sign(later, SECRET, {
      noTimestamp: true,
      header: { ...header, seal: 'A'.repeat(22) } as jwt.JwtHeader,
    }),
  };
}

/** At an instance that was there all the time, and at one that starts now. */
async function statusesEverywhere(tokens: Record<string, string>) {
  for (let i = 0; i < 2000; i += 1) t.service.index.sweepSlice();
  const later = await startTestService({}, database, t.clock);
  const statuses: Record<string, number[]> = {};
  for (const [name, token] of Object.entries(tokens))
    statuses[name] = [await check(token), await check(token, later)];
  await later.close();
  return statuses;
}
const refused = (tokens: Record<string, string>) =>
  Object.fromEntries(Object.keys(tokens).map((name) => [name, [401, 401]]));

const TOKENS: Record<string, () => Promise<string>> = {
  'of a sign-in': () => t.signIn('bob@example.com'),
  'of a session': async () => (await login()).token,
  'that never expires': async () =>
    (
      await t
        .http()
        .get('/v1/token')
        .set('Authorization', await t.signIn('bob@example.com'))
        .expect(200)
    ).body.token as string,
};

describe.each(Object.entries(TOKENS))('a token issued here, %s', (_name, issue) => {
  it('is what was issued, or refused', async () => {
    const token = await issue();
    for (const each of Object.values(again(token))) expect(await check(each)).toBe(401);
    expect(await check(token)).toBe(204);
  });

  it('never comes back: after its exp, after a restart, after its record has gone', async () => {
    const token = await issue();
    await t
      .http()
      .delete(`/v3/jwt/history/${jtiOf(token)}`)
      .set('Authorization', ADMIN)
      .expect(200);
    for (const days of [1, 31, 200]) {
      t.clock.now = START + days * DAY_MS;
      await t.store.tokens.purgeDue();
      await t.service.sync.refresh();
      const tokens = { itself: token, ...again(token) };
      expect(await statusesEverywhere(tokens)).toEqual(refused(tokens));
    }
  }, 60_000);
});

it('ids of API keys and of sessions are no ids of other tokens', async () => {
  const { refreshTokenId } = await login();
  const { body } = await t
    .http()
    .post('/admin/api-keys')
    .set('Authorization', ADMIN)
    .send({ name: 'key' })
    .expect(201);
  for (const jti of [refreshTokenId, body.jti as string])
    expect(await check(mint({ jti, iss: OWN, sub: 'x', iat: seconds() }))).toBe(401);
});

describe('a session', () => {
  const ofSession = (sid: string) => {
    const claims = { sub: 'somebody', sid, iat: seconds(), exp: seconds() + 3600 };
    return {
      'of our issuer': mint({ ...claims, jti: randomUUID(), iss: OWN }),
      'of our issuer, with a UUIDv7': mint({ ...claims, jti: createJti(t.clock.now), iss: OWN }),
      'of nobody': mint({ ...claims, jti: randomUUID() }),
      'of another issuer': mint({ ...claims, jti: randomUUID(), iss: 'https://other.example' }),
      'in capitals': mint({ ...claims, jti: randomUUID(), sid: sid.toUpperCase() }),
    };
  };

  it('that was revoked takes along whatever names it, for ever', async () => {
    const { refreshTokenId, token } = await login();
    for (const each of Object.values(ofSession(refreshTokenId)))
      expect(await check(each)).toBe(204);
    await t
      .http()
      .delete(`/api/jwt/refresh/${refreshTokenId}`)
      .set('Authorization', ADMIN)
      .expect(200);
    for (const days of [0, 1, 31, 200]) {
      t.clock.now = START + days * DAY_MS;
      await t.store.tokens.purgeDue();
      await t.service.sync.refresh();
      const tokens = { ...ofSession(refreshTokenId), ...again(token) };
      expect(await statusesEverywhere(tokens)).toEqual(refused(tokens));
    }
  }, 60_000);

  it('is asked for in the database where somebody else signed: 503 without it, its own are good', async () => {
    const { refreshTokenId, token } = await login();
    await t.store.close();
    expect(await check(token)).toBe(204);
    expect(await check(ofSession(refreshTokenId)['of nobody'])).toBe(503);
    t = await startTestService({}, database, t.clock);
  });

  it('is inspected by the same rule', async () => {
    const { refreshTokenId } = await login();
    const inspect = async (token: string) =>
      (
        await t
          .http()
          .post('/admin/inspect')
          .set('Authorization', ADMIN)
          .send({ token })
          .expect(200)
      ).body.reason as string | null;
    const foreign = ofSession(refreshTokenId)['of nobody'];
    expect(await inspect(foreign)).toBeNull();
    const seal = createSeal(t.store.seal.secret);
    expect(await inspect(ofSession(seal.createId(t.clock.now))['of nobody'])).toBe('unknown');
    await t
      .http()
      .delete(`/api/jwt/refresh/${refreshTokenId}`)
      .set('Authorization', ADMIN)
      .expect(200);
    expect(await inspect(foreign)).toBe('revoked');
  });
});

describe('what no seal vouches for', () => {
  /** As versions without seals issued it. */
  const issueUnsealed = () => {
    const at = START - 60_000;
    const [iat, exp] = [Math.floor(at / 1000), Math.floor(at / 1000) + 3600];
    const jti = createJti(at);
    const token = mint({ jti, iss: OWN, sub: 'bob', applicationId: 'app', iat, exp });
    const record = newTokenRecord({
      jti,
      kind: 'access',
      origin: 'signin',
      issuer: OWN,
      subject: 'bob',
      userId: 'bob',
      applicationId: 'app',
      issuedAt: new Date(at),
      expiresAt: new Date(exp * 1000),
      purgeAt: new Date(exp * 1000 + DAY_MS),
    });
    return { token, record };
  };
  const REVOKE: Record<string, (jti: string) => Promise<unknown>> = {
    'by its id': (jti) =>
      t.http().delete(`/v3/jwt/history/${jti}`).set('Authorization', ADMIN).expect(200),
    'by a cut-off': () =>
      t
        .http()
        .post('/admin/cutoffs')
        .set('Authorization', ADMIN)
        .send({ applicationId: 'app', reason: 'left' })
        .expect(201),
  };

  it.each(Object.entries(REVOKE))(
    'is remembered for ever when it was issued here before there were seals, and revoked %s',
    async (_name, revoke) => {
      const { token, record } = issueUnsealed();
      await t.store.tokens.insert(record);
      expect(await check(token)).toBe(204);
      await t.service.usage.flush();
      await revoke(record.jti);
      await t.service.marker.idle();
      for (const days of [1, 200]) {
        t.clock.now = START + days * DAY_MS;
        await t.store.tokens.purgeDue();
        await t.service.sync.refresh();
        const tokens = again(token);
        expect(await statusesEverywhere(tokens)).toEqual(refused(tokens));
      }
    },
    60_000,
  );

  it.each(Object.entries(REVOKE))(
    'is remembered for ever when others issued it, and it was revoked %s',
    async (_name, revoke) => {
      const jti = randomUUID();
      const token = mint({
        jti,
        iss: 'https://other.example',
        sub: 'bob',
        applicationId: 'app',
        iat: seconds() - 1,
        exp: seconds() + 3600,
      });
      expect(await check(token)).toBe(204);
      await t.service.usage.flush();
      await revoke(jti);
      await t.service.marker.idle();
      t.clock.now = START + 200 * DAY_MS;
      await t.store.tokens.purgeDue();
      await t.service.sync.refresh();
      const tokens = again(token);
      expect(await statusesEverywhere(tokens)).toEqual(refused(tokens));
    },
    60_000,
  );

  it('is kept from an older version: what was revoked, and no date after its record', async () => {
    await t.close();
    const connection = await mongoose
      .createConnection(testMongodbUri(), { dbName: database })
      .asPromise();
    const at = new Date(START);
    const { record } = issueUnsealed();
    const revocation = { at, by: 'root', via: 'test', reason: null };
    await connection.collection('tokens').insertMany([
      { ...record, revocation, createdAt: at, updatedAt: at },
      {
        ...record,
        jti: 'ahead',
        issuedAt: new Date('2099-01-01'),
        createdAt: at,
        updatedAt: at,
      },
    ]);
    // Older versions have no secret; nor has a database in which it was lost.
    await connection.collection<{ _id: string }>('identity').deleteOne({ _id: 'seal' });
    await connection.close();
    t = await startTestService({}, database, { now: START + 1000 });
    const [kept] = await t.store.tokens.findByJti(record.jti);
    const [ahead] = await t.store.tokens.findByJti('ahead');
    expect(kept).toMatchObject({ purgeAt: null, revocation });
    expect(ahead).toMatchObject({ purgeAt: record.purgeAt, issuedAt: at });
  });
});

describe('memory', () => {
  it('forgets what was issued here when it has expired', async () => {
    // Until then they could be an older version's, whose clock was ahead.
    t.clock.now += MAX_AHEAD_MS;
    const before = t.service.index.size;
    for (let i = 0; i < 5; i += 1) {
      const { refreshTokenId } = await login();
      await t
        .http()
        .delete(`/api/jwt/refresh/${refreshTokenId}`)
        .set('Authorization', ADMIN)
        .expect(200);
    }
    expect(t.service.index.size).toBe(before + 10);
    t.clock.now += 31 * DAY_MS;
    for (let i = 0; i < 2000; i += 1) t.service.index.sweepSlice();
    expect(t.service.index.size).toBe(before);
    const later = await startTestService({}, database, t.clock);
    expect(later.service.index.size).toBe(before);
    await later.close();
  });
});

describe('a seal', () => {
  it('is of one installation', async () => {
    const other = await startTestService();
    await other.createUser('bob@example.com');
    expect(other.store.seal.secret).not.toEqual(t.store.seal.secret);
    const seals = [t, other].map(({ store }) => createSeal(store.seal.secret));
    const ids = Array.from({ length: 1000 }, () => seals[0]?.createId(START) ?? '');
    expect(ids.every((id) => seals[0]?.isOurs(id))).toBe(true);
    expect(ids.some((id) => seals[1]?.isOurs(id))).toBe(false);
    expect(new Set(ids).size).toBe(1000);
    // To another one it is somebody else's: accepted, and recorded.
    expect(await check(await t.signIn('bob@example.com'), other)).toBe(204);
    await other.close();
  });

  it('is the same for all instances, and for ever', async () => {
    const other = await t.sibling();
    expect(other.store.seal).toEqual(t.store.seal);
    await other.close();
  });

  it('says nothing that the claims could be mistaken for', async () => {
    const token = await t.signIn('bob@example.com');
    expect(claimsOf(token)).not.toHaveProperty('seal');
    expect(headerOf(token)).toMatchObject({ alg: 'HS256', typ: 'JWT' });
    expect(token).not.toContain(Buffer.from(t.store.seal.secret).toString('base64url'));
  });
});
