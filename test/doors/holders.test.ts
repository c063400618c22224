/** A token speaks only for its holder: of every kind that `sub` names, with the id of whomever it likes, at every door. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { User } from '../../src/store/records.js';
import { createJti } from '../../src/tokens/jti.js';
import { listen, openStream } from '../support/event-stream.js';
import { jtiOf, mint, PASSWORD, startTestService, type TestService } from '../support/harness.js';
import { until } from '../support/process.js';

let t: TestService;
let root: User;
let bob: User;
let asRoot: string;
let asBob: string;
beforeAll(async () => {
  t = await startTestService();
  [root, bob] = await Promise.all([
    t.createUser('root@example.com', 'admin'),
    t.createUser('bob@example.com'),
  ]);
  asRoot = await t.signIn('root@example.com');
  asBob = await t.signIn('bob@example.com');
});
afterAll(() => t.close());

type Method = 'get' | 'post' | 'delete';
const ask = (authorization: string, method: Method, path: string, body?: object) => {
  const sent = t.http()[method](path).set('Authorization', authorization);
  return body === undefined ? sent : sent.send(body);
};
const check = (authorization: string) =>
  t.http().get('/auth/verify').set('Authorization', authorization);
const works = async (authorization: string) => (await check(authorization)).status === 204;

/** As Tiledesk would sign it, for an id that somebody chose. */
const tokenOf = (claims: object) =>
  `JWT ${mint({ jti: createJti(t.clock.now), iat: Math.floor(t.clock.now / 1000), ...claims })}`;

const TILEDESK = ['userexternal', 'useranonymous', 'guest', 'bot', 'subscription'];
/** Each: the claims that name an id, and the holder that it is. */
const HOLDERS: [string, (id: string) => object, (id: string) => string, string][] = [
  ...TILEDESK.map((sub): (typeof HOLDERS)[number] => [
    `sub ${sub}`,
    (id) => ({ sub, _id: id }),
    (id) => `${sub}:${id}`,
    sub,
  ]),
  [
    'sub guest, the id in _doc',
    (id) => ({ sub: 'guest', _doc: { _id: id } }),
    (id) => `guest:${id}`,
    'guest',
  ],
  [
    'sub bot, the id in capitals',
    (id) => ({ sub: 'bot', _id: id.toUpperCase() }),
    (id) => `bot:${id}`,
    'bot',
  ],
  [
    'a sub of an unknown kind',
    (id) => ({ sub: 'agent', _id: id }),
    (id) => `other:agent:${id}`,
    'other',
  ],
  [
    'a sub in another case',
    (id) => ({ sub: 'User', _id: id }),
    (id) => `other:User:${id}`,
    'other',
  ],
  ['an empty sub', (id) => ({ sub: '', _id: id }), (id) => `other::${id}`, 'other'],
  [
    'the sub of somebody else',
    (id) => ({ sub: '0123456789abcdef01234567', _id: id }),
    (id) => `other:0123456789abcdef01234567:${id}`,
    'other',
  ],
];

