/** A wall clock that jumps: noticed against the monotonic one, told once each, counted, and nothing else is taken for it. */
import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { createClockJumps } from '../../src/observability/clock-jumps.js';
import { createLogger } from '../../src/observability/logger.js';
import { createService } from '../../src/service.js';
import { createSecretKeys } from '../../src/tokens/keys.js';
import { SECRET, START, startTestService } from '../support/harness.js';

/** Two clocks that the test moves, and what is logged and told. */
function watched() {
  const at = { wall: START, monotonic: 7000 };
  const lines: Record<string, unknown>[] = [];
  const told: number[] = [];
  const log = createLogger({
    level: 'info',
    destination: new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(String(chunk)) as Record<string, unknown>);
        done();
      },
    }),
  });
  /** Between the readings of the two. */
  let heldUpMs = 0;
  const jumps = createClockJumps({
    clock: () => {
      at.monotonic += heldUpMs;
      at.wall += heldUpMs;
      return at.wall;
    },
    monotonic: () => at.monotonic,
    log,
    onJump: (ms) => told.push(ms),
  });
  jumps.look();
  return {
    jumps,
    log,
    lines,
    told,
    /** So much time passes, and the wall clock is moved besides. */
    pass(ms: number, jumpMs = 0, delayMs = 0) {
      at.monotonic += ms;
      at.wall += ms + jumpMs;
      heldUpMs = delayMs;
      jumps.look();
      heldUpMs = 0;
    },
  };
}

describe('a wall clock', () => {
  it.each([
    ['ahead', 5001, 'ahead by 5 s'],
    ['ahead by years', 1e11, 'ahead by 100000000 s'],
    ['back', -5001, 'back by 5 s'],
    ['back by an hour', -3_600_000, 'back by 3600 s'],
  ])('that jumps %s is an error in the log, once, and counted', (_way, jumpMs, text) => {
    const { jumps, lines, told, pass } = watched();
    pass(1000, jumpMs);
    pass(1000);
    pass(1000);
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'error',
        event: 'clock.jumped',
        ms: jumpMs,
        total: 1,
        msg: expect.stringContaining(text),
      }),
    ]);
    expect(told).toEqual([jumpMs]);
    pass(1000, -jumpMs);
    expect(lines).toHaveLength(2);
    expect(jumps.count).toBe(2);
  });

  it.each([
    ['as both do', 1000, 0, 1],
    ['as both do, after the process was stopped for a day', 86_400_000, 0, 1],
    ['as it is corrected at once, by no more than 5 s', 1000, 5000, 1],
    ['back by no more than 5 s', 1000, -5000, 1],
    ['by and by, a tenth of a second in each, for an hour', 1000, 100, 3600],
  ])('that moves %s is none', (_how, ms, jumpMs, times) => {
    const { jumps, lines, told, pass } = watched();
    for (let i = 0; i < times; i += 1) pass(ms, jumpMs);
    expect([jumps.count, lines, told]).toEqual([0, [], []]);
  });

  it('that is read long after the other one tells nothing, and a jump then is seen at the next look', () => {
    const { jumps, pass } = watched();
    pass(1000, 0, 60_000);
    pass(1000);
    expect(jumps.count).toBe(0);
    pass(1000, 8000, 60_000);
    expect(jumps.count).toBe(0);
    pass(1000);
    expect(jumps.count).toBe(1);
  });

  it('shows in /readyz once it has jumped, and changes nothing else there', async () => {
    const t = await startTestService();
    const at = { wall: START, monotonic: 0 };
    const service = createService({
      config: t.config,
      keys: createSecretKeys(SECRET),
      store: t.store,
      clock: () => at.wall,
      logClock: () => at.monotonic,
      log: t.logger,
    });
    try {
      await service.sync.load();
      service.clockJumps.look();
      const before = await request(service.handler).get('/readyz');
      expect(before.body).not.toHaveProperty('clockJumps');
      at.wall += 10_000;
      service.clockJumps.look();
      const after = await request(service.handler).get('/readyz');
      expect([after.status, after.body]).toEqual([
        200,
        { ...(before.body as object), clockJumps: 1 },
      ]);
      expect(t.log()).toContain('clock.jumped');
    } finally {
      await service.stop();
      await t.close();
    }
  });
});
