/** Above the table: how many there are, what is new, what to do with those ticked, and how to see them. */
import { session } from '../api.ts';
import { computed } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { stored, isOneOf } from '../ui/stored.ts';
import { countText } from './cards.tsx';
import { COLUMNS, isShown, showColumn } from './columns.tsx';
import { arrived, filterQuery, isFiltered, isLoading, results, showArrived } from './results.ts';
import { isAllMatching, ticked, untickAll } from './selection.ts';
import { DENSITIES, density } from './table.tsx';

/** On a phone the rows come first. */
export const isChartOpen = stored('chart', window.innerWidth > 700, isOneOf(true, false));

export function Toolbar({ onBulk }: { onBulk(): void }) {
  const isTicking = isAllMatching.value || ticked.value.size > 0;
  return (
    <div class="toolbar">
      {isTicking ? <Ticked onBulk={onBulk} /> : <Count />}
      {arrived.value.size > 0 && (
        <button type="button" class="pill" onClick={showArrived}>
          {arrived.value.size} new
        </button>
      )}
      <span class="spring" />
      {session.value?.isAdministrator === true && (
        <button
          type="button"
          class="plain tool"
          aria-expanded={isChartOpen.value}
          onClick={() => {
            isChartOpen.value = !isChartOpen.value;
          }}
        >
          {isChartOpen.value ? 'Hide chart' : 'Show chart'}
        </button>
      )}
      <Menu label="Export">
        {(['csv', 'ndjson'] as const).map((format) => (
          <li key={format}>
            <a href={exportAddress(format)} download={`tokens.${format}`}>
              {isFiltered.value ? 'What matches, as ' : 'All, as '}
              {format.toUpperCase()}
            </a>
          </li>
        ))}
      </Menu>
      <Menu label="Columns">
        {COLUMNS.filter(({ id }) => id !== 'user').map((column) => (
          <li key={column.id}>
            <label>
              <input
                type="checkbox"
                checked={isShown(column)}
                onChange={(event) => showColumn(column.id, event.currentTarget.checked)}
              />
              {column.label}
            </label>
          </li>
        ))}
        {DENSITIES.map((each) => (
          <li key={each}>
            <label>
              <input
                type="radio"
                name="density"
                checked={density.value === each}
                onChange={() => {
                  density.value = each;
                }}
              />
              {each === 'compact' ? 'Compact rows' : 'Comfortable rows'}
            </label>
          </li>
        ))}
      </Menu>
    </div>
  );
}

function exportAddress(format: string): string {
  const query = filterQuery();
  query.set('format', format);
  return `/admin/tokens/export?${query}`;
}

function Menu({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <details class="menu">
      <summary class="plain tool">{label}</summary>
      <ul>{children}</ul>
    </details>
  );
}

/** A count that was cut short can be behind what is seen. */
const counted = computed(() => {
  const page = results.value;
  return page === null
    ? ''
    : countText({ ...page, count: Math.max(page.count, page.tokens.length) });
});

function Count() {
  const page = results.value;
  const text =
    page === null
      ? 'Loading…'
      : `${counted.value} ${page.count === 1 ? 'token' : 'tokens'}${isFiltered.value ? ' match' : ''}`;
  return (
    <p class="count" role="status">
      {text}
      {page !== null && isLoading.value && <span class="muted"> · loading…</span>}
    </p>
  );
}

function Ticked({ onBulk }: { onBulk(): void }) {
  const page = results.value;
  const isWholePage =
    page !== null &&
    page.count > page.tokens.length &&
    page.tokens.every(({ _id }) => ticked.value.has(_id));
  const total = counted.value;
  return (
    <div class="ticked" role="status">
      <strong>
        {isAllMatching.value ? `All ${total} matching` : `${ticked.value.size} ticked`}
      </strong>
      {isWholePage && !isAllMatching.value && (
        <button
          type="button"
          class="plain link"
          onClick={() => {
            isAllMatching.value = true;
          }}
        >
          Take all {total} matching
        </button>
      )}
      <button type="button" class="small danger" onClick={onBulk}>
        Revoke…
      </button>
      <button type="button" class="plain link" onClick={untickAll}>
        Untick
      </button>
    </div>
  );
}
