/** What happened to a token, oldest first: for the dashboard's detail view. */
import type { CutoffStore } from '../../store/cutoffs/cutoffs.js';
import type { Revocation, TokenRecord } from '../../store/records.js';
import type { UserStore } from '../../store/users/users.js';
import { cutoffSubjectOf, hasExpired, isCutOff, isInScope } from '../../tokens/state.js';

interface Context {
  readonly users: Pick<UserStore, 'findById'>;
  readonly cutoffs: Pick<CutoffStore, 'matching'>;
  readonly now: number;
  /** Who did it, by e-mail, and why everybody's were revoked, is for administrators. */
  readonly isAdministrator: boolean;
}

export interface TimelineEntry {
  readonly at: Date;
  readonly what:
    'issued' | 'first-used' | 'last-used' | 'refused' | 'expired' | 'revoked' | 'cut-off';
  /** A user's e-mail where it is one of ours, else their id. */
  readonly by: string | null;
  readonly via: string | null;
  readonly reason: string | null;
  readonly requestId: string | null;
  readonly count: number | null;
}

const NOTHING_MORE = { by: null, via: null, reason: null, requestId: null, count: null } as const;

/** @param session the refresh token that it came from, if it did. */
export async function timelineOf(
  record: TokenRecord,
  session: TokenRecord | null,
  context: Context,
): Promise<TimelineEntry[]> {
  const { firstUsedAt, lastUsedAt, lastRefusedAt, expiresAt, refusedCount } = record;
  const entries: (Partial<TimelineEntry> & Pick<TimelineEntry, 'at' | 'what'>)[] = [
    { at: record.issuedAt ?? record.createdAt, what: 'issued', via: record.origin },
    ...(firstUsedAt ? [{ at: firstUsedAt, what: 'first-used' as const }] : []),
    ...(lastUsedAt ? [{ at: lastUsedAt, what: 'last-used' as const }] : []),
    ...(await endOf(record, session, context)),
    ...(lastRefusedAt
      ? [{ at: lastRefusedAt, what: 'refused' as const, count: refusedCount }]
      : []),
    ...(expiresAt && hasExpired(expiresAt, context.now)
      ? [{ at: expiresAt, what: 'expired' as const }]
      : []),
  ];
  return entries
    .map((entry) => ({ ...NOTHING_MORE, ...entry }))
    .toSorted((a, b) => a.at.getTime() - b.at.getTime());
}

/** What revoked it: itself, its session, or a cut-off whose marking hasn't come to it yet. */
async function endOf(
  record: TokenRecord,
  session: TokenRecord | null,
  { users, cutoffs, isAdministrator }: Context,
): Promise<TimelineEntry[]> {
  const revocation = record.revocation ?? session?.revocation ?? null;
  if (revocation !== null) {
    return [
      {
        ...(await endEntry('revoked', revocation, isAdministrator ? users : null)),
        requestId: revocation.requestId ?? null,
      },
    ];
  }
  const subject = cutoffSubjectOf(record);
  const matching = (await cutoffs.matching(record.userId, record.applicationId)).filter(
    (cutoff) => isInScope(cutoff, subject) && isCutOff(subject, cutoff.at.getTime()),
  );
  const [newest] = matching.toSorted((a, b) => b.at.getTime() - a.at.getTime());
  if (newest === undefined) return [];
  const isForOthersToo = newest.userId === null && !isAdministrator;
  const shown = isForOthersToo ? { ...newest, reason: null } : newest;
  return [await endEntry('cut-off', shown, isAdministrator ? users : null)];
}

async function endEntry(
  what: 'revoked' | 'cut-off',
  { at, by, via, reason }: Pick<Revocation, 'at' | 'by' | 'via' | 'reason'>,
  users: Context['users'] | null,
): Promise<TimelineEntry> {
  return {
    ...NOTHING_MORE,
    at,
    what,
    by: users === null ? by : await nameOf(by, users),
    via,
    reason,
  };
}

/** A user's e-mail; else the id as it is: an API key's, or of a user who is gone. */
async function nameOf(id: string, users: Context['users']): Promise<string> {
  return (await users.findById(id))?.email ?? id;
}
