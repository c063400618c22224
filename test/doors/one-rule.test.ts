/** One rule says what is still good: in memory, in the database, and in the lists. */
import mongoose from 'mongoose';
import { afterAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { hitBy } from '../../src/store/cutoffs/filter.js';
import { createJti } from '../../src/tokens/jti.js';
import { cutoffSubjectOf, isCutOff, isInScope } from '../../src/tokens/state.js';
import { freshDatabase, testMongodbUri } from '../support/harness.js';
import { newEmail, newName, startFamilies } from './families.js';

const { t, root, verify, login, close } = await startFamilies();
afterAll(close);

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
    const userId = newName('foreign-user');
    const jti = newName('seen-late');
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
