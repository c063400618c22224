/** Scenarios at random: what clients ask, and what goes wrong meanwhile; and how one is run. */
import * as fc from 'fast-check';
import type { Asked } from './database.js';
import { createWorld, type Weather, type World } from './world.js';
import type { Instance } from './instance.js';

interface Act {
  readonly what: (typeof WHATS)[number];
  /** After the one before, ms. */
  readonly after: number;
  /** Which of the instances that live, and which token. */
  readonly where: number;
  readonly token: number;
  readonly ms: number;
}

export interface Scenario {
  readonly seed: number;
  readonly weather: Weather;
  readonly instances: number;
  readonly acts: readonly Act[];
}

/** As often as they are named. */
const WHATS = [
  'revoke',
  'revoke',
  'revoke',
  'revoke',
  'check',
  'check',
  'check recorded',
  'join',
  'join and revoke',
  'join and revoke',
  'crash',
  'die',
  'leave',
  'stop',
  'stop',
  'cut',
  'cut questions',
  'cut answers',
  'slow',
  'slow somewhere',
  'slow somewhere',
  'lose cursors',
  'overrun',
] as const;
/** What may be slow for itself. */
const SLOW: readonly Asked[] = ['append', 'read', 'renew', 'all', 'list', 'enter', 'mark'];
const TOKENS = 6;
/** Where nothing is slow. */
const JOINS_WITHIN_MS = 40;
const MOST_INSTANCES = 5;
/** Longer than it takes until everybody has a lease again, and all is told. */
const RECOVERY_MS = 8000;

const milliseconds = fc.oneof(
  fc.integer({ min: 0, max: 4 }),
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 600 }),
);

const act: fc.Arbitrary<Act> = fc.record({
  what: fc.constantFrom(...WHATS),
  after: milliseconds,
  where: fc.nat({ max: 9 }),
  token: fc.nat({ max: TOKENS - 1 }),
  ms: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 100, max: 3000 })),
});

export const anyScenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(),
  weather: fc.constantFrom<Weather>('even', 'calm', 'rough', 'rough'),
  instances: fc.integer({ min: 1, max: 3 }),
  acts: fc.array(act, { minLength: 5, maxLength: 30 }),
});

function perform(world: World, { what, where, token, ms }: Act): void {
  const living = world.living();
  const instance = living[where % Math.max(1, living.length)];
  const jti = `t${token}`;
  if (what === 'join' || instance === undefined) {
    if (living.length < MOST_INSTANCES) world.add();
    return;
  }
  switch (what) {
    case 'revoke':
      world.revoke(instance, jti);
      break;
    case 'join and revoke':
      if (living.length < MOST_INSTANCES) world.add();
      world.slow(instance, JOINS_WITHIN_MS, 300, ['append']);
      world.time.at(world.time.now + (ms % JOINS_WITHIN_MS), () => world.revoke(instance, jti));
      break;
    case 'check':
      world.check(instance, jti);
      break;
    case 'check recorded':
      world.check(instance, jti, true);
      break;
    case 'crash':
      world.crash(instance);
      break;
    case 'die':
      world.die(instance, jti);
      break;
    case 'leave':
      world.leave(instance);
      break;
    case 'stop':
      world.stopFor(instance, ms);
      break;
    case 'cut':
      world.cut(instance, ms, ['there', 'back']);
      break;
    case 'cut questions':
      world.cut(instance, ms, ['there']);
      break;
    case 'cut answers':
      world.cut(instance, ms, ['back']);
      break;
    case 'slow':
      world.slow(instance, ms, 500, null);
      break;
    case 'slow somewhere':
      world.slow(instance, 3 * ms, 700, [SLOW[ms % SLOW.length] ?? 'read']);
      break;
    case 'lose cursors':
      world.database.loseCursors();
      break;
    case 'overrun':
      world.database.overrun(ms % 3);
      break;
  }
}

/** @throws when a promise was broken, or it doesn't recover, with the whole story. */
export async function run({ seed, weather, instances, acts }: Scenario): Promise<World> {
  const world = createWorld({ seed, weather });
  const { time } = world;
  try {
    for (let i = 0; i < instances; i += 1) world.add();
    await time.runUntil(50);
    for (const each of acts) {
      await time.runUntil(time.now + each.after);
      perform(world, each);
      assertKept(world);
    }
    world.heal();
    await recover(world, !acts.some(({ what }) => what === 'overrun'));
    assertKept(world);
    return world;
  } catch (error) {
    throw new Error(`${String(error)}\n${world.story()}`, { cause: error });
  }
}

export function assertKept({ violations }: World): void {
  if (violations.length > 0) throw new Error(violations.join('\n'));
}

/**
 * In the end all that live have a lease, know everything, take good tokens and revoke.
 * @param settles what was in the log is still there: then nothing waits for anything any more.
 */
async function recover(world: World, settles: boolean): Promise<void> {
  const { until, database, living } = world;
  if (living().length === 0) world.add();
  const isSettled = ({ process, holdsLease, pending }: Instance) =>
    !process.isStopped && holdsLease && (pending === 0 || !settles);
  await until('everything is settled', () => living().every(isSettled), RECOVERY_MS);
  for (const [i, instance] of living().entries()) {
    const jti = `good-${i}`;
    // What was on its way when all was well again may still cost somebody the lease.
    const accepts = (each: Instance) => each.wouldAnswer(jti) === 'accepted';
    await until('each accepts', () => living().every(accepts), 3000);
    const checks = living().map((each) => world.check(each, jti));
    await until('each has answered', () => checks.every(({ answer }) => answer !== null), 100);
    const revoke = world.revoke(instance, jti);
    await until('it is acknowledged', () => revoke.acknowledgedAt !== null, 3000);
  }
  const refuses = (each: Instance, jti: string) => {
    const answer = each.wouldAnswer(jti);
    return answer === 'revoked' || (!settles && answer === '503');
  };
  const knowsAll = (each: Instance) => [...database.durable].every((jti) => refuses(each, jti));
  await until('each refuses all', () => living().every(knowsAll), 3000);
}
