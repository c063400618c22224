/** A revocation that becomes readable later than the reads of what is new reach back: repeating it, or time, brings it to every instance. */
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import mongoose, { type Connection } from 'mongoose';
import { unavailable } from '../../src/errors.js';
import { createLogger } from '../../src/observability/logger.js';
import { createReread } from '../../src/revocation/reread.js';
import type { Store } from '../../src/store/database/connect.js';
import type { Cutoff } from '../../src/store/cutoffs/cutoffs.js';
import type { RevokedEntry } from '../../src/store/tokens/revoked-entry.js';
import {
  freshDatabase,
  jtiOf,
  START,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';

describe('a revocation that was recorded long before it became readable', () => {
  const database = freshDatabase();
  let a: TestService;
  let b: TestService;
  let direct: Connection;
  let keeper: string;

  beforeAll(async () => {
    a = await startTestService({}, database);
    b = await a.sibling();
    direct = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
    await a.createUser('user@example.com');
    keeper = await a.signIn('user@example.com');
  });
  afterAll(async () => {
    await direct?.close();
    await b?.close();
    await a?.close();
  });

  const check = async ({ http }: TestService, token: string) =>
    (await http().get('/auth/verify').set('Authorization', token)).status;
  const revoke = (token: string, by = keeper) =>
    a
      .http()
      .delete(`/v3/jwt/history/${jtiOf(token)}`)
      .set('Authorization', by);
  async function stored(token: string) {
    const found = await direct
      .collection<{ revocation: { recordedAt: Date }; updatedAt: Date }>('tokens')
      .findOne({ jti: jtiOf(token) });
    if (found === null) throw new Error('a record was expected');
    return found;
  }

  /** Revoked at `a`, by a write that took an hour as far as `b` can see. */
  async function revokedLate(): Promise<string> {
    const token = await a.signIn('user@example.com');
    expect((await revoke(token)).status).toBe(200);
    await direct
      .collection('tokens')
      .updateOne(
        { jti: jtiOf(token) },
        { $set: { 'revocation.recordedAt': new Date(Date.now() - 3_600_000) } },
      );
    await b.service.sync.refresh();
    // Recorded before what the refresh reads.
    expect(await check(b, token)).toBe(204);
    return token;
  }

  it('is read by the others once it is repeated, and keeps who, when and why', async () => {
    const token = await revokedLate();
    const before = await stored(token);
    const other = await a.signIn('user@example.com');
    a.clock.now += 60_000;
    const again = await revoke(token, other);
    expect(again.status).toBe(200);
    await b.service.sync.refresh();
    expect([await check(b, token), await check(b, keeper)]).toEqual([401, 204]);
    const after = await stored(token);
    const { recordedAt, ...kept } = after.revocation;
    expect(before).toMatchObject({ revocation: kept, updatedAt: after.updatedAt });
    expect(Date.now() - recordedAt.getTime()).toBeLessThan(600_000);
    await a.service.audit.flush();
    const told = await direct
      .collection('audit')
      .countDocuments({ type: 'token.revoked', jti: jtiOf(token) });
    expect(told).toBe(1);
  });

  it('never moves back to an older time of recording', async () => {
    const token = await a.signIn('user@example.com');
    await revoke(token);
    // As after the clock of the database's server was set back.
    const ahead = new Date(Date.now() + 3_600_000);
    await direct
      .collection('tokens')
      .updateOne({ jti: jtiOf(token) }, { $set: { 'revocation.recordedAt': ahead } });
    await revoke(token);
    expect(await stored(token)).toMatchObject({ revocation: { recordedAt: ahead } });
  });

  it('is found when everything is read again, which says nothing of freshness', async () => {
    const token = await revokedLate();
    const syncedAt = b.service.index.lastSyncedAt;
    b.clock.now += 1000;
    await b.service.sync.reread();
    expect([await check(b, token), await check(b, keeper)]).toEqual([401, 204]);
    expect(b.service.index.lastSyncedAt).toBe(syncedAt);
    expect(b.log()).toContain('"count":1,"msg":"the revocation list was read again"');
    await b.service.sync.reread();
    expect(b.log()).toContain('"count":0,"msg":"the revocation list was read again"');
  });

  it('as a cut-off is found at the next refresh: cut-offs are read whole', async () => {
    const token = await a.signIn('user@example.com');
    const user = await a.store.users.findByEmail('user@example.com');
    await a.store.cutoffs.raise({
      userId: user?.user.id ?? '',
      applicationId: null,
      sessionsOnly: false,
      at: new Date(a.clock.now - 1),
      by: 'system',
      reason: null,
      via: 'test',
    });
    await direct
      .collection('cutoffs')
      .updateMany({}, { $set: { setAt: new Date(Date.now() - 3_600_000) } });
    expect(await check(b, keeper)).toBe(204);
    await b.service.sync.refresh();
    expect([await check(b, keeper), await check(b, token)]).toEqual([401, 204]);
  });
});

describe('reading everything again', () => {
  const MINUTE_MS = 60_000;
  const CUTOFF: Cutoff = {
    userId: 'somebody',
    applicationId: null,
    sessionsOnly: false,
    at: new Date(START),
    by: 'root',
    reason: null,
    via: 'test',
  };
  const entry = (n: number): RevokedEntry => ({ jti: `t-${n}`, issuer: '', expiresAt: null });

  function startLoop({ batches = 3 } = {}) {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'], now: START });
    const lines: string[] = [];
    const log = createLogger({
      level: 'info',
      destination: new Writable({
        write(chunk, _encoding, done) {
          lines.push((JSON.parse(String(chunk)) as { msg: string }).msg);
          done();
        },
      }),
    });
    const state = { broken: false, reads: 0, closed: 0, begunAt: [] as number[] };
    const known = new Set<string>();
    const found: string[] = [];
    const cutoffs: Cutoff[] = [];
    const revoked: Store['tokens']['revoked'] = async function* revoked() {
      state.reads += 1;
      state.begunAt.push(Date.now());
      try {
        for (let n = 0; n < batches; n += 1) {
          if (state.broken && n === 1) throw unavailable('The database did not answer.');
          yield [entry(n)];
        }
      } finally {
        state.closed += 1;
      }
    };
    const reread = createReread({
      store: {
        tokens: { revoked } as Store['tokens'],
        cutoffs: {
          async *writtenSince(since: Date | null) {
            yield since === null ? [CUTOFF] : [];
          },
        } as unknown as Store['cutoffs'],
      },
      index: {
        add({ jti }) {
          const isNew = !known.has(jti);
          known.add(jti);
          return isNew;
        },
      },
      clock: Date.now,
      log,
      onFound: (entries) => found.push(...entries.map(({ jti }) => jti)),
      onCutoffs: (batch) => cutoffs.push(...batch),
    });
    return { state, known, found, cutoffs, lines, reread };
  }

  afterEach(() => {
    jest.useRealTimers();
  });

  it('happens every ten minutes at the latest, and tells what was missed, once', async () => {
    const { state, found, cutoffs, lines, reread } = startLoop();
    reread.start();
    await jest.advanceTimersByTimeAsync(7 * MINUTE_MS);
    expect(state.reads).toBe(0);
    await jest.advanceTimersByTimeAsync(4 * MINUTE_MS);
    expect([state.reads, found, cutoffs]).toEqual([1, ['t-0', 't-1', 't-2'], [CUTOFF]]);
    await jest.advanceTimersByTimeAsync(30 * MINUTE_MS);
    expect(state.reads).toBeGreaterThanOrEqual(3);
    expect([found, lines]).toEqual([['t-0', 't-1', 't-2'], ['the revocation list was read again']]);
    await reread.stop();
  });

  it('is logged and tried again when it fails, and keeps what it got', async () => {
    const { state, known, lines, reread } = startLoop();
    state.broken = true;
    reread.start();
    await jest.advanceTimersByTimeAsync(10 * MINUTE_MS);
    expect([...known]).toEqual(['t-0']);
    expect(new Set(lines.slice(1))).toEqual(new Set(lines.length > 1 ? [lines[0]] : []));
    expect(lines[0]).toContain('could not be read again');
    state.broken = false;
    await jest.advanceTimersByTimeAsync(MINUTE_MS + 1000);
    expect([...known]).toEqual(['t-0', 't-1', 't-2']);
    expect(state.closed).toBe(state.reads);
    await reread.stop();
  });

  it('rests after each batch, and ends in the middle when it is stopped', async () => {
    const { state, known, reread } = startLoop({ batches: 1000 });
    reread.start();
    while (state.reads === 0) await jest.advanceTimersByTimeAsync(1000);
    await jest.advanceTimersByTimeAsync(5000);
    // At least 20 ms apart: 6 s of the clock at most have passed since it began.
    expect(known.size).toBeGreaterThan(100);
    expect(known.size).toBeLessThan(302);
    await reread.stop();
    expect(state.closed).toBe(1);
    const size = known.size;
    await jest.advanceTimersByTimeAsync(60 * MINUTE_MS);
    expect([known.size, state.reads, jest.getTimerCount()]).toEqual([size, 1, 0]);
  });
});
