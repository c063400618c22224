/** Accounts: a new password ends what the old one made; disabled and deleted users are refused everywhere, whoever did it. */
import mongoose from 'mongoose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';

const database = freshDatabase();
let t: TestService;
let other: TestService;
let root: string;
/** The collection as somebody else writes to it. */
let raw: mongoose.Connection;
beforeAll(async () => {
  t = await startTestService({ SIGN_IN_ATTEMPTS: '10000' }, database);
  other = await t.sibling();
  raw = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
  await t.createUser('root@example.com', 'admin');
  root = await t.signIn('root@example.com');
});
afterAll(async () => {
  await raw.close();
  await other.close();
  await t.close();
});

let serial = 0;
const newUser = (role?: 'admin') => t.createUser(`user-${(serial += 1)}@example.com`, role);
const basic = (email: string, password = PASSWORD) =>
  `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
const verify = async (authorization: string, at = t) =>
  (await at.http().get('/auth/verify').set('Authorization', authorization)).status;
const history = async (authorization: string, at = t) =>
  (await at.http().get('/v3/jwt/history').set('Authorization', authorization)).status;
const act = (id: string, what: string, authorization = root, body: object = { reason: 'left' }) =>
  t.http().post(`/admin/users/${id}/${what}`).set('Authorization', authorization).send(body);
const remove = (id: string, authorization = root) =>
  t
    .http()
    .delete(`/admin/users/${id}`)
    .set('Authorization', authorization)
    .send({ reason: 'left' });
const users = () => raw.collection('users');
const idOf = (id: string) => new mongoose.Types.ObjectId(id);
/** Everything a user can hold, by what it is. */
async function everythingOf(email: string): Promise<Record<string, string>> {
  const login = await t.http().post('/api/login').send({ loginId: email, password: PASSWORD });
  const signIn = await t.signIn(email);
  const minted = await t.http().get('/v1/token').set('Authorization', signIn);
  const withPassword = await t.http().get('/v1/token').set('Authorization', basic(email));
  const key = await t
    .http()
    .post('/admin/api-keys')
    .set('Authorization', basic(email))
    .send({ name: 'of the user' });
  return {
    signIn,
    access: login.body.token,
    minted: minted.body.token,
    mintedWithPassword: withPassword.body.token,
    ...(key.status === 201 ? { apiKey: key.body.key } : {}),
  };
}

describe('a password change', () => {
  it('ends what was signed in with the old password while it waited for the hash', async () => {
    const user = await newUser('admin');
    // All doors at once, the change in the middle: whoever gets a token, it must not outlive the change.
    const doors = [
      () =>
        t
          .http()
          .post('/auth/signin')
          .send({ email: user.email, password: PASSWORD })
          .then(({ body }) => body.token as string | undefined),
      () =>
        t
          .http()
          .post('/api/login')
          .send({ loginId: user.email, password: PASSWORD })
          .then(({ body }) => body.token as string | undefined),
      () =>
        t
          .http()
          .get('/v1/token')
          .set('Authorization', basic(user.email))
          .then(({ body }) => body.token as string | undefined),
      () =>
        t
          .http()
          .post('/admin/session')
          .send({ email: user.email, password: PASSWORD })
          .then(
            ({ headers }) =>
              /jwt_history_session=([^;]+)/.exec(headers['set-cookie']?.[0] ?? '')?.[1],
          ),
      () =>
        t
          .http()
          .post('/admin/api-keys')
          .set('Authorization', basic(user.email))
          .send({ name: 'key' })
          .then(({ body }) => body.key as string | undefined),
    ];
    const under = (wait: number) =>
      Promise.all(
        doors.flatMap((door) =>
          Array.from({ length: 3 }, async () => {
            for (let i = 0; i < wait; i += 1) await Promise.resolve();
            return door();
          }),
        ),
      );
    const before = under(0);
    const changing = t
      .http()
      .post(`/admin/users/${user.id}/password`)
      .set('Authorization', root)
      .send({ password: 'another password' })
      .then(({ status }) => status);
    const all = [...(await before), ...(await under(20))];
    expect(await changing).toBe(204);
    // What came after the answer is refused at once, so that all were tried in the old order.
    const good: string[] = [];
    for (const token of all) {
      if (token !== undefined && (await verify(token)) === 204) good.push(token);
    }
    expect(good).toEqual([]);
    expect(await history(basic(user.email))).toBe(401);
    expect(await history(basic(user.email, 'another password'))).toBe(200);
  });

  it('counts for an instance that remembers the old password and has not heard of the change', async () => {
    const user = await newUser('admin');
    expect(await history(basic(user.email), other)).toBe(200);
    await act(user.id, 'password', root, { password: 'another password' }).expect(204);
    // It has not looked yet: nothing may be minted there with what it remembers.
    for (const mintThere of [
      other.http().get('/v1/token').set('Authorization', basic(user.email)),
      other
        .http()
        .post('/admin/api-keys')
        .set('Authorization', basic(user.email))
        .send({ name: 'k' }),
      other
        .http()
        .post('/admin/users')
        .set('Authorization', basic(user.email))
        .send({ email: 'made-by-old-password@example.com', password: PASSWORD }),
    ]) {
      const response = await mintThere;
      expect([response.status, JSON.stringify(response.body)]).toEqual([
        401,
        expect.not.stringContaining('eyJ'),
      ]);
    }
    await other.service.sync.refresh();
    expect(await history(basic(user.email), other)).toBe(401);
  });

  it('is forgotten also by an instance that revokes the same scope before it hears of it', async () => {
    const user = await newUser();
    expect(await history(basic(user.email), other)).toBe(200);
    await act(user.id, 'password', root, { password: 'another password' }).expect(204);
    t.clock.now += 1000;
    await other
      .http()
      .post('/admin/cutoffs')
      .set('Authorization', root)
      .send({ userId: user.id, reason: 'requested' })
      .expect(201);
    await other.service.sync.refresh();
    expect(await history(basic(user.email), other)).toBe(401);
  });
});

describe('a password hash that another instance renewed', () => {
  it('costs one refusal where the old one was remembered, not half a minute of them', async () => {
    const user = await newUser();
    expect(await history(basic(user.email), other)).toBe(200);
    const found = await t.store.users.findWithPassword(user.id);
    const renewed = await t.service.hasher.hash(PASSWORD);
    expect(
      await t.store.users.replacePasswordHash(user.id, found?.passwordHash ?? '', renewed),
    ).toBe(true);
    const mintThere = async () =>
      (await other.http().get('/v1/token').set('Authorization', basic(user.email))).status;
    expect([await mintThere(), await mintThere()]).toEqual([401, 200]);
  });
});

describe('a disabled user', () => {
  it('is refused with everything they hold from the answer on, and enabling revives nothing', async () => {
    const user = await newUser('admin');
    const held = await everythingOf(user.email);
    for (const [name, token] of Object.entries(held))
      expect([name, await verify(token)]).toEqual([name, 204]);
    expect(await history(basic(user.email))).toBe(200);

    const disabled = await act(user.id, 'disable');
    expect([disabled.status, disabled.body]).toEqual([
      200,
      expect.objectContaining({ _id: user.id, status: 0 }),
    ]);
    for (const [name, token] of Object.entries(held))
      expect([name, await verify(token)]).toEqual([name, 401]);
    expect(await history(basic(user.email))).toBe(401);
    expect(
      (await t.http().post('/auth/signin').send({ email: user.email, password: PASSWORD })).status,
    ).toBe(401);
    // Signed by another service that shares the key, after the disabling: refused as well.
    t.clock.now += 10_000;
    const foreign = mint({
      _id: user.id,
      jti: `foreign-${serial}`,
      iat: Math.floor(t.clock.now / 1000),
    });
    expect(await verify(foreign)).toBe(401);

    expect((await act(user.id, 'enable')).body).toMatchObject({ _id: user.id, status: 100 });
    for (const [name, token] of Object.entries({ ...held, foreign }))
      expect([name, await verify(token)]).toEqual([name, 401]);
    t.clock.now += 10_000;
    expect(await verify(await t.signIn(user.email))).toBe(204);
    // Enabling an active one revokes nothing.
    const fresh = await t.signIn(user.email);
    await act(user.id, 'enable').expect(200);
    expect(await verify(fresh)).toBe(204);

    await t.service.audit.flush();
    const events = await t.http().get(`/admin/events?userId=${user.id}`).set('Authorization', root);
    const types = events.body.events.map((event: { type: string; reason: string | null }) => [
      event.type,
      event.reason,
    ]);
    expect(types).toContainEqual(['user.disabled', 'left']);
    expect(types).toContainEqual(['user.enabled', 'left']);
  });

  it('is refused by other instances as soon as they look', async () => {
    const user = await newUser();
    const token = await t.signIn(user.email);
    expect([await verify(token, other), await history(basic(user.email), other)]).toEqual([
      204, 200,
    ]);
    await act(user.id, 'disable').expect(200);
    await other.service.sync.refresh();
    expect([await verify(token, other), await history(basic(user.email), other)]).toEqual([
      401, 401,
    ]);
  });

  const rows = [
    ['nobody', 'disable', 401],
    ['a user', 'disable', 403],
    ['a user', 'enable', 403],
    ['a user', 'remove', 403],
    ['an administrator', 'disable', 404],
    ['an administrator', 'enable', 404],
    ['an administrator', 'remove', 404],
  ] as const;
  it.each(rows)('%s may not %s somebody: %i', async (who, what, status) => {
    const target = who === 'an administrator' ? { id: 'f'.repeat(24) } : await newUser();
    const by = {
      nobody: '',
      'a user': await t.signIn((await newUser()).email),
      'an administrator': root,
    }[who];
    const response = await (what === 'remove' ? remove(target.id, by) : act(target.id, what, by));
    expect(response.status).toBe(status);
    if (who !== 'an administrator')
      expect(await users().findOne({ _id: idOf(target.id) })).toMatchObject({ status: 100 });
  });

  it('is never oneself, and always for a reason', async () => {
    const me = (await t.http().get('/v3/jwt/history?limit=1').set('Authorization', root)).body
      .jwts[0].userId as string;
    for (const response of [
      await act(me, 'disable'),
      await act(me.toUpperCase(), 'disable'),
      await remove(me),
    ]) {
      expect([response.status, response.body.msg]).toEqual([
        409,
        expect.stringContaining('your own account'),
      ]);
    }
    const user = await newUser();
    const response = await act(user.id, 'disable', root, {});
    expect([response.status, response.body.msg]).toEqual([400, expect.stringContaining('reason')]);
    expect(await history(basic(user.email))).toBe(200);
  });
});

describe('a deleted user', () => {
  it('is gone, and so is everything they held, also with foreign tokens and after a restart', async () => {
    const user = await newUser('admin');
    const held = await everythingOf(user.email);
    await remove(user.id).expect(204);
    expect(await users().findOne({ _id: idOf(user.id) })).toBeNull();
    for (const [name, token] of Object.entries(held))
      expect([name, await verify(token)]).toEqual([name, 401]);
    expect(await history(basic(user.email))).toBe(401);
    const restarted = await t.sibling();
    for (const [name, token] of Object.entries(held))
      expect([name, await verify(token, restarted)]).toEqual([name, 401]);
    await restarted.close();
    await remove(user.id).expect(404);
    // However often it is looked at again.
    t.clock.now += 60_000;
    await t.service.sync.refresh();
    expect(await verify(Object.values(held)[0] ?? '')).toBe(401);
  });
});

describe('what another service does to the collection of users', () => {
  const within30s = async (at: TestService) => {
    for (let i = 0; i < 6; i += 1) {
      t.clock.now += 5000;
      await at.service.sync.refresh();
    }
  };
  afterEach(() => within30s(t));

  it('a status other than 100 counts within 30 s, for its own tokens too, and enabling revives nothing', async () => {
    const user = await newUser();
    const token = await t.signIn(user.email);
    const foreign = mint({
      _id: user.id,
      jti: `foreign-${serial}`,
      iat: Math.floor(t.clock.now / 1000),
    });
    expect([await verify(token), await verify(foreign)]).toEqual([204, 204]);
    expect(await history(basic(user.email))).toBe(200);
    await t.service.usage.flush();
    await users().updateOne({ _id: idOf(user.id) }, { $set: { status: 0 } });
    await within30s(t);
    expect([await verify(token), await verify(foreign)]).toEqual([401, 401]);
    expect(await history(basic(user.email))).toBe(401);
    const issuedMeanwhile = mint({
      _id: user.id,
      jti: `meanwhile-${serial}`,
      iat: Math.floor(t.clock.now / 1000),
    });
    expect(await verify(issuedMeanwhile)).toBe(401);

    await within30s(t);
    await users().updateOne({ _id: idOf(user.id) }, { $set: { status: 100 } });
    await within30s(t);
    expect([await verify(token), await verify(foreign), await verify(issuedMeanwhile)]).toEqual([
      401, 401, 401,
    ]);
    const again = await t.signIn(user.email);
    expect(await verify(again)).toBe(204);
    await within30s(t);
    expect(await verify(again)).toBe(204);
  });

  it('a user who vanished counts within 30 s of use', async () => {
    const user = await newUser();
    const token = await t.signIn(user.email);
    const foreign = mint({ _id: user.id, jti: `vanished-${serial}` });
    expect([await verify(token), await verify(foreign)]).toEqual([204, 204]);
    await within30s(t);
    await users().deleteOne({ _id: idOf(user.id) });
    await within30s(t);
    expect([await verify(token), await verify(foreign)]).toEqual([401, 401]);
  });

  it('a user who vanished counts however long their token was not used', async () => {
    const user = await newUser();
    const foreign = mint({ _id: user.id, jti: `idle-${serial}` });
    expect(await verify(foreign)).toBe(204);
    await within30s(t);
    t.clock.now += 3_600_000;
    await within30s(t);
    await users().deleteOne({ _id: idOf(user.id) });
    await within30s(t);
    await verify(foreign);
    await within30s(t);
    expect(await verify(foreign)).toBe(401);
  });

  it('a user who vanished while nobody looked counts after the next start', async () => {
    const user = await newUser();
    const foreign = mint({ _id: user.id, jti: `away-${serial}` });
    const own = await t.signIn(user.email);
    expect([await verify(foreign), await verify(own)]).toEqual([204, 204]);
    await within30s(t);
    await users().deleteOne({ _id: idOf(user.id) });
    const restarted = await t.sibling();
    await verify(foreign, restarted);
    await verify(own, restarted);
    await within30s(restarted);
    expect([await verify(foreign, restarted), await verify(own, restarted)]).toEqual([401, 401]);
    await restarted.close();
  });

  it('whoever another service knows may mint here and goes on', async () => {
    const foreign = mint({ _id: 'b'.repeat(24), jti: 'mints-here' });
    const minted = await t.http().get('/v1/token').set('Authorization', foreign);
    expect(minted.status).toBe(200);
    expect(await verify(minted.body.token)).toBe(204);
    await within30s(t);
    await within30s(t);
    expect([await verify(foreign), await verify(minted.body.token)]).toEqual([204, 204]);
  });

  it('a status of any other kind counts, and a dropped index stops nothing', async () => {
    const user = await newUser();
    const token = await t.signIn(user.email);
    await users().updateOne({ _id: idOf(user.id) }, { $set: { status: 'disabled' } });
    await users().dropIndex('status_1__id_1');
    await within30s(t);
    expect(await verify(token)).toBe(401);
    expect(await verify(root)).toBe(204);
  });

  it('enabling those who wait to be revoked revives nothing', async () => {
    const many = await Promise.all(Array.from({ length: 55 }, () => newUser()));
    const tokens = many.map(({ id }, i) => mint({ _id: id, jti: `queued-${serial}-${i}` }));
    for (const token of tokens) expect(await verify(token)).toBe(204);
    await t.service.usage.flush();
    await users().updateMany(
      { _id: { $in: many.map(({ id }) => idOf(id)) } },
      { $set: { status: 0 } },
    );
    t.clock.now += 5000;
    await t.service.sync.refresh();
    await users().updateMany(
      { _id: { $in: many.map(({ id }) => idOf(id)) } },
      { $set: { status: 100 } },
    );
    for (const { id } of many) await act(id, 'enable').expect(200);
    const good = [];
    for (const token of tokens) if ((await verify(token)) === 204) good.push(token);
    expect(good).toEqual([]);
  });

  it('leaves alone those who were never among them: other services have users of their own', async () => {
    const foreign = mint({ _id: 'a'.repeat(24), jti: 'of-another-service' });
    expect(await verify(foreign)).toBe(204);
    await within30s(t);
    await within30s(t);
    expect(await verify(foreign)).toBe(204);
  });

  it('is known at the start already: nothing is answered before', async () => {
    const user = await newUser();
    const token = await t.signIn(user.email);
    await users().updateOne({ _id: idOf(user.id) }, { $set: { status: 50 } });
    const restarted = await t.sibling();
    expect(await verify(token, restarted)).toBe(401);
    await restarted.close();
  });

  it('shows in the list what the check answers', async () => {
    const user = await newUser();
    const token = await t.signIn(user.email);
    await users().updateOne({ _id: idOf(user.id) }, { $set: { status: 0 } });
    await within30s(t);
    const list = (query: string) =>
      t
        .http()
        .get(`/v3/jwt/history?userId=${user.id}${query}`)
        .set('Authorization', root)
        .then(({ body }) => [body.count, body.jwts.map((jwt: { state: string }) => jwt.state)]);
    expect(await list('')).toEqual([1, ['revoked']]);
    expect(await list('&state=active')).toEqual([0, []]);
    expect(await list('&state=revoked')).toEqual([1, ['revoked']]);
    expect(jtiOf(token)).toEqual(expect.any(String));
  });
});
