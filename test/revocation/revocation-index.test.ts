/** The revocation index: its answers against a naive model, its size, its freshness, and how it follows the store. */
import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import * as fc from 'fast-check';
import { REPORT_NOTHING } from '../../src/audit/report.js';
import { ServiceError, unavailable } from '../../src/errors.js';
import { createLogger } from '../../src/observability/logger.js';
import { createIdTable, type IdTable, SLICES } from '../../src/revocation/id-table.js';
import {
  createRevocationIndex,
  LEEWAY_MS,
  type RevocationIndex,
  type RevocationQuestion,
} from '../../src/revocation/revocation-index.js';
import { createRevocationSync } from '../../src/revocation/sync.js';
import type { Store } from '../../src/store/database/connect.js';
import type { Cutoff, CutoffScope } from '../../src/store/cutoffs/cutoffs.js';
import { ANY_ISSUER } from '../../src/store/records.js';
import type { RevokedEntry } from '../../src/store/tokens/revoked-entry.js';
import { parseClaims } from '../../src/tokens/claims.js';
import { createJti } from '../../src/tokens/jti.js';
import { jtiOf, mint, START, startTestService, type TestService } from '../support/harness.js';

const OWN = 'https://tokens.example';
const FOREIGN = 'https://elsewhere.example';
const FOR_EVER = Number.MAX_SAFE_INTEGER;
const QUESTION: RevocationQuestion = {
  issuer: OWN,
  jti: 'token-1',
  sessionId: null,
  userId: 'user-1',
  applicationId: null,
  issuedAt: START,
  sessionIssuedAt: null,
};
const EVERYTHING: CutoffScope = { userId: null, applicationId: null, sessionsOnly: false };

/** An index that counts as loaded, on a clock to be moved. */
function createLoadedIndex({ staleAfterMs = FOR_EVER } = {}) {
  const clock = { now: START };
  const index = createRevocationIndex({ clock: () => clock.now, ownIssuer: OWN, staleAfterMs });
  index.markSynced(START);
  return { clock, index };
}

function sweepAll(swept: Pick<RevocationIndex, 'sweepSlice'>): void {
  for (let i = 0; i < SLICES; i += 1) swept.sweepSlice();
}

describe('a cut-off that was lowered elsewhere, and then raised here', () => {
  it('goes on refusing what only the higher one refused, until what was lowered is read', () => {
    const { index } = createLoadedIndex();
    const minutes = (count: number) => new Date(START + count * 60_000);
    const accepts = (issuedAt: Date) =>
      !index.isRevoked({ ...QUESTION, issuedAt: issuedAt.getTime() });
    index.raiseCutoff(EVERYTHING, minutes(20));
    // Lowered to 1 there; raised to 2 here, before that was heard of.
    const act = { by: 'x', via: 'test', reason: null };
    const raised = { ...EVERYTHING, ...act, at: minutes(2), loweredFrom: minutes(20) };
    index.noteLowered(raised);
    index.raiseCutoff(raised, raised.at);
    expect([accepts(minutes(10)), accepts(minutes(2))]).toEqual([false, false]);
    // What was read before it was raised.
    index.followLowered({ ...raised, at: minutes(1) });
    expect([accepts(minutes(10)), accepts(minutes(2)), accepts(minutes(3))]).toEqual([
      true,
      false,
      true,
    ]);
    index.raiseCutoff(EVERYTHING, minutes(20));
    expect(accepts(minutes(3))).toBe(true);
  });
});

