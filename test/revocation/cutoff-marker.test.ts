/** Marking behind the request: it goes on after a failure and after a restart in the middle, and it never holds up a stop. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { REPORT_NOTHING } from '../../src/audit/report.js';
import { unavailable } from '../../src/errors.js';
import { createLogger } from '../../src/observability/logger.js';
import { createCutoffMarker } from '../../src/revocation/cutoff-marker.js';
import type { Cutoff } from '../../src/store/cutoffs/cutoffs.js';
import { type NewTokenRecord, newTokenRecord } from '../../src/store/records.js';
import { jtiOf, START, startTestService } from '../support/harness.js';

const cutoff: Cutoff = {
  userId: null,
  applicationId: 'app',
  sessionsOnly: true,
  at: new Date(START),
  by: 'x',
  reason: 'test',
  via: 'test',
};

it('survives a restart in the middle: what was marked stays as it is, the rest follows', async () => {
  const t = await startTestService();
  const session = (i: number, more: Partial<NewTokenRecord> = {}) =>
    newTokenRecord({
      jti: `session-${i}`,
      kind: 'refresh',
      origin: 'fusionauth',
      issuer: t.config.tokenIssuer,
      subject: 'u',
      audience: 'app',
      userId: `user-${i % 7}`,
      applicationId: 'app',
      issuedAt: new Date(START - 1000 + (i % 1000)),
      expiresAt: new Date(START + 3_600_000),
      ...more,
    });
  const count = 1700;
  await Promise.all(Array.from({ length: count }, (_, i) => t.store.tokens.insert(session(i))));
  const others = [
    session(-1, { applicationId: 'other' }),
    session(-2, { issuedAt: new Date(START + 1) }),
    session(-3, { kind: 'access' }),
  ];
  await Promise.all(others.map((record) => t.store.tokens.insert(record)));
  await t.store.cutoffs.raise(cutoff);
  const unmarked = async () => {
    const [all, revoked] = await Promise.all(
      [{}, { state: 'revoked' as const }].map((more) =>
        t.store.tokens.count({ userIds: null, applicationId: 'app', ...more }),
      ),
    );
    return (all?.count ?? 0) - (revoked?.count ?? 0);
  };

  // One batch, and no more: as if it had been killed.
  for await (const marked of t.store.tokens.markRevoked(cutoff)) {
    expect(marked).toBeGreaterThan(0);
    break;
  }
  const before = await unmarked();
  expect(before).toBeGreaterThan(2);
  expect(before).toBeLessThan(count + 2);

  const restarted = await t.sibling();
  restarted.service.marker.wake();
  await restarted.service.marker.idle();
  expect(await unmarked()).toBe(2);
  expect(await t.store.cutoffs.pending()).toEqual([]);
  expect(restarted.log()).toContain(`"total":${before - 2},`);
  const records = await Promise.all(
    [0, 1, count - 1].map((i) => t.store.tokens.findByJti(`session-${i}`)),
  );
  for (const [record] of records)
    expect(record?.revocation).toEqual({ at: cutoff.at, by: 'x', reason: 'test', via: 'test' });
  for (const { jti } of others)
    expect((await t.store.tokens.findByJti(jti))[0]?.revocation).toBeNull();
  await restarted.close();
  await t.close();
});

it.each([
  ['while others of the same read are marked', 0],
  ['in the middle of its own marking', 1],
])('marks nothing that was issued after its cut-off was lowered: %s', async (_name, batches) => {
  const t = await startTestService();
  t.clock.now += 1_200_000;
  const { id: userId } = await t.createUser('bob@example.com');
  const scope = { userId, applicationId: null };
  const at = new Date('2099-01-01');
  await t.store.cutoffs.raise({ ...cutoff, ...scope, sessionsOnly: false, at });
  const before = await t.signIn('bob@example.com');
  const lowered = { jti: '' };
  async function lower(): Promise<void> {
    const now = new Date(t.clock.now);
    await t.store.cutoffs.lower(scope, { beyond: new Date(t.clock.now + 300_000), at: now });
    t.clock.now += 1000;
    lowered.jti = jtiOf(await t.signIn('bob@example.com'));
  }
  const { pending } = t.store.cutoffs;
  const { markRevoked } = t.store.tokens;
  if (batches === 0) {
    jest.spyOn(t.store.cutoffs, 'pending').mockImplementationOnce(async () => {
      const found = await pending();
      await lower();
      return found;
    });
  } else {
    jest.spyOn(t.store.tokens, 'markRevoked').mockImplementationOnce(async function* (asked) {
      yield 0;
      yield* markRevoked(asked);
    });
    const { matching } = t.store.cutoffs;
    jest
      .spyOn(t.store.cutoffs, 'matching')
      .mockImplementationOnce(matching)
      .mockImplementationOnce(async (...asked) => {
        await lower();
        return matching(...asked);
      });
  }
  t.service.marker.wake();
  await t.service.marker.idle();
  const [old] = await t.store.tokens.findByJti(jtiOf(before));
  const [fresh] = await t.store.tokens.findByJti(lowered.jti);
  expect([old?.revocation, fresh?.revocation]).toEqual([expect.any(Object), null]);
  expect(await t.store.cutoffs.pending()).toEqual([]);
  await t.close();
});

describe('on timers that the test moves', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: START });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function startMarker(markRevoked: () => AsyncIterable<number>) {
    let pending = [cutoff];
    const marker = createCutoffMarker({
      report: REPORT_NOTHING,
      store: {
        tokens: { markRevoked },
        cutoffs: {
          pending: () => Promise.resolve(pending),
          matching: () => Promise.resolve([cutoff]),
          setMarked() {
            pending = [];
            return Promise.resolve();
          },
        },
      } as never,
      log: createLogger({ level: 'silent' }),
    });
    return { marker, isPending: () => pending.length > 0 };
  }

  it('goes on by itself after a failure, until all is marked', async () => {
    let runs = 0;
    const { marker, isPending } = startMarker(async function* () {
      runs += 1;
      yield 1;
      if (runs < 3) throw unavailable('no answer');
    });
    marker.wake();
    await marker.idle();
    expect([runs, isPending()]).toEqual([1, true]);
    await jest.advanceTimersByTimeAsync(5000);
    expect([runs, isPending()]).toEqual([2, true]);
    await jest.advanceTimersByTimeAsync(5000);
    expect([runs, isPending(), jest.getTimerCount()]).toEqual([3, false, 0]);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(runs).toBe(3);
  });

  it('is not tried again after a stop', async () => {
    let runs = 0;
    const { marker } = startMarker(async function* () {
      runs += 1;
      yield* [];
      throw unavailable('no answer');
    });
    marker.wake();
    await marker.idle();
    await marker.stop();
    await jest.advanceTimersByTimeAsync(60_000);
    expect([runs, jest.getTimerCount()]).toEqual([1, 0]);
  });

  it('holds up a stop for two seconds at most', async () => {
    const { marker, isPending } = startMarker(async function* () {
      yield 1;
      await new Promise<never>(() => undefined);
    });
    marker.wake();
    await jest.advanceTimersByTimeAsync(0);
    let stopped = false;
    const stopping = marker.stop().then(() => (stopped = true));
    await jest.advanceTimersByTimeAsync(1999);
    expect(stopped).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await stopping;
    expect(isPending()).toBe(true);
  });
});
