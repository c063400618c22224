/** Revoked at every door: what was minted with a token falls with it, and nobody mints with what another instance has revoked. */
import mongoose from 'mongoose';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createConfirmCaller } from '../../src/auth/confirm-caller.js';
import { createMinting } from '../../src/auth/minting.js';
import type { Principal } from '../../src/auth/principal.js';
import { hitBy } from '../../src/store/cutoffs/filter.js';
import { newTokenRecord } from '../../src/store/records.js';
import { createJti } from '../../src/tokens/jti.js';
import { cutoffSubjectOf, isCutOff, isInScope } from '../../src/tokens/state.js';
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
/** On the same database; it hears of nothing until it is told to look. */
let deaf: TestService;
let root: string;
beforeAll(async () => {
  t = await startTestService({}, database);
  deaf = await t.sibling();
  await t.createUser('root@example.com', 'admin');
  root = await t.signIn('root@example.com');
});
afterAll(async () => {
  await deaf.close();
  await t.close();
});

let serial = 0;
const newEmail = () => `user-${(serial += 1)}@example.com`;
const basic = (email: string) => `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}`;
const verify = async (authorization: string, at = t) =>
  (await at.http().get('/auth/verify').set('Authorization', authorization)).status;
const mintWith = async (authorization: string, at = t) =>
  (await at.http().get('/v1/token').set('Authorization', authorization)).body.token as string;
const keyWith = async (authorization: string, at = t) =>
  (
    await at
      .http()
      .post('/admin/api-keys')
      .set('Authorization', authorization)
      .send({ name: 'child' })
  ).body.key as string;
const login = async (email: string, applicationId?: string) =>
  (await t.http().post('/api/login').send({ loginId: email, password: PASSWORD, applicationId }))
    .body as { token: string; refreshToken: string; refreshTokenId: string };
const idOf = async (token: string) =>
  (await t.store.tokens.findByJti(jtiOf(token)))[0]?.id ?? 'none';