describe('the index, against a naive model', () => {
  const FIRST_ID = '019ca9a0-1000-7000-8000-000000000001';
  const IDS = [
    FIRST_ID,
    '019ca9a0-1000-7000-8000-000000000002',
    '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    '3F2504E0-4F89-41D3-9A0C-0305E82C3301',
    '3f2504e0-4f89-41d3-9a0c-0305e82c330A',
    '3f2504e04f8941d39a0c0305e82c3301',
    '3f2504e0-4f89-41d3-9a0c-0305e82c330é',
    '3f2504e0-4f89-41d3-9a0c_0305e82c3301',
    'a',
    '1',
    '1 1',
    '😀',
  ];
  const ISSUERS = [OWN, FOREIGN, '', ANY_ISSUER];
  const USERS = ['user-1', 'user-2', 'both'];
  const APPLICATIONS = ['app-1', 'app-2', 'both'];
  /** Close to one another, so that a cut-off often meets a token's very millisecond or second. */
  const TIMES = [-2000, -1250, -251, -250, -1, 0, 1, 2, 749, 750, 1750].map((ms) => START + ms);

  interface Entry {
    readonly issuer: string;
    readonly id: string;
    /** Until then (ms) it must be in; -Infinity once a sweep may have removed it. */
    certainUntil: number;
    /** A full sweep at this time (ms) or later removes it: rounded up to the second. */
    goneBy: number;
  }

  /** Arrays and linear searches only. */
  function createModel() {
    let entries: Entry[] = [];
    const cutoffs: (CutoffScope & { readonly at: number })[] = [];

    const named = (issuer: string, id: string) =>
      entries.filter((entry) => entry.id === id && [issuer, ANY_ISSUER].includes(entry.issuer));

    return {
      get entries(): readonly Entry[] {
        return entries;
      },
      add({ issuer, jti: id, expiresAt }: RevokedEntry, now: number) {
        const leavesAt = expiresAt === null ? Infinity : expiresAt + LEEWAY_MS;
        if (leavesAt <= now) return;
        const goneBy = Math.ceil(leavesAt / 1000) * 1000;
        const same = entries.find((entry) => entry.issuer === issuer && entry.id === id);
        if (same === undefined) entries.push({ issuer, id, certainUntil: leavesAt, goneBy });
        else {
          same.certainUntil = Math.max(same.certainUntil, leavesAt);
          same.goneBy = Math.max(same.goneBy, goneBy);
        }
      },
      raise(scope: CutoffScope, at: number) {
        cutoffs.push({ ...scope, at });
      },
      sweep(now: number, { full }: { full: boolean }) {
        if (full) entries = entries.filter((entry) => entry.goneBy > now);
        for (const entry of entries) {
          if (Math.ceil(entry.certainUntil / 1000) * 1000 <= now) entry.certainUntil = -Infinity;
        }
      },
      /** null = both answers are right: it has left its time behind, but no sweep has been everywhere since. */
      isRevoked(question: RevocationQuestion, now: number): boolean | null {
        const { issuer, sessionId, userId, applicationId, issuedAt, sessionIssuedAt } = question;
        const isSession = sessionId !== null || question.isRefreshToken === true;
        const isCutOff = cutoffs.some(
          (cutoff) =>
            (cutoff.userId === null || cutoff.userId === userId) &&
            (cutoff.applicationId === null || cutoff.applicationId === applicationId) &&
            (!cutoff.sessionsOnly || isSession) &&
            (issuedAt === null ||
              issuedAt <= cutoff.at ||
              (sessionIssuedAt !== null && sessionIssuedAt <= cutoff.at)),
        );
        if (isCutOff) return true;
        const found = named(issuer, question.jti);
        if (sessionId !== null) found.push(...named(OWN, sessionId), ...named(issuer, sessionId));
        if (found.some((entry) => now < entry.certainUntil)) return true;
        return found.length === 0 ? false : null;
      },
    };
  }

  const oneOf = <T>(values: readonly T[]) => fc.constantFrom(...values);
  const orNull = <T>(values: readonly T[]) => oneOf<T | null>([null, ...values]);
  const time = fc.oneof(
    oneOf(TIMES),
    oneOf(TIMES.map((at) => Math.floor(at / 1000) * 1000)),
    fc.integer({ min: START - 3000, max: START + 3000 }),
  );
  const add = fc.record({
    do: fc.constant('add' as const),
    // Some more often, so that they are added again and again.
    jti: fc.oneof(oneOf(['a', FIRST_ID]), oneOf(IDS)),
    issuer: fc.oneof(fc.constant(OWN), oneOf(ISSUERS)),
    /** After START: never, beyond what 32 bits of seconds hold, soon, or long past. */
    expiresIn: fc.oneof(
      fc.constantFrom(null, 10 ** 13),
      fc.integer({ min: -300, max: 300 }).map((seconds) => seconds * 1000 - 250),
      fc.integer({ min: -300_000, max: 300_000 }),
    ),
  });
  const raise = fc.record({
    do: fc.constant('raise' as const),
    scope: fc.oneof(
      fc.constant({ userId: 'user-1', applicationId: null, sessionsOnly: false }),
      fc.record({
        userId: orNull(USERS),
        applicationId: orNull(APPLICATIONS),
        sessionsOnly: fc.boolean(),
      }),
    ),
    at: time,
  });
  const move = fc.record({
    do: fc.constant('move' as const),
    ms: fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 0, max: 200_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: -5000, max: 0 }) },
    ),
  });
  /** To about the moment at which some entry may leave. */
  const moveToEdge = fc.record({
    do: fc.constant('edge' as const),
    nth: fc.nat(),
    ms: oneOf([-1001, -1000, -999, -1, 0, 1, 999, 1000]),
  });
  const sweep = fc.record({ do: fc.constant('sweep' as const), full: fc.boolean() });
  const question: fc.Arbitrary<RevocationQuestion> = fc.record({
    issuer: oneOf(ISSUERS.filter((issuer) => issuer !== ANY_ISSUER)),
    jti: oneOf(IDS),
    sessionId: orNull(IDS),
    userId: orNull(USERS),
    applicationId: orNull(APPLICATIONS),
    isRefreshToken: fc.boolean(),
    issuedAt: fc.option(time, { freq: 8 }),
    sessionIssuedAt: fc.option(time, { freq: 3 }),
  });
  const ask = fc.record({ do: fc.constant('ask' as const), question });
  /** Cut-offs soon revoke everything, so half of the runs go without. */
  const commands = fc.oneof(
    fc.array(fc.oneof(add, move, moveToEdge, sweep, ask), { maxLength: 80, size: 'max' }),
    fc.array(fc.oneof({ weight: 4, arbitrary: ask }, raise, add, move, sweep), {
      maxLength: 40,
      size: 'max',
    }),
  );

  it('gives the same answers, and holds as many ids', () => {
    const seen = { true: 0, false: 0, either: 0, exactSizes: 0 };
    const run = fc.property(commands, (sequence) => {
      const { clock, index } = createLoadedIndex();
      const model = createModel();

      function setClock(now: number): void {
        clock.now = now;
        // A clock that was set back makes it stale; that isn't what this is about.
        index.markSynced(now);
      }

      function compare(asked: RevocationQuestion): void {
        const expected = model.isRevoked(asked, clock.now);
        const answer = index.isRevoked(asked);
        if (expected === null) {
          seen.either += 1;
          return;
        }
        seen[`${answer}`] += 1;
        if (answer !== expected) expect({ asked, answer }).toEqual({ asked, answer: expected });
      }

      /** Cut-offs say nothing about a token of the future. */
      function compareEveryId(): void {
        const held = { userId: 'nobody', issuedAt: FOR_EVER };
        for (const issuer of ISSUERS) {
          for (const jti of IDS) compare({ ...QUESTION, ...held, issuer, jti });
        }
        for (const sessionId of IDS) compare({ ...QUESTION, ...held, jti: 'other', sessionId });
      }

      for (const command of sequence) {
        switch (command.do) {
          case 'add': {
            const { jti, issuer, expiresIn } = command;
            const expiresAt = expiresIn === null ? null : START + expiresIn;
            index.add({ jti, issuer, expiresAt });
            model.add({ jti, issuer, expiresAt }, clock.now);
            break;
          }
          case 'raise': {
            const { scope, at } = command;
            index.raiseCutoff(scope, new Date(at));
            model.raise(scope, at);
            break;
          }
          case 'move':
            setClock(clock.now + command.ms);
            break;
          case 'edge': {
            const soon = model.entries.filter(({ goneBy }) => goneBy < START + 10 ** 9);
            const entry = soon[command.nth % soon.length];
            if (entry !== undefined && entry.goneBy + command.ms > clock.now - 5000) {
              setClock(entry.goneBy + command.ms);
            }
            break;
          }
          case 'sweep':
            if (command.full) sweepAll(index);
            else index.sweepSlice();
            model.sweep(clock.now, command);
            compareEveryId();
            break;
          case 'ask':
            compare(command.question);
            break;
        }
        // Exact, except after the clock went back behind a sweep that may have removed something.
        const certain = model.entries.filter(({ certainUntil }) => certainUntil > -Infinity).length;
        const possible = model.entries.length;
        expect(index.size).toBeGreaterThanOrEqual(certain);
        expect(index.size).toBeLessThanOrEqual(possible);
        if (command.do === 'sweep' && command.full && certain === possible) seen.exactSizes += 1;
      }
      compareEveryId();
      sweepAll(index);
      model.sweep(clock.now, { full: true });
      compareEveryId();
    });
    fc.assert(run, { numRuns: 300 });
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(100);
  });
});

