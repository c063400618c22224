/** Ids compare without case: every door × every spelling of a UUID or ObjectId, as signed and as asked for. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { WirePreview } from '../../src/dashboard/wire.js';
import { createJti } from '../../src/tokens/jti.js';
import { mint, PASSWORD, startTestService, type TestService } from '../support/harness.js';

let t: TestService;
let root: string;
beforeAll(async () => {
  t = await startTestService();
  await t.createUser('root@example.com', 'admin');
  await t.createUser('alice@example.com');
  root = await t.signIn('root@example.com');
});
afterAll(() => t.close());

type Method = 'get' | 'post' | 'delete';
const ask = (method: Method, path: string, body?: object, authorization = root) => {
  const sent = t.http()[method](path).set('Authorization', authorization);
  return body === undefined ? sent : sent.send(body);
};
const check = async (token: string) =>
  (await t.http().get('/auth/verify').set('Authorization', `JWT ${token}`)).status;

const SPELLINGS = {
  lower: (id: string) => id.toLowerCase(),
  upper: (id: string) => id.toUpperCase(),
  mixed: (id: string) =>
    id.replaceAll(/[a-f]/gi, (letter, at: number) =>
      at % 2 === 0 ? letter.toUpperCase() : letter.toLowerCase(),
    ),
};
type Spelling = keyof typeof SPELLINGS;
/** As signed, and as asked for. */
const PAIRS: readonly { readonly signed: Spelling; readonly given: Spelling }[] = [
  { signed: 'lower', given: 'upper' },
  { signed: 'lower', given: 'mixed' },
  { signed: 'upper', given: 'lower' },
  { signed: 'upper', given: 'upper' },
  { signed: 'mixed', given: 'upper' },
];

/** With a letter at an even and at an odd place, so that no two spellings are the same. */
const uuid = () => `ab${randomUUID().slice(2)}`;
const objectId = () => `ab${randomBytes(11).toString('hex')}`;
const SHAPES = { UUIDs: uuid, ObjectIds: objectId };

interface Ids {
  readonly jti: string;
  readonly userId: string;
  readonly applicationId: string;
  readonly sid: string;
}
type Respell = (id: string) => string;

/** A token with fresh ids in this spelling, and the ids. */
function tokenWith(make: () => string, respell: Respell) {
  const ids: Ids = { jti: make(), userId: make(), applicationId: make(), sid: make() };
  const { jti, userId, applicationId, sid } = ids;
  const iat = Math.floor(t.clock.now / 1000);
  const token = mint({
    jti: respell(jti),
    _id: respell(userId),
    sub: 'user',
    applicationId: respell(applicationId),
    sid: respell(sid),
    iat,
  });
  return { ids, token };
}

const REASON = { reason: 'requested' } as const;
async function revokeMatching(filter: object): Promise<void> {
  const selection = { filter };
  const { body } = await ask('post', '/admin/revocations/preview', selection);
  const { count, asOf } = body as WirePreview;
  expect([filter, count]).toEqual([filter, 1]);
  const done = await ask('post', '/admin/revocations', {
    selection,
    expectedCount: count,
    asOf,
    ...REASON,
  });
  expect(done.text).toContain('"revoked":1');
}
const ok = async (answer: PromiseLike<{ status: number }>) =>
  expect([200, 201]).toContain((await answer).status);
const v1 = (path: string) => ask('delete', path).set('Content-Type', 'application/json').send('{}');

