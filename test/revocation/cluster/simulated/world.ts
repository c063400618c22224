/**
 * Instances, clients and what goes wrong, in virtual time; and whoever watches that the promises hold.
 * R1: a check that begins after a revoke was acknowledged isn't accepted. R2: nor is one that begins
 * after any check was answered "revoked". Besides the clients' checks, each instance is asked for each
 * token after each step that it has made.
 */
import { type Asked, createDatabase, shortList, type Traffic } from './database.js';
import { type Answer, createInstance, type Instance } from './instance.js';
import { createRandom, createTime, type Process } from './time.js';

export interface Options {
  readonly seed: number;
  readonly leaseMs?: number;
  readonly weather?: Weather;
  /** Instead of the weather; undefined = the weather. */
  readonly traffic?: (
    who: string,
    what: Asked,
    way: 'there' | 'back',
    now: number,
  ) => number | null | undefined;
}

/** How long messages take: `even`, each the same; `calm`, a few ms; `rough`, now and then very long. */
export type Weather = 'even' | 'calm' | 'rough';

interface Check {
  readonly who: string;
  readonly jti: string;
  readonly begunAt: number;
  endedAt: number | null;
  answer: Answer | null;
}

interface Revoke {
  readonly jti: string;
  readonly begunAt: number;
  /** null = it wasn't, or not yet. */
  acknowledgedAt: number | null;
}

export type World = ReturnType<typeof createWorld>;

/** The default of LEASE. */
const LEASE_MS = 1000;
/** How often a process is stopped while it looks at its clock. */
const STOPS = 0.0005;
const MOST_STORY = 400;