describe('ids', () => {
  const entry = { issuer: OWN, jti: QUESTION.jti, expiresAt: START + 5000 };
  const leavesAt = Math.ceil((START + 5000 + LEEWAY_MS) / 1000) * 1000;

  it.each([
    ['a UUIDv7', createJti(START)],
    ['some text', 'token-1'],
  ])('keeps %s until the leeway after its expiry is over, then the sweep takes it', (_, jti) => {
    const { clock, index } = createLoadedIndex();
    index.add({ ...entry, jti });
    for (const now of [START, START + 5001, START + LEEWAY_MS, leavesAt - 1]) {
      clock.now = now;
      sweepAll(index);
      expect([now, index.isRevoked({ ...QUESTION, jti }), index.size]).toEqual([now, true, 1]);
    }
    clock.now = leavesAt;
    sweepAll(index);
    expect([index.isRevoked({ ...QUESTION, jti }), index.size]).toEqual([false, 0]);
  });

  it.each([
    ['later after sooner', [START + 5000, START + 9000], START + 9000],
    ['sooner after later', [START + 9000, START + 5000], START + 9000],
    ['never after soon', [START + 5000, null], null],
    ['soon after never', [null, START + 5000], null],
  ])('counts the later expiry of two: %s', (_, [first = null, second = null], latest) => {
    for (const jti of [createJti(START), 'token-1']) {
      const { clock, index } = createLoadedIndex();
      index.add({ ...entry, jti, expiresAt: first });
      index.add({ ...entry, jti, expiresAt: second });
      expect(index.size).toBe(1);
      clock.now = (latest ?? START + 10 ** 12) + LEEWAY_MS - 1;
      sweepAll(index);
      expect(index.isRevoked({ ...QUESTION, jti })).toBe(true);
      clock.now += 1000;
      sweepAll(index);
      expect(index.size).toBe(latest === null ? 1 : 0);
    }
  });

  it('takes in no id whose leeway is over', () => {
    const { index } = createLoadedIndex();
    index.add({ ...entry, expiresAt: START - LEEWAY_MS });
    expect(index.size).toBe(0);
    index.add({ ...entry, expiresAt: START - LEEWAY_MS + 1 });
    expect(index.size).toBe(1);
  });

  it.each([
    ['its own issuer', {}, true],
    ['another issuer', { issuer: FOREIGN }, false],
    ['another id', { jti: 'token-2' }, false],
    ['a token of that session', { jti: 'x', sessionId: 'token-1' }, true],
    ['one by another issuer', { jti: 'x', sessionId: 'token-1', issuer: FOREIGN }, true],
    ['a token of another session', { jti: 'x', sessionId: 'token-2' }, false],
  ])('about %s, %j: %s', (_, asked, revoked) => {
    const { index } = createLoadedIndex();
    index.add(entry);
    expect(index.isRevoked({ ...QUESTION, ...asked })).toBe(revoked);
  });

  it("revokes a foreign issuer's session for that issuer only", () => {
    const { index } = createLoadedIndex();
    index.add({ ...entry, issuer: FOREIGN });
    const ofSession = { ...QUESTION, jti: 'x', sessionId: 'token-1' };
    expect(index.isRevoked({ ...ofSession, issuer: FOREIGN })).toBe(true);
    expect(index.isRevoked(ofSession)).toBe(false);
    expect(index.isRevoked({ ...ofSession, issuer: '' })).toBe(false);
  });

  it('revokes an id of any issuer for each of them, as a session too', () => {
    const { index } = createLoadedIndex();
    index.add({ ...entry, issuer: ANY_ISSUER });
    for (const issuer of [OWN, FOREIGN, '']) {
      expect(index.isRevoked({ ...QUESTION, issuer })).toBe(true);
      expect(index.isRevoked({ ...QUESTION, issuer, jti: 'x', sessionId: 'token-1' })).toBe(true);
      expect(index.isRevoked({ ...QUESTION, issuer, jti: 'x' })).toBe(false);
    }
  });
});

