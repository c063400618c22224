/** How much a bulk revoke says that it hit; and what FusionAuth's dialect answers about users and applications that nobody knows. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import * as fc from 'fast-check';
import { REPORT_NOTHING } from '../../src/audit/report.js';
import type { WireBulkLine, WireCutoffDone, WireMatched } from '../../src/dashboard/wire.js';
import { unavailable } from '../../src/errors.js';
import { createLogger } from '../../src/observability/logger.js';
import { createMatchedCount } from '../../src/revocation/matched.js';
import { createRevoker } from '../../src/revocation/revoke.js';
import { toFusionAuthId } from '../../src/store/user-uuid.js';
import type { NewTokenRecord, User } from '../../src/store/records.js';
import type { TokenStore } from '../../src/store/tokens/tokens.js';
import { createJti } from '../../src/tokens/jti.js';
import { PASSWORD, START, startTestService, type TestService } from '../support/harness.js';
import { newRecord } from '../support/store-conformance.js';

const NOTHING: WireMatched = { tokens: 0, users: 0, applications: 0 };
const HOUR = 3_600_000;
const device = {
  name: null,
  description: null,
  type: null,
  userAgent: null,
  ip: null,
  location: null,
};
const log = createLogger({ level: 'silent' });

let t: TestService;
/** By password, so that no cut-off hits the caller. */
const root = `Basic ${Buffer.from(`root@example.com:${PASSWORD}`).toString('base64')}`;
let made = 0;

beforeAll(async () => {
  t = await startTestService();
  await t.createUser('root@example.com', 'admin');
});
afterAll(() => t.close());

const insert = (more: Partial<NewTokenRecord>) => {
  made += 1;
  const whenever = { expiresAt: null, purgeAt: null, issuedAt: new Date(t.clock.now - 1000) };
  return t.store.tokens.insert(newRecord(`token-${made}`, { ...whenever, ...more }));
};
const cutOff = async (body: object): Promise<WireCutoffDone> => {
  const response = await t
    .http()
    .post('/admin/cutoffs')
    .set('Authorization', root)
    .send({ reason: 'rotated', ...body });
  expect(response.status).toBe(201);
  return response.body as WireCutoffDone;
};
const revoke = (query: Record<string, string>, body: object = {}, authorization = root) =>
  t
    .http()
    .delete(`/api/jwt/refresh?${new URLSearchParams(query).toString()}`)
    .set('Authorization', authorization)
    .send(body);
const open = (user: User, applicationId: string | null) =>
  t.service.sessions.open({ user, applicationId, device });
const isAccepted = async (token: string) =>
  (await t.service.checkToken(token, () => device)).accepted;