export function createWorld({ seed, leaseMs = LEASE_MS, weather = 'even', ...more }: Options) {
  const random = createRandom(seed);
  const between = (least: number, most: number) => least + random() * (most - least);
  const instances: Instance[] = [];
  const tokens = new Set<string>();
  /** By token: why it may not be accepted any more. */
  const refused = new Map<string, string>();
  const violations: string[] = [];
  const story: string[] = [];
  const lastAnswers = new Map<string, Answer>();
  const checks: Check[] = [];
  const revokes: Revoke[] = [];
  let isHealed = false;
  const leaving = new Set<Instance>();
  const cuts: { process: Process; until: number; ways: readonly string[] }[] = [];
  const delays: {
    process: Process;
    until: number;
    ms: number;
    whats: readonly Asked[] | null;
  }[] = [];

  const time = createTime({
    random,
    stopsFor: () =>
      weather === 'rough' && !isHealed && random() < STOPS ? between(1, 1.5 * leaseMs) : 0,
    onStep: watch,
  });

  function tell(process: Process | null, what: string): void {
    const who = process === null ? 'database' : nameOf(process);
    story.push(`${time.now.toFixed(1).padStart(8)}  ${who}  ${what}`);
  }

  function takes(): number {
    if (weather === 'even') return 1;
    const luck = random();
    if (isHealed || weather === 'calm' || luck < 0.75) return between(0.2, 3);
    if (luck < 0.9) return between(3, 40);
    return luck < 0.995 ? between(40, 400) : between(400, 2000);
  }

  const traffic: Traffic = (process, what, way) => {
    const given = more.traffic?.(nameOf(process), what, way, time.now);
    if (given !== undefined) return given;
    if (isHealed) return takes();
    const isHit = (each: { process: Process; until: number }) =>
      each.process === process && each.until > time.now;
    if (cuts.some((cut) => isHit(cut) && cut.ways.includes(way))) return null;
    const delay = delays.find((each) => isHit(each) && each.whats?.includes(what) !== false);
    return delay === undefined ? takes() : takes() + random() * delay.ms;
  };

  const database = createDatabase({ time, random, traffic, tell });

  /** What its code has come to may lie in a moment that hasn't come yet: then it is known in that one. */
  function inItsMoment(process: Process, known: () => void): void {
    if (process.now() > time.now) time.at(process.now(), known);
    else known();
  }

  function refuse(jti: string, why: string): void {
    if (refused.has(jti)) return;
    refused.set(jti, why);
    for (const { process } of instances) if (process.isAlive && !process.isStopped) watch(process);
  }

  function violated(who: string, jti: string): void {
    // Once is enough.
    if (violations.some((known) => known.startsWith(`${who} accepts ${jti} `))) return;
    violations.push(`${who} accepts ${jti} at ${time.now.toFixed(1)}, though ${refused.get(jti)}`);
    tell(null, `VIOLATION: ${violations.at(-1)}`);
  }

  /** Asks it for everything. */
  function watch(process: Process): void {
    const instance = instances[process.number];
    if (instance === undefined) return;
    const changed = new Map<Answer, string[]>();
    for (const jti of tokens) {
      const answer = time.look(() => instance.wouldAnswer(jti));
      const key = `${process.number} ${jti}`;
      if (lastAnswers.get(key) !== answer) {
        lastAnswers.set(key, answer);
        changed.set(answer, [...(changed.get(answer) ?? []), jti]);
      }
      if (answer === 'accepted' && refused.has(jti)) violated(nameOf(process), jti);
      if (answer === 'revoked')
        refuse(jti, `${nameOf(process)} answered "revoked" at ${time.now.toFixed(1)} (R2)`);
    }
    for (const [answer, jtis] of changed) tell(process, `answers ${answer}: ${shortList(jtis)}`);
  }

  function states(): string {
    return instances
      .filter(({ process }) => process.isAlive)
      .map((each) => {
        const lease = time.look(() => (each.holdsLease ? 'a lease' : 'no lease'));
        return `${nameOf(each.process)} has ${lease}, ${each.pending} pending`;
      })
      .join('; ');
  }

  return {
    time,
    database,
    instances: instances as readonly Instance[],
    /** Those that live, and aren't about to end. */
    living: () => instances.filter((each) => each.process.isAlive && !leaving.has(each)),
    violations: violations as readonly string[],
    checks: checks as readonly Check[],
    revokes: revokes as readonly Revoke[],
    story: () => story.slice(-MOST_STORY).join('\n'),
    random,

    /** One more instance, which begins to join. */
    add(): Instance {
      const process = time.createProcess();
      const instance = createInstance({ process, database, leaseMs });
      instances.push(instance);
      process.at(time.now, 'received', () => {
        tell(process, 'starts');
        instance.start().then(
          () => tell(process, 'has joined'),
          () => {
            tell(process, 'could not start');
            process.end();
          },
        );
      });
      return instance;
    },

    revoke(instance: Instance, jti: string): Revoke {
      const { process } = instance;
      const revoke: Revoke = { jti, begunAt: time.now, acknowledgedAt: null };
      tokens.add(jti);
      revokes.push(revoke);
      process.at(time.now, 'received', () => {
        tell(process, `revokes ${jti}`);
        void instance.revoke(jti).then((isAcknowledged) =>
          inItsMoment(process, () => {
            tell(process, `answers the revoke of ${jti}: ${isAcknowledged ? 'done' : '503'}`);
            if (!isAcknowledged) return;
            revoke.acknowledgedAt = time.now;
            refuse(jti, `${nameOf(process)} acknowledged it at ${time.now.toFixed(1)} (R1)`);
          }),
        );
      });
      return revoke;
    },

    check(instance: Instance, jti: string, isRecorded = false): Check {
      const { process } = instance;
      tokens.add(jti);
      const who = nameOf(process);
      const check: Check = { who, jti, begunAt: time.now, endedAt: null, answer: null };
      checks.push(check);
      const isRefused = refused.has(jti);
      process.at(time.now, 'received', () => {
        void instance.check(jti, isRecorded).then((answer) =>
          inItsMoment(process, () => {
            check.endedAt = time.now;
            check.answer = answer;
            if (answer === 'accepted' && isRefused) violated(who, jti);
            if (answer === 'revoked')
              refuse(jti, `${who} answered "revoked" at ${time.now.toFixed(1)} (R2)`);
          }),
        );
      });
      return check;
    },

    /** Nothing that it sends arrives, or no answer does. */
    cut(instance: Instance, ms: number, ways: readonly ('there' | 'back')[]): void {
      const { process } = instance;
      tell(process, `is cut off for ${ms} ms: ${ways.join(', ')}`);
      cuts.push({ process, until: time.now + ms, ways });
    },
    /** @param whats only these; null = all. */
    slow(instance: Instance, ms: number, byMs: number, whats: readonly Asked[] | null): void {
      const { process } = instance;
      tell(process, `is slow for ${ms} ms: by up to ${byMs}, ${whats?.join(', ') ?? 'all'}`);
      delays.push({ process, until: time.now + ms, ms: byMs, whats });
    },
    stopFor(instance: Instance, ms: number): void {
      const { process } = instance;
      tell(process, `stands still for ${ms} ms`);
      process.stopFor(ms);
    },
    crash(instance: Instance): void {
      const { process } = instance;
      tell(process, 'crashes');
      process.end();
    },
    /** It writes that it is revoked, and is gone before it can tell anybody. */
    die(instance: Instance, jti: string): void {
      const { process } = instance;
      tokens.add(jti);
      tell(process, `revokes ${jti}, and crashes`);
      void database.mark(process, jti).catch(() => undefined);
      process.end();
    },
    /** As when it is asked to end: then it answers nothing any more. */
    leave(instance: Instance): void {
      const { process } = instance;
      leaving.add(instance);
      process.at(time.now, 'received', () => {
        tell(process, 'is asked to end');
        void instance.follower.stop().then(() => {
          tell(process, 'has ended');
          process.end();
        });
      });
    },
    /** From now on nothing goes wrong; who stands still goes on when its time has come. */
    heal(): void {
      tell(null, 'nothing goes wrong any more');
      isHealed = true;
    },
    async until(what: string, condition: () => boolean, withinMs: number): Promise<number> {
      const begunAt = time.now;
      while (!time.look(condition)) {
        if (time.now - begunAt > withinMs)
          throw new Error(`not within ${withinMs} ms: ${what}; ${states()}`);
        await time.runUntil(time.now + 10);
      }
      return time.now - begunAt;
    },
  };
}

function nameOf({ number }: Process): string {
  return `i${number}`;
}