describe('what was minted with a token', () => {
  /** A child, and a child of the child, of each kind. */
  async function family(parent: string) {
    const token = await mintWith(parent);
    const key = await keyWith(parent);
    return { token, key, ofToken: await mintWith(token), ofKey: await mintWith(key) };
  }
  const states = async (tokens: Record<string, string>) =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(tokens).map(async ([name, token]) => [name, await verify(token)] as const),
      ),
    );
  const all = (status: number) => ({ token: status, key: status, ofToken: status, ofKey: status });

  const doors: Record<string, (parent: string, email: string) => Promise<unknown>> = {
    'DELETE by jti': (parent) =>
      t
        .http()
        .delete(`/v3/jwt/history/${jtiOf(parent)}`)
        .set('Authorization', root)
        .expect(200),
    'DELETE by record id': async (parent) =>
      t
        .http()
        .delete(`/v3/jwt/history/id/${await idOf(parent)}`)
        .set('Authorization', root)
        .expect(200),
    'DELETE by value': (parent) =>
      t
        .http()
        .delete('/v1/token')
        .query({ token: parent.replace('JWT ', '') })
        .set('Authorization', root)
        .expect(200),
    'the dashboard': async (parent) =>
      t
        .http()
        .post(`/admin/tokens/${await idOf(parent)}/revoke`)
        .set('Authorization', root)
        .send({ reason: 'compromised' })
        .expect(200),
    'the dashboard, in bulk': async (parent) =>
      t
        .http()
        .post('/admin/revocations')
        .set('Authorization', root)
        .send({
          selection: { ids: [await idOf(parent)] },
          expectedCount: 1,
          asOf: new Date(t.clock.now).toISOString(),
          reason: 'compromised',
        })
        .expect(200),
    'a cut-off of the user': async (_parent, email) => {
      const user = await t.store.users.findByEmail(email);
      await t
        .http()
        .post('/admin/cutoffs')
        .set('Authorization', root)
        .send({ userId: user?.user.id, reason: 'left' })
        .expect(201);
    },
  };
  it.each(Object.entries(doors))('falls with it: %s', async (_name, revoke) => {
    const email = newEmail();
    await t.createUser(email, 'admin');
    const parent = await t.signIn(email);
    const children = await family(parent);
    const apart = await mintWith(basic(email));
    expect(await states(children)).toEqual(all(204));
    await revoke(parent, email);
    expect(await states(children)).toEqual(all(401));
    if (_name !== 'a cut-off of the user') expect(await verify(apart)).toBe(204);
    // Lists say so, and a restart doesn't forget it.
    const restarted = await t.sibling();
    for (const token of Object.values(children)) expect(await verify(token, restarted)).toBe(401);
    await restarted.close();
  });

  it.each([
    ['its session', (s: Session) => `/api/jwt/refresh/${s.refreshTokenId}`],
    ['its session’s token', (s: Session) => `/api/jwt/refresh?token=${s.refreshToken}`],
    ['the sessions of its user', (s: Session) => `/api/jwt/refresh?userId=${s.userId}`],
    ['the sessions of its application', (s: Session) => `/api/jwt/refresh?applicationId=${s.app}`],
    [
      'the sessions of both',
      (s: Session) => `/api/jwt/refresh?userId=${s.userId}&applicationId=${s.app}`,
    ],
  ])('falls with %s', async (_name, path) => {
    const email = newEmail();
    const { id: userId } = await t.createUser(email, 'admin');
    const app = `app-${serial}`;
    const session = { ...(await login(email, app)), userId, app };
    const children = await family(session.token);
    expect(await states(children)).toEqual(all(204));
    await t.http().delete(path(session)).set('Authorization', root).expect(200);
    expect([await verify(session.token), await states(children)]).toEqual([401, all(401)]);
  });

  it('stays when its maker merely signs out or the parent expires', async () => {
    const email = newEmail();
    await t.createUser(email, 'admin');
    const agent = await t.http().post('/admin/session').send({ email, password: PASSWORD });
    const cookie = agent.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    const made = await t
      .http()
      .post('/admin/api-keys')
      .set('Cookie', cookie)
      .set('X-CSRF-Token', agent.body.csrfToken)
      .send({ name: 'deploy' });
    expect(made.status).toBe(201);
    await t
      .http()
      .delete('/admin/session')
      .set('Cookie', cookie)
      .set('X-CSRF-Token', agent.body.csrfToken)
      .expect(204);
    expect(await verify(made.body.key)).toBe(204);
    const session = await login(email);
    const minted = await mintWith(session.token);
    await t.http().post('/api/logout').send({ refreshToken: session.refreshToken }).expect(200);
    expect([await verify(session.token), await verify(minted)]).toEqual([401, 204]);
    const short = mint({
      _id: (await t.store.users.findByEmail(email))?.user.id,
      jti: `short-${serial}`,
      iat: Math.floor(t.clock.now / 1000),
      exp: Math.floor(t.clock.now / 1000) + 60,
    });
    const ofShort = await mintWith(short);
    t.clock.now += 61_000;
    expect([await verify(short), await verify(ofShort)]).toEqual([401, 204]);
    // But revoking the signed-out session afterwards, as stolen, takes them too.
    const { jti } = JSON.parse(
      Buffer.from(cookie.split('=')[1]?.split('.')[1] ?? '', 'base64url').toString(),
    ) as { jti: string };
    await t.http().delete(`/v3/jwt/history/${jti}`).set('Authorization', root).expect(200);
    expect(await verify(made.body.key)).toBe(401);
  });

  const sessionWith = async (applicationId?: string) => {
    const email = newEmail();
    const { id: userId } = await t.createUser(email, 'admin');
    const session = await login(email, applicationId);
    return { ...session, userId, minted: await mintWith(session.token) };
  };
  const revokeSession = (id: string) =>
    t.http().delete(`/api/jwt/refresh/${id}`).set('Authorization', root);

  it('falls with a session whose access token has expired meanwhile', async () => {
    for (const path of ['id', 'user'] as const) {
      const { token, refreshTokenId, userId, minted } = await sessionWith();
      t.clock.now += 2 * 3_600_000;
      expect([await verify(token), await verify(minted)]).toEqual([401, 204]);
      if (path === 'id') await revokeSession(refreshTokenId).expect(200);
      else
        await t
          .http()
          .delete('/api/jwt/refresh')
          .query({ userId })
          .set('Authorization', root)
          .expect(200);
      expect([path, await verify(minted)]).toEqual([path, 401]);
    }
  });

  it('falls with an expired key in between', async () => {
    const parent = await t.signIn('root@example.com');
    const { body } = await t
      .http()
      .post('/admin/api-keys')
      .set('Authorization', parent)
      .send({ name: 'short', expiresAt: new Date(t.clock.now + 60_000).toISOString() });
    const minted = await mintWith(body.key);
    t.clock.now += 61_000;
    expect([await verify(body.key), await verify(minted)]).toEqual([401, 204]);
    await t
      .http()
      .delete(`/v3/jwt/history/${jtiOf(parent)}`)
      .set('Authorization', root)
      .expect(200);
    expect(await verify(minted)).toBe(401);
  });

  it('falls when a session that was signed out is revoked after all, at every door', async () => {
    for (const door of ['history', 'fusionauth'] as const) {
      const { refreshToken, refreshTokenId, minted } = await sessionWith();
      await t.http().post('/api/logout').send({ refreshToken }).expect(200);
      expect(await verify(minted)).toBe(204);
      if (door === 'fusionauth') await revokeSession(refreshTokenId).expect(404);
      else
        await t
          .http()
          .delete(`/v3/jwt/history/${refreshTokenId}`)
          .set('Authorization', root)
          .expect(200);
      expect([door, await verify(minted)]).toEqual([door, 401]);
    }
  });

  it('falls when it was minted after the time of a cut-off that hits its parent', async () => {
    const email = newEmail();
    const { id: userId } = await t.createUser(email, 'admin');
    const parent = await t.signIn(email);
    t.clock.now += 60_000;
    const before = new Date(t.clock.now).toISOString();
    t.clock.now += 60_000;
    const children = await family(parent);
    const apart = await mintWith(basic(email));
    const body = { userId, before, reason: 'compromised' };
    await t.http().post('/admin/cutoffs').set('Authorization', root).send(body).expect(201);
    expect([await verify(parent), await states(children)]).toEqual([401, all(401)]);
    expect(await verify(apart)).toBe(204);
  });

  it('falls with the record of an id that was registered for whichever issuer', async () => {
    const jti = `anyone-${(serial += 1)}`;
    const registered = await t
      .http()
      .post('/v3/jwt/history')
      .set('Authorization', root)
      .send({ jti, userId: 'elsewhere' });
    const parent = mint({ jti, _id: 'elsewhere', iss: 'https://elsewhere.example' });
    const minted = await mintWith(parent);
    expect([await verify(parent), await verify(minted)]).toEqual([204, 204]);
    await t
      .http()
      .delete(`/v3/jwt/history/id/${registered.body._id}`)
      .set('Authorization', root)
      .expect(200);
    expect([await verify(parent), await verify(minted)]).toEqual([401, 401]);
  });

  it('falls even when it was minted with a token without a record', async () => {
    const allowing = await startTestService({ UNKNOWN_TOKENS: 'allow' });
    await allowing.createUser('root@example.com', 'admin');
    const foreign = mint({ _id: 'somebody', jti: 'unrecorded' });
    const child = await mintWith(foreign, allowing);
    expect(await verify(child, allowing)).toBe(204);
    await allowing
      .http()
      .delete('/v3/jwt/history/unrecorded')
      .set('Authorization', await allowing.signIn('root@example.com'))
      .expect(200);
    expect([await verify(foreign, allowing), await verify(child, allowing)]).toEqual([401, 401]);
    await allowing.close();
  });

  it('is never handed out when the parent is revoked at the same moment', async () => {
    const email = newEmail();
    await t.createUser(email);
    for (let round = 0; round < 10; round += 1) {
      const parent = await t.signIn(email);
      const minting = Promise.all(Array.from({ length: 4 }, () => mintWith(parent, deaf)));
      for (let i = 0; i < round * 3; i += 1) await new Promise(setImmediate);
      await t
        .http()
        .delete(`/v3/jwt/history/${jtiOf(parent)}`)
        .set('Authorization', root)
        .expect(200);
      for (const token of await minting)
        if (token !== undefined) expect(await verify(token)).toBe(401);
    }
  });
});

