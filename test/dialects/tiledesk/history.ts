/** The service with two users and an administrator, and Tiledesk's list and revoke as its clients send them. */
import { startTestService } from '../../support/harness.js';

export async function startHistory() {
  const t = await startTestService({ ACCESS_TOKEN_TTL: '0' });
  const [alice, bob, admin] = await Promise.all([
    t.createUser('alice@example.com'),
    t.createUser('bob@example.com'),
    t.createUser('root@example.com', 'admin'),
  ]);

  return {
    t,
    alice,
    bob,
    admin,
    list: (token: string, query = '', path = '/v3/jwt/history') =>
      t.http().get(`${path}${query}`).set('Authorization', token),
    revoke: (token: string, jti: string, path = '/v3/jwt/history') =>
      t
        .http()
        .delete(`${path}/${encodeURIComponent(jti)}`)
        .set('Authorization', token),
    close: () => t.close(),
  };
}

export const jtisOf = (body: unknown) =>
  (body as { jwts: { jti: string }[] }).jwts.map(({ jti }) => jti);
