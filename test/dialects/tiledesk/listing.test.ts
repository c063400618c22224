/** Tiledesk's list: who sees and revokes whose tokens, filters and pages. */
import { afterAll, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { COUNT_CAP } from '../../../src/store/tokens/query/filter.js';
import { createJti } from '../../../src/tokens/jti.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  START,
  startTestService,
  testMongodbUri,
} from '../../support/harness.js';
import { newRecord } from '../../support/store-conformance.js';
import { jtisOf, startHistory } from './history.js';

const { t, alice, bob, admin, list, revoke, close } = await startHistory();
afterAll(close);

describe('whose tokens', () => {
  it("neither shows nor revokes somebody else's, and answers as if they did not exist", async () => {
    const a = await t.signIn('alice@example.com');
    const b = await t.signIn('bob@example.com');
    const bobs = (await list(b)).body.jwts[0];
    const attempts = [
      [`/v3/jwt/history/${bobs.jti}`, `/v3/jwt/history/${createJti(START)}`],
      [`/v2/jwt/history/${bobs.jti}`, `/v2/jwt/history/${createJti(START)}`],
      [`/jwt/history/${bobs.jti}`, `/jwt/history/${createJti(START)}`],
      [`/v3/jwt/history/id/${bobs._id}`, '/v3/jwt/history/id/0123456789abcdef01234567'],
      [`/v1/jwt/history/${bobs.jti}`, `/v1/jwt/history/${createJti(START)}`],
      [`/v1/jwt/history/id/${bobs._id}`, '/v1/jwt/history/id/0123456789abcdef01234567'],
    ] as const;
    for (const [theirs, nobodys] of attempts) {
      const send = (path: string) =>
        t.http().delete(path).set('Authorization', a).set('Content-Type', 'application/json');
      const [mine, none] = [await send(theirs), await send(nobodys)];
      expect([mine.status, none.status]).toEqual([404, 404]);
      expect(mine.text).toBe(none.text);
      expect(mine.text).not.toContain(bob.id);
    }
    for (const query of [`?userId=${bob.id}`, '?userId=*', '?search=a', '?state=active']) {
      const response = await list(a, query);
      expect(response.status).toBe(400);
      expect(response.body.errors[0].message).toBe('is not a parameter here.');
      expect(response.text).not.toContain(bobs.jti);
    }
    expect(jtisOf((await list(a)).body)).not.toContain(bobs.jti);
    expect((await list(b)).status).toBe(200);
  });

  it("keeps one issuer's jti apart from the same jti of another", async () => {
    const shared = `shared-${createJti(START)}`;
    const alices = mint({ jti: shared, iss: 'https://a.example', _id: alice.id });
    const bobs = mint({ jti: shared, iss: 'https://b.example', _id: bob.id });
    expect((await list(bobs)).status).toBe(200);
    expect((await revoke(alices, shared)).status).toBe(200);
    expect((await list(alices)).status).toBe(401);
    expect((await list(bobs)).status).toBe(200);
  });

  it('asks at every revoke whether the caller is an administrator', async () => {
    const database = freshDatabase();
    const own = await startTestService({}, database);
    const revokeAt = (token: string, jti: string) =>
      own.http().delete(`/v3/jwt/history/${jti}`).set('Authorization', token);
    await Promise.all([
      own.createUser('former@example.com', 'admin'),
      own.createUser('bob@example.com'),
    ]);
    const token = await own.signIn('former@example.com');
    const one = await own.signIn('bob@example.com');
    const two = await own.signIn('bob@example.com');
    expect((await revokeAt(token, jtiOf(one))).status).toBe(200);
    const direct = await mongoose
      .createConnection(testMongodbUri(), { dbName: database })
      .asPromise();
    const email = 'former@example.com';
    await direct.collection('users').updateOne({ email }, { $set: { role: null } });
    await direct.close();
    expect((await revokeAt(token, jtiOf(two))).status).toBe(404);
    const checked = await own.http().get('/auth/verify').set('Authorization', two);
    expect(checked.status).toBe(204);
    // Their own is theirs all the same.
    expect((await revokeAt(token, jtiOf(token))).status).toBe(200);
    await own.close();
  });

  it('lets an administrator list and revoke everyone’s', async () => {
    const root = await t.signIn('root@example.com');
    const b = await t.signIn('bob@example.com');
    expect(jtisOf((await list(root, `?userId=${bob.id}`)).body)).toContain(jtiOf(b));
    expect(jtisOf((await list(root, '?userId=*&limit=100')).body)).toEqual(
      expect.arrayContaining([jtiOf(b), jtiOf(root)]),
    );
    expect(jtisOf((await list(root)).body)).not.toContain(jtiOf(b));
    const revoked = await revoke(root, jtiOf(b));
    expect(revoked.body).toMatchObject({ userId: bob.id, revokedBy: admin.id });
    expect((await list(b)).status).toBe(401);
  });

  it('filters by state, kind, application and search', async () => {
    const root = await t.signIn('root@example.com');
    const carol = await t.createUser('carol@example.com');
    const keep = await t.signIn('carol@example.com');
    const gone = await t.signIn('carol@example.com');
    await revoke(keep, jtiOf(gone));
    const of = async (query: string) =>
      jtisOf((await list(root, `?userId=${carol.id}&${query}`)).body);
    expect(await of('state=revoked')).toEqual([jtiOf(gone)]);
    expect(await of('state=active')).toEqual([jtiOf(keep)]);
    expect(await of('state=expired')).toEqual([]);
    expect(await of('kind=refresh')).toEqual([]);
    expect(await of('kind=access')).toHaveLength(2);
    expect(await of('applicationId=none')).toEqual([]);
    expect(await of(`search=${jtiOf(keep).slice(0, 30)}`)).toEqual([jtiOf(keep)]);
    const searched = await list(root, `?userId=*&search=${carol.id}`);
    expect(jtisOf(searched.body).toSorted()).toEqual([jtiOf(gone), jtiOf(keep)].toSorted());
  });
});