describe('what happens between the record and the answer', () => {
  const lateMinting = () => {
    const issued: string[] = [];
    const { tokens, cutoffs, users } = t.store;
    const confirmCaller = createConfirmCaller({
      tokens,
      cutoffs,
      users,
      toRecord: () => {
        throw new Error('it has a record');
      },
      forgetVerified: () => undefined,
      clock: () => t.clock.now,
      ownIssuer: t.config.tokenIssuer,
    });
    const discard = t.store.tokens.discard;
    const minting = createMinting({
      confirmCaller,
      limits: {
        take: () => undefined,
        makeEndless: (_holder, make) => make(),
      },
      discard,
      report: (event) => void (event.what === 'issued' && issued.push(event.record.jti)),
    });
    return { minting, issued };
  };
  const child = (userId: string) =>
    newTokenRecord({
      jti: createJti(t.clock.now),
      kind: 'access',
      origin: 'woleet',
      issuer: t.config.tokenIssuer,
      subject: userId,
      userId,
      issuedAt: new Date(t.clock.now),
    });

  const meanwhile = {
    'the token is revoked': (token: string) =>
      t
        .http()
        .delete(`/v3/jwt/history/${jtiOf(token)}`)
        .set('Authorization', root)
        .expect(200),
    'everything of the user is': (_token: string, userId: string) =>
      t
        .http()
        .post('/admin/cutoffs')
        .set('Authorization', root)
        .send({ userId, reason: 'left' })
        .expect(201),
    'the user is disabled': (_token: string, userId: string) =>
      t
        .http()
        .post(`/admin/users/${userId}/disable`)
        .set('Authorization', root)
        .send({ reason: 'left' })
        .expect(200),
    'the password changes': async (_token: string, userId: string) =>
      void (await t.store.users.setPassword(userId, 'another hash')),
  };
  it.each(
    (['token', 'password'] as const).flatMap((kind) =>
      Object.entries(meanwhile)
        // A token outlives the hash, and falls with the cut-off that a change of password sets.
        .filter(([what]) =>
          kind === 'token'
            ? what !== 'the password changes'
            : ['the password changes', 'the user is disabled'].includes(what),
        )
        .map(([what, act]) => [kind, what, act] as const),
    ),
  )('nothing is handed out to a %s when %s', async (kind, _what, act) => {
    const email = newEmail();
    const user = await t.createUser(email, 'admin');
    const token = await t.signIn(email);
    const found = await t.store.users.findWithPassword(user.id);
    const checked = await t.service.checkToken(token.replace('JWT ', ''), () => noDevice);
    if (!checked.accepted || found === null) throw new Error('it is good so far');
    const principal: Principal =
      kind === 'token'
        ? { kind, userId: user.id, claims: checked.claims }
        : { kind, userId: user.id, user, passwordHash: found.passwordHash };
    const { minting, issued } = lateMinting();
    const minted = minting.mint(
      principal,
      async ({ parent }) => {
        const record = await t.store.tokens.insert({
          ...child(user.id),
          ...(parent === null ? {} : { parentId: parent.id }),
        });
        await act(token, user.id);
        return { records: [record] };
      },
      { door: 'child', isEndless: true },
    );
    await expect(minted).rejects.toMatchObject({ status: 401 });
    expect(issued).toEqual([]);
    expect((await t.store.tokens.count({ userIds: [user.id], state: 'active' })).count).toBe(
      // The token itself, where only the password changed.
      _what === 'the password changes' ? 1 : 0,
    );
  });
});