describe('cut-offs, on claims as they are parsed', () => {
  const SECOND = Math.floor(START / 1000);
  const claims = { _id: 'user-1', iss: OWN, jti: 'token-1', iat: SECOND + 100 };
  const own = (ms: number) => ({ jti: createJti(ms), iat: Math.floor(ms / 1000) });
  const userOnly = { ...EVERYTHING, userId: 'user-1' };
  const applicationOnly = { ...EVERYTHING, applicationId: 'app-1' };
  const both = { ...EVERYTHING, userId: 'user-1', applicationId: 'app-1' };
  const sessions = { ...EVERYTHING, sessionsOnly: true };

  const v4 = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
  const session = { sid: 'session' };
  const elsewhere = { iss: FOREIGN };
  const app1 = { applicationId: 'app-1' };
  const other = { _id: 'user-2' };
  const now = own(START);
  const late = own(START + 5000);

  type Row = readonly [what: string, token: Record<string, unknown>, scope?: CutoffScope];
  const revoked: Row[] = [
    ['an own token, 1 ms before it', own(START - 1)],
    ['an own token of that very millisecond', now],
    ['a foreign token of the second before', { ...elsewhere, iat: SECOND - 1 }],
    ['a foreign token of the same second', { ...elsewhere, iat: SECOND }],
    ['a foreign token of that second, with a fraction', { ...elsewhere, iat: SECOND + 0.999 }],
    ['a UUIDv4 of the same second', { jti: v4, iat: SECOND }],
    ['a UUIDv7 of another second than it says', { jti: createJti(START + 5000), iat: SECOND }],
    ['a token that does not say its age', { iat: undefined }],
    ['the same, though its UUIDv7 looks new', { ...late, iat: undefined }],
    ['a new token of an old session', { ...late, sid: createJti(START) }],
    ['an old token of a session that seems younger', { ...now, sid: createJti(START + 1) }],
    ['an old token of a session of unknown age', { ...now, ...session }],
    ['sessions only: a token of one', { ...now, ...session }, sessions],
    ['a user: theirs', now, userOnly],
    ['a user: theirs in some application', { ...now, ...app1 }, userOnly],
    ['an application: a token of it', { ...now, ...app1 }, applicationOnly],
    ["an application: somebody else's token of it", { ...now, ...app1, ...other }, applicationOnly],
    ['user and application: both', { ...now, ...app1 }, both],
  ];
  const kept: Row[] = [
    ['an own token of 1 ms later, in the same second', own(START + 1)],
    ['a foreign token of the next second', { ...elsewhere, iat: SECOND + 1 }],
    ['a new token of a session 1 ms younger', { ...late, sid: createJti(START + 1) }],
    ['a new token of a session of unknown age', session],
    ['sessions only: no session', now, sessions],
    ["a user: somebody else's", { ...now, ...other }, userOnly],
    ['an application: a token of another', { ...now, applicationId: 'app-2' }, applicationOnly],
    ['an application: a token of none', now, applicationOnly],
    ['user and application: the user only', now, both],
    ['user and application: the application only', { ...now, ...app1, ...other }, both],
  ];

  function isRevokedAfterCutoff([what, token, scope = EVERYTHING]: Row): boolean {
    const { index } = createLoadedIndex();
    const parsed = parseClaims(JSON.parse(JSON.stringify({ ...claims, ...token })));
    if (parsed === null) throw new Error(`the claims of ${what} are not valid`);
    expect(index.isRevoked(parsed)).toBe(false);
    index.raiseCutoff(scope, new Date(START));
    return index.isRevoked(parsed);
  }

  it.each(revoked)('revoke %s', (...row) => {
    expect(isRevokedAfterCutoff(row)).toBe(true);
  });

  it.each(kept)('do not revoke %s', (...row) => {
    expect(isRevokedAfterCutoff(row)).toBe(false);
  });

  it('of sessions only, revoke refresh tokens', () => {
    const { index } = createLoadedIndex();
    index.raiseCutoff(sessions, new Date(START));
    const answers = [true, false].map((isRefreshToken) =>
      index.isRevoked({ ...QUESTION, isRefreshToken }),
    );
    expect(answers).toEqual([true, false]);
  });

  it("revoke nobody's tokens by their application only", () => {
    const { index } = createLoadedIndex();
    const nobodys = { ...QUESTION, userId: null, applicationId: 'app-1' };
    for (const scope of [userOnly, both, { ...both, userId: 'null' }]) {
      index.raiseCutoff(scope, new Date(START));
    }
    expect(index.isRevoked(nobodys)).toBe(false);
    index.raiseCutoff(applicationOnly, new Date(START));
    expect(index.isRevoked(nobodys)).toBe(true);
  });

  it('never go back, and the latest of all that match counts', () => {
    const { index } = createLoadedIndex();
    const isRevoked = (issuedAt: number) =>
      index.isRevoked({ ...QUESTION, applicationId: 'app-1', issuedAt });
    index.raiseCutoff(userOnly, new Date(START));
    for (const scope of [EVERYTHING, userOnly, applicationOnly, both]) {
      index.raiseCutoff(scope, new Date(START - 5000));
    }
    expect([isRevoked(START), isRevoked(START + 1)]).toEqual([true, false]);
    for (const [i, scope] of [both, applicationOnly, EVERYTHING, userOnly].entries()) {
      index.raiseCutoff(scope, new Date(START + i + 1));
      expect([isRevoked(START + i + 1), isRevoked(START + i + 2)]).toEqual([true, false]);
    }
  });
});

