/** The cards over the list: the filter that each of them counts, and that the list shows for it. For the service and the page. */
import type { z } from 'zod';
import type { filterBody } from './api/tokens-input.js';

/** Both in ms since the epoch; `today` = when today began where the viewer is. */
export interface CardMoment {
  readonly now: number;
  readonly today: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const at = (time: number) => new Date(time).toISOString();

export const CARD_FILTERS = {
  active: () => ({ state: 'active' }),
  expiringSoon: ({ now }) => ({
    state: 'active',
    expiresFrom: at(now),
    expiresTo: at(now + DAY_MS),
  }),
  idle: ({ now }) => ({ state: 'active', idleSince: at(now - 30 * DAY_MS) }),
  neverExpires: () => ({ state: 'active', neverExpires: 'true' }),
  revokedToday: ({ today }) => ({ revokedFrom: at(today) }),
  refusedLastHour: ({ now }) => ({ refusedFrom: at(now - HOUR_MS) }),
} as const satisfies Record<string, (moment: CardMoment) => z.input<typeof filterBody>>;

export type CardCount = keyof typeof CARD_FILTERS;
