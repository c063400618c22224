/** Revoked at every door: what was minted with a token falls with it. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { jtiOf, mint, PASSWORD, startTestService } from '../support/harness.js';
import { basic, newEmail, newName, startFamilies } from './families.js';

const { t, deaf, root, verify, mintWith, keyWith, login, idOf, close } = await startFamilies();
afterAll(close);

interface Session {
  readonly refreshToken: string;
  readonly refreshTokenId: string;
  readonly userId: string;
  readonly app: string;
}

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
    const app = newName('app');
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
      jti: newName('short'),
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
    const jti = newName('anyone');
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