describe('the table of ids, at volume', () => {
  const NOW = Math.floor(START / 1000) * 1000;
  const hex = (value: number) => value.toString(16).padStart(8, '0');
  const uuid = (words: readonly number[]) =>
    words
      .map(hex)
      .join('')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

  /** Ids of which many differ in a single word, or in the issuer only. */
  function idOf(i: number): [issuer: string, id: string] {
    const family = i % 5;
    const n = Math.floor(i / 5);
    const words = [0x019c_a9a0, 0x1000_7000, 0x8000_0000, 7];
    if (family === 4) return [`issuer ${n % 4000}`, uuid([...words.slice(0, 3), n - (n % 4000)])];
    words[family] = Math.imul(n + 1, 0x9e37_79b1) >>> 0;
    return [OWN, uuid(words)];
  }

  function sweepTable(table: IdTable, now: number): void {
    for (let i = 0; i < SLICES; i += 1) table.sweepSlice(now);
  }

  it('loses none of 200,000 ids while it grows, and only what is due while it shrinks', () => {
    const COUNT = 200_000;
    const table = createIdTable();
    const ids = Array.from({ length: COUNT }, (_, i) => idOf(i));
    expect(new Set(ids.map(([issuer, id]) => `${issuer} ${id}`)).size).toBe(COUNT);
    /** A quarter never leaves; of the others about one hundredth each second. */
    const secondOf = (i: number) => (i % 4 === 0 ? Infinity : 1 + ((i * 7) % 100));
    /** By their numbers. */
    const inside = new Set<number>();
    const wrong = (step = 1) =>
      ids.filter((id, i) => i % step === 0 && table.has(...id) !== inside.has(i));

    for (const [i, id] of ids.entries()) {
      table.add(...id, NOW + secondOf(i) * 1000);
      inside.add(i);
      if (table.size !== i + 1) throw new Error(`${i + 1} ids were added, size is ${table.size}`);
      if (i % 20_000 === 0) expect(wrong(25)).toEqual([]);
    }
    expect(wrong()).toEqual([]);

    // Again, for less long: that changes nothing.
    for (const [i, id] of ids.entries()) {
      if (i % 3 === 0) table.add(...id, NOW + Math.min(secondOf(i), 5) * 1000);
    }
    expect(table.size).toBe(COUNT);

    for (const second of [30, 100]) {
      sweepTable(table, NOW + second * 1000 + 999);
      for (const i of inside) if (secondOf(i) <= second) inside.delete(i);
      expect([second, table.size, wrong(7)]).toEqual([second, inside.size, []]);
    }
    expect([table.size, wrong()]).toEqual([COUNT / 4, []]);

    for (const [i, id] of ids.entries()) {
      if (i % 2 === 1) continue;
      table.add(...id, Infinity);
      inside.add(i);
    }
    expect([table.size, wrong(3)]).toEqual([COUNT / 2, []]);
  });

  it('takes in ids between the slices of a sweep, and loses none of them', () => {
    const table = createIdTable();
    for (let round = 0; round < 50; round += 1) {
      for (let i = 0; i < 400; i += 1) {
        table.add(...idOf(round * 400 + i), NOW + (i % 2 === 0 ? 1000 * round : Infinity));
      }
      table.sweepSlice(NOW + 1000 * round);
    }
    sweepTable(table, NOW + 50_000);
    const left = Array.from({ length: 20_000 }, (_, i) => table.has(...idOf(i)));
    expect(left.findIndex((has, i) => has !== (i % 2 === 1))).toBe(-1);
    expect(table.size).toBe(10_000);
  });

  it('gives up in one sweep all that was due, though it grows between the slices', () => {
    const BEFORE = 5000;
    const ids = Array.from({ length: BEFORE + SLICES * 100 }, (_, i) => idOf(i));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const table = createIdTable();
      for (const id of ids.slice(0, BEFORE)) table.add(...id, NOW + 1000);
      for (let slice = 0; slice < SLICES; slice += 1) {
        const from = BEFORE + slice * 100;
        for (const id of ids.slice(from, from + 100)) table.add(...id, NOW + 2000);
        table.sweepSlice(NOW + 1000);
      }
      const wrong = ids.filter((id, i) => table.has(...id) !== i >= BEFORE);
      expect([table.size, wrong.slice(0, 3)]).toEqual([ids.length - BEFORE, []]);
    }
  });

  it('holds exactly what a Map holds, round after round of adds, repeats and sweeps', () => {
    const POOL = Array.from({ length: 2000 }, (_, i) => idOf(i));
    const second = fc.integer({ min: 1, max: 12 });
    const round = fc.record({
      adds: fc.array(fc.tuple(fc.nat({ max: POOL.length - 1 }), second), {
        minLength: 200,
        maxLength: 1500,
        size: 'max',
      }),
      /** 0 = nothing is due; 12 = everything is. */
      due: fc.integer({ min: 0, max: 12 }),
    });
    let [left, gone] = [0, 0];
    const run = fc.property(fc.array(round, { minLength: 3, maxLength: 6 }), (rounds) => {
      const table = createIdTable();
      const model = new Map<number, number>();
      for (const { adds, due } of rounds) {
        for (const [i, leaves] of adds) {
          const id = POOL[i];
          if (id === undefined) throw new Error(`there is no id ${i}`);
          table.add(...id, NOW + leaves * 1000);
          model.set(i, Math.max(leaves, model.get(i) ?? 0));
        }
        sweepTable(table, NOW + due * 1000);
        for (const [i, leaves] of model) if (leaves <= due && model.delete(i)) gone += 1;
        left += model.size;
        const wrong = POOL.filter((id, i) => table.has(...id) !== model.has(i));
        expect([table.size, wrong.slice(0, 3)]).toEqual([model.size, []]);
      }
    });
    // A smaller example says no more, and is long in coming.
    fc.assert(run, { numRuns: 15, endOnFailure: true });
    for (const count of [left, gone]) expect(count).toBeGreaterThan(1000);
  });

  it('asks for the other issuer and for any issuer too, whatever the kind of id', () => {
    for (const id of [uuid([1, 2, 3, 4]), 'token-1']) {
      const table = createIdTable();
      const asked = () => [table.has(OWN, id), table.has(OWN, id, FOREIGN), table.has('', id, OWN)];
      expect(asked()).toEqual([false, false, false]);
      table.add(FOREIGN, id, Infinity);
      expect(asked()).toEqual([false, true, false]);
      table.add(ANY_ISSUER, id, Infinity);
      expect(asked()).toEqual([true, true, true]);
      expect([table.size, table.has(OWN, `${id}0`)]).toEqual([2, false]);
    }
  });

  it('takes a UUID to the letter: any other letter, anywhere, is another id', () => {
    const id = '019ca9a0-1b2c-7d3e-8f4a-5b6c7d8e9f0a';
    const letters = ['-', '_', 'g', '/', ':', '`', '@', 'A', 'F', '\u0130', '\u0161', '\uff11'];
    const table = createIdTable();
    table.add(OWN, id, Infinity);
    for (let at = 0; at < id.length; at += 1) {
      for (const letter of [...letters, id[at] === '0' ? '1' : '0']) {
        if (letter === id[at]) continue;
        const other = id.slice(0, at) + letter + id.slice(at + 1);
        expect([other, table.has(OWN, other)]).toEqual([other, false]);
        table.add(OWN, other, NOW);
        expect([other, table.has(OWN, other)]).toEqual([other, true]);
      }
    }
    sweepTable(table, NOW);
    expect([table.size, table.has(OWN, id)]).toEqual([1, true]);
  });

  it.each([
    { name: 'UUIDs', id: (i: number) => uuid([i, i, i, i]) },
    { name: 'other ids', id: (i: number) => `token ${i}` },
  ])('sees all of 20,000 $name in as many slices as it says, wherever a sweep begins', ({ id }) => {
    for (const before of [0, 1, 40]) {
      const table = createIdTable();
      for (let i = 0; i < 20_000; i += 1) table.add(OWN, id(i), NOW + (i % 10 === 0 ? 9000 : 1000));
      for (let i = 0; i < before; i += 1) table.sweepSlice(NOW);
      sweepTable(table, NOW + 1000);
      expect([before, table.size]).toEqual([before, 2000]);
    }
  });
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('it did not throw');
}

function expectUnavailable(error: unknown): void {
  if (!(error instanceof ServiceError)) throw error;
  expect(error).toMatchObject({
    code: 'unavailable',
    status: 503,
    message: 'The revocation list is not up to date.',
  });
  expect(error.headers['Retry-After']).toMatch(/^[1-9]\d*$/);
}

describe('freshness', () => {
  it('refuses to answer before it was loaded, even about an id that it holds', () => {
    const index = createRevocationIndex({
      clock: () => START,
      ownIssuer: OWN,
      staleAfterMs: FOR_EVER,
    });
    index.add({ issuer: OWN, jti: 'token-1', expiresAt: null });
    expectUnavailable(thrownBy(() => index.isRevoked(QUESTION)));
    expect([index.isFresh, index.lastSyncedAt]).toEqual([false, null]);
  });

  it('answers until exactly staleAfterMs after it was up to date', () => {
    const { clock, index } = createLoadedIndex({ staleAfterMs: 5000 });
    for (const now of [START - 1000, START, START + 5000]) {
      clock.now = now;
      expect([now, index.isFresh, index.isRevoked(QUESTION)]).toEqual([now, true, false]);
    }
    clock.now = START + 5001;
    expect(index.isFresh).toBe(false);
    expectUnavailable(thrownBy(() => index.isRevoked(QUESTION)));
    index.markSynced(START + 1);
    expect([index.isFresh, index.isRevoked(QUESTION)]).toEqual([true, false]);
  });

  it('ends when the clock is set back, until the next sync', () => {
    const { clock, index } = createLoadedIndex({ staleAfterMs: 5000 });
    clock.now = START - 1001;
    expect(index.isFresh).toBe(false);
    expectUnavailable(thrownBy(() => index.isRevoked(QUESTION)));
    index.markSynced(clock.now);
    expect([index.isFresh, index.lastSyncedAt]).toEqual([true, START - 1001]);
    clock.now += 5001;
    expect(index.isFresh).toBe(false);
  });

  it('is never set back by an older sync', () => {
    const { clock, index } = createLoadedIndex({ staleAfterMs: 5000 });
    index.markSynced(START - 1);
    index.markSynced(START - 10 ** 9);
    expect(index.lastSyncedAt).toBe(START);
    clock.now = START + 5000;
    expect(index.isRevoked(QUESTION)).toBe(false);
  });
});

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function createDeferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}

