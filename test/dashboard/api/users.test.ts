/** Users, as administrators create, list and find them, and set their passwords. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { PASSWORD } from '../../support/harness.js';
import { startWithPage } from './page-client.js';

const { t, admin, close } = await startWithPage();
afterAll(close);

describe('users and keys', () => {
  it('sets a password: the old one and every token end at once', async () => {
    const user = await t.createUser('carl@example.com');
    const authorization = await t.signIn('carl@example.com');
    const basic = () => t.http().get('/v3/jwt/history').auth('carl@example.com', PASSWORD);
    expect((await basic()).status).toBe(200);
    t.clock.now += 5;
    const path = `/admin/users/${user.id}/password`;
    expect((await admin.post(path, { password: 'short' })).status).toBe(400);
    await admin.post(path, { password: 'a new password for carl' }).expect(204);
    await t.http().get('/auth/verify').set('Authorization', authorization).expect(401);
    expect((await basic()).status).toBe(401);
    expect(t.log()).not.toContain('a new password for carl');
    const unknown = `/admin/users/${'0'.repeat(24)}/password`;
    expect((await admin.post(unknown, { password: 'long enough' })).status).toBe(404);
  });

  it('forgets the old password at every instance', async () => {
    const user = await t.createUser('eve@example.com');
    const other = await t.sibling();
    try {
      await other.http().get('/v3/jwt/history').auth('eve@example.com', PASSWORD).expect(200);
      t.clock.now += 5;
      await admin
        .post(`/admin/users/${user.id}/password`, { password: 'a new password for eve' })
        .expect(204);
      await other.service.sync.refresh();
      await other.http().get('/v3/jwt/history').auth('eve@example.com', PASSWORD).expect(401);
    } finally {
      await other.close();
    }
  });

  it('finds users by the beginning of their e-mail', async () => {
    const response = await admin.get('/admin/users?search=ANN');
    expect(
      (response.body as { users: { email: string }[] }).users.map(({ email }) => email),
    ).toEqual(['ann@example.com']);
  });
});

describe('users', () => {
  it('are created and listed by administrators, never with a password', async () => {
    const root = await t.signIn('admin@example.com');
    const user = await t.signIn('ann@example.com');
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
