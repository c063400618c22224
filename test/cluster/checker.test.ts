/** The checker of the cluster test: what it must find, and what it must let pass. */
import { describe, expect, it } from '@jest/globals';
import { findViolations } from './checker.js';
import { type Check, createHistory, type Mint, type Revoke } from './history.js';

const minted = (given: Partial<Mint> = {}): Mint => ({
  token: 't',
  recordedAs: 't',
  scopes: ['token:t', 'user:u'],
  instance: 0,
  start: 0,
  end: 10,
  since: given.start ?? 0,
  ...given,
});
const check = (start: number, outcome: Check['outcome'], instance = 1): Check => ({
  token: 't',
  instance,
  start,
  end: start + 5,
  outcome,
});
const revoke = (start: number, end: number, given: Partial<Revoke> = {}): Revoke => ({
  scope: 'token:t',
  how: 'jti',
  instance: 0,
  start,
  end,
  outcome: 'acknowledged',
  ...given,
});

function violationsOf(
  { mints = [minted()], checks = [], revokes = [] }: Partial<ReturnType<typeof createHistory>>,
  options: Parameters<typeof findViolations>[1] = {},
) {
  return findViolations({ mints, checks, revokes }, options).map(
    ({ rule, at, staleMs }) => `${rule} at ${at}, stale ${staleMs}`,
  );
}

describe('R1', () => {
  it('is broken by a check that begins after the revoke was acknowledged, and accepts', () => {
    const found = violationsOf({ revokes: [revoke(20, 30)], checks: [check(31, 'accepted')] });
    expect(found).toEqual(['R1 at 31, stale 1']);
  });

  it('says nothing of a check that began before that, however late it was answered', () => {
    const late: Check = { ...check(29, 'accepted'), end: 5000 };
    expect(violationsOf({ revokes: [revoke(20, 30)], checks: [late] })).toEqual([]);
    expect(violationsOf({ revokes: [revoke(20, 30)], checks: [check(30, 'accepted')] })).toEqual(
      [],
    );
  });

  it('is kept by a refusal, and by an answer that it cannot be known', () => {
    const checks = [check(40, 'refused'), check(50, 'unknown')];
    expect(violationsOf({ revokes: [revoke(20, 30)], checks })).toEqual([]);
  });

  it('promises nothing for a revoke whose outcome is unknown', () => {
    const revokes = [revoke(20, 30, { outcome: 'unknown' })];
    expect(violationsOf({ revokes, checks: [check(40, 'accepted')] })).toEqual([]);
  });

  it('counts from the first acknowledgement: a repeat gives no new time', () => {
    const revokes = [revoke(100, 110), revoke(20, 30), revoke(15, 200)];
    expect(violationsOf({ revokes, checks: [check(40, 'accepted')] })).toEqual([
      'R1 at 40, stale 10',
    ]);
  });

  it('counts a revoke of the holder, but not of another one', () => {
    const checks = [check(40, 'accepted')];
    expect(violationsOf({ revokes: [revoke(20, 30, { scope: 'user:u' })], checks })).toEqual([
      'R1 at 40, stale 10',
    ]);
    expect(violationsOf({ revokes: [revoke(20, 30, { scope: 'user:other' })], checks })).toEqual(
      [],
    );
  });

  it('is not judged by a revoke that began before the token was handed out', () => {
    const mints = [minted({ start: 15, end: 25 })];
    const revokes = [revoke(20, 30, { scope: 'user:u' })];
    expect(violationsOf({ mints, revokes, checks: [check(40, 'accepted')] })).toEqual([]);
  });
});