/** By whichever id: what is given arrives respelled. */
const REVOKES: Record<string, (ids: Ids) => Promise<unknown>> = {
  'DELETE /jwt/history/:jti': ({ jti }) => ok(ask('delete', `/jwt/history/${jti}`)),
  'DELETE /v1/jwt/history/:jti': ({ jti }) => ok(v1(`/v1/jwt/history/${jti}`)),
  'DELETE /v2/jwt/history/:jti': ({ jti }) => ok(ask('delete', `/v2/jwt/history/${jti}`)),
  'DELETE /v3/jwt/history/:jti': ({ jti }) => ok(ask('delete', `/v3/jwt/history/${jti}`)),
  'the dashboard, what a jti finds': ({ jti }) => revokeMatching({ q: jti }),
  'the dashboard, what the beginning of a jti finds': ({ jti }) =>
    revokeMatching({ q: jti.slice(0, 20) }),
  'the dashboard, what a user finds': ({ userId }) => revokeMatching({ userId }),
  'the dashboard, what an application finds': ({ applicationId }) =>
    revokeMatching({ applicationId }),
  'the dashboard, what a session finds': ({ sid }) => revokeMatching({ sessionId: sid }),
  'the dashboard, what the text of a user finds': ({ userId }) => revokeMatching({ q: userId }),
  'the dashboard, what the text of an application finds': ({ applicationId }) =>
    revokeMatching({ q: applicationId }),
  'POST /admin/cutoffs of a user': ({ userId }) =>
    ok(ask('post', '/admin/cutoffs', { userId, ...REASON })),
  'POST /admin/cutoffs of an application': ({ applicationId }) =>
    ok(ask('post', '/admin/cutoffs', { applicationId, ...REASON })),
  'POST /admin/cutoffs of a user in an application': ({ userId, applicationId }) =>
    ok(ask('post', '/admin/cutoffs', { userId, applicationId, ...REASON })),
  'DELETE /api/jwt/refresh?userId=': ({ userId }) =>
    ok(ask('delete', `/api/jwt/refresh?userId=${userId}`)),
  'DELETE /api/jwt/refresh?applicationId=': ({ applicationId }) =>
    ok(ask('delete', `/api/jwt/refresh?applicationId=${applicationId}`)),
  'DELETE /api/jwt/refresh?userId=&applicationId=': ({ userId, applicationId }) =>
    ok(ask('delete', `/api/jwt/refresh?userId=${userId}&applicationId=${applicationId}`)),
  'DELETE /api/jwt/refresh with a body': ({ userId }) =>
    ok(ask('delete', '/api/jwt/refresh', { userId })),
};

describe.each(Object.entries(SHAPES))('a token with %s', (_shape, make) => {
  it.each(Object.entries(REVOKES))('is refused after %s', async (_name, revoke) => {
    for (const { signed, given } of PAIRS) {
      const { ids, token } = tokenWith(make, SPELLINGS[signed]);
      const other = tokenWith(make, SPELLINGS[signed]).token;
      expect([await check(token), await check(other)]).toEqual([204, 204]);
      await t.service.usage.flush();
      await revoke(respelled(ids, SPELLINGS[given]));
      expect([signed, given, await check(token), await check(other)]).toEqual([
        signed,
        given,
        401,
        204,
      ]);
    }
  });

  it('is refused when its id was revoked before it was seen', async () => {
    for (const { signed, given } of PAIRS) {
      const { ids, token } = tokenWith(make, SPELLINGS[signed]);
      await ok(ask('delete', `/v3/jwt/history/${SPELLINGS[given](ids.jti)}`));
      expect([signed, given, await check(token)]).toEqual([signed, given, 401]);
    }
  });

  it('is the one that was registered, and falls with its record', async () => {
    for (const { signed, given } of PAIRS) {
      const { ids, token } = tokenWith(make, SPELLINGS[signed]);
      const { jti, userId } = respelled(ids, SPELLINGS[given]);
      const registered = await ask('post', '/v3/jwt/history', { jti, userId, issuer: '' });
      expect(registered.status).toBe(201);
      expect(registered.body).toMatchObject({ jti: ids.jti, userId: ids.userId });
      expect((await ask('post', '/v3/jwt/history', { token })).status).toBe(200);
      const id = SPELLINGS[given](String(registered.body._id));
      await ok(ask('delete', `/v3/jwt/history/id/${id}`));
      expect([signed, given, await check(token)]).toEqual([signed, given, 401]);
    }
  });

  it('is found by every list, and shown in lower case', async () => {
    for (const { signed, given } of PAIRS) {
      const { ids, token } = tokenWith(make, SPELLINGS[signed]);
      expect(await check(token)).toBe(204);
      const { jti, userId, applicationId, sid } = respelled(ids, SPELLINGS[given]);
      for (const query of [
        `userId=${userId}`,
        `userId=*&applicationId=${applicationId}`,
        ...[jti, jti.slice(0, 20), userId, applicationId].map((id) => `userId=*&search=${id}`),
      ]) {
        const { body } = await ask('get', `/v3/jwt/history?${query}`);
        expect([query, body.jwts]).toMatchObject([query, [shown(ids)]]);
      }
      for (const query of [
        `userId=${userId}`,
        `applicationId=${applicationId}`,
        `sessionId=${sid}`,
        ...[jti, jti.slice(0, 20), userId, applicationId].map((id) => `q=${id}`),
      ]) {
        const { body } = await ask('get', `/admin/tokens?${query}`);
        expect([query, body.tokens]).toMatchObject([query, [shown(ids)]]);
      }
      const { body } = await ask('post', '/admin/inspect', { token });
      expect(body).toMatchObject({ accepted: true, token: shown(ids) });
    }
  });
});