describe('pages', () => {
  it('neither repeats nor skips, in any sort, and breaks ties', async () => {
    const user = await t.createUser('pages@example.com');
    const token = await t.signIn('pages@example.com');
    for (let i = 0; i < 12; i += 1) {
      await t.store.tokens.insert({
        ...newRecord('page'),
        userId: user.id,
        jti: `page-${String(i).padStart(2, '0')}`,
        lastUsedAt: i % 3 === 0 ? null : new Date(START + (i % 3)),
        expiresAt: i % 2 === 0 ? null : new Date(START + 1e9 * i),
      });
    }
    for (const sort of [
      'createdAt',
      'updatedAt',
      'issuedAt',
      'expiresAt',
      'lastUsedAt',
      'revokedAt',
      'jti',
    ]) {
      const orders: string[][] = [];
      for (const direction of ['1', '-1']) {
        const seen: string[] = [];
        for (let page = 0; page < 5; page += 1) {
          const { body } = await list(
            token,
            `?page=${page}&limit=3&sortField=${sort}&direction=${direction}`,
          );
          expect(body).toMatchObject({ page, perPage: 3, count: 13 });
          seen.push(...jtisOf(body));
        }
        expect(new Set(seen).size).toBe(13);
        expect(seen).toHaveLength(13);
        orders.push(seen);
      }
      expect(orders[1]).toEqual(orders[0]?.toReversed());
    }
    const [byAlias, byDefault] = [await list(token, '?sort=createdAt'), await list(token)];
    expect(byAlias.body).toEqual(byDefault.body);
    expect(jtisOf((await list(token, '?page=9')).body)).toEqual([]);
  });

  it('serves the default sort from its index: no collection scan, no sort in memory', async () => {
    const page = { sortField: 'createdAt', direction: -1, skip: 0, limit: 40 } as const;
    for (const userIds of [[alice.id], null]) {
      const plan = JSON.stringify(await t.store.tokens.explain({ userIds }, page));
      expect(plan).toContain('IXSCAN');
      expect(plan).not.toContain('COLLSCAN');
      expect(plan).not.toMatch(/"stage":"SORT"/);
    }
  });

  it('says when a count is an estimate', async () => {
    const root = await t.signIn('root@example.com');
    expect((await list(root, '?userId=*')).body.countIs).toBe('estimate');
    expect((await list(root, '?userId=*&kind=access')).body.countIs).toBe('exact');
    expect(COUNT_CAP).toBe(10_000);
  });
});