/** The database's clock is never quite ours. */
const DATABASE_START = START + 7000;

/** Just what following needs of a store. */
function fakeStore({
  revoked,
  cutoffs = () => Promise.resolve([]),
  time = () => Promise.resolve(new Date(DATABASE_START)),
  reconnect = () => Promise.resolve(),
}: {
  revoked: Store['tokens']['revoked'];
  cutoffs?: Store['cutoffs']['all'];
  time?: Store['time'];
  reconnect?: Store['reconnect'];
}) {
  return {
    tokens: { revoked } as Store['tokens'],
    cutoffs: {
      async *writtenSince() {
        yield await cutoffs();
      },
    } as unknown as Store['cutoffs'],
    time,
    reconnect,
  };
}

/** One read of the revoked ids, which goes on only when the test says so. */
interface Read {
  readonly since: Date | null;
  readonly expiredBefore: Date;
  readonly entries: AsyncGenerator<RevokedEntry[]>;
  /** Resolves once the reader asks for the first batch. */
  readonly begun: Promise<void>;
  /** Hands out a batch; resolves once the reader has taken it in and asks for more. */
  give(batch: RevokedEntry[]): Promise<void>;
  end(): void;
  fail(error: Error): void;
}

function createRead(since: Date | null, expiredBefore: Date): Read {
  let asked = createDeferred<void>();
  let step = createDeferred<RevokedEntry[] | Error | null>();

  async function* entries() {
    for (;;) {
      asked.resolve();
      const what = await step.promise;
      if (what === null) return;
      if (what instanceof Error) throw what;
      step = createDeferred();
      yield what;
    }
  }

  return {
    since,
    expiredBefore,
    entries: entries(),
    begun: asked.promise,
    give(batch) {
      asked = createDeferred();
      step.resolve(batch);
      return asked.promise;
    },
    end: () => step.resolve(null),
    fail: (error) => step.resolve(error),
  };
}

function createLog() {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  return { lines, log: createLogger({ level: 'info', destination }) };
}

function createFollower({ staleAfterMs = FOR_EVER } = {}) {
  const clock = { now: START };
  const database = { now: DATABASE_START };
  const now = () => clock.now;
  const index = createRevocationIndex({ clock: now, ownIssuer: OWN, staleAfterMs });
  const reads: Read[] = [];
  const cutoffs: Cutoff[] = [];
  const store = fakeStore({
    revoked(since, expiredBefore) {
      const read = createRead(since, expiredBefore);
      reads.push(read);
      return read.entries;
    },
    cutoffs: () => Promise.resolve([...cutoffs]),
    time: () => Promise.resolve(new Date(database.now)),
  });
  const { log } = createLog();
  const sync = createRevocationSync({
    store,
    index,
    clock: now,
    log,
    report: REPORT_NOTHING,
  });
  return {
    clock,
    database,
    index,
    sync,
    cutoffs,
    /** Begins what reads the store; `done` settles when it has finished. */
    async begin(action: () => Promise<void>): Promise<Read & { readonly done: Promise<void> }> {
      const nth = reads.length;
      let settled = false;
      const done = action();
      // A failure is the test's business, later.
      const settle = () => {
        settled = true;
      };
      done.then(settle, settle);
      while (reads.length === nth && !settled) await nextTurn();
      const read = reads[nth];
      if (read === undefined) throw new Error('nothing was read');
      await read.begun;
      return { ...read, done };
    },
  };
}

const entryOf = (jti: string): RevokedEntry => ({ jti, issuer: OWN, expiresAt: null });
const isIn = (index: RevocationIndex, jti: string) => index.isRevoked({ ...QUESTION, jti });