function respelled({ jti, userId, applicationId, sid }: Ids, respell: Respell): Ids {
  return {
    jti: respell(jti),
    userId: respell(userId),
    applicationId: respell(applicationId),
    sid: respell(sid),
  };
}

function shown({ jti, userId, applicationId, sid }: Ids) {
  return { jti, userId, applicationId, sessionId: sid };
}

describe('an id that only looks alike', () => {
  it('is compared to the letter: revoking the one leaves the other', async () => {
    const claims = { sub: 'user-A', iat: Math.floor(t.clock.now / 1000) };
    const [one, other] = ['Token-A', 'TOKEN-A'].map((jti) => mint({ ...claims, jti }));
    const another = mint({ ...claims, jti: 'x-1', sub: 'USER-A' });
    await ok(ask('delete', '/v3/jwt/history/Token-A'));
    expect([await check(one ?? ''), await check(other ?? '')]).toEqual([401, 204]);
    await ok(ask('post', '/admin/cutoffs', { userId: 'user-A', ...REASON }));
    expect([await check(other ?? ''), await check(another)]).toEqual([401, 204]);
  });

  it('is found by the beginning as it is written, which may begin a UUID too', async () => {
    const begin = randomBytes(4).toString('hex').replace(/^./, 'a');
    const jtis = [`${begin.toUpperCase()}-of-its-own`, `${begin}${randomUUID().slice(8)}`];
    for (const jti of jtis) expect(await check(mint({ jti, sub: 'somebody' }))).toBe(204);
    const { body } = await ask(
      'get',
      `/v3/jwt/history?userId=*&sort=jti&direction=1&search=${begin.toUpperCase()}`,
    );
    expect(body.jwts.map(({ jti }: { jti: string }) => jti)).toEqual(jtis);
  });
});

