/** What was refused because its date can't be believed is recorded behind the request: at a stop too, a few at a time, within a limit. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it, jest } from '@jest/globals';
import { ServiceError, unavailable } from '../../src/errors.js';
import { createLogger } from '../../src/observability/logger.js';
import { createKeepRefused } from '../../src/revocation/keep-refused.js';
import type { NewTokenRecord, TokenRecord } from '../../src/store/records.js';
import type { Claims } from '../../src/tokens/claims.js';
import {
  freshDatabase,
  jtiOf,
  mint,
  PASSWORD,
  START,
  startTestService,
} from '../support/harness.js';

it('is durable before a stop right after the answer comes to its end', async () => {
  const database = freshDatabase();
  const t = await startTestService({}, database);
  await t.createUser('root@example.com', 'admin');
  const { id } = await t.createUser('bob@example.com');
  const body = { userId: id, reason: 'compromised' };
  await t.http().post('/admin/cutoffs').auth('root@example.com', PASSWORD).send(body).expect(201);
  t.clock.now += 1000;
  const iat = Math.floor(START / 1000) + 200;
  const token = mint({ jti: randomUUID(), _id: id, sub: 'user', iat });
  // The database comes to it when the stop has come to what is still to be recorded.
  const { findByJti } = t.store.tokens;
  let release = (): void => undefined;
  const stopping = new Promise<void>((resolve) => (release = resolve));
  jest.spyOn(t.store.tokens, 'findByJti').mockImplementationOnce(async (jti) => {
    await stopping;
    return findByJti(jti);
  });
  const check = { Authorization: `JWT ${token}` };
  await t.http().get('/auth/verify').set(check).expect(401);
  jest.spyOn(t.service.sessions, 'flush').mockImplementationOnce(async () => {
    setImmediate(release);
  });
  const recordedBefore: boolean[] = [];
  const { flush } = t.service.audit;
  jest.spyOn(t.service.audit, 'flush').mockImplementationOnce(async () => {
    const [record] = await findByJti(jtiOf(token));
    recordedBefore.push(record !== undefined && record.revocation !== null);
    await flush();
  });
  await t.service.stop();
  expect(recordedBefore).toEqual([true]);
  t.clock.now += 250_000;
  const restarted = await startTestService({}, database, t.clock);
  await restarted.http().get('/auth/verify').set(check).expect(401);
  await restarted.close();
  await t.close();
});

describe('behind the request', () => {
  const claims = (n: number) => ({ jti: `t-${n}`, issuer: '' }) as Claims;

  function startKeeping() {
    const state = { isAway: false, underWay: 0, most: 0, tries: 0, lines: 0 };
    const refused = new Set<string>();
    const recorded = new Set<string>();
    const known = new Set<string>();
    const log = createLogger({ level: 'silent' });
    jest.spyOn(log, 'warn').mockImplementation(() => void (state.lines += 1));
    const kept = createKeepRefused({
      tokens: {
        findByJti: async () => [],
        async insert(record: NewTokenRecord) {
          state.tries += 1;
          state.underWay += 1;
          state.most = Math.max(state.most, state.underWay);
          await Promise.resolve();
          state.underWay -= 1;
          if (state.isAway || refused.has(record.jti)) throw unavailable('It does not answer.');
          return record as TokenRecord;
        },
      },
      index: {
        add({ jti }) {
          const isNew = !known.has(jti);
          known.add(jti);
          return isNew;
        },
      },
      revoker: {
        async revokeRecord(record) {
          recorded.add(record.jti);
          return null;
        },
      },
      toRecord: ({ jti, issuer }) => ({ jti, issuer }) as NewTokenRecord,
      log,
    });
    return { kept, state, refused, recorded, known };
  }

  it('a hundred at most are recorded side by side', async () => {
    const { kept, state, recorded } = startKeeping();
    for (let n = 0; n < 1234; n += 1) kept.note(claims(n));
    await kept.flush();
    expect(recorded.size).toBe(1234);
    expect(state.most).toBeLessThanOrEqual(100);
  });

  it('what always fails holds up none of the others', async () => {
    const { kept, state, refused, recorded } = startKeeping();
    state.isAway = true;
    for (let n = 0; n < 500; n += 1) kept.note(claims(n));
    for (let n = 0; n < 200; n += 1) refused.add(`t-${n}`);
    await kept.flush();
    expect(recorded.size).toBe(0);
    state.isAway = false;
    for (let pass = 0; pass < 5; pass += 1) await kept.flush();
    expect(recorded.size).toBe(300);
    refused.clear();
    for (let pass = 0; pass < 5; pass += 1) await kept.flush();
    expect(recorded.size).toBe(500);
  });

  it('one look at a time is taken, and a database that is away is asked for a few and named once', async () => {
    const { kept, state } = startKeeping();
    state.isAway = true;
    for (let n = 0; n < 500; n += 1) kept.note(claims(n));
    await kept.flush();
    state.tries = 0;
    await Promise.all([kept.retry(), kept.retry(), kept.retry()]);
    expect([state.tries, state.lines]).toEqual([100, 1]);
  });

  it('more than a hundred thousand do not wait: the answer is 503, and the next try may do', async () => {
    const { kept, state, recorded, known } = startKeeping();
    state.isAway = true;
    for (let n = 0; n < 100_000; n += 1) kept.note(claims(n));
    expect(() => kept.note(claims(100_000))).toThrow(ServiceError);
    expect(known.has('t-100000')).toBe(false);
    state.isAway = false;
    await kept.flush();
    kept.note(claims(100_000));
    await kept.flush();
    expect(recorded.size).toBe(100_001);
  });
});
