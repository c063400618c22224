/** Tokens that the service didn't issue: adopted, registered, refused, and revoked before they were ever seen. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { createJti } from '../../../src/tokens/jti.js';
import { mint, START } from '../../support/harness.js';
import { startHistory } from './history.js';

const { t, alice, bob, list, revoke, close } = await startHistory();
afterAll(close);

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