describe('a session', () => {
  const login = async () => {
    const { body } = await t
      .http()
      .post('/api/login')
      .send({ loginId: 'alice@example.com', password: PASSWORD });
    return body as { token: string; refreshToken: string; refreshTokenId: string };
  };
  const inCase = (refreshToken: string, respell: Respell) => {
    const [id = '', secret = ''] = refreshToken.split('.');
    return `${respell(id)}.${secret}`;
  };
  const ENDS: Record<
    string,
    (id: string, refreshToken: string) => PromiseLike<{ status: number }>
  > = {
    'DELETE /api/jwt/refresh/:id': (id) => ask('delete', `/api/jwt/refresh/${id}`),
    'DELETE /v3/jwt/history/:jti': (id) => ask('delete', `/v3/jwt/history/${id}`),
    'DELETE /api/jwt/refresh?token=': (_id, token) =>
      ask('delete', `/api/jwt/refresh?token=${token}`),
    'POST /api/logout': (_id, refreshToken) => ask('post', '/api/logout', { refreshToken }),
  };

  it.each(Object.entries(ENDS))('ends by %s, in whichever spelling', async (_name, end) => {
    for (const respell of Object.values(SPELLINGS)) {
      const { token, refreshToken, refreshTokenId } = await login();
      // What another service signed for this session falls with it, however it spells it.
      const foreign = mint({ jti: randomUUID(), sub: 'somebody', sid: respell(refreshTokenId) });
      expect([await check(token), await check(foreign)]).toEqual([204, 204]);
      await ok(end(respell(refreshTokenId), inCase(refreshToken, respell)));
      expect([await check(token), await check(foreign)]).toEqual([401, 401]);
    }
  });

  it('goes on with its refresh token in whichever spelling, and no other secret', async () => {
    for (const respell of Object.values(SPELLINGS)) {
      const { refreshToken } = await login();
      const presented = inCase(refreshToken, respell);
      const exchange = (text: string) =>
        ask('post', '/api/jwt/refresh', { refreshToken: text }).then(({ status }) => status);
      expect(await exchange(inCase(refreshToken.toUpperCase(), respell))).toBe(400);
      expect(await exchange(presented)).toBe(200);
    }
  });

  it('is listed for its user in whichever spelling', async () => {
    const { refreshTokenId } = await login();
    const { body: signedIn } = await t
      .http()
      .post('/auth/signin')
      .send({ email: 'alice@example.com', password: PASSWORD });
    for (const respell of Object.values(SPELLINGS)) {
      const userId = respell(String(signedIn.user._id));
      const { body } = await ask('get', `/api/jwt/refresh?userId=${userId}`);
      expect(body.refreshTokens.map(({ id }: { id: string }) => id)).toContain(refreshTokenId);
    }
  });
});

it('an API key works and is revoked in whichever spelling of its id', async () => {
  for (const respell of Object.values(SPELLINGS)) {
    const { body } = await ask('post', '/admin/api-keys', { name: 'robot' });
    const [id = '', secret = ''] = String(body.key).split('.');
    const key = `${respell(id)}.${secret}`;
    const use = async (authorization: string) =>
      (await ask('get', '/admin/users', undefined, authorization)).status;
    expect([await use(key), await use(String(body.key))]).toEqual([200, 200]);
    await ok(ask('delete', `/v3/jwt/history/${respell(id)}`));
    expect([await use(key), await use(String(body.key))]).toEqual([401, 401]);
  }
});

it('a jti of ours tells its time in whichever spelling, so a cut-off is exact', async () => {
  const at = t.clock.now;
  const userId = randomUUID();
  const claims = { _id: userId, sub: 'user', iat: Math.floor(at / 1000) };
  const before = mint({ ...claims, jti: createJti(at).toUpperCase() });
  const after = mint({ ...claims, jti: createJti(at + 1).toUpperCase() });
  await ok(ask('post', '/admin/cutoffs', { userId: userId.toUpperCase(), ...REASON }));
  t.clock.now += 1;
  expect([await check(before), await check(after)]).toEqual([401, 204]);
});

describe('an instance of an older version', () => {
  it('may revoke in capitals after the mending: it counts all the same', async () => {
    const jti = randomUUID();
    const issuer = 'https://old.example';
    const token = mint({ jti, iss: issuer, _id: 'somebody' });
    expect(await check(token)).toBe(204);
    await t.service.usage.flush();
    const [seen] = await t.store.tokens.findByJti(jti);
    if (seen === undefined) throw new Error('it has a record');
    const { id: _id, createdAt: _createdAt, updatedAt: _updatedAt, ...record } = seen;
    const { firstUsedAt: _first, lastRefusedAt: _last, refusedCount: _count, ...rest } = record;
    const old = await t.store.tokens.insert({
      ...rest,
      parentId: null,
      jti: jti.toUpperCase(),
      revocation: null,
    });
    const revocation = { at: new Date(t.clock.now), by: 'old', reason: null, via: 'old' };
    await t.store.tokens.revoke(old.id, revocation);
    await t.service.sync.refresh();
    expect(await check(token)).toBe(401);
  });
});
