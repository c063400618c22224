/** The cut-offs in force: "everything of this scope issued at or before T is revoked"; of all that match a token, the latest counts. */
import type { CutoffScope } from '../store/cutoffs.js';

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

export function createCutoffTable(): CutoffTable {
  const all: Times = { any: -Infinity, sessions: -Infinity };
  const users = new Map<string, Times>();
  const applications = new Map<string, Times>();
  const both = new Map<string, Times>();
  let isEmpty = true;

  function timesOf({ userId, applicationId }: CutoffScope): Times {
    if (userId === null) return applicationId === null ? all : entry(applications, applicationId);
    return applicationId === null ? entry(users, userId) : entry(both, pair(userId, applicationId));
  }

  return {
    effective({ userId, applicationId, isSession }) {
      if (isEmpty) return -Infinity;
      let latest = timeOf(all, isSession);
      if (userId !== null) latest = Math.max(latest, timeOf(users.get(userId), isSession));
      if (applicationId === null) return latest;
      latest = Math.max(latest, timeOf(applications.get(applicationId), isSession));
      return both.size === 0 || userId === null
        ? latest
        : Math.max(latest, timeOf(both.get(pair(userId, applicationId)), isSession));
    },

    raise(scope, at) {
      const times = timesOf(scope);
      isEmpty = false;
      const which = scope.sessionsOnly ? 'sessions' : 'any';
      if (at <= times[which]) return false;
      times[which] = at;
      return true;
    },

    of({ userId, applicationId }) {
      const [key, map] =
        userId === null
          ? [applicationId, applications]
          : applicationId === null
            ? [userId, users]
            : [pair(userId, applicationId), both];
      return { ...(key === null ? all : (map.get(key) ?? NONE)) };
    },

    get size() {
      return (isEmpty ? 0 : 1) + users.size + applications.size + both.size;
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