const noDevice = {
  name: null,
  description: null,
  type: null,
  userAgent: null,
  ip: null,
  location: null,
};

interface Session {
  readonly refreshToken: string;
  readonly refreshTokenId: string;
  readonly userId: string;
  readonly app: string;
}

describe('an instance that has not heard of a revoke', () => {
  /** Everything that mints or grants, as an administrator would ask for it. */
  const grants: Record<string, (authorization: string, target: string) => Promise<number>> = {
    'GET /v1/token': async (authorization) =>
      (await deaf.http().get('/v1/token').set('Authorization', authorization)).status,
    'POST /admin/api-keys': async (authorization) =>
      (
        await deaf
          .http()
          .post('/admin/api-keys')
          .set('Authorization', authorization)
          .send({ name: 'child' })
      ).status,
    'POST /admin/users': async (authorization) =>
      (
        await deaf
          .http()
          .post('/admin/users')
          .set('Authorization', authorization)
          .send({ email: newEmail(), password: PASSWORD, role: 'admin' })
      ).status,
    'POST /admin/users/:id/password': async (authorization, target) =>
      (
        await deaf
          .http()
          .post(`/admin/users/${target}/password`)
          .set('Authorization', authorization)
          .send({ password: 'taken over by now' })
      ).status,
    'POST /admin/users/:id/disable': async (authorization, target) =>
      (
        await deaf
          .http()
          .post(`/admin/users/${target}/disable`)
          .set('Authorization', authorization)
          .send({ reason: 'left' })
      ).status,
    'POST /admin/users/:id/enable': async (authorization, target) =>
      (
        await deaf
          .http()
          .post(`/admin/users/${target}/enable`)
          .set('Authorization', authorization)
          .send({ reason: 'requested' })
      ).status,
    'DELETE /admin/users/:id': async (authorization, target) =>
      (
        await deaf
          .http()
          .delete(`/admin/users/${target}`)
          .set('Authorization', authorization)
          .send({ reason: 'left' })
      ).status,
    'POST /v3/jwt/history': async (authorization) =>
      (
        await deaf
          .http()
          .post('/v3/jwt/history')
          .set('Authorization', authorization)
          .send({ jti: `granted-${(serial += 1)}`, userId: 'somebody' })
      ).status,
  };
  const credentials = ['sign-in', 'session', 'API key'] as const;
  const revokes = ['the token', 'the user', 'the account'] as const;
  it.each(
    Object.keys(grants).flatMap((grant) =>
      credentials.flatMap((credential) =>
        revokes.map((revoke) => [grant, credential, revoke] as const),
      ),
    ),
  )('refuses %s with a %s after %s was revoked', async (grant, credential, revoke) => {
    const email = newEmail();
    const { id } = await t.createUser(email, 'admin');
    const { id: target } = await t.createUser(newEmail());
    const given = {
      'sign-in': () => t.signIn(email),
      session: async () => (await login(email)).token,
      'API key': () => keyWith(basic(email)),
    };
    const authorization = await given[credential]();
    // It knows them already.
    expect(await verify(authorization, deaf)).toBe(204);
    const jti =
      credential === 'API key' ? (authorization.split('.')[0] ?? '') : jtiOf(authorization);
    if (revoke === 'the token') {
      await t.http().delete(`/v3/jwt/history/${jti}`).set('Authorization', root).expect(200);
    } else if (revoke === 'the user') {
      const body = { userId: id, reason: 'left' };
      await t.http().post('/admin/cutoffs').set('Authorization', root).send(body).expect(201);
    } else {
      const body = { reason: 'left' };
      const disable = t.http().post(`/admin/users/${id}/disable`);
      await disable.set('Authorization', root).send(body).expect(200);
    }
    const before = await t.store.tokens.count({ userIds: [id], state: 'active' });
    // By its memory it is still good there, unless it looks.
    expect([401, 403]).toContain(await grants[grant]?.(authorization, target));
    const after = await t.store.tokens.count({ userIds: [id], state: 'active' });
    expect(after.count).toBe(before.count);
    expect((await t.store.users.findById(target))?.status).toBe(100);
  });

  it('refuses a key whose record, just read, says that it is revoked; likewise where unknown tokens are denied', async () => {
    const denying = await startTestService({ UNKNOWN_TOKENS: 'deny' }, database, t.clock);
    const key = await keyWith(root);
    const token = await t.signIn('root@example.com');
    for (const jti of [key.split('.')[0], jtiOf(token)])
      await t.http().delete(`/v3/jwt/history/${jti}`).set('Authorization', root).expect(200);
    // Neither has heard of it, nor seen them before.
    expect([await verify(key, deaf), await verify(token, denying)]).toEqual([401, 401]);
    const inspected = await deaf
      .http()
      .post('/admin/inspect')
      .set('Authorization', root)
      .send({ token });
    expect(inspected.body).toMatchObject({ accepted: false, reason: 'revoked' });
    await denying.close();
  });
});

