/** Tiledesk's JWT history, end to end over HTTP: sign in, list, revoke, refused; and who may do what. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { COUNT_CAP } from '../../../src/store/tokens/query/filter.js';
import type { User } from '../../../src/store/records.js';
import { createJti } from '../../../src/tokens/jti.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  rsaPem,
  START,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../../support/harness.js';
import { newRecord } from '../../support/store-conformance.js';

let t: TestService;
let alice: User;
let bob: User;
let admin: User;

beforeAll(async () => {
  t = await startTestService({ ACCESS_TOKEN_TTL: '0' });
  [alice, bob, admin] = await Promise.all([
    t.createUser('alice@example.com'),
    t.createUser('bob@example.com'),
    t.createUser('root@example.com', 'admin'),
  ]);
});
afterAll(() => t.close());

const list = (token: string, query = '', path = '/v3/jwt/history') =>
  t.http().get(`${path}${query}`).set('Authorization', token);
const revoke = (token: string, jti: string, path = '/v3/jwt/history') =>
  t
    .http()
    .delete(`${path}/${encodeURIComponent(jti)}`)
    .set('Authorization', token);
const jtisOf = (body: unknown) => (body as { jwts: { jti: string }[] }).jwts.map(({ jti }) => jti);

describe('the whole story', () => {
  it('signs in, lists, revokes, refuses', async () => {
    const first = await t.signIn('alice@example.com');
    const second = await t.signIn('alice@example.com');

    const listed = await list(first);
    expect(listed.status).toBe(200);
    expect(listed.headers['cache-control']).toBe('no-store');
    expect(listed.body).toMatchObject({ perPage: 40, page: 0, count: 2, countIs: 'exact' });
    expect(jtisOf(listed.body).toSorted()).toEqual([jtiOf(first), jtiOf(second)].toSorted());
    expect(Object.keys(listed.body.jwts[0]).toSorted()).toEqual([
      '_id',
      'applicationId',
      'audience',
      'cdata',
      'createdAt',
      'device',
      'expiresAt',
      'issuedAt',
      'issuer',
      'jti',
      'kind',
      'lastUsedAt',
      'origin',
      'revokedAt',
      'revokedBy',
      'revokedReason',
      'sessionId',
      'state',
      'subject',
      'updatedAt',
      'userId',
    ]);
    expect(listed.body.jwts[0]).toMatchObject({
      kind: 'access',
      origin: 'signin',
      issuer: 'https://tiledesk.com',
      audience: 'https://tiledesk.com',
      subject: 'user',
      userId: alice.id,
      state: 'active',
      expiresAt: null,
      issuedAt: new Date(START).toISOString(),
    });
    expect(listed.text).not.toContain(second.slice(4));
    expect(listed.text).not.toMatch(/hash|secret|password/i);

    const revoked = await revoke(first, jtiOf(second));
    expect(revoked.status).toBe(200);
    expect(revoked.body).toMatchObject({
      jti: jtiOf(second),
      state: 'revoked',
      revokedBy: alice.id,
    });

    const refused = await list(second);
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toContain('Basic realm="Users"');
    expect(refused.headers['content-type']).toContain('application/problem+json');
    expect(refused.body).toMatchObject({ success: false, status: 401, code: 'unauthenticated' });
    expect((await list(first)).status).toBe(200);
  });

  it('answers a repeated revoke with the first revocation, unchanged', async () => {
    const keep = await t.signIn('alice@example.com');
    const gone = await t.signIn('alice@example.com');
    const first = await revoke(keep, jtiOf(gone));
    t.clock.now += 60_000;
    const again = await revoke(keep, jtiOf(gone));
    const byId = await t
      .http()
      .delete(`/v2/jwt/history/id/${first.body._id}`)
      .set('Authorization', keep);
    expect([again.status, byId.status]).toEqual([200, 200]);
    expect(again.body).toEqual(first.body);
    expect(byId.body).toEqual(first.body);
  });

  it('lets a token revoke itself', async () => {
    const token = await t.signIn('alice@example.com');
    expect((await revoke(token, jtiOf(token))).status).toBe(200);
    expect((await revoke(token, jtiOf(token))).status).toBe(401);
  });

  it("shows Tiledesk's shape at sign-in, and claims", async () => {
    const response = await t
      .http()
      .post('/auth/signin')
      .send({ email: ' Alice@Example.com ', password: PASSWORD });
    expect(response.body).toMatchObject({
      success: true,
      user: { _id: alice.id, email: 'alice@example.com' },
    });
    expect(response.body.token).toMatch(/^JWT [\w-]+\.[\w-]+\.[\w-]+$/);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.text).not.toContain('argon2');
    const payload = JSON.parse(
      Buffer.from(response.body.token.split('.')[1], 'base64url').toString(),
    );
    expect(payload).toEqual({
      _id: alice.id,
      email: 'alice@example.com',
      firstname: 'First',
      lastname: 'Last',
      iss: 'https://tiledesk.com',
      aud: 'https://tiledesk.com',
      sub: 'user',
      jti: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      iat: Math.floor(t.clock.now / 1000),
    });
  });

  it('gives sign-in tokens the configured lifetime', async () => {
    const short = await startTestService({ ACCESS_TOKEN_TTL: '15m' });
    await short.createUser('alice@example.com');
    const token = await short.signIn('alice@example.com');
    const get = () => short.http().get('/v3/jwt/history').set('Authorization', token);
    expect((await get()).body.jwts[0].expiresAt).toBe(
      new Date(Math.floor(START / 1000) * 1000 + 900_000).toISOString(),
    );
    short.clock.now += 900_000;
    expect((await get()).status).toBe(401);
    await short.close();
  });

  it('works the same with RS256 keys', async () => {
    const rsa = await startTestService({
      GLOBAL_SECRET: '',
      GLOBAL_SECRET_ALGORITHM: 'RS256',
      GLOBAL_SECRET_OR_PRIVATE_KEY: rsaPem.privateKey.replaceAll('\n', '\\n'),
      GLOBAL_SECRET_OR_PUB_KEY: rsaPem.publicKey,
    });
    await rsa.createUser('alice@example.com');
    const token = await rsa.signIn('alice@example.com');
    const other = await rsa.signIn('alice@example.com');
    const use = (value: string) => rsa.http().get('/v3/jwt/history').set('Authorization', value);
    expect((await use(token)).status).toBe(200);
    expect(
      (
        await rsa
          .http()
          .delete(`/v3/jwt/history/${jtiOf(token)}`)
          .set('Authorization', other)
      ).status,
    ).toBe(200);
    expect((await use(token)).status).toBe(401);
    const forged = mint({ jti: 'x', _id: alice.id }, { algorithm: 'HS256' }, rsaPem.publicKey);
    expect((await use(`JWT ${forged}`)).status).toBe(401);
    await rsa.close();
  });
});

describe('every way of presenting a credential', () => {
  it.each([
    ['JWT', (token: string) => `JWT ${token}`],
    ['jwt', (token: string) => `jwt ${token}`],
    ['Bearer', (token: string) => `Bearer ${token}`],
    ['bare', (token: string) => token],
  ])('%s is accepted, and refused once revoked', async (_name, present) => {
    const token = (await t.signIn('alice@example.com')).slice(4);
    const header = present(token);
    expect((await list(header)).status).toBe(200);
    expect((await revoke(header, jtiOf(token))).status).toBe(200);
    expect((await list(header)).status).toBe(401);
  });

  it('takes Basic, with a colon in the password', async () => {
    const ok = await t.http().get('/v3/jwt/history').auth('alice@example.com', PASSWORD);
    expect(ok.status).toBe(200);
    expect(PASSWORD).toContain(':');
    const prefix = await t
      .http()
      .get('/v3/jwt/history')
      .auth('alice@example.com', PASSWORD.slice(0, PASSWORD.indexOf(':')));
    expect(prefix.status).toBe(401);
    const longer = await t
      .http()
      .get('/v3/jwt/history')
      .auth('alice@example.com', `${PASSWORD}:more`);
    expect(longer.status).toBe(401);
  });

  it('answers every bad credential alike', async () => {
    const revokedToken = await t.signIn('alice@example.com');
    await revoke(revokedToken, jtiOf(revokedToken));
    const headers = [
      undefined,
      revokedToken,
      'JWT x.y.z',
      'Bearer',
      'Digest abc',
      'NotBasicAtAll xxx',
      `JWT ${mint({ jti: 'a', _id: alice.id, exp: 1 })}`,
      `JWT ${mint({ _id: alice.id })}`,
      `JWT ${mint({ jti: 'a', _id: alice.id }, {}, 'another-secret-another-secret-1234')}`,
      `Basic ${Buffer.from('alice@example.com:wrong').toString('base64')}`,
      `Basic ${Buffer.from('nobody@example.com:wrong').toString('base64')}`,
      `JWT ${'a'.repeat(9000)}`,
    ];
    const seen = new Set<string>();
    for (const header of headers) {
      const request = t.http().get('/v3/jwt/history');
      const {
        status,
        text,
        headers: h,
      } = await (header === undefined ? request : request.set('Authorization', header));
      seen.add(
        JSON.stringify([
          status,
          text,
          h['www-authenticate'],
          h['content-type'],
          h['cache-control'],
        ]),
      );
    }
    expect([...seen]).toHaveLength(1);
    expect([...seen][0]).toContain('401');
  });
});

describe('whose tokens', () => {
  it("neither shows nor revokes somebody else's, and answers as if they did not exist", async () => {
    const a = await t.signIn('alice@example.com');
    const b = await t.signIn('bob@example.com');
    const bobs = (await list(b)).body.jwts[0];
    const attempts = [
      [`/v3/jwt/history/${bobs.jti}`, `/v3/jwt/history/${createJti(START)}`],
      [`/v2/jwt/history/${bobs.jti}`, `/v2/jwt/history/${createJti(START)}`],
      [`/jwt/history/${bobs.jti}`, `/jwt/history/${createJti(START)}`],
      [`/v3/jwt/history/id/${bobs._id}`, '/v3/jwt/history/id/0123456789abcdef01234567'],
      [`/v1/jwt/history/${bobs.jti}`, `/v1/jwt/history/${createJti(START)}`],
      [`/v1/jwt/history/id/${bobs._id}`, '/v1/jwt/history/id/0123456789abcdef01234567'],
    ] as const;
    for (const [theirs, nobodys] of attempts) {
      const send = (path: string) =>
        t.http().delete(path).set('Authorization', a).set('Content-Type', 'application/json');
      const [mine, none] = [await send(theirs), await send(nobodys)];
      expect([mine.status, none.status]).toEqual([404, 404]);
      expect(mine.text).toBe(none.text);
      expect(mine.text).not.toContain(bob.id);
    }
    for (const query of [`?userId=${bob.id}`, '?userId=*', '?search=a', '?state=active']) {
      const response = await list(a, query);
      expect(response.status).toBe(400);
      expect(response.body.errors[0].message).toBe('is not a parameter here.');
      expect(response.text).not.toContain(bobs.jti);
    }
    expect(jtisOf((await list(a)).body)).not.toContain(bobs.jti);
    expect((await list(b)).status).toBe(200);
  });

  it("keeps one issuer's jti apart from the same jti of another", async () => {
    const shared = `shared-${createJti(START)}`;
    const alices = mint({ jti: shared, iss: 'https://a.example', _id: alice.id });
    const bobs = mint({ jti: shared, iss: 'https://b.example', _id: bob.id });
    expect((await list(bobs)).status).toBe(200);
    expect((await revoke(alices, shared)).status).toBe(200);
    expect((await list(alices)).status).toBe(401);
    expect((await list(bobs)).status).toBe(200);
  });

  it('asks at every revoke whether the caller is an administrator', async () => {
    const database = freshDatabase();
    const own = await startTestService({}, database);
    const revokeAt = (token: string, jti: string) =>
      own.http().delete(`/v3/jwt/history/${jti}`).set('Authorization', token);
    await Promise.all([
      own.createUser('former@example.com', 'admin'),
      own.createUser('bob@example.com'),
    ]);
    const token = await own.signIn('former@example.com');
    const one = await own.signIn('bob@example.com');
    const two = await own.signIn('bob@example.com');
    expect((await revokeAt(token, jtiOf(one))).status).toBe(200);
    const direct = await mongoose
      .createConnection(testMongodbUri(), { dbName: database })
      .asPromise();
    const email = 'former@example.com';
    await direct.collection('users').updateOne({ email }, { $set: { role: null } });
    await direct.close();
    expect((await revokeAt(token, jtiOf(two))).status).toBe(404);
    const checked = await own.http().get('/auth/verify').set('Authorization', two);
    expect(checked.status).toBe(204);
    // Their own is theirs all the same.
    expect((await revokeAt(token, jtiOf(token))).status).toBe(200);
    await own.close();
  });

  it('lets an administrator list and revoke everyone’s', async () => {
    const root = await t.signIn('root@example.com');
    const b = await t.signIn('bob@example.com');
    expect(jtisOf((await list(root, `?userId=${bob.id}`)).body)).toContain(jtiOf(b));
    expect(jtisOf((await list(root, '?userId=*&limit=100')).body)).toEqual(
      expect.arrayContaining([jtiOf(b), jtiOf(root)]),
    );
    expect(jtisOf((await list(root)).body)).not.toContain(jtiOf(b));
    const revoked = await revoke(root, jtiOf(b));
    expect(revoked.body).toMatchObject({ userId: bob.id, revokedBy: admin.id });
    expect((await list(b)).status).toBe(401);
  });

  it('filters by state, kind, application and search', async () => {
    const root = await t.signIn('root@example.com');
    const carol = await t.createUser('carol@example.com');
    const keep = await t.signIn('carol@example.com');
    const gone = await t.signIn('carol@example.com');
    await revoke(keep, jtiOf(gone));
    const of = async (query: string) =>
      jtisOf((await list(root, `?userId=${carol.id}&${query}`)).body);
    expect(await of('state=revoked')).toEqual([jtiOf(gone)]);
    expect(await of('state=active')).toEqual([jtiOf(keep)]);
    expect(await of('state=expired')).toEqual([]);
    expect(await of('kind=refresh')).toEqual([]);
    expect(await of('kind=access')).toHaveLength(2);
    expect(await of('applicationId=none')).toEqual([]);
    expect(await of(`search=${jtiOf(keep).slice(0, 30)}`)).toEqual([jtiOf(keep)]);
    const searched = await list(root, `?userId=*&search=${carol.id}`);
    expect(jtisOf(searched.body).toSorted()).toEqual([jtiOf(gone), jtiOf(keep)].toSorted());
  });
});

describe('pages', () => {
  it('neither repeats nor skips, in any sort, and breaks ties', async () => {
    const user = await t.createUser('pages@example.com');
    const token = await t.signIn('pages@example.com');
    for (let i = 0; i < 12; i += 1) {
      await t.store.tokens.insert({
        ...newRecord('page'),
        userId: user.id,
        jti: `page-${String(i).padStart(2, '0')}`,
        lastUsedAt: i % 3 === 0 ? null : new Date(START + (i % 3)),
        expiresAt: i % 2 === 0 ? null : new Date(START + 1e9 * i),
      });
    }
    for (const sort of [
      'createdAt',
      'updatedAt',
      'issuedAt',
      'expiresAt',
      'lastUsedAt',
      'revokedAt',
      'jti',
    ]) {
      const orders: string[][] = [];
      for (const direction of ['1', '-1']) {
        const seen: string[] = [];
        for (let page = 0; page < 5; page += 1) {
          const { body } = await list(
            token,
            `?page=${page}&limit=3&sortField=${sort}&direction=${direction}`,
          );
          expect(body).toMatchObject({ page, perPage: 3, count: 13 });
          seen.push(...jtisOf(body));
        }
        expect(new Set(seen).size).toBe(13);
        expect(seen).toHaveLength(13);
        orders.push(seen);
      }
      expect(orders[1]).toEqual(orders[0]?.toReversed());
    }
    const [byAlias, byDefault] = [await list(token, '?sort=createdAt'), await list(token)];
    expect(byAlias.body).toEqual(byDefault.body);
    expect(jtisOf((await list(token, '?page=9')).body)).toEqual([]);
  });

  it('serves the default sort from its index: no collection scan, no sort in memory', async () => {
    const page = { sortField: 'createdAt', direction: -1, skip: 0, limit: 40 } as const;
    for (const userIds of [[alice.id], null]) {
      const plan = JSON.stringify(await t.store.tokens.explain({ userIds }, page));
      expect(plan).toContain('IXSCAN');
      expect(plan).not.toContain('COLLSCAN');
      expect(plan).not.toMatch(/"stage":"SORT"/);
    }
  });

  it('says when a count is an estimate', async () => {
    const root = await t.signIn('root@example.com');
    expect((await list(root, '?userId=*')).body.countIs).toBe('estimate');
    expect((await list(root, '?userId=*&kind=access')).body.countIs).toBe('exact');
    expect(COUNT_CAP).toBe(10_000);
  });
});

describe('v1', () => {
  it('has the DELETEs only, and insists on JSON', async () => {
    const token = await t.signIn('alice@example.com');
    const path = `/v1/jwt/history/${jtiOf(token)}`;
    const plain = await t.http().delete(path).set('Authorization', token);
    expect(plain.status).toBe(415);
    expect(plain.body.msg).toContain('application/json');
    expect((await t.http().get('/v1/jwt/history').set('Authorization', token)).status).toBe(404);
    const get = await t.http().get(path).set('Authorization', token);
    expect([get.status, get.headers['allow']]).toEqual([405, 'DELETE']);
    const done = await t
      .http()
      .delete(path)
      .set('Authorization', token)
      .set('Content-Type', 'application/json; charset=utf-8');
    expect(done.status).toBe(200);
    expect((await list(token)).status).toBe(401);
  });

  it('is switched off by ON_PREMISES=false, and says why', async () => {
    const hosted = await startTestService({ ON_PREMISES: 'false' });
    const response = await hosted
      .http()
      .delete('/v1/jwt/history/x')
      .set('Content-Type', 'application/json');
    expect(response.status).toBe(404);
    expect(response.body.msg).toContain('ON_PREMISES');
    await hosted.close();
  });
});

describe('tokens of other services', () => {
  const foreign = (jti: string, userId: string) =>
    mint({
      _id: userId,
      email: 'alice@example.com',
      firstname: 'A',
      lastname: 'L',
      iss: 'https://tiledesk.com',
      aud: 'https://tiledesk.com',
      sub: 'user',
      jti,
      iat: Math.floor(START / 1000),
    });

  it('are adopted: accepted, listed with their device, revoked', async () => {
    const token = foreign('1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed', alice.id);
    const listed = await t
      .http()
      .get('/v3/jwt/history')
      .set('Authorization', `JWT ${token}`)
      .set('User-Agent', 'curl/8.5');
    expect(listed.status).toBe(200);
    const record = listed.body.jwts.find(({ jti }: { jti: string }) => jti.startsWith('1b9d6bcd'));
    expect(record).toMatchObject({
      origin: 'adopted',
      userId: alice.id,
      state: 'active',
      device: { userAgent: 'curl/8.5' },
    });
    expect(record.lastUsedAt).toBe(new Date(t.clock.now).toISOString());
    expect((await revoke(`JWT ${token}`, record.jti)).status).toBe(200);
    expect((await list(`JWT ${token}`)).status).toBe(401);
  });

  it('are revoked with a known one of the same id, though seen for the first time just before', async () => {
    const jti = `seen-just-now-${createJti(START)}`;
    const [known, fresh] = ['https://known.example', 'https://fresh.example'].map((iss) =>
      mint({ jti, iss, _id: alice.id }),
    );
    expect((await list(known ?? '')).status).toBe(200);
    // The check notes the token; its record is still to be written when the revoke arrives.
    const device = {
      name: null,
      description: null,
      type: null,
      userAgent: 'curl',
      ip: null,
      location: null,
    };
    const checked = t.service.checkToken(fresh ?? '', () => device);
    expect(checked).toMatchObject({ accepted: true });
    expect((await revoke(known ?? '', jti)).status).toBe(200);
    const records = await t.store.tokens.findByJti(jti);
    expect(records.map(({ issuer, revocation }) => [issuer, revocation?.by])).toEqual([
      ['https://known.example', alice.id],
      ['https://fresh.example', alice.id],
    ]);
    expect((await list(fresh ?? '')).status).toBe(401);
  });

  it('note their last use at most once a minute', async () => {
    const token = foreign('last-used', alice.id);
    const lastUse = async () => {
      await list(token);
      await t.service.usage.flush();
      return (await t.store.tokens.findByJti('last-used'))[0]?.lastUsedAt?.getTime();
    };
    const first = await lastUse();
    t.clock.now += 59_000;
    expect(await lastUse()).toBe(first);
    t.clock.now += 1000;
    expect(await lastUse()).toBe(t.clock.now);
  });

  it('are accepted but not recorded with UNKNOWN_TOKENS=allow', async () => {
    const allowing = await t.sibling({ UNKNOWN_TOKENS: 'allow' });
    const token = foreign('only-allowed', alice.id);
    const listed = await allowing.http().get('/v3/jwt/history').set('Authorization', token);
    expect(listed.status).toBe(200);
    expect(await t.store.tokens.findByJti('only-allowed')).toEqual([]);
    await allowing.close();
  });

  it('are refused with UNKNOWN_TOKENS=deny until they are registered', async () => {
    const denying = await t.sibling({ UNKNOWN_TOKENS: 'deny' });
    const use = (value: string) =>
      denying.http().get('/v3/jwt/history').set('Authorization', value);
    const own = await denying.signIn('alice@example.com');
    expect((await use(own)).status).toBe(200);
    const token = foreign('registered-later', alice.id);
    expect((await use(token)).status).toBe(401);
    const root = await denying.signIn('root@example.com');
    const registered = await denying
      .http()
      .post('/v3/jwt/history')
      .set('Authorization', root)
      .send({ token: `JWT ${token}` });
    expect(registered.status).toBe(201);
    expect(registered.body).toMatchObject({
      jti: 'registered-later',
      origin: 'registered',
      userId: alice.id,
    });
    expect((await use(token)).status).toBe(200);
    await denying.http().delete('/v3/jwt/history/registered-later').set('Authorization', token);
    expect((await use(token)).status).toBe(401);
    await denying.close();
  });

  it('without a jti are always refused', async () => {
    expect((await list(mint({ _id: alice.id, sub: 'user' }))).status).toBe(401);
  });
});

describe('registering', () => {
  const register = (token: string, body: object) =>
    t.http().post('/v3/jwt/history').set('Authorization', token).send(body);

  it('is for administrators, idempotent, and keeps the first user', async () => {
    const root = await t.signIn('root@example.com');
    const user = await t.signIn('alice@example.com');
    const body = {
      jti: 'elsewhere-1',
      userId: bob.id,
      expiresAt: '2030-01-01T00:00:00Z',
      issuer: 'https://else.example',
    };
    expect((await register(user, body)).status).toBe(403);
    const first = await register(root, body);
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({
      jti: 'elsewhere-1',
      origin: 'registered',
      issuer: 'https://else.example',
      userId: bob.id,
    });
    const again = await register(root, body);
    expect([again.status, again.body]).toEqual([200, first.body]);
    const other = await register(root, { ...body, userId: alice.id });
    expect([other.status, other.body.code]).toEqual([409, 'conflict']);
  });

  it('means the token of whichever issuer where none is named, and of none with an empty one', async () => {
    const root = await t.signIn('root@example.com');
    for (const [jti, issuer] of [
      ['hand-1', undefined],
      ['hand-2', ''],
    ] as const) {
      const registered = await register(root, { jti, userId: alice.id, issuer });
      expect(registered.status).toBe(201);
      const tokens = [undefined, 'https://tiledesk.com', 'https://other.example'].map((iss) =>
        mint({ jti, _id: alice.id, ...(iss === undefined ? {} : { iss }) }),
      );
      for (const token of tokens) expect((await list(token)).status).toBe(200);
      expect((await revoke(root, jti)).status).toBe(200);
      for (const token of tokens) expect((await list(token)).status).toBe(401);
    }
  });

  it('refuses every token with a revoked id, also one that expires later', async () => {
    const root = await t.signIn('root@example.com');
    const claims = { jti: 'renewed', _id: alice.id, iss: 'https://other.example' };
    const second = Math.floor(t.clock.now / 1000);
    const [short, long] = [60, 1e6].map((ttl) => mint({ ...claims, exp: second + ttl }));
    expect((await list(short ?? '')).status).toBe(200);
    expect((await revoke(root, 'renewed')).status).toBe(200);
    t.clock.now += 600_000;
    const restarted = await t.sibling();
    for (const service of [t, restarted]) {
      const response = await service
        .http()
        .get('/v3/jwt/history')
        .set('Authorization', long ?? '');
      expect(response.status).toBe(401);
    }
    await restarted.close();
  });

  it('takes the session of whichever issuer: its tokens end with it', async () => {
    const root = await t.signIn('root@example.com');
    await register(root, { jti: 'idp-session', userId: alice.id, issuer: 'https://idp.example' });
    const token = mint({
      jti: 'from-idp',
      sid: 'idp-session',
      _id: alice.id,
      iss: 'https://idp.example',
    });
    expect((await list(token)).status).toBe(200);
    await revoke(root, 'idp-session');
    expect((await list(token)).status).toBe(401);
  });

  it('refuses a token that is not signed with our key, without echoing it', async () => {
    const root = await t.signIn('root@example.com');
    const token = mint({ jti: 'a', _id: 'b' }, {}, 'another-secret-another-secret-1234');
    const response = await register(root, { token });
    expect(response.status).toBe(400);
    expect(response.body.errors[0].field).toBe('token');
    expect(response.text).not.toContain(token);
  });

  it('does not let a wrong expiry un-revoke: only a signed one makes the index forget', async () => {
    const root = await t.signIn('root@example.com');
    await register(root, {
      jti: 'long-lived',
      userId: alice.id,
      expiresAt: new Date(t.clock.now + 1000).toISOString(),
    });
    await revoke(root, 'long-lived');
    t.clock.now += 86_400_000;
    const token = mint({
      jti: 'long-lived',
      _id: alice.id,
      iss: 'https://tiledesk.com',
      exp: Math.floor(t.clock.now / 1000) + 3600,
    });
    expect((await list(token)).status).toBe(401);
    const restarted = await t.sibling();
    expect((await restarted.http().get('/v3/jwt/history').set('Authorization', token)).status).toBe(
      401,
    );
    await restarted.close();
  });
});

describe('an id that was never seen', () => {
  it('can be revoked by an administrator, for whichever issuer', async () => {
    const root = await t.signIn('root@example.com');
    const revoked = await revoke(root, 'never-seen');
    expect(revoked.status).toBe(200);
    expect(revoked.body).toMatchObject({ jti: 'never-seen', state: 'revoked', userId: null });
    expect((await revoke(root, 'never-seen')).body).toEqual(revoked.body);
    for (const iss of ['https://tiledesk.com', 'https://other.example', undefined]) {
      const token = mint({ jti: 'never-seen', _id: alice.id, ...(iss ? { iss } : {}) });
      expect((await list(token)).status).toBe(401);
    }
    const registered = await t
      .http()
      .post('/v3/jwt/history')
      .set('Authorization', root)
      .send({ jti: 'never-seen', userId: alice.id });
    expect([registered.status, registered.body.state]).toEqual([200, 'revoked']);
  });

  it('stays revoked after a restart', async () => {
    const restarted = await t.sibling();
    const token = mint({ jti: 'never-seen', _id: alice.id });
    expect((await restarted.http().get('/v3/jwt/history').set('Authorization', token)).status).toBe(
      401,
    );
    await restarted.close();
  });
});

describe('users', () => {
  it('are created and listed by administrators, never with a password', async () => {
    const root = await t.signIn('root@example.com');
    const user = await t.signIn('alice@example.com');
    const create = (token: string, body: object) =>
      t.http().post('/admin/users').set('Authorization', token).send(body);
    const body = { email: 'Dora@Example.com', password: 'canary-password-1', firstname: 'Dora' };
    expect((await create(user, body)).status).toBe(403);
    const created = await create(root, body);
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({
      email: 'dora@example.com',
      firstname: 'Dora',
      status: 100,
      role: null,
    });
    expect(created.text).not.toMatch(/canary|argon2|"password"/);
    expect((await create(root, body)).status).toBe(409);
    const signedIn = await t
      .http()
      .post('/auth/signin')
      .send({ email: 'dora@example.com', password: 'canary-password-1' });
    expect(signedIn.status).toBe(200);
    const users = await t.http().get('/admin/users?limit=2').set('Authorization', root);
    expect(users.body).toMatchObject({ perPage: 2, page: 0 });
    expect(users.body.users).toHaveLength(2);
    expect(users.text).not.toMatch(/argon2|"password"/);
    expect((await t.http().get('/admin/users').set('Authorization', user)).status).toBe(403);
  });
});

describe('operations', () => {
  it('answers health and readiness, and says no when stopping', async () => {
    const own = await startTestService();
    expect((await own.http().get('/healthz')).body).toEqual({ status: 'ok' });
    const ready = await own.http().get('/readyz');
    expect([ready.status, ready.body]).toEqual([
      200,
      {
        status: 'ready',
        checks: { running: true, revocationIndex: true, store: true },
        reasons: [],
      },
    ]);
    own.service.announceStop();
    const stopping = await own.http().get('/readyz');
    expect([stopping.status, stopping.body.checks.running]).toEqual([503, false]);
    expect(stopping.body).toMatchObject({
      status: 'not ready',
      reasons: ['the service is stopping'],
    });
    expect((await own.http().get('/healthz')).status).toBe(200);
    await own.close();
  });

  it('refuses with 503 until the index has been loaded', async () => {
    const { createService } = await import('../../../src/service.js');
    const { createSecretKeys } = await import('../../../src/tokens/keys.js');
    const { createLogger } = await import('../../../src/observability/logger.js');
    const { default: request } = await import('supertest');
    const { SECRET } = await import('../../support/harness.js');
    const token = await t.signIn('alice@example.com');
    const cold = createService({
      config: t.config,
      keys: createSecretKeys(SECRET),
      store: t.store,
      clock: () => t.clock.now,
      log: createLogger({ level: 'silent' }),
    });
    const response = await request(cold.handler).get('/v3/jwt/history').set('Authorization', token);
    expect(response.status).toBe(503);
    expect(response.headers['retry-after']).toBe('1');
    expect((await request(cold.handler).get('/readyz')).status).toBe(503);
    await cold.sync.load();
    expect(
      (await request(cold.handler).get('/v3/jwt/history').set('Authorization', token)).status,
    ).toBe(200);
  });

  it.each([
    [
      { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
      /^4bf92f3577b34da6a3ce929d0e0e4736$/,
    ],
    [{ 'x-request-id': 'my-id.1' }, /^my-id\.1$/],
    [{ 'x-request-id': 'bad id\tx' }, /^[0-9a-f-]{36}$/],
    [{ traceparent: '00-00000000000000000000000000000000-00f067aa0ba902b7-01' }, /^[0-9a-f-]{36}$/],
    [{}, /^[0-9a-f-]{36}$/],
  ])('returns a request id for %j', async (headers, expected) => {
    const response = await t.http().get('/healthz').set(headers);
    expect(response.headers['x-request-id']).toMatch(expected);
  });

  it('logs routes, never URLs, tokens or passwords', async () => {
    const token = await t.signIn('alice@example.com');
    await list(token, '?search=canary-in-the-query');
    await t.http().get(`/nowhere/${token.slice(4)}`);
    await t
      .http()
      .post('/auth/signin')
      .send({ email: 'alice@example.com', password: 'canary-wrong' });
    await t
      .http()
      .post('/auth/signin')
      .set('Content-Type', 'application/json')
      .send('{"password":"canary-broken');
    const log = t.log();
    expect(log).toContain('"route":"/v3/jwt/history"');
    expect(log).toContain('"route":"unmatched"');
    expect(log).not.toMatch(/canary/);
    expect(log).not.toContain(token.slice(4));
    expect(log).not.toContain(PASSWORD);
    for (const line of log.trim().split('\n'))
      expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  it('sends security headers and no X-Powered-By', async () => {
    const { headers } = await t.http().get('/healthz');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['x-powered-by']).toBeUndefined();
    expect(headers['strict-transport-security']).toBeUndefined();
  });
});