describe.each(HOLDERS)('a holder with %s', (_name, claimsOf, holderOf, type) => {
  it('is itself at the check, and not the user with this id', async () => {
    const { status, headers } = await check(tokenOf(claimsOf(root.id)));
    expect(status).toBe(204);
    expect(decodeURIComponent(headers['x-user-id'] ?? '')).toBe(holderOf(root.id));
    expect(headers['x-subject-type']).toBe(type);
  });

  it("has no role, with an administrator's id", async () => {
    const mallory = tokenOf(claimsOf(root.id));
    const doors: [Method, string, object?][] = [
      ['get', '/admin/users'],
      ['post', '/admin/users', { email: 'x@example.com', password: PASSWORD, role: 'admin' }],
      ['post', `/admin/users/${root.id}/password`, { password: PASSWORD }],
      ['post', '/admin/api-keys', { name: 'x' }],
      ['post', '/admin/inspect', { token: asRoot }],
      ['get', '/admin/events'],
      ['get', '/admin/activity'],
      ['post', '/v3/jwt/history', { jti: 'x', userId: 'x' }],
      ['post', '/admin/cutoffs', { everything: true, reason: 'requested' }],
      ['post', '/admin/cutoffs', { userId: root.id, reason: 'requested' }],
    ];
    for (const [method, path, body] of doors)
      expect([path, (await ask(mallory, method, path, body)).status]).toEqual([path, 403]);
    expect((await ask(mallory, 'get', '/v3/jwt/history?userId=*')).status).toBe(400);
    expect((await ask(mallory, 'delete', '/api/jwt/refresh?applicationId=x')).status).toBe(401);
    expect((await ask(mallory, 'delete', `/v3/jwt/history/never-seen`)).status).toBe(404);
    expect(await works(asRoot)).toBe(true);
  });

  it.each(['root', 'bob'] as const)('sees and revokes nothing that is of %s', async (name) => {
    const [user, token] = name === 'root' ? [root, asRoot] : [bob, asBob];
    const { body: session } = await t
      .http()
      .post('/api/login')
      .send({ loginId: user.email, password: PASSWORD });
    const mallory = tokenOf(claimsOf(user.id));
    const [record] = await t.store.tokens.findByJti(jtiOf(token));
    const jti = jtiOf(token);
    for (const path of ['/v3/jwt/history', '/admin/tokens', `/admin/tokens?userId=${user.id}`]) {
      const { text } = await ask(mallory, 'get', path);
      expect(text).not.toContain(jti);
      expect(text).not.toContain(session.refreshTokenId);
      expect(text).not.toContain(user.email);
    }
    const listed = await ask(mallory, 'get', `/api/jwt/refresh?userId=${user.id}`);
    expect(listed.body.refreshTokens).toEqual([]);
    const preview = await ask(mallory, 'post', '/admin/revocations/preview', {
      ids: [record?.id],
    });
    expect(preview.body.count).toBe(0);
    for (const [method, path, status] of [
      ['delete', `/v3/jwt/history/${jti}`, 404],
      ['delete', `/v3/jwt/history/id/${record?.id}`, 404],
      ['get', `/admin/tokens/${record?.id}`, 404],
      ['delete', `/api/jwt/refresh/${session.refreshTokenId}`, 404],
      ['delete', `/api/jwt/refresh?token=${session.refreshToken}`, 404],
      ['delete', `/api/jwt/refresh?userId=${user.id}`, 401],
      ['delete', `/v1/token?token=${token.slice(4)}`, 400],
    ] as const) {
      expect([path, (await ask(mallory, method, path)).status]).toEqual([path, status]);
    }
    const cookie = `jwt_history_session=${mallory.slice(4)}`;
    expect((await t.http().get('/admin/session').set('Cookie', cookie)).status).toBe(401);
    expect([await works(token), await works(session.token)]).toEqual([true, true]);
  });

  it("gets no token of a user's, nor any other", async () => {
    const answer = await ask(tokenOf(claimsOf(root.id)), 'get', '/v1/token');
    expect(answer.status).toBe(403);
    expect(answer.text).not.toContain('eyJ');
  });

  it('sees and revokes its own, and a cut-off of it is its alone', async () => {
    const id = createJti(t.clock.now);
    const [one, two] = [tokenOf(claimsOf(id)), tokenOf(claimsOf(id))];
    const user = tokenOf({ sub: 'user', _id: id });
    const sibling = tokenOf({ sub: type === 'guest' ? 'bot' : 'guest', _id: id });
    for (const each of [one, two, user, sibling]) expect(await works(each)).toBe(true);

    const own = await ask(one, 'get', '/v3/jwt/history');
    const jtis = own.body.jwts.map(({ jti }: { jti: string }) => jti);
    expect(jtis.toSorted()).toEqual([jtiOf(one), jtiOf(two)].toSorted());
    const expected = { userId: holderOf(id), revokedBy: holderOf(id), state: 'revoked' };
    const revoked = await ask(one, 'delete', `/v3/jwt/history/${jtiOf(two)}`);
    expect(revoked.body).toMatchObject(expected);
    expect(await works(two)).toBe(false);
    expect((await ask(one, 'delete', `/v3/jwt/history/${jtiOf(user)}`)).status).toBe(404);
    expect((await ask(one, 'delete', `/v3/jwt/history/${jtiOf(sibling)}`)).status).toBe(404);

    const userId = holderOf(id);
    for (const path of ['/v3/jwt/history', '/admin/tokens']) {
      const query = `userId=${encodeURIComponent(userId)}`;
      const { body } = await ask(asRoot, 'get', `${path}?${query}`);
      const found = (body.jwts ?? body.tokens) as { userId: string; user?: unknown }[];
      expect(found.map((record) => record.userId)).toEqual([userId, userId]);
    }
    const cutOff = await ask(one, 'post', '/admin/cutoffs', { userId, reason: 'requested' });
    expect([cutOff.status, cutOff.body.userId]).toEqual([201, userId]);
    expect([await works(one), await works(user), await works(sibling)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('stays when everything of the user with its id is revoked', async () => {
    const id = createJti(t.clock.now);
    const [token, user] = [tokenOf(claimsOf(id)), tokenOf({ sub: 'user', _id: id })];
    await ask(asRoot, 'post', '/admin/cutoffs', { userId: id, reason: 'requested' });
    expect([await works(token), await works(user)]).toEqual([true, false]);
  });

  it('is shown as itself, without the name of the user with its id', async () => {
    const token = tokenOf(claimsOf(bob.id));
    expect(await works(token)).toBe(true);
    await ask(token, 'delete', `/v3/jwt/history/${jtiOf(token)}`);
    const [record] = await t.store.tokens.findByJti(jtiOf(token));
    const { body } = await ask(asRoot, 'get', `/admin/tokens/${record?.id}`);
    const userId = holderOf(bob.id);
    expect(body.token).toMatchObject({ userId, user: null, revokedBy: userId });
    expect(JSON.stringify(body)).not.toContain(bob.email);
    await t.service.audit.flush();
    const events = await ask(asRoot, 'get', `/admin/events?userId=${encodeURIComponent(userId)}`);
    expect(events.body.events[0]).toMatchObject({ type: 'token.revoked', userId, by: userId });
  });

  it('watches its own, and nobody else, as it happens', async () => {
    const { address, close } = await listen(t);
    const mallory = tokenOf(claimsOf(root.id));
    const stream = await openStream(address, { authorization: mallory });
    const foreign = await t.signIn(bob.email);
    const rootsOwn = await t.signIn(root.email);
    for (const token of [foreign, rootsOwn])
      await ask(asRoot, 'delete', `/v3/jwt/history/${jtiOf(token)}`).expect(200);
    const own = tokenOf(claimsOf(root.id));
    expect(await works(own)).toBe(true);
    await ask(mallory, 'delete', `/v3/jwt/history/${jtiOf(own)}`).expect(200);
    // What came before it has been told by then.
    await until('its own', () => stream.text().includes('"type":"revoked"'));
    expect(stream.text()).toContain(jtiOf(own));
    for (const token of [foreign, rootsOwn]) expect(stream.text()).not.toContain(jtiOf(token));
    stream.close();
    close();
  });

  it('is registered by its fields as the same holder', async () => {
    const id = createJti(t.clock.now);
    const token = tokenOf(claimsOf(id));
    const subject = (claimsOf(id) as { sub: string }).sub;
    if (subject === '') return;
    for (const userId of [id, holderOf(id)]) {
      const jti = jtiOf(token);
      const fields = { jti, userId, subject, issuer: '' };
      const { body } = await ask(asRoot, 'post', '/v3/jwt/history', fields);
      expect(body).toMatchObject({ jti, userId: holderOf(id), subject });
    }
    expect((await ask(asRoot, 'post', '/v3/jwt/history', { token })).status).toBe(200);
  });
});

describe('a user', () => {
  it.each([
    ['no sub', (id: string) => ({ _id: id })],
    ['sub user', (id: string) => ({ sub: 'user', _id: id })],
    ['the id as sub', (id: string) => ({ sub: id, _id: id })],
    ['the id as sub in capitals', (id: string) => ({ sub: id.toUpperCase(), _id: id })],
    ['the id as sub alone', (id: string) => ({ sub: id })],
    ['the id in _doc', (id: string) => ({ sub: 'user', _doc: { _id: id } })],
  ])('with %s is a user, with a role', async (_name, claimsOf) => {
    const token = tokenOf(claimsOf(root.id));
    expect((await check(token)).headers).toMatchObject({
      'x-user-id': root.id,
      'x-subject-type': 'user',
    });
    expect((await ask(token, 'get', '/admin/users')).status).toBe(200);
  });

  it.each(['user-1', 'auth0|x', 'urn:x:1', 'system:serviceaccount:a:b'])(
    'of another service keeps its id %s',
    async (id) => {
      for (const claims of [{ sub: id }, { sub: 'user', _id: id }])
        expect((await check(tokenOf(claims))).headers).toMatchObject({
          'x-user-id': id,
          'x-subject-type': 'user',
        });
    },
  );

  it('whose id looks like a guest is no guest, and its cut-off hits no guest', async () => {
    const guest = tokenOf({ sub: 'guest', _id: '123' });
    for (const claims of [{ sub: 'user', _id: 'guest:123' }, { sub: 'guest:123' }]) {
      const user = tokenOf(claims);
      expect((await check(user)).headers).toMatchObject({
        'x-user-id': 'user:guest:123',
        'x-subject-type': 'user',
      });
      expect((await ask(user, 'delete', `/v3/jwt/history/${jtiOf(guest)}`)).status).toBe(404);
      const own = { userId: 'guest:123', reason: 'requested' };
      expect((await ask(user, 'post', '/admin/cutoffs', own)).status).toBe(403);
      // What it mints is its own.
      const { body } = await ask(user, 'get', '/v1/token');
      expect((await check(`JWT ${body.token}`)).headers['x-user-id']).toBe('user:guest:123');
    }
    expect(await works(guest)).toBe(true);
  });

  it('by an API key is a user too', async () => {
    const { body } = await ask(asRoot, 'post', '/admin/api-keys', { name: 'robot' });
    expect((await check(body.key)).headers).toMatchObject({
      'x-user-id': root.id,
      'x-subject-type': 'user',
    });
  });
});

describe('a holder whose name would be too long', () => {
  it('is refused, and not cut', async () => {
    const longest = 'x'.repeat(128 - 'guest:'.length);
    expect(await works(tokenOf({ sub: 'guest', _id: longest }))).toBe(true);
    expect(await works(tokenOf({ sub: 'guest', _id: `${longest}x` }))).toBe(false);
    const fields = { jti: 'long', userId: `${longest}x`, subject: 'guest' };
    const { status, body } = await ask(asRoot, 'post', '/v3/jwt/history', fields);
    expect([status, body.errors[0].field]).toEqual([400, 'userId']);
  });
});

it('a key of a project or a bot is none of this service: 401', async () => {
  const token = mint(
    { jti: 'x', sub: 'bot', _id: bob.id },
    {},
    'the secret of a project, not ours',
  );
  expect((await check(`JWT ${token}`)).status).toBe(401);
});
