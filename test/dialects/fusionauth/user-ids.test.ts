/** Users' ids in FusionAuth's dialect: UUIDs that its typed clients can parse, one-to-one with ours and taken back everywhere. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { fromFusionAuthId, toFusionAuthId } from '../../../src/store/user-uuid.js';
import type { User } from '../../../src/store/records.js';
import { faultsOf } from '../../support/fusionauth-types.js';
import { PASSWORD, startTestService, type TestService } from '../../support/harness.js';

const hex = (length: number) =>
  fc.string({
    unit: fc.constantFrom(...'0123456789abcdef'),
    minLength: length,
    maxLength: length,
  });
/** Any letter of it may be a capital. */
const inAnyCase = (text: fc.Arbitrary<string>) =>
  text.chain((value) =>
    fc
      .array(fc.boolean(), { minLength: value.length, maxLength: value.length })
      .map((upper) => [...value].map((c, i) => (upper[i] ? c.toUpperCase() : c)).join('')),
  );
const STRICT_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('the mapping', () => {
  it('is there and back for every ObjectId, in any case, and gives a UUID of version 8', () => {
    fc.assert(
      fc.property(hex(24), (id) => {
        const uuid = toFusionAuthId(id);
        expect(uuid).toMatch(STRICT_UUID);
        expect(uuid[14]).toBe('8');
        expect(fromFusionAuthId(uuid)).toBe(id);
        expect(fromFusionAuthId(uuid.toUpperCase())).toBe(id);
        expect(toFusionAuthId(id.toUpperCase())).toBe(uuid);
        // Shown or taken twice, it stays the same.
        expect(toFusionAuthId(uuid)).toBe(uuid);
        expect(fromFusionAuthId(id)).toBe(id);
      }),
      { numRuns: 1000 },
    );
  });

  it('gives different ObjectIds different UUIDs', () => {
    fc.assert(
      fc.property(hex(24), hex(24), (a, b) => {
        expect(toFusionAuthId(a) === toFusionAuthId(b)).toBe(a === b);
      }),
    );
  });

  it('leaves every other UUID alone, versions 1 to 8', () => {
    const others = inAnyCase(
      fc.uuid({ version: [1, 2, 3, 4, 5, 6, 7, 8] }).filter((id) => !id.includes('-80b1-8ec7-')),
    );
    fc.assert(
      fc.property(others, (id) => {
        expect([toFusionAuthId(id), fromFusionAuthId(id)]).toEqual([id, id]);
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves everything else alone, however much it looks like one', () => {
    const almost = fc.oneof(
      hex(23),
      hex(25),
      hex(12),
      hex(32),
      fc.string({ maxLength: 40 }),
      hex(24).map((id) => ` ${id}`),
      hex(24).map((id) => `${id}\n`),
      hex(24).map((id) => `guest:${id}`),
      hex(24).map((id) => `${toFusionAuthId(id)}\n`),
      hex(24).map((id) => `{${toFusionAuthId(id)}}`),
      hex(24).map((id) => toFusionAuthId(id).replaceAll('-', '')),
      hex(24).map((id) => toFusionAuthId(id).replace('-80b1-', '-70b1-')),
      hex(24).map((id) => toFusionAuthId(id).replace('-8ec7-', '-9ec7-')),
    );
    fc.assert(
      fc.property(
        almost.filter((id) => !/^[0-9a-f]{24}$/i.test(id)),
        (id) => {
          expect([toFusionAuthId(id), fromFusionAuthId(id)]).toEqual([id, id]);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('is what it is: it stays stable between versions', () => {
    expect(toFusionAuthId('65a1f0c2d3e4b5a697887766')).toBe('65a1f0c2-d3e4-80b1-8ec7-b5a697887766');
  });
});

describe('a strict client', () => {
  const APP = '3c219e58-ed0e-4b18-ad48-f4f92793ae32';
  let t: TestService;
  let alice: User;
  let bob: User;
  let uuid: string;
  let apiKey: string;

  beforeAll(async () => {
    t = await startTestService();
    alice = await t.createUser('alice@example.com');
    bob = await t.createUser('bob@example.com');
    uuid = toFusionAuthId(alice.id);
    await t.createUser('root@example.com', 'admin');
    const made = await t
      .http()
      .post('/admin/api-keys')
      .set('Authorization', await t.signIn('root@example.com'))
      .send({ name: 'tests' });
    apiKey = (made.body as { key: string }).key;
  });
  afterAll(() => t.close());

  interface Login {
    readonly token: string;
    readonly refreshToken: string;
    readonly refreshTokenId: string;
  }
  const login = async (loginId = 'alice@example.com', more: object = { applicationId: APP }) => {
    // A login in the millisecond of a cut-off would be revoked by it.
    t.clock.now += 1;
    const body = { loginId, password: PASSWORD, ...more };
    const response = await t.http().post('/api/login').send(body).expect(200);
    return response.body as Login;
  };
  const get = (path: string, authorization = apiKey) =>
    t.http().get(path).set('Authorization', authorization).expect(200);
  const revoke = (query: string, body: object = {}) =>
    t.http().delete(`/api/jwt/refresh${query}`).set('Authorization', apiKey).send(body);
  const isAccepted = async (token: string) =>
    (await t.http().get('/auth/verify').set('Authorization', `Bearer ${token}`)).status === 204;

  it('can parse every answer: what its types call a UUID is one, and nothing is there that they lack', async () => {
    const session = await login();
    const device = { name: 'Phone', description: 'of the test', type: 'MOBILE' };
    const plain = await login('bob@example.com', { metaData: { device } });
    const { refreshToken } = session;
    const exchanged = await t.http().post('/api/jwt/refresh').send({ refreshToken }).expect(200);
    const answers: [type: string, body: unknown][] = [
      ['LoginResponse', session],
      ['LoginResponse', plain],
      ['LoginResponse', await login('alice@example.com', { noJWT: true })],
      ['JWTRefreshResponse', exchanged.body],
      ['RefreshTokenResponse', (await get(`/api/jwt/refresh?userId=${uuid}`)).body],
      ['RefreshTokenResponse', (await get(`/api/jwt/refresh?userId=${bob.id}`)).body],
      ['RefreshTokenResponse', (await get(`/api/jwt/refresh/${session.refreshTokenId}`)).body],
      ['ValidateResponse', (await get('/api/jwt/validate', `Bearer ${session.token}`)).body],
    ];
    const seen = new Set<string>();
    expect(answers.flatMap(([type, body]) => faultsOf(type, body, seen))).toEqual([]);
    expect([...seen].toSorted()).toEqual([
      'JWTRefreshResponse.refreshTokenId',
      'LoginResponse.refreshTokenId',
      'LoginResponse.user.id',
      'RefreshTokenResponse.refreshToken.applicationId',
      'RefreshTokenResponse.refreshToken.id',
      'RefreshTokenResponse.refreshToken.userId',
      'RefreshTokenResponse.refreshTokens[].applicationId',
      'RefreshTokenResponse.refreshTokens[].id',
      'RefreshTokenResponse.refreshTokens[].userId',
    ]);
    const errors = await t.http().post('/api/login').send({ loginId: 7 }).expect(400);
    expect(faultsOf('Errors', errors.body, seen)).toEqual([]);
  });

  it('is shown one and the same id at the login and in the lists, and none of ours', async () => {
    const session = await login();
    expect(session).toMatchObject({ user: { id: uuid } });
    const one = await get(`/api/jwt/refresh/${session.refreshTokenId}`);
    expect(one.body).toMatchObject({ refreshToken: { userId: uuid } });
    expect(one.text).not.toContain(alice.id);
  });

  it.each([
    ['as shown', () => uuid],
    ['in capitals', () => uuid.toUpperCase()],
    ['as stored', () => alice.id],
  ])('lists by a user’s id %s, and so may the user', async (_name, id) => {
    const session = await login();
    for (const authorization of [apiKey, `Bearer ${session.token}`]) {
      const { body } = await get(`/api/jwt/refresh?userId=${id()}`, authorization);
      const { refreshTokens } = body as { refreshTokens: { id: string }[] };
      expect(refreshTokens.map((token) => token.id)).toContain(session.refreshTokenId);
    }
    const bobs = await login('bob@example.com');
    const foreign = await get(`/api/jwt/refresh?userId=${id()}`, `Bearer ${bobs.token}`);
    expect(foreign.body).toEqual({ refreshTokens: [] });
  });

  it.each([
    ['in the query', () => revoke(`?userId=${uuid}`)],
    ['in capitals', () => revoke(`?userId=${uuid.toUpperCase()}`)],
    [
      'in the query and the body, in both forms',
      () => revoke(`?userId=${uuid}`, { userId: alice.id }),
    ],
    ['in the body', () => revoke('', { userId: uuid })],
    ['with an application', () => revoke('', { userId: uuid, applicationId: APP })],
  ])('revokes by the shown id %s, the user’s sessions and nobody else’s', async (_name, send) => {
    const [mine, bobs] = [await login(), await login('bob@example.com')];
    await send().expect(200);
    expect([await isAccepted(mine.token), await isAccepted(bobs.token)]).toEqual([false, true]);
  });

  it('revokes by token only with the user’s id, in either form', async () => {
    const session = await login();
    const body = { token: session.refreshToken };
    await revoke(`?userId=${toFusionAuthId(bob.id)}`, body).expect(404);
    expect(await isAccepted(session.token)).toBe(true);
    await revoke(`?userId=${uuid}`, body).expect(200);
    expect(await isAccepted(session.token)).toBe(false);
  });

  it('gets tokens that name the user as every other dialect does', async () => {
    const { token, refreshTokenId } = await login();
    const { body } = await get('/api/jwt/validate', `Bearer ${token}`);
    expect(body).toMatchObject({ jwt: { sub: alice.id, sid: refreshTokenId } });
    const verified = await t.http().get('/auth/verify').set('Authorization', `Bearer ${token}`);
    expect(verified.headers['x-user-id']).toBe(alice.id);
  });
});

describe('the shown id at every door that takes a user', () => {
  it('means the same user as the other form, wherever it is given', async () => {
    const t = await startTestService();
    await t.createUser('root@example.com', 'admin');
    const user = await t.createUser('shown@example.com');
    const root = await t.signIn('root@example.com');
    const shown = toFusionAuthId(user.id).toUpperCase();
    const token = await t.signIn('shown@example.com');
    const get = async (path: string) =>
      (await t.http().get(path).set('Authorization', root)).body as Record<string, unknown[]>;
    const post = (path: string, body: object) =>
      t.http().post(path).set('Authorization', root).send(body);

    expect((await get(`/v3/jwt/history?userId=${shown}`))['jwts']).toHaveLength(1);
    expect((await get(`/admin/tokens?userId=${shown}`))['tokens']).toHaveLength(1);
    const preview = await post('/admin/revocations/preview', { filter: { userId: shown } });
    expect(preview.body).toMatchObject({ count: 1, users: 1 });
    const registered = await post('/v3/jwt/history', { jti: 'elsewhere', userId: shown });
    expect(registered.body).toMatchObject({ userId: user.id });
    const cutoff = await post('/admin/cutoffs', { userId: shown, reason: 'left' });
    expect(cutoff.body).toMatchObject({ userId: user.id, matched: { tokens: 2, users: 1 } });
    expect((await t.http().get('/auth/verify').set('Authorization', token)).status).toBe(401);
    await t.service.audit.flush();
    expect((await get(`/admin/events?userId=${shown}`))['events']?.length).toBeGreaterThan(0);
    const password = { password: 'another password' };
    expect((await post(`/admin/users/${shown}/password`, password)).status).toBe(204);
    for (const act of ['disable', 'enable'])
      expect((await post(`/admin/users/${shown}/${act}`, { reason: 'left' })).body).toMatchObject({
        _id: user.id,
      });
    const removed = await t
      .http()
      .delete(`/admin/users/${shown}`)
      .set('Authorization', root)
      .send({ reason: 'left' });
    expect(removed.status).toBe(204);
    await t.close();
  });
});
