/** Two instances on one database, an administrator, and how a test mints with a token and asks whether one is good. */
import {
  freshDatabase,
  jtiOf,
  PASSWORD,
  startTestService,
  type TestService,
} from '../support/harness.js';

export const basic = (email: string) =>
  `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}`;

let serial = 0;
export const newName = (prefix: string) => `${prefix}-${(serial += 1)}`;
export const newEmail = () => `${newName('user')}@example.com`;

export async function startFamilies() {
  const database = freshDatabase();
  const t = await startTestService({}, database);
  /** On the same database; it hears of nothing until it is told to look. */
  const deaf = await t.sibling();
  await t.createUser('root@example.com', 'admin');
  const root = await t.signIn('root@example.com');

  return {
    database,
    t,
    deaf,
    root,
    verify: async (authorization: string, at: TestService = t) =>
      (await at.http().get('/auth/verify').set('Authorization', authorization)).status,
    mintWith: async (authorization: string, at: TestService = t) =>
      (await at.http().get('/v1/token').set('Authorization', authorization)).body.token as string,
    keyWith: async (authorization: string, at: TestService = t) =>
      (
        await at
          .http()
          .post('/admin/api-keys')
          .set('Authorization', authorization)
          .send({ name: 'child' })
      ).body.key as string,
    login: async (email: string, applicationId?: string) =>
      (
        await t
          .http()
          .post('/api/login')
          .send({ loginId: email, password: PASSWORD, applicationId })
      ).body as { token: string; refreshToken: string; refreshTokenId: string },
    idOf: async (token: string) => (await t.store.tokens.findByJti(jtiOf(token)))[0]?.id ?? 'none',
    async close() {
      await deaf.close();
      await t.close();
    },
  };
}