describe('following the store', () => {
  it('is fresh as of the beginning of a load, once it has ended', async () => {
    const { clock, index, sync, begin } = createFollower({ staleAfterMs: 5000 });
    const load = await begin(sync.load);
    expect(load.since).toBeNull();
    expect(load.expiredBefore).toEqual(new Date(START - LEEWAY_MS));
    clock.now += 3000;
    await load.give([entryOf('a'), entryOf('b')]);
    await load.give([]);
    expect([index.isFresh, index.lastSyncedAt, index.size]).toEqual([false, null, 2]);
    await load.give([entryOf('c')]);
    load.end();
    await load.done;
    expect([index.isFresh, index.lastSyncedAt, index.size]).toEqual([true, START, 3]);
    expect(['a', 'b', 'c', 'd'].map((jti) => isIn(index, jti))).toEqual([true, true, true, false]);
    clock.now = START + 5001;
    expect(index.isFresh).toBe(false);
  });

  it('keeps what is revoked here while a load is under way', async () => {
    const { index, sync, begin } = createFollower();
    const load = await begin(sync.load);
    index.add(entryOf('before'));
    index.raiseCutoff({ ...EVERYTHING, userId: 'cut-off' }, new Date(START));
    await load.give([entryOf('a')]);
    index.add(entryOf('between'));
    await load.give([entryOf('b')]);
    index.add(entryOf('after'));
    load.end();
    await load.done;
    for (const jti of ['before', 'between', 'after', 'a', 'b']) {
      expect([jti, isIn(index, jti)]).toEqual([jti, true]);
    }
    expect(index.isRevoked({ ...QUESTION, userId: 'cut-off' })).toBe(true);
    expect(index.size).toBe(5);
  });

  /** Every order of three steps each; the last step of each ends it. */
  function interleavings(first: number, second: number): string[] {
    if (first === 0) return ['2'.repeat(second)];
    if (second === 0) return ['1'.repeat(first)];
    return [
      ...interleavings(first - 1, second).map((rest) => `1${rest}`),
      ...interleavings(first, second - 1).map((rest) => `2${rest}`),
    ];
  }

  it.each(interleavings(3, 3))(
    'has everything after two loads at once, in order %s',
    async (order) => {
      const { clock, index, sync, begin } = createFollower();
      const first = await begin(sync.load);
      clock.now += 1000;
      const second = await begin(sync.load);
      clock.now += 1000;
      const steps = {
        1: [
          () => first.give([entryOf('a')]),
          () => first.give([entryOf('b')]),
          () => finish(first),
        ],
        2: [
          () => second.give([entryOf('a')]),
          () => second.give([entryOf('c')]),
          () => finish(second),
        ],
      };
      async function finish(load: typeof first): Promise<void> {
        load.end();
        await load.done;
      }
      for (const which of order) await steps[which === '1' ? 1 : 2].shift()?.();
      expect(['a', 'b', 'c'].map((jti) => isIn(index, jti))).toEqual([true, true, true]);
      expect([index.size, index.lastSyncedAt]).toEqual([3, START + 1000]);
    },
  );

  it('is not fresh after a load that failed midway, but keeps what it got', async () => {
    const { index, sync, begin } = createFollower();
    const error = unavailable('The database did not answer.');
    const failing = await begin(sync.load);
    await failing.give([entryOf('a')]);
    failing.fail(error);
    await expect(failing.done).rejects.toBe(error);
    expect([index.isFresh, index.lastSyncedAt, index.size]).toEqual([false, null, 1]);
    expectUnavailable(thrownBy(() => isIn(index, 'a')));

    // Nothing is known to be complete, so the next refresh reads everything.
    const next = await begin(sync.refresh);
    expect(next.since).toBeNull();
    await next.give([entryOf('b')]);
    next.end();
    await next.done;
    expect([isIn(index, 'a'), isIn(index, 'b')]).toEqual([true, true]);
  });

  it('is not fresh after a load whose cut-offs failed', async () => {
    const { index } = createLoadedIndex();
    const { log } = createLog();
    const error = unavailable('The database did not answer.');
    const sync = createRevocationSync({
      report: REPORT_NOTHING,
      store: fakeStore({
        revoked: () => createRead(null, new Date(START)).entries,
        cutoffs: () => Promise.reject(error),
      }),
      index,
      clock: () => START + 1000,
      log,
    });
    await expect(sync.load()).rejects.toBe(error);
    expect(index.lastSyncedAt).toBe(START);
  });

  it("reads what was recorded since shortly before the last time that went well, by the database's clock", async () => {
    const { clock, database, index, sync, begin } = createFollower({ staleAfterMs: 60_000 });
    const load = await begin(sync.load);
    database.now += 500;
    load.end();
    await load.done;

    clock.now += 1000;
    database.now = DATABASE_START + 900;
    const failing = await begin(sync.refresh);
    expect(failing.since).toEqual(new Date(DATABASE_START - 15_000));
    failing.fail(unavailable('The database did not answer.'));
    await expect(failing.done).rejects.toThrow('The database did not answer.');
    expect(index.lastSyncedAt).toBe(START);

    clock.now += 30_000;
    database.now = DATABASE_START + 30_000;
    const refresh = await begin(sync.refresh);
    expect(refresh.since).toEqual(new Date(DATABASE_START - 15_000));
    expect(refresh.expiredBefore).toEqual(new Date(clock.now - LEEWAY_MS));
    clock.now += 4000;
    database.now += 4000;
    await refresh.give([entryOf('a')]);
    refresh.end();
    await refresh.done;
    expect([index.lastSyncedAt, isIn(index, 'a')]).toEqual([START + 31_000, true]);

    const next = await begin(sync.refresh);
    expect(next.since).toEqual(new Date(DATABASE_START + 15_000));
    next.end();
    await next.done;
  });

  it('loads everything after its own clock was set back', async () => {
    const { clock, index, sync, begin } = createFollower();
    const load = await begin(sync.load);
    load.end();
    await load.done;
    clock.now -= 60_000;
    for (const outcome of ['fail', 'end'] as const) {
      const refresh = await begin(sync.refresh);
      expect([refresh.since, index.isFresh]).toEqual([null, false]);
      refresh[outcome](unavailable('The database did not answer.'));
      await refresh.done.catch(() => undefined);
    }
    expect([index.isFresh, index.lastSyncedAt]).toEqual([true, START - 60_000]);
    const next = await begin(sync.refresh);
    expect(next.since).toEqual(new Date(DATABASE_START - 15_000));
    next.end();
    await next.done;
  });

  it("follows the database's clock back, to a server whose clock is behind", async () => {
    const { database, sync, begin } = createFollower();
    const load = await begin(sync.load);
    load.end();
    await load.done;
    database.now -= 60_000;
    // What that server recorded lies before the last read: everything is read once, then what is new.
    for (const since of [null, new Date(DATABASE_START - 75_000)]) {
      const refresh = await begin(sync.refresh);
      expect(refresh.since).toEqual(since);
      refresh.end();
      await refresh.done;
    }
  });

  it('takes in every cut-off with each read', async () => {
    const { index, sync, cutoffs, begin } = createFollower();
    const raised = { by: 'admin', reason: null, via: 'test', at: new Date(START) };
    for (const [i, read] of [sync.load, sync.refresh].entries()) {
      cutoffs.push({ ...raised, ...EVERYTHING, userId: `user-${i}` });
      const reading = await begin(read);
      expect(cutoffs.length).toBe(i + 1);
      reading.end();
      await reading.done;
      expect(index.isRevoked({ ...QUESTION, userId: `user-${i}` })).toBe(true);
      expect(index.isRevoked({ ...QUESTION, userId: `user-${i + 1}` })).toBe(false);
    }
  });
});

