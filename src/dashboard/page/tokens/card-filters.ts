/** What each card counts and shows: the same filter for both, moving with the clock. */
import type { FilterParameters, SortField, WireSummary } from '../../wire.ts';

interface Card {
  readonly label: string;
  readonly count: keyof WireSummary;
  readonly sort: SortField;
  readonly direction: 1 | -1;
  readonly filter: (now: number) => FilterParameters;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const at = (time: number) => new Date(time).toISOString();

/** When today began where the viewer is. */
export function startOfToday(now: number): string {
  return at(new Date(now).setHours(0, 0, 0, 0));
}

export const CARDS = {
  active: {
    label: 'Active',
    count: 'active',
    sort: 'issuedAt',
    direction: -1,
    filter: () => ({ state: 'active' }),
  },
  expiring: {
    label: 'Expiring within 24 h',
    count: 'expiringSoon',
    sort: 'expiresAt',
    direction: 1,
    filter: (now) => ({ state: 'active', expiresFrom: at(now), expiresTo: at(now + DAY_MS) }),
  },
  idle: {
    label: 'Idle for 30 days',
    count: 'idle',
    sort: 'lastUsedAt',
    direction: -1,
    filter: (now) => ({ state: 'active', idleSince: at(now - 30 * DAY_MS) }),
  },
  never: {
    label: 'Never expires',
    count: 'neverExpires',
    sort: 'issuedAt',
    direction: -1,
    filter: () => ({ state: 'active', neverExpires: 'true' }),
  },
  'revoked-today': {
    label: 'Revoked today',
    count: 'revokedToday',
    sort: 'revokedAt',
    direction: -1,
    filter: (now) => ({ revokedFrom: startOfToday(now) }),
  },
  refused: {
    label: 'Refused in the last hour',
    count: 'refusedLastHour',
    sort: 'refusedAt',
    direction: -1,
    filter: (now) => ({ refusedFrom: at(now - HOUR_MS) }),
  },
} as const satisfies Record<string, Card>;

export type CardName = keyof typeof CARDS;
export const cardNames = Object.keys(CARDS) as readonly CardName[];
