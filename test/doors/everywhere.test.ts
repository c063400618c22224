/** Revoked at whichever door of one instance: when that is answered, the other instance refuses it too, and the answer says so. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type request from 'supertest';
import {
  freshDatabase,
  jtiOf,
  PASSWORD,
  startTestService,
  type TestService,
} from '../support/harness.js';
import { actsOf, type ActTarget } from '../support/late-acts.js';
import { asksWho, CHANGING, routesOf } from '../support/routes.js';

/** Unset, as for operators: no lease, no answer. */
const SETTINGS = {
  STALE_AFTER: '',
  LEASE: '20s',
  SIGN_IN_ATTEMPTS: '100000',
  REFRESH_TOKEN_GRACE: '0',
};
const BOTH = /^instances=2; confirmed=2; expired=0; wait=\d+ms$/;
const database = freshDatabase();
let here: TestService;
let there: TestService;
let root: string;

beforeAll(async () => {
  here = await startTestService(SETTINGS, database);
  there = await here.sibling();
  await here.service.follower.start();
  await there.service.follower.start();
  await here.createUser('root@example.com', 'admin');
  root = await here.signIn('root@example.com');
});
afterAll(async () => {
  await there.close();
  await here.close();
});

let serial = 0;
const newName = () => `name-${(serial += 1)}`;
const newEmail = () => `${newName()}@example.com`;
const ACTS = actsOf({ newName, newEmail, now: () => here.clock.now, password: PASSWORD });

interface Target extends ActTarget {
  readonly email: string;
  readonly sessionToken: string;
}

async function makeTarget(): Promise<Target> {
  const email = newEmail();
  const user = await here.createUser(email);
  const { body: login } = await here
    .http()
    .post('/api/login')
    .send({ loginId: email, password: PASSWORD });
  const minted = await here
    .http()
    .get('/v1/token')
    .set('Authorization', `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}`);
  const token = String(minted.body.token);
  const [record] = await here.store.tokens.findByJti(jtiOf(token));
  return {
    email,
    aheadId: 'none',
    userId: user.id,
    refreshToken: String(login.refreshToken),
    refreshTokenId: String(login.refreshTokenId),
    sessionToken: String(login.token),
    jti: jtiOf(token),
    recordId: String(record?.id),
    token,
  };
}

const propagationOf = (answer: request.Response) => answer.get('revocation-propagation');
const verify = async (at: TestService, token: string) =>
  (await at.http().get('/auth/verify').set('Authorization', `Bearer ${token}`)).status;
const goodAt = async (at: TestService, { token, sessionToken }: Target) =>
  Promise.all([verify(at, token), verify(at, sessionToken)]);

/** Those that take nothing back. The dashboard's own session needs a cookie: below. */
const REVOKE_NOTHING = new Set([
  'POST /admin/api-keys',
  'POST /admin/inspect',
  'POST /admin/revocations/preview',
  'POST /admin/cutoffs/lower',
  'POST /admin/users',
  'POST /admin/users/:id/enable',
  'DELETE /admin/session',
  'POST /v3/jwt/history',
  'POST /jwt/history',
]);

/** Its answer begins before the first revoke, and tells of them line by line. */
const ANSWERS_BEFORE = new Set(['POST /admin/revocations']);

describe('a revoke', () => {
  it('at any door is in force at the other instance when it is answered', async () => {
    const routes = routesOf(here.service.app).filter(
      (route) => CHANGING.has(route.method) && asksWho(route),
    );
    const revoking: string[] = [];
    for (const { method, path } of routes) {
      const name = `${method} ${path}`;
      const act = ACTS[name];
      // The late bodies' test wants one for each route.
      if (act === undefined) continue;
      const target = await makeTarget();
      expect(await goodAt(there, target)).toEqual([204, 204]);
      const acted = act(target);
      const verb = method === 'POST' ? 'post' : 'delete';
      const client = here.http();
      const answer = await client[verb](acted.path ?? path)
        .set('Authorization', root)
        .send(acted.body);
      const [atOther, atOwn] = [await goodAt(there, target), await goodAt(here, target)];
      expect({ name, atOther }).toEqual({ name, atOther: atOwn });
      if (REVOKE_NOTHING.has(name)) {
        expect({ name, statuses: atOwn }).toEqual({ name, statuses: [204, 204] });
        continue;
      }
      revoking.push(name);
      expect({ name, status: answer.status < 300 }).toEqual({ name, status: true });
      expect({ name, refused: atOther.includes(401) }).toEqual({ name, refused: true });
      expect({ name, said: propagationOf(answer) }).toEqual({
        name,
        said: ANSWERS_BEFORE.has(name) ? undefined : expect.stringMatching(BOTH),
      });
    }
    expect(revoking.length).toBeGreaterThan(15);
  });

  it('of a session whose used refresh token comes again is, too', async () => {
    const target = await makeTarget();
    const exchange = (at: TestService) =>
      at.http().post('/api/jwt/refresh').send({ refreshToken: target.refreshToken });
    const { body } = await exchange(here).expect(200);
    expect(await verify(there, String(body.token))).toBe(204);
    const again = await exchange(here);
    expect([again.status, propagationOf(again)]).toEqual([400, expect.stringMatching(BOTH)]);
    expect([
      await verify(there, String(body.token)),
      await verify(here, String(body.token)),
    ]).toEqual([401, 401]);
  });

  it('by signing out is, too', async () => {
    const target = await makeTarget();
    const answer = await here
      .http()
      .post('/api/logout')
      .send({ refreshToken: target.refreshToken })
      .expect(200);
    expect(propagationOf(answer)).toMatch(BOTH);
    expect(await verify(there, target.sessionToken)).toBe(401);
  });

  it('that hits nothing, or is none, says nothing of instances', async () => {
    const missing = await here
      .http()
      .delete('/v3/jwt/history/id/65f000000000000000000000')
      .set('Authorization', root);
    expect([missing.status, propagationOf(missing)]).toEqual([404, undefined]);
    expect(propagationOf(await here.http().get('/healthz'))).toBeUndefined();
  });
});

describe('a password that is changed', () => {
  it('is not taken any more by an instance that remembered it', async () => {
    const { email, userId } = await makeTarget();
    const signInThere = async (password: string) =>
      (
        await there
          .http()
          .get('/v3/jwt/history')
          .set('Authorization', `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`)
      ).status;
    expect(await signInThere(PASSWORD)).toBe(200);
    await here
      .http()
      .post(`/admin/users/${userId}/password`)
      .set('Authorization', root)
      .send({ password: `${PASSWORD}!` })
      .expect(204);
    expect([await signInThere(PASSWORD), await signInThere(`${PASSWORD}!`)]).toEqual([401, 200]);
  });
});

describe('what only the database knows', () => {
  it('as who revoked it died, is refused by all once one refuses it', async () => {
    const target = await makeTarget();
    expect(await goodAt(there, target)).toEqual([204, 204]);
    // Durable, and nobody was told.
    await here.store.tokens.revoke(target.recordId, {
      at: new Date(here.clock.now),
      by: 'one who died',
      reason: null,
      via: 'test',
      requestId: 'none',
    });
    await here.service.sync.refresh();
    expect([await verify(here, target.token), await verify(there, target.token)]).toEqual([
      401, 401,
    ]);
  });
});