describe('one rule', () => {
  it('decides alike in memory and in the database, whatever the token and the cut-off', async () => {
    const connection = await mongoose
      .createConnection(testMongodbUri(), { dbName: freshDatabase() })
      .asPromise();
    const now = t.clock.now;
    const time = fc.integer({ min: now - 3, max: now + 3 });
    const id = fc.constantFrom('a', 'b', null);
    const record = fc.record({
      userId: id,
      applicationId: id,
      kind: fc.constantFrom('access', 'refresh', 'api-key'),
      sessionId: fc.oneof(
        fc.constant(null),
        fc.constant('no-uuid'),
        time.map((at) => createJti(at)),
        time.map((at) => createJti(at).toUpperCase()),
      ),
      issuedAt: fc.oneof(
        fc.constant(null),
        time.map((at) => new Date(at)),
      ),
    });
    const cutoff = fc.record({
      userId: id,
      applicationId: id,
      sessionsOnly: fc.boolean(),
      at: time.map((at) => new Date(at)),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { minLength: 1, maxLength: 20 }),
        cutoff,
        async (records, { at, ...scope }) => {
          const collection = connection.collection<{ _id: number }>('records');
          await collection.deleteMany({});
          await collection.insertMany(records.map((each, _id) => ({ _id, ...each })));
          const found = await collection.find(hitBy({ at, ...scope })).toArray();
          const expected = records.flatMap((each, i) => {
            const subject = cutoffSubjectOf(each);
            return isInScope(scope, subject) && isCutOff(subject, at.getTime()) ? [i] : [];
          });
          expect(found.map(({ _id }) => _id).toSorted((a, b) => a - b)).toEqual(expected);
        },
      ),
      { numRuns: 150 },
    );
    await connection.close();
  });
});

