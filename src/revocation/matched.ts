/** How much a cut-off hits: counted when it is in force already, within limits, and never at its expense. */
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/database/connect.js';
import type { Cutoff, CutoffScope } from '../store/cutoffs/cutoffs.js';
import type { TokenRecord } from '../store/records.js';
import { type CutoffSubject, cutoffSubjectOf, isCutOff } from '../tokens/state.js';
import type { CutoffTimes } from './cutoff-table.js';
import type { RevocationIndex } from './revocation-index.js';

/** Recorded tokens that were good before, and whose they are. */
export interface Matched {
  readonly tokens: number;
  readonly users: number;
  readonly applications: number;
  /** Counting stopped before the end: there may be more of each. */
  readonly isLowerBound?: true;
}

export const NOTHING_MATCHED: Matched = { tokens: 0, users: 0, applications: 0 };

/**
 * @param earlier what was in force for its scope before. @param further what was revoked along with
 *   it, and isn't hit by it. null = it can't be counted (in time). Never throws.
 */
export type CountMatched = (
  cutoff: Cutoff,
  earlier: CutoffTimes,
  further?: readonly Pick<TokenRecord, 'userId' | 'applicationId'>[],
) => Promise<Matched | null>;

interface Dependencies {
  readonly tokens: Pick<Store['tokens'], 'hitCandidates'>;
  readonly index: Pick<RevocationIndex, 'cutoffOf'>;
  readonly log: Logger;
  readonly most?: number;
  readonly withinMs?: number;
}

const MOST = 10_000;
/** As long as the answer may wait for the count. */
const WITHIN_MS = 1000;

export function createMatchedCount({
  tokens,
  index,
  log,
  most = MOST,
  withinMs = WITHIN_MS,
}: Dependencies): CountMatched {
  /** By a cut-off that was in force before this one, and whose records may not all be marked yet. */
  function wasRefused(subject: CutoffSubject, cutoff: Cutoff, earlier: CutoffTimes): boolean {
    const times = scopesOf(subject).map((scope) =>
      isSame(scope, cutoff) ? earlier : index.cutoffOf(scope),
    );
    const latest = times.map(({ any, sessions }) =>
      subject.isSession ? Math.max(any, sessions) : any,
    );
    return isCutOff(subject, Math.max(...latest));
  }

  return async function countMatched(cutoff, earlier, further = []) {
    const users = new Set<string>();
    const applications = new Set<string>();
    let count = 0;
    const add = ({ userId, applicationId }: Pick<TokenRecord, 'userId' | 'applicationId'>) => {
      count += 1;
      if (userId !== null) users.add(userId);
      if (applicationId !== null) applications.add(applicationId);
    };
    const soFar = () => ({ tokens: count, users: users.size, applications: applications.size });
    for (const each of further) add(each);
    try {
      for await (const batch of tokens.hitCandidates(cutoff, { withinMs })) {
        for (const candidate of batch) {
          const subject = cutoffSubjectOf(candidate);
          if (!isCutOff(subject, cutoff.at.getTime())) continue;
          if (wasRefused(subject, cutoff, earlier)) continue;
          if (count >= most) return { ...soFar(), isLowerBound: true };
          add(candidate);
        }
      }
      return soFar();
    } catch (error) {
      // Whatever it was, what was asked for is done.
      log.warn({ err: error }, 'what a cut-off hit could not be counted; it is in force');
      return count === 0 ? null : { ...soFar(), isLowerBound: true };
    }
  };
}

type Scope = Pick<CutoffScope, 'userId' | 'applicationId'>;

/** All whose cut-offs count for it. */
function scopesOf({ userId, applicationId }: CutoffSubject): Scope[] {
  const ofUser = userId === null ? [] : [{ userId, applicationId: null }];
  const ofApplication = applicationId === null ? [] : [{ userId: null, applicationId }];
  const ofBoth = userId === null || applicationId === null ? [] : [{ userId, applicationId }];
  return [{ userId: null, applicationId: null }, ...ofUser, ...ofApplication, ...ofBoth];
}

function isSame(a: Scope, b: Scope): boolean {
  return a.userId === b.userId && a.applicationId === b.applicationId;
}
