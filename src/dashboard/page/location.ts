/** Everything about what is shown is in the address: it can be bookmarked, shared, and gone back from. */
import { signal } from '@preact/signals';
import type { FilterParameters, SortField } from '../wire.ts';
import { cardFilter, CARDS, type CardName } from './tokens/card-filters.ts';
import { filterKeys, isFilterValue } from './tokens/filter-table.ts';

export const VIEWS = ['tokens', 'inspect', 'users', 'keys', 'danger'] as const;
export type View = (typeof VIEWS)[number];

/** Where the page is. */
export interface Place {
  readonly view: View;
  /** The token whose drawer is open. */
  readonly token: string | null;
  /** A card's filter moves with the clock, so the address names the card instead of instants. */
  readonly card: CardName | null;
  readonly filter: FilterParameters;
  readonly sort: SortField;
  readonly direction: 1 | -1;
  readonly cursor: string | null;
}

export const SORTS: readonly SortField[] = [
  'createdAt',
  'issuedAt',
  'expiresAt',
  'lastUsedAt',
  'revokedAt',
  'refusedAt',
];
const DEFAULTS = { sort: 'issuedAt', direction: -1 } as const;

export const place = signal<Place>(read());

window.addEventListener('popstate', () => {
  place.value = read();
});

function read(): Place {
  const query = new URLSearchParams(window.location.search);
  const filter: Record<string, string> = {};
  for (const key of filterKeys) {
    const text = query.get(key);
    if (text !== null && text !== '' && isFilterValue(key, text)) filter[key] = text;
  }
  const card = query.get('card') as CardName | null;
  return {
    view: VIEWS.find((view) => view === query.get('view')) ?? 'tokens',
    token: query.get('token'),
    card: card !== null && Object.hasOwn(CARDS, card) ? card : null,
    filter,
    sort: SORTS.find((sort) => sort === query.get('sort')) ?? DEFAULTS.sort,
    direction: query.get('direction') === '1' ? 1 : -1,
    cursor: query.get('cursor'),
  };
}

export function addressOf(target: Place): string {
  const query = new URLSearchParams();
  const set = (name: string, value: string | null, usual?: string) => {
    if (value !== null && value !== usual) query.set(name, value);
  };
  set('view', target.view, 'tokens');
  set('card', target.card);
  for (const key of filterKeys) set(key, target.filter[key] ?? null);
  set('sort', target.sort, DEFAULTS.sort);
  set('direction', String(target.direction), '-1');
  set('cursor', target.cursor);
  set('token', target.token);
  const text = query.toString();
  return text === '' ? '/' : `/?${text}`;
}

export function go(change: Partial<Place>, how: 'push' | 'replace' = 'push'): void {
  const target = { ...place.value, ...change };
  const address = addressOf(target);
  if (address === window.location.pathname + window.location.search) return;
  if (how === 'push') window.history.pushState(null, '', address);
  else window.history.replaceState(null, '', address);
  place.value = target;
}

/**
 * Another filter begins at the first page. An absent or empty value takes its part away. What is
 * chosen by hand wins over a card that says otherwise.
 */
export function refine(
  change: Readonly<Partial<Record<keyof FilterParameters, string | undefined>>>,
  how: 'push' | 'replace' = 'push',
): void {
  const filter = Object.fromEntries(
    Object.entries({ ...place.value.filter, ...change }).filter(
      ([, value]) => value !== undefined && value !== '',
    ),
  );
  const { card } = place.value;
  const cardKeys = card === null ? [] : Object.keys(cardFilter(card, 0));
  const contradicts = cardKeys.some((key) => Object.hasOwn(change, key));
  go({ filter, cursor: null, card: contradicts ? null : card }, how);
}

/** Only these tokens, whatever was shown before. */
export function showOnly(filter: FilterParameters): void {
  go({ view: 'tokens', token: null, card: null, filter, cursor: null, ...DEFAULTS });
}

export function clearFilters(): void {
  showOnly({});
}
