/** The promises R1 and R2 between instances, in a simulated world: the real modules, and everything else made up. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { anyScenario, assertKept, run } from './simulated/scenario.js';
import { createWorld, type Options, type World } from './simulated/world.js';
import type { Instance } from './simulated/instance.js';

type Traffic = NonNullable<Options['traffic']>;

const LEASE_MS = 1000;
const RUNS = Number(process.env['MODEL_RUNS'] ?? 250);
/** The same each time, so that a failure is of what was changed; another one looks elsewhere. */
const SEED = Number(process.env['MODEL_SEED'] ?? 20_261_126);

/** So many instances, which have joined when it is 100; every message takes 1 ms, unless it is said otherwise from then on. */
async function joined(count: number, traffic: Traffic = () => undefined) {
  const world = createWorld({
    seed: 1,
    leaseMs: LEASE_MS,
    traffic: (who, what, way, now) => (now < 100 ? undefined : traffic(who, what, way, now)),
  });
  const instances = Array.from({ length: count }, () => world.add());
  await world.time.runUntil(100);
  for (const each of instances) expect(each.holdsLease).toBe(true);
  const [first, second, third] = instances as [Instance, Instance, Instance];
  return { world, time: world.time, first, second, third };
}

/** Until the end of the world; the story is what is wanted when it isn't the expected one. */
async function toEnd(world: World, ended: () => void, untilMs = 6000): Promise<void> {
  try {
    await world.time.runUntil(untilMs);
    assertKept(world);
    ended();
  } catch (error) {
    throw new Error(`${String(error)}\n${world.story()}`, { cause: error });
  }
}