describe('lists tell the truth', () => {
  const states = async (query: string, path = '/v3/jwt/history?') => {
    const { body } = await t.http().get(`${path}${query}`).set('Authorization', root);
    return {
      count: body.count as number,
      states: (body.jwts ?? body.tokens).map(({ state }: { state: string }) => state) as string[],
    };
  };
  const lists = ['/v3/jwt/history?', '/admin/tokens?'] as const;

  it.each(lists)('a revoked session takes its access tokens along: %s', async (path) => {
    const email = newEmail();
    const { id } = await t.createUser(email);
    const session = await login(email);
    const kept = await t.signIn(email);
    const query = `userId=${id}`;
    expect((await states(`${query}&state=active`, path)).count).toBe(3);
    await t
      .http()
      .delete(`/api/jwt/refresh/${session.refreshTokenId}`)
      .set('Authorization', root)
      .expect(200);
    expect([await verify(session.token), await verify(kept)]).toEqual([401, 204]);
    expect(await states(`${query}&state=active`, path)).toEqual({ count: 1, states: ['active'] });
    expect(await states(`${query}&state=revoked`, path)).toEqual({
      count: 2,
      states: ['revoked', 'revoked'],
    });
    expect((await states(query, path)).states.toSorted()).toEqual(['active', 'revoked', 'revoked']);
  });

  it.each(lists)(
    'a cut-off in the past hits what came later from an old session: %s',
    async (path) => {
      const email = newEmail();
      const { id } = await t.createUser(email);
      const session = await login(email);
      t.clock.now += 60_000;
      const between = new Date(t.clock.now).toISOString();
      t.clock.now += 60_000;
      const exchanged = await t
        .http()
        .post('/api/jwt/refresh')
        .send({ refreshToken: session.refreshToken });
      const young = await t.signIn(email);
      const body = { userId: id, before: between, reason: 'compromised' };
      await t.http().post('/admin/cutoffs').set('Authorization', root).send(body).expect(201);
      expect([await verify(exchanged.body.token), await verify(young)]).toEqual([401, 204]);
      const query = `userId=${id}`;
      expect(await states(`${query}&state=active`, path)).toEqual({ count: 1, states: ['active'] });
      expect((await states(`${query}&state=revoked`, path)).count).toBe(3);
    },
  );

  it.each(lists)('what is revoked before it is recorded is listed as revoked: %s', async (path) => {
    const userId = `foreign-user-${(serial += 1)}`;
    const jti = `seen-late-${serial}`;
    const body = { userId, reason: 'compromised' };
    await t.http().post('/admin/cutoffs').set('Authorization', root).send(body).expect(201);
    const issuedAt = new Date(t.clock.now - 60_000).toISOString();
    const registered = await t
      .http()
      .post('/v3/jwt/history')
      .set('Authorization', root)
      .send({ jti, userId, issuedAt, issuer: 'https://elsewhere.example' });
    expect(registered.status).toBe(201);
    const query = `userId=${userId}`;
    expect((await states(query, path)).states).toEqual(['revoked']);
    expect((await states(`${query}&state=active`, path)).count).toBe(0);
    expect((await states(`${query}&state=revoked`, path)).count).toBe(1);
  });

  it('also while the records are still being marked, and on the cards', async () => {
    const email = newEmail();
    const { id } = await t.createUser(email);
    await t.signIn(email);
    const summary = async () =>
      (await t.http().get('/admin/summary').set('Authorization', root)).body.active.count as number;
    const before = await summary();
    // As a large scope leaves it for minutes: in force, and not marked.
    await t.store.cutoffs.raise({
      userId: id,
      applicationId: null,
      sessionsOnly: false,
      at: new Date(t.clock.now),
      by: 'test',
      reason: null,
      via: 'test',
    });
    await t.service.sync.refresh();
    for (const path of lists) {
      expect((await states(`userId=${id}`, path)).states).toEqual(['revoked']);
      expect(await states(`userId=${id}&state=active`, path)).toEqual({ count: 0, states: [] });
    }
    expect(await summary()).toBe(before - 1);
  });
});
