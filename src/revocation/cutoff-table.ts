/** The cut-offs in force: "everything of this scope issued at or before T is revoked"; of all that match a token, the latest counts. */
import type { CutoffScope } from '../store/cutoffs/cutoffs.js';
import { bareIdOf } from '../store/ids.js';

export interface CutoffQuestion {
  readonly userId: string | null;
  readonly applicationId: string | null;
  /** A refresh token, or what came from one. */
  readonly isSession: boolean;
}

export interface CutoffTable {
  /** T (ms since the epoch) for this token; -Infinity when no scope matches. */
  effective(question: CutoffQuestion): number;
  /** Moves the scope's T forward, never back. @returns whether it moved. */
  raise(scope: CutoffScope, at: number): boolean;
  /** Moves it back to `at` where it is later than `beyond`, but no later than `from`. @returns whether it moved. */
  lower(scope: CutoffScope, times: { at: number; from: number; beyond: number }): boolean;
  /** What is in force for exactly this scope, as it is now. */
  of(scope: Pick<CutoffScope, 'userId' | 'applicationId'>): CutoffTimes;
  readonly size: number;
}

/** T for any token, and T for sessions only; -Infinity = none. */
export type CutoffTimes = Readonly<Times>;

interface Times {
  any: number;
  sessions: number;
}

const NONE: CutoffTimes = { any: -Infinity, sessions: -Infinity };
/** Those of one way to name a holder. */
function createTimesByHolder() {
  const users = new Map<string, Times>();
  const both = new Map<string, Times>();
  return {
    timesOf: (userId: string, applicationId: string | null) =>
      applicationId === null ? entry(users, userId) : entry(both, pair(userId, applicationId)),

    latest(userId: string, applicationId: string | null, isSession: boolean): number {
      const ofUser = timeOf(users.get(userId), isSession);
      return both.size === 0 || applicationId === null
        ? ofUser
        : Math.max(ofUser, timeOf(both.get(pair(userId, applicationId)), isSession));
    },

    of: (userId: string, applicationId: string | null) =>
      applicationId === null ? users.get(userId) : both.get(pair(userId, applicationId)),

    get size() {
      return users.size + both.size;
    },
  };
}

export function createCutoffTable(): CutoffTable {
  const all: Times = { any: -Infinity, sessions: -Infinity };
  const applications = new Map<string, Times>();
  const holders = createTimesByHolder();
  /** By the bare id. */
  const ofEveryKind = createTimesByHolder();
  let isEmpty = true;

  function timesOf({ userId, applicationId, everyKind }: CutoffScope): Times {
    if (userId === null) return applicationId === null ? all : entry(applications, applicationId);
    return (everyKind === true ? ofEveryKind : holders).timesOf(userId, applicationId);
  }

  return {
    effective({ userId, applicationId, isSession }) {
      if (isEmpty) return -Infinity;
      let latest = timeOf(all, isSession);
      if (applicationId !== null)
        latest = Math.max(latest, timeOf(applications.get(applicationId), isSession));
      if (userId === null) return latest;
      latest = Math.max(latest, holders.latest(userId, applicationId, isSession));
      return ofEveryKind.size === 0
        ? latest
        : Math.max(latest, ofEveryKind.latest(bareIdOf(userId), applicationId, isSession));
    },

    raise(scope, at) {
      const times = timesOf(scope);
      isEmpty = false;
      const which = scope.sessionsOnly ? 'sessions' : 'any';
      if (at <= times[which]) return false;
      times[which] = at;
      return true;
    },

    lower(scope, { at, from, beyond }) {
      const times = timesOf(scope);
      const which = scope.sessionsOnly ? 'sessions' : 'any';
      if (times[which] <= Math.max(at, beyond) || times[which] > from) return false;
      times[which] = at;
      return true;
    },

    of({ userId, applicationId }) {
      const times =
        userId !== null
          ? holders.of(userId, applicationId)
          : applicationId === null
            ? all
            : applications.get(applicationId);
      return { ...(times ?? NONE) };
    },

    get size() {
      const ofAll = Math.max(all.any, all.sessions) === -Infinity ? 0 : 1;
      return ofAll + applications.size + holders.size + ofEveryKind.size;
    },
  };
}

function timeOf(times: Times | undefined, isSession: boolean): number {
  if (times === undefined) return -Infinity;
  return isSession ? Math.max(times.any, times.sessions) : times.any;
}

function entry(map: Map<string, Times>, key: string): Times {
  let times = map.get(key);
  if (times === undefined) map.set(key, (times = { any: -Infinity, sessions: -Infinity }));
  return times;
}

/** Unambiguous: an id holds no control characters. */
function pair(userId: string, applicationId: string): string {
  return `${userId}\n${applicationId}`;
}