describe('the loop', () => {
  const error = unavailable('The database did not answer.');

  /** A store that fails while `broken` says so, on timers that the test moves. */
  function startLoop() {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'], now: START });
    const counts = { reads: 0, reconnects: 0 };
    const state: { broken: boolean; unreachable: boolean; hold: Promise<void> | null } = {
      broken: false,
      unreachable: false,
      hold: null,
    };
    const index = createRevocationIndex({
      clock: Date.now,
      ownIssuer: OWN,
      staleAfterMs: 5000,
    });
    const { log, lines } = createLog();
    const sync = createRevocationSync({
      report: REPORT_NOTHING,
      store: fakeStore({
        async *revoked() {
          counts.reads += 1;
          await state.hold;
          if (state.broken) throw error;
          yield [entryOf('a')];
        },
        // Failing, too: the loop must survive it.
        reconnect() {
          counts.reconnects += 1;
          return state.unreachable ? Promise.reject(error) : Promise.resolve();
        },
      }),
      index,
      clock: Date.now,
      log,
    });
    const messages = () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    return { counts, state, index, sync, messages };
  }

  const seconds = (count: number) => jest.advanceTimersByTimeAsync(count * 1000);

  afterEach(() => {
    jest.useRealTimers();
  });

  it('refreshes every second, and stop() ends it', async () => {
    const { counts, index, sync } = startLoop();
    sync.start();
    await jest.advanceTimersByTimeAsync(999);
    expect(counts.reads).toBe(0);
    await jest.advanceTimersByTimeAsync(1);
    expect([counts.reads, index.lastSyncedAt, isIn(index, 'a')]).toEqual([1, START + 1000, true]);
    await seconds(9);
    expect([counts.reads, index.lastSyncedAt]).toEqual([10, START + 10_000]);
    await sync.stop();
    await seconds(10);
    expect([counts.reads, jest.getTimerCount()]).toEqual([10, 0]);
  });

  it('survives failures, connects anew after every third, and recovers', async () => {
    const { counts, state, index, sync, messages } = startLoop();
    await sync.load();
    state.broken = true;
    sync.start();
    const reconnects: number[] = [];
    for (let i = 0; i < 7; i += 1) {
      await seconds(1);
      reconnects.push(counts.reconnects);
    }
    expect(reconnects).toEqual([0, 0, 0, 1, 1, 1, 2]);
    expect([index.isFresh, index.lastSyncedAt]).toEqual([false, START]);
    expectUnavailable(thrownBy(() => index.isRevoked(QUESTION)));
    expect(messages()).toEqual(['the revocation list could not be refreshed']);

    state.broken = false;
    await seconds(1);
    expect([index.isFresh, index.lastSyncedAt]).toEqual([true, START + 8000]);
    expect(messages().slice(1)).toEqual(['the revocation list is up to date again']);

    // It counts failures in a row.
    state.broken = true;
    await seconds(3);
    expect(counts.reconnects).toBe(2);
    await seconds(1);
    expect(counts.reconnects).toBe(3);
    await sync.stop();
  });

  it('goes on connecting until it succeeds, and refreshes right then', async () => {
    // It tried at every third failure only, so that after a long outage checks began 5 s late.
    const { counts, state, index, sync } = startLoop();
    await sync.load();
    state.broken = true;
    state.unreachable = true;
    sync.start();
    await seconds(3);
    expect(counts).toEqual({ reads: 4, reconnects: 0 });
    await seconds(5);
    expect(counts).toEqual({ reads: 4, reconnects: 5 });
    state.broken = false;
    state.unreachable = false;
    await seconds(1);
    expect(counts).toEqual({ reads: 5, reconnects: 6 });
    expect([index.isFresh, index.lastSyncedAt]).toEqual([true, START + 9000]);
    await seconds(5);
    expect(counts).toEqual({ reads: 10, reconnects: 6 });
    await sync.stop();
  });

  it('sweeps while it runs, even while the store fails', async () => {
    const { index, state, sync } = startLoop();
    state.broken = true;
    index.add({ issuer: OWN, jti: 'leaves', expiresAt: START - LEEWAY_MS + 1000 });
    index.add({ issuer: OWN, jti: createJti(START), expiresAt: START - LEEWAY_MS + 1000 });
    index.add(entryOf('stays'));
    sync.start();
    await seconds(SLICES + 2);
    expect(index.size).toBe(1);
    await sync.stop();
  });

  it('lets stop() wait for a refresh that is under way', async () => {
    const { counts, state, index, sync } = startLoop();
    const { promise, resolve } = createDeferred<void>();
    state.hold = promise;
    sync.start();
    await seconds(5);
    // One at a time: the next begins a second after the last has ended.
    expect(counts.reads).toBe(1);
    let stopped = false;
    const stopping = sync.stop().then(() => (stopped = true));
    await seconds(5);
    expect([stopped, index.lastSyncedAt]).toEqual([false, null]);
    resolve();
    await stopping;
    expect(index.lastSyncedAt).toBe(START + 1000);
    await seconds(5);
    expect([counts.reads, jest.getTimerCount()]).toEqual([1, 0]);
  });
});

describe('two instances on one database', () => {
  let a: TestService;
  let b: TestService;

  beforeAll(async () => {
    a = await startTestService();
    b = await a.sibling();
    await a.createUser('user@example.com');
  });

  afterAll(async () => {
    await b?.close();
    await a?.close();
  });

  const check = async ({ http }: TestService, token: string) =>
    (await http().get('/auth/verify').set('Authorization', token)).status;

  it('refuse what the other one revoked, after a refresh', async () => {
    const token = await a.signIn('user@example.com');
    const other = await a.signIn('user@example.com');
    expect([await check(a, token), await check(b, token)]).toEqual([204, 204]);
    const revoked = await a
      .http()
      .delete(`/v3/jwt/history/${jtiOf(token)}`)
      .set('Authorization', other);
    expect(revoked.status).toBe(200);
    expect(await check(a, token)).toBe(401);
    a.clock.now += 1000;
    await b.service.sync.refresh();
    expect(b.service.index.lastSyncedAt).toBe(a.clock.now);
    expect([await check(b, token), await check(b, other)]).toEqual([401, 204]);
  });

  it('find out what was revoked while they could not read, and what was before they came', async () => {
    const keeper = await a.signIn('user@example.com');
    const tokens: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      a.clock.now += 60_000;
      const token = await a.signIn('user@example.com');
      tokens.push(token);
      await a
        .http()
        .delete(`/v3/jwt/history/${jtiOf(token)}`)
        .set('Authorization', keeper);
    }
    await b.service.sync.refresh();
    const late = await a.sibling();
    for (const instance of [b, late]) {
      for (const token of tokens) expect(await check(instance, token)).toBe(401);
      expect(await check(instance, keeper)).toBe(204);
    }
    await late.close();
  });

  it('follow a cut-off that was raised at the other one', async () => {
    const second = Math.floor(a.clock.now / 1000);
    const own = await a.signIn('user@example.com');
    const foreign = `JWT ${mint({ jti: 'foreign-1', sub: 'somebody', iat: second })}`;
    const stranger = `JWT ${mint({ jti: 'foreign-2', sub: 'stranger', iat: second })}`;
    const later = `JWT ${mint({ jti: 'foreign-3', sub: 'somebody', iat: second + 1 })}`;
    const { _id: userId } = JSON.parse(
      Buffer.from(own.split('.')[1] ?? '', 'base64url').toString(),
    ) as { _id: string };
    for (const id of [userId, 'somebody']) {
      await a.store.cutoffs.raise({
        ...EVERYTHING,
        userId: id,
        at: new Date(a.clock.now),
        by: 'system',
        reason: null,
        via: 'test',
      });
    }
    a.clock.now += 1000;
    const all = [own, foreign, stranger, later];
    expect(await Promise.all(all.map((token) => check(b, token)))).toEqual([204, 204, 204, 204]);
    await b.service.sync.refresh();
    expect(await Promise.all(all.map((token) => check(b, token)))).toEqual([401, 401, 204, 204]);
    expect(await check(b, await a.signIn('user@example.com'))).toBe(204);
  });
});
