/** Which records a cut-off hits, as a filter of the database: the same rule as `tokens/state.ts`, tested against it. */
import type { Cutoff, CutoffScope } from './cutoffs.js';
import { holdersWith } from '../ids.js';
import { APPLICATION_INDEX, DATE_INDEXES, type Index, USER_INDEX } from '../tokens/model.js';

type Filter = Readonly<Record<string, unknown>>;

/** Everything of the scope that is as old as the cut-off, or older, whatever its state. */
export function hitBy({ at, ...scope }: Pick<Cutoff, 'at' | keyof CutoffScope>): Filter {
  return {
    ...within(scope),
    $and: [
      {
        $or: [
          // One whose age nobody knows is too old, as for the check.
          { issuedAt: { $not: { $gt: at } } },
          // A token is no younger than its session, whose id tells its age where it is a UUIDv7.
          { sessionId: { $regex: UUID_V7, $lte: lastUuidOf(at) } },
        ],
      },
      ...(scope.sessionsOnly ? [OF_SESSIONS] : []),
    ],
  };
}

/** Which tokens the scope is about, whenever they were issued. */
export function withinKind(scope: CutoffScope): Filter {
  return { ...within(scope), ...(scope.sessionsOnly ? OF_SESSIONS : {}) };
}

const OF_SESSIONS = { $or: [{ kind: 'refresh' }, { sessionId: { $type: 'string' } }] };

/** Whose tokens the scope is about. */
export function within({ userId, applicationId, everyKind }: CutoffScope): Filter {
  return {
    ...(userId === null
      ? {}
      : { userId: everyKind === true ? { $in: holdersWith(userId) } : { $eq: userId } }),
    ...(applicationId === null ? {} : { applicationId: { $eq: applicationId } }),
  };
}

/** The index that finds by it. */
export function indexOfScope({ userId, applicationId }: CutoffScope): Index {
  if (userId !== null) return USER_INDEX;
  return applicationId === null ? DATE_INDEXES.createdAt : APPLICATION_INDEX;
}

/** 48 bits. */
const MAX_UUID_TIME = 2 ** 48 - 1;
const UUID_V7 = '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$';

/** The greatest UUIDv7 of this millisecond: as texts they are in the order of their times. */
function lastUuidOf(at: Date): string {
  const hex = Math.min(Math.max(0, at.getTime()), MAX_UUID_TIME)
    .toString(16)
    .padStart(12, '0')
    .slice(-12);
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7fff-bfff-ffffffffffff`;
}