describe('instances on one database', () => {
  it('keep the promises, whatever goes wrong', async () => {
    await fc.assert(
      fc.asyncProperty(anyScenario, async (scenario) => {
        await run(scenario);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  it('answer at once while nothing goes wrong', async () => {
    const { world, time, first, second } = await joined(3);
    const before = world.check(second, 't0');
    await time.runUntil(time.now + 1);
    const revoke = world.revoke(first, 't0');
    const after = () => world.instances.map((each) => world.check(each, 't0'));
    await world.until('it is acknowledged', () => revoke.acknowledgedAt !== null, 30);
    const checks = after();
    await toEnd(world, () => {
      expect(before.answer).toBe('accepted');
      for (const { answer } of checks) expect(answer).toBe('revoked');
    });
  });

  it('say that a token is revoked when all know it, and no sooner', async () => {
    const { world, first, second } = await joined(3, (who, what, way) =>
      who === 'i2' && what === 'read' && way === 'back' ? 200 : undefined,
    );
    const revoke = world.revoke(first, 't0');
    await world.time.runUntil(120);
    expect([first.pending, second.pending]).toEqual([1, 1]);
    const checks = [first, second].map((each) => world.check(each, 't0'));
    await toEnd(world, () => {
      expect(revoke.acknowledgedAt).toBeGreaterThan(300);
      for (const { answer, endedAt } of checks) {
        expect(answer).toBe('revoked');
        expect(endedAt).toBeGreaterThan(300);
      }
    });
  });
});

describe('a revoke', () => {
  it('waits for the lease of one that is cut off, and not for much longer', async () => {
    const { world, first, second } = await joined(3);
    world.cut(second, 10_000, ['there', 'back']);
    const revoke = world.revoke(first, 't0');
    await toEnd(world, () => {
      expect(revoke.acknowledgedAt).toBeGreaterThan(0.9 * LEASE_MS);
      expect(revoke.acknowledgedAt).toBeLessThan(revoke.begunAt + LEASE_MS + 100);
    });
  });

  it('waits no longer for one that stands still, and finds when it goes on that it has no lease', async () => {
    const { world, first, second } = await joined(2);
    world.stopFor(second, 3000);
    const revoke = world.revoke(first, 't0');
    await toEnd(world, () => {
      expect(revoke.acknowledgedAt).toBeLessThan(revoke.begunAt + LEASE_MS + 100);
      expect(second.wouldAnswer('t0')).toBe('revoked');
    });
  });

  it('is not accepted by one whose lease was renewed, and the answer came late', async () => {
    const { world, time, first, second } = await joined(2, (who, what, way) =>
      who === 'i1' && what === 'renew' && way === 'back' ? 700 : undefined,
    );
    const renewed = () => [...world.database.documents.values()].map((each) => each.renewed);
    await world.until('it is renewed', () => renewed()[1] === 2, 1000);
    world.cut(second, 10_000, ['there', 'back']);
    await time.runUntil(time.now + 5);
    const revoke = world.revoke(first, 't0');
    await toEnd(world, () => expect(revoke.acknowledgedAt).not.toBeNull());
  });

  it('that comes while another instance loads is not missed by it', async () => {
    const { world, time, first } = await joined(2, (who, what, way) =>
      who === 'i2' && what === 'list' && way === 'back' ? 40 : undefined,
    );
    const joining = world.add();
    // What it loads was read already.
    await time.runUntil(110);
    const revoke = world.revoke(first, 't0');
    await toEnd(world, () => {
      expect(revoke.acknowledgedAt).toBeLessThan(150);
      expect(joining.wouldAnswer('t0')).toBe('revoked');
    });
  });

  it('that comes while another instance loads once more is not missed by it', async () => {
    const { world, time, first, second } = await joined(2, (who, what, way) =>
      who === 'i1' && what === 'list' && way === 'back' ? 40 : undefined,
    );
    world.cut(second, 1900, ['there', 'back']);
    world.revoke(first, 't0');
    await world.until('its document is gone', () => world.database.documents.size === 1, 2000);
    const isBack = () => [...world.database.documents.values()].some((each) => each.isJoining);
    await world.until('it joins', isBack, 3000);
    await time.runUntil(time.now + 8);
    const revoke = world.revoke(first, 't1');
    await toEnd(world, () => {
      expect(revoke.acknowledgedAt).not.toBeNull();
      expect(second.wouldAnswer('t1')).toBe('revoked');
    });
  });

  it('is not accepted by one whose document says that it joins', async () => {
    const { world, time, first } = await joined(2, (who, what, way) =>
      who === 'i2' && what === 'enter' && way === 'there' ? 200 : undefined,
    );
    const joining = world.add();
    await time.runUntil(150);
    const revoke = world.revoke(first, 't0');
    await toEnd(world, () => {
      expect(revoke.acknowledgedAt).toBeLessThan(300);
      expect(joining.wouldAnswer('t0')).toBe('revoked');
    });
  });

  it('whose entry is late is not missed by one that has joined meanwhile', async () => {
    const { world, time, first } = await joined(2, (who, what, way, now) => {
      if (who === 'i0' && what === 'append' && way === 'there') return 60;
      return who === 'i2' && what === 'read' && way === 'back' && now > 150 ? 30 : undefined;
    });
    const joining = world.add();
    // It has loaded everything, as have the others once more, and isn't waited for yet.
    await time.runUntil(116);
    const revoke = world.revoke(first, 't0');
    await toEnd(world, () => {
      expect(revoke.acknowledgedAt).not.toBeNull();
      expect(joining.wouldAnswer('t0')).toBe('revoked');
    });
  });

  it('is not accepted by one that ends', async () => {
    const { world, time, first, second } = await joined(2, (who, what, way) => {
      if (who !== 'i1' || way === 'there') return undefined;
      return what === 'renew' ? 300 : what === 'leave' ? 100 : undefined;
    });
    const renewed = () => [...world.database.documents.values()].map((each) => each.renewed);
    await world.until('it renews', () => renewed()[1] === 2, 1000);
    world.leave(second);
    await world.until('its document is gone', () => world.database.documents.size === 1, 2000);
    const revoke = world.revoke(first, 't0');
    await toEnd(world, () => expect(revoke.acknowledgedAt).not.toBeNull());
    expect(time.now).toBe(6000);
  });
});

describe('what nobody was told of, because who revoked it died,', () => {
  it('is refused by one that loads it only when the others have read it too', async () => {
    const { world, time, first, third } = await joined(3, (who, what, way) =>
      who === 'i1' && what === 'list' && way === 'back' ? 400 : undefined,
    );
    world.die(third, 't0');
    await time.runUntil(110);
    const joining = world.add();
    await toEnd(world, () => {
      expect(joining.wouldAnswer('t0')).toBe('revoked');
      expect(first.wouldAnswer('t0')).toBe('revoked');
    });
  });

  it('is refused everywhere once one finds it', async () => {
    const { world, first, third } = await joined(3, (who, what) =>
      who === 'i1' && what === 'list' ? 790 : undefined,
    );
    world.die(third, 't0');
    await toEnd(world, () => expect(first.wouldAnswer('t0')).toBe('revoked'));
  });

  it('is not refused by its record alone, by one that loads everything anew meanwhile', async () => {
    let isOver = false;
    const { world, time, first, second, third } = await joined(3, (who, what, way) => {
      if (isOver) return undefined;
      if (who === 'i1' && what === 'find' && way === 'back') return 700;
      if (who === 'i1' && what === 'read' && way === 'there') return 60;
      return who === 'i0' && what === 'list' && way === 'back' ? 790 : undefined;
    });
    world.die(third, 't0');
    await time.runUntil(102);
    const check = world.check(second, 't0', true);
    // It loses its place in the log, which the other doesn't.
    world.database.loseCursors();
    world.revoke(first, 't1');
    await time.runUntil(112);
    world.database.overrun(1);
    await world.until('it is answered', () => check.answer !== null, 5000);
    isOver = true;
    await toEnd(world, () => expect(second.wouldAnswer('t0')).toBe('revoked'));
  });
});

describe('an entry of the log', () => {
  it('that came later than the next of its writer is not taken for read', async () => {
    const { world, time, first, second } = await joined(3, (who, what, way, now) => {
      const isWithin = (from: number, to: number) => now >= from && now <= to;
      if (what === 'list') return null;
      if (who === 'i0' && what === 'append' && way === 'there') {
        // The first that holds new ones is given up, and comes when the second has come; the third is late.
        if (isWithin(510, 600)) return 1375 - now;
        return isWithin(1367, 1372) ? 100 : undefined;
      }
      if (who === 'i2' && what === 'read' && way === 'back') {
        if (isWithin(500, 600)) return 795;
        return isWithin(1299, 1310) ? 66 : isWithin(1374, 1380) ? 60 : undefined;
      }
      return undefined;
    });
    await time.runUntil(500);
    for (let i = 0; i < 10; i += 1) world.revoke(first, `old-${i}`);
    await time.runUntil(510);
    // More than go into one entry.
    for (let i = 0; i < 60; i += 1) world.revoke(first, `new-${i}`);
    await time.runUntil(1380);
    const check = world.check(second, 'new-45');
    await toEnd(world, () => expect(check.answer).toBe('revoked'));
  });
});
