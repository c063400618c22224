/** Four instances on one database, two of them without a grace, that open sessions and exchange refresh tokens. */
import type { Session } from '../../src/tokens/exchange.js';
import { freshDatabase, startTestService, type TestService } from '../support/harness.js';
import { noDevice, sessionOf, type TriedSessions } from '../support/sessions.js';

export async function startExchanges() {
  const database = freshDatabase();
  const t = await startTestService({}, database);
  const [t2, strict, strict2] = await Promise.all([
    t.sibling(),
    t.sibling({ REFRESH_TOKEN_GRACE: '0' }),
    t.sibling({ REFRESH_TOKEN_GRACE: '0' }),
  ]);
  const alice = await t.createUser('alice@example.com');
  await t.createUser('root@example.com', 'admin');
  const bearer = await t.signIn('root@example.com');
  const made = await t
    .http()
    .post('/admin/api-keys')
    .set('Authorization', bearer)
    .send({ name: 'tests' });
  const apiKey: string = made.body.key;

  return {
    database,
    t,
    t2,
    strict,
    strict2,
    alice,
    bearer,
    apiKey,
    open: (user = alice) => t.service.sessions.open(sessionOf(user)),
    exchange: (refreshToken: string, at: TestService = t) =>
      at.http().post('/api/jwt/refresh').send({ refreshToken }),
    isAccepted: async (token: string) =>
      (await t.service.checkToken(token, () => noDevice)).accepted,
    revocationOf: async ({ refreshTokenId }: Session) =>
      (await t.store.tokens.findByJti(refreshTokenId))[0]?.revocation,
    accessTokensOf: async ({ refreshTokenId }: Session) =>
      (
        await t.store.tokens.search(
          { userIds: null, sessionId: refreshTokenId },
          { sortField: 'createdAt', direction: 1, limit: 100, from: null, backwards: false },
        )
      ).records.length,
    close: () => Promise.all([t, t2, strict, strict2].map((one) => one.close())),
    /** To be called after each test: not in the millisecond of a cut-off. */
    moveOn() {
      t.clock.now += 1;
    },
  };
}

/** @throws when nothing was given for it. */
export async function exchanged(sessions: Pick<TriedSessions, 'exchange'>, refreshToken: string) {
  const result = await sessions.exchange(refreshToken, null);
  if (result.outcome !== 'exchanged') throw new Error(`the exchange was ${result.outcome}`);
  return result.session;
}