describe('a cut-off', () => {
  it('counts tokens, their holders and their applications, once', async () => {
    await insert({ userId: 'ann', applicationId: 'shop' });
    await insert({ userId: 'ann', applicationId: null });
    await insert({ userId: 'bob', applicationId: 'shop' });
    await insert({ userId: null, applicationId: 'shop', kind: 'refresh' });
    await insert({ userId: 'ann', applicationId: 'blog', kind: 'api-key' });
    expect(await cutOff({ userId: 'bob', applicationId: 'shop' })).toMatchObject({
      matched: { tokens: 1, users: 1, applications: 1 },
    });
    expect((await cutOff({ userId: 'ann' })).matched).toEqual({
      tokens: 3,
      users: 1,
      applications: 2,
    });
    expect((await cutOff({ applicationId: 'shop' })).matched).toEqual({
      tokens: 1,
      users: 0,
      applications: 1,
    });
    t.clock.now += 1;
    for (const again of [{ userId: 'ann' }, { applicationId: 'shop' }, { everything: true }])
      expect((await cutOff(again)).matched).toEqual(NOTHING);
  });

  it('does not count what was revoked or had expired, nor what is younger', async () => {
    t.clock.now += 10_000;
    const at = new Date(t.clock.now);
    await insert({ userId: 'cleo', expiresAt: at });
    await insert({ userId: 'cleo', expiresAt: new Date(t.clock.now + 1) });
    await insert({ userId: 'cleo', issuedAt: at });
    await insert({ userId: 'cleo', revocation: { at, by: 'x', reason: null, via: 'test' } });
    const body = { userId: 'cleo', before: at.toISOString() };
    expect((await cutOff(body)).matched).toEqual({ tokens: 1, users: 1, applications: 0 });
    expect((await cutOff(body)).matched).toEqual(NOTHING);
    expect((await cutOff({ userId: 'cleo' })).matched?.tokens).toBe(1);
  });

  it.each([
    [{ userId: 'nobody' }],
    [{ userId: 'a'.repeat(24) }],
    [{ applicationId: 'no-such' }],
    [{ userId: 'nobody', applicationId: 'no-such' }],
  ])('of %j is set, and says that it hit nothing', async (scope) => {
    expect(await cutOff(scope)).toMatchObject({ ...scope, matched: NOTHING });
    const late = await insert({ userId: null, applicationId: null, ...scope });
    expect(t.service.index.cutoffOf(late).any).toBeGreaterThan(-Infinity);
  });

  it('says as much as a model, whatever was revoked before and however far its marking is', async () => {
    interface Modelled {
      readonly userId: string | null;
      readonly applicationId: string | null;
      readonly isSession: boolean;
      readonly bornAt: number;
      readonly isGood: boolean;
      isRefused: boolean;
    }
    const tokens: Modelled[] = [];
    let run = 0;
    const offset = fc.integer({ min: -5, max: 5 }).map((n) => n * 1000);
    const anyToken = fc.record({
      user: fc.constantFrom('a', 'b', null),
      application: fc.constantFrom('x', 'y', null),
      kind: fc.constantFrom('access', 'refresh'),
      /** The beginning of its session; null = none. */
      session: fc.option(offset),
      issued: fc.option(offset),
      expires: fc.constantFrom(null, -1, 0, HOUR, 2 * HOUR),
    });
    const anyCutoff = fc.record({
      user: fc.constantFrom('a', 'b', 'unknown', null),
      application: fc.constantFrom('x', 'y', 'unknown', null),
      before: fc.option(fc.integer({ min: -7, max: 0 }).map((n) => n * 1000)),
      sessionsOnly: fc.boolean(),
    });

    await t.service.marker.idle();
    await cutOff({ everything: true });
    t.clock.now += HOUR;
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyToken, { maxLength: 8 }),
        fc.array(anyCutoff, { minLength: 1, maxLength: 4 }),
        async (given, cutoffs) => {
          run += 1;
          t.clock.now += 20_000;
          const named = (name: string | null) => (name === null ? null : `${name}-${run}`);
          for (const each of given) {
            const time = (ms: number) => t.clock.now + ms;
            const issuedAt = each.issued === null ? null : time(each.issued);
            const record = await insert({
              userId: named(each.user),
              applicationId: named(each.application),
              kind: each.kind,
              sessionId: each.session === null ? null : createJti(time(each.session)),
              issuedAt: issuedAt === null ? null : new Date(issuedAt),
              expiresAt: each.expires === null ? null : new Date(time(each.expires)),
            });
            tokens.push({
              userId: record.userId,
              applicationId: record.applicationId,
              isSession: each.kind === 'refresh' || each.session !== null,
              bornAt: Math.min(
                issuedAt ?? -Infinity,
                each.session === null ? Infinity : time(each.session),
              ),
              isGood: each.expires === null || each.expires > 0,
              // One that doesn't say its age is refused by whatever was in force: here, everything.
              isRefused: issuedAt === null,
            });
          }
          for (const { user, application, before, sessionsOnly } of cutoffs) {
            const [userId, applicationId] = [named(user), named(application)];
            const scope = {
              ...(userId === null ? {} : { userId }),
              ...(applicationId === null ? {} : { applicationId }),
            };
            const isEverything = userId === null && applicationId === null;
            const within = (token: Modelled) =>
              (userId === null || token.userId === userId) &&
              (applicationId === null || token.applicationId === applicationId);
            if (sessionsOnly && !isEverything) {
              const isKnown =
                (userId === null || tokens.some((token) => token.userId === userId)) &&
                (applicationId === null ||
                  tokens.some((token) => token.applicationId === applicationId));
              expect((await revoke(scope)).status).toBe(isKnown ? 200 : 404);
              // It reaches as far as the newest token that is recorded.
              for (const token of tokens.filter(within)) token.isRefused ||= token.isSession;
              t.clock.now += 7000;
              continue;
            }
            const { at, matched } = await cutOff({
              ...(isEverything ? { everything: true } : scope),
              ...(before === null ? {} : { before: new Date(t.clock.now + before).toISOString() }),
            });
            const hit = tokens.filter(
              (token) => within(token) && !token.isRefused && token.bornAt <= Date.parse(at),
            );
            const good = hit.filter(({ isGood }) => isGood);
            const distinct = (field: 'userId' | 'applicationId') =>
              new Set(good.flatMap((token) => token[field] ?? [])).size;
            expect(matched).toEqual({
              tokens: good.length,
              users: distinct('userId'),
              applications: distinct('applicationId'),
            });
            for (const token of hit) token.isRefused = true;
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('counts the same when a refresh reads the cut-off before its own request knows of it', async () => {
    await insert({ userId: 'refreshed' });
    const { newestIssuedAt } = t.store.tokens;
    const spied = jest.spyOn(t.store.tokens, 'newestIssuedAt');
    // The second time it is asked, the cut-off is written.
    spied.mockImplementationOnce(newestIssuedAt).mockImplementationOnce(async (...asked) => {
      await t.service.sync.refresh();
      return newestIssuedAt(...asked);
    });
    const { matched } = await cutOff({ userId: 'refreshed' });
    expect(spied).toHaveBeenCalledTimes(2);
    spied.mockRestore();
    expect(matched).toEqual({ tokens: 1, users: 1, applications: 0 });
  });

  it('stops counting at its limit, and says so', async () => {
    for (const userId of ['l-1', 'l-2', 'l-3', 'l-4'])
      await insert({ userId, applicationId: 'limited' });
    const { cutoffs, tokens } = t.store;
    const { index } = t.service;
    const at = new Date(t.clock.now);
    const scope = { userId: null, applicationId: 'limited', sessionsOnly: false };
    const cutoff = await cutoffs.raise({ ...scope, at, by: 'x', reason: null, via: 'test' });
    const count = async (most: number) =>
      createMatchedCount({ tokens, index, log, most })(cutoff, index.cutoffOf(scope));
    expect(await count(3)).toEqual({ tokens: 3, users: 3, applications: 1, isLowerBound: true });
    expect(await count(4)).toEqual({ tokens: 4, users: 4, applications: 1 });
  });

  it('is durable and in force before anything is counted, and answered whatever comes of the count', async () => {
    const scope = { userId: 'uncounted', applicationId: null, sessionsOnly: false };
    const record = await insert({ userId: scope.userId });
    const { marker, index } = t.service;
    let seen = 0;
    const revokerWith = (hitCandidates: TokenStore['hitCandidates']) =>
      createRevoker({
        report: REPORT_NOTHING,
        ownIssuer: t.config.tokenIssuer,
        store: { ...t.store, tokens: { ...t.store.tokens, hitCandidates } },
        marker,
        index,
        clock: () => t.clock.now,
        log,
        propagate: t.service.propagate,
      });
    const context = { by: 'x', via: 'test', reason: null, requestId: 'uncounted' };
    for (const [error, batches, matched] of [
      [unavailable('It does not answer.'), 0, null],
      [new TypeError('a mistake of ours'), 0, null],
      [
        unavailable('It broke off.'),
        2,
        { tokens: 2, users: 1, applications: 0, isLowerBound: true },
      ],
    ] as const) {
      t.clock.now += 1;
      const at = new Date(t.clock.now);
      const revoker = revokerWith(async function* fail() {
        seen += 1;
        expect(index.cutoffOf(scope).any).toBe(at.getTime());
        expect(await t.store.cutoffs.all()).toContainEqual(
          expect.objectContaining({ at, ...scope }),
        );
        for (let i = 0; i < batches; i += 1) yield [{ ...record, issuedAt: at }];
        throw error;
      });
      expect(await revoker.revokeScopeCounted(scope, context)).toEqual({ at, matched });
    }
    expect(seen).toBe(3);
  });

  it('counts within the time that it has, or says that it could not', async () => {
    await insert({ userId: 'slow' });
    const { index } = t.service;
    const scope = { userId: 'slow', applicationId: null, sessionsOnly: false };
    const cutoff = { ...scope, at: new Date(t.clock.now), by: 'x', reason: null, via: 'test' };
    const tokens = {
      hitCandidates: (asked: typeof cutoff) => t.store.tokens.hitCandidates(asked, { withinMs: 0 }),
    };
    const count = createMatchedCount({ tokens, index, log });
    expect(await count(cutoff, index.cutoffOf(scope))).toBeNull();
  });
});

describe('a bulk revoke', () => {
  it('says what its selection held, and that it held nothing', async () => {
    await insert({ userId: 'm-1', applicationId: 'many' });
    await insert({ userId: 'm-2', applicationId: 'many' });
    for (const matched of [{ tokens: 2, users: 2, applications: 1 }, NOTHING]) {
      const response = await t
        .http()
        .post('/admin/revocations')
        .set('Authorization', root)
        .send({
          selection: { filter: { applicationId: 'many' } },
          expectedCount: 2,
          asOf: new Date(t.clock.now).toISOString(),
          reason: 'rotated',
        });
      const last = JSON.parse(response.text.trim().split('\n').at(-1) ?? '') as WireBulkLine;
      expect(last).toMatchObject({ result: { matched, revoked: matched.tokens } });
    }
  });
});

describe('in FusionAuth’s dialect', () => {
  it('nobody’s id, and no application’s, is its 404, and revokes nothing: all ways to name them', async () => {
    const [holder, idle] = await Promise.all(
      ['holder@example.com', 'idle@example.com'].map((email) => t.createUser(email)),
    );
    if (!holder || !idle) throw new Error('two users were expected');
    await insert({ userId: 'f-guest', applicationId: 'f-guests', expiresAt: new Date(START) });
    const at = new Date(t.clock.now);
    await insert({
      userId: 'f-past',
      applicationId: 'f-old',
      revocation: { at, by: 'x', reason: null, via: 'test' },
    });
    const session = await open(holder, 'f-app');
    expect(await isAccepted(session.accessToken)).toBe(true);
    const users: [id: string | null, isKnown: boolean][] = [
      [null, true],
      [holder.id, true],
      [toFusionAuthId(holder.id), true],
      [idle.id, true],
      [toFusionAuthId(idle.id), true],
      ['f-guest', true],
      ['f-past', true],
      ['f-nobody', false],
      ['0'.repeat(24), false],
      [toFusionAuthId('0'.repeat(24)), false],
      ['3c219e58-ed0e-4b18-ad48-f4f92793ae32', false],
    ];
    const applications: [id: string | null, isKnown: boolean][] = [
      [null, true],
      ['f-app', true],
      ['f-guests', true],
      ['f-old', true],
      ['f-none', false],
      ['85a03867-dccf-4882-adde-1a79aeec50df', false],
    ];
    for (const [userId, isUser] of users) {
      for (const [applicationId, isApplication] of applications) {
        if (userId === null && applicationId === null) continue;
        const criteria = {
          ...(userId === null ? {} : { userId }),
          ...(applicationId === null ? {} : { applicationId }),
        };
        for (const send of [() => revoke(criteria), () => revoke({}, criteria)]) {
          t.clock.now += 1;
          const before = await t.store.cutoffs.all();
          const opened = await open(holder, 'f-app');
          t.clock.now += 1;
          const { status, text } = await send();
          const isKnown = isUser && isApplication;
          expect([criteria, status, text]).toEqual([criteria, isKnown ? 200 : 404, '']);
          const isHit =
            isKnown &&
            (userId === null || [holder.id, toFusionAuthId(holder.id)].includes(userId)) &&
            (applicationId === null || applicationId === 'f-app');
          expect([criteria, await isAccepted(opened.accessToken)]).toEqual([criteria, !isHit]);
          if (!isKnown) expect(await t.store.cutoffs.all()).toEqual(before);
        }
      }
    }
  });

  it('whoever may not revoke learns nothing about who is known', async () => {
    const user = await t.createUser('plain@example.com');
    const { accessToken } = await open(user, null);
    for (const criteria of [
      { userId: user.id },
      { userId: 'f-nobody' },
      { applicationId: 'f-none' },
    ]) {
      const { status, text } = await revoke(criteria, {}, `Bearer ${accessToken}`);
      expect([status, text]).toEqual([401, '']);
    }
  });

  it('a 404 revoked nothing and a 200 everything that was there, in races with an application’s first login', async () => {
    const user = await t.createUser('racer@example.com');
    const seen = { 200: 0, 404: 0 };
    /** Some steps of the request later: before, while or after it is asked who is known. */
    const openLater = async (applicationId: string, steps: number) => {
      for (let step = 0; step < steps; step += 1) await t.store.ping();
      return open(user, applicationId);
    };
    for (let round = 0; round < 60; round += 1) {
      const applicationId = `race-${round}`;
      t.clock.now += 2;
      const [session, { status }] = await Promise.all([
        openLater(applicationId, round % 15),
        revoke({ applicationId }),
      ]);
      const isGood = await isAccepted(session.accessToken);
      const isCutOff = t.service.index.cutoffOf({ userId: null, applicationId }).sessions > 0;
      if (status !== 200 && status !== 404) throw new Error(`it answered ${status}`);
      seen[status] += 1;
      // The clock stands still: a session that the answer could know of is not younger.
      expect([round, isGood, isCutOff]).toEqual([round, status === 404, status === 200]);
      expect((await revoke({ applicationId })).status).toBe(200);
      expect(await isAccepted(session.accessToken)).toBe(false);
    }
    expect(seen[200] + seen[404]).toBe(60);
  });
});
