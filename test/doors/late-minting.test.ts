/** Nobody mints with what is being revoked at the same moment, or was revoked by another instance. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { createConfirmCaller } from '../../src/auth/confirm-caller.js';
import { createMinting } from '../../src/auth/minting.js';
import type { Principal } from '../../src/auth/principal.js';
import { newTokenRecord } from '../../src/store/records.js';
import { createJti } from '../../src/tokens/jti.js';
import { jtiOf, PASSWORD, startTestService } from '../support/harness.js';
import { basic, newEmail, newName, startFamilies } from './families.js';

const { database, t, deaf, root, verify, keyWith, login, close } = await startFamilies();
afterAll(close);

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
      learn: async () => undefined,
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
          .send({ jti: newName('granted'), userId: 'somebody' })
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
