/** The cards as people see them, and the filter of each, moving with the clock. */
import { CARD_FILTERS, type CardCount } from '../../cards.ts';
import type { FilterParameters, SortField } from '../../wire.ts';

interface Card {
  readonly label: string;
  readonly count: CardCount;
  readonly sort: SortField;
  readonly direction: 1 | -1;
}

/** Under the names that addresses have for them. */
export const CARDS = {
  active: { label: 'Active', count: 'active', sort: 'issuedAt', direction: -1 },
  expiring: {
    label: 'Expiring within 24 h',
    count: 'expiringSoon',
    sort: 'expiresAt',
    direction: 1,
  },
  idle: { label: 'Idle for 30 days', count: 'idle', sort: 'lastUsedAt', direction: -1 },
  never: { label: 'Never expires', count: 'neverExpires', sort: 'issuedAt', direction: -1 },
  'revoked-today': {
    label: 'Revoked today',
    count: 'revokedToday',
    sort: 'revokedAt',
    direction: -1,
  },
  refused: {
    label: 'Refused in the last hour',
    count: 'refusedLastHour',
    sort: 'refusedAt',
    direction: -1,
  },
} as const satisfies Record<string, Card>;

export type CardName = keyof typeof CARDS;
export const cardNames = Object.keys(CARDS) as readonly CardName[];

/** When today began where the viewer is; both in ms since the epoch. */
export function startOfToday(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0);
}

export function cardFilter(card: CardName, now: number): FilterParameters {
  return CARD_FILTERS[CARDS[card].count]({ now, today: startOfToday(now) });
}
