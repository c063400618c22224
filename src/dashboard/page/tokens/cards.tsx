/** Six counts that say at once whether something is wrong; each is a filter too. */
import { effect, signal, untracked } from '@preact/signals';
import type { WireCount, WireSummary } from '../../wire.ts';
import { ApiError, call, session } from '../api.ts';
import { changes, missed } from '../live.ts';
import { clearFilters, go, place } from '../location.ts';
import { type CardName, cardNames, CARDS, startOfToday } from './card-filters.ts';
import { now } from '../ui/time.tsx';
import { isLoading } from './results.ts';

/** So often at most the counts are asked for anew, however much happens. */
const REFRESH_MS = 10_000;
/** And so often when nothing happens: time goes on, tokens expire. */
const AGEING_MS = 120_000;

const summary = signal<WireSummary | null>(null);
let loadedAt = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** The rows come first: the counts are asked for when those are there. */
export function startCards(): void {
  effect(() => {
    const isWanted = session.value && place.value.view === 'tokens' && !isLoading.value;
    const happened = changes.value.length > 0 || missed.value > 0;
    // Read, so that the clock brings one here now and then.
    if (isWanted && now.value > 0) untracked(() => refreshSoon(happened));
  });
  effect(() => {
    if (session.value !== null) return;
    summary.value = null;
    loadedAt = 0;
  });
}

function refreshSoon(hasChanged: boolean): void {
  if (summary.value !== null && !hasChanged && Date.now() - loadedAt < AGEING_MS) return;
  clearTimeout(timer);
  const wait = loadedAt === 0 ? 0 : Math.max(500, loadedAt + REFRESH_MS - Date.now());
  timer = setTimeout(() => void load(), wait);
}

async function load(): Promise<void> {
  if (!session.value) return;
  loadedAt = Date.now();
  const today = encodeURIComponent(new Date(startOfToday(loadedAt)).toISOString());
  try {
    summary.value = await call<WireSummary>('GET', `/admin/summary?today=${today}`);
  } catch (error) {
    // The list says what is wrong; the cards go on without numbers.
    if (!(error instanceof ApiError)) throw error;
  }
}

export function Cards() {
  return (
    <nav class="cards" aria-label="Quick filters">
      {cardNames.map((name) => (
        <Card key={name} name={name} />
      ))}
    </nav>
  );
}

function Card({ name }: { name: CardName }) {
  const { label, count, sort, direction } = CARDS[name];
  const isPressed = place.value.card === name;
  const value = summary.value?.[count];
  return (
    <button
      type="button"
      class={`card card-${name}${value !== undefined && value.count > 0 ? ' is-some' : ''}`}
      aria-pressed={isPressed}
      onClick={() => {
        if (isPressed) clearFilters();
        else go({ view: 'tokens', card: name, filter: {}, sort, direction, cursor: null });
      }}
    >
      <strong>{value === undefined || isUncounted(value) ? '–' : countText(value)}</strong>
      <span>{label}</span>
    </button>
  );
}

/** "At least none" says nothing. */
const isUncounted = ({ count, countIs }: WireCount) => count === 0 && countIs === 'at-least';
const digits = new Intl.NumberFormat('en');

export function countText({ count, countIs }: WireCount): string {
  const number = digits.format(count);
  return countIs === 'exact' ? number : countIs === 'at-least' ? `${number}+` : `≈ ${number}`;
}