describe('R2', () => {
  it('is broken when another instance accepts what one has refused', () => {
    const revokes = [revoke(20, 30, { outcome: 'unknown' })];
    const checks = [check(40, 'refused', 0), check(46, 'accepted', 2)];
    expect(violationsOf({ revokes, checks })).toEqual(['R2 at 46, stale 1']);
  });

  it('says nothing of checks that were under way at the same time', () => {
    const revokes = [revoke(20, 30, { outcome: 'unknown' })];
    expect(
      violationsOf({ revokes, checks: [check(40, 'refused'), check(44, 'accepted')] }),
    ).toEqual([]);
  });

  it('takes no 503 for a refusal', () => {
    const checks = [check(40, 'unknown'), check(60, 'accepted')];
    expect(violationsOf({ revokes: [revoke(20, 30, { outcome: 'unknown' })], checks })).toEqual([]);
  });
});

describe('R3', () => {
  const unwritable = [{ instance: 0, from: 20, until: 100 }];

  it('is broken by an acknowledgement of an instance none of whose writes succeeded', () => {
    expect(violationsOf({ revokes: [revoke(30, 40)] }, { unwritable })).toEqual([
      'R3 at 30, stale 0',
    ]);
  });

  it('says nothing of other instances, other times, and unknown outcomes', () => {
    const revokes = [
      revoke(30, 40, { instance: 1 }),
      revoke(15, 40),
      revoke(90, 110),
      revoke(30, 40, { outcome: 'unknown' }),
    ];
    expect(violationsOf({ revokes }, { unwritable })).toEqual([]);
  });
});

describe('R5', () => {
  it('is broken by a token without a record', () => {
    const mints = [minted(), minted({ token: 'other', recordedAs: 'other', start: 3 })];
    expect(violationsOf({ mints }, { recorded: new Set(['t']) })).toEqual(['R5 at 3, stale 0']);
  });

  it('is not judged when nobody looked', () => {
    expect(violationsOf({})).toEqual([]);
  });
});

describe('a good token that is refused', () => {
  it('is found when nothing revoked it, once for a token', () => {
    const checks = [check(40, 'refused'), check(41, 'refused')];
    expect(violationsOf({ checks })).toEqual(['refused-good at 40, stale 0']);
  });

  it('is found when it was refused before the revoke began', () => {
    const revokes = [revoke(100, 110)];
    expect(violationsOf({ revokes, checks: [check(40, 'refused')] })).toEqual([
      'refused-good at 40, stale 0',
    ]);
  });

  it('is explained by a revoke that is under way, or of unknown outcome', () => {
    expect(violationsOf({ revokes: [revoke(42, 90)], checks: [check(40, 'refused')] })).toEqual([]);
    const unknown = [revoke(1, 2, { outcome: 'unknown' })];
    expect(violationsOf({ revokes: unknown, checks: [check(40, 'refused')] })).toEqual([]);
  });

  it('is none when what it came from was revoked before: its mint is at fault then', () => {
    const revokes = [revoke(20, 30, { scope: 'user:u' })];
    const mints = [minted({ start: 50, end: 60, since: 10 })];
    expect(violationsOf({ mints, revokes, checks: [check(70, 'refused')] })).toEqual([]);
  });

  it('is one that was minted after the revoke had ended, but for what clocks differ', () => {
    const late = {
      mints: [minted({ start: 50, end: 60 })],
      revokes: [revoke(20, 30, { scope: 'user:u' })],
      checks: [check(70, 'refused')],
    };
    expect(violationsOf(late)).toEqual(['refused-good at 70, stale 0']);
    const off = (from: number, until: number) => ({ skew: { ms: 25, spans: [{ from, until }] } });
    expect(violationsOf(late, off(45, 55))).toEqual([]);
    expect(violationsOf(late, off(15, 22))).toEqual([]);
    expect(violationsOf(late, off(100, 110))).toEqual(['refused-good at 70, stale 0']);
    expect(violationsOf(late, { skew: { ms: 19, spans: [{ from: 0, until: 99 }] } })).toEqual([
      'refused-good at 70, stale 0',
    ]);
  });
});

describe('the run itself', () => {
  it('is wrong when it checked what was never handed out', () => {
    expect(() => violationsOf({ mints: [], checks: [check(1, 'accepted')] })).toThrow(
      't was checked, and never handed out',
    );
  });

  it('may be empty', () => {
    expect(findViolations(createHistory())).toEqual([]);
  });
});
