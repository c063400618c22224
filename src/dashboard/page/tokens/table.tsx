/** The table of tokens: sorting, ticking, and rows that keep their place while the next ones load. */
import type { WireToken } from '../../wire.ts';
import { go, place } from '../location.ts';
import { isOneOf, stored } from '../ui/stored.ts';
import { COLUMNS, type Column, holderOf, isShown, stateOf } from './columns.tsx';
import { flashes, isLoading, results } from './results.ts';
import { isAllMatching, tick, ticked } from './selection.ts';
import { shortId } from './wording.ts';

export const DENSITIES = ['comfortable', 'compact'] as const;
export const density = stored<(typeof DENSITIES)[number]>(
  'density',
  'comfortable',
  isOneOf(...DENSITIES),
);

const SKELETON_ROWS = Array.from({ length: 12 }, (_, index) => index);

export function TokenTable({ onRevoke }: { onRevoke(token: WireToken): void }) {
  const columns = COLUMNS.filter(isShown);
  const tokens = results.value?.tokens;
  const isStale = isLoading.value && tokens !== undefined;
  return (
    <table
      class={`tokens is-${density.value}${isStale ? ' is-stale' : ''}`}
      aria-label="Tokens"
      aria-busy={isLoading.value}
    >
      <thead>
        <tr>
          <th scope="col" class="c-tick">
            <TickAll ids={tokens?.map(({ _id }) => _id) ?? []} />
          </th>
          {columns.map((column) => (
            <Header key={column.id} column={column} />
          ))}
          <th scope="col" class="c-actions">
            <span class="offscreen">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {tokens === undefined
          ? SKELETON_ROWS.map((row) => (
              <tr key={row} class="skeleton" aria-hidden="true">
                <td class="c-tick" />
                {columns.map(({ id }) => (
                  <td key={id} class={`c-${id}`}>
                    <i />
                  </td>
                ))}
                <td class="c-actions" />
              </tr>
            ))
          : tokens.map((token) => (
              <Row key={token._id} token={token} columns={columns} onRevoke={onRevoke} />
            ))}
      </tbody>
    </table>
  );
}

function Header({ column: { id, label, sort } }: { column: Column }) {
  if (sort === undefined) {
    return (
      <th scope="col" class={`c-${id}`}>
        {label}
      </th>
    );
  }
  const { sort: current, direction } = place.value;
  const isCurrent = current === sort;
  const next = isCurrent && direction === -1 ? 1 : -1;
  return (
    <th
      scope="col"
      class={`c-${id}`}
      aria-sort={isCurrent ? (direction === 1 ? 'ascending' : 'descending') : 'none'}
    >
      <button
        type="button"
        class="plain sort"
        onClick={() => go({ sort, direction: next, cursor: null })}
      >
        {label}
        <span aria-hidden="true">{isCurrent ? (direction === 1 ? ' ↑' : ' ↓') : ''}</span>
      </button>
    </th>
  );
}

function TickAll({ ids }: { ids: readonly string[] }) {
  const count = ids.filter((id) => ticked.value.has(id)).length;
  const isAll = isAllMatching.value || (count > 0 && count === ids.length);
  return (
    <input
      type="checkbox"
      aria-label="Tick all on this page"
      disabled={ids.length === 0}
      checked={isAll}
      indeterminate={count > 0 && !isAll}
      onChange={(event) => tick(ids, event.currentTarget.checked)}
    />
  );
}

function Row({
  token,
  columns,
  onRevoke,
}: {
  token: WireToken;
  columns: readonly Column[];
  onRevoke(token: WireToken): void;
}) {
  const { _id, jti } = token;
  const isTicked = isAllMatching.value || ticked.value.has(_id);
  const flash = flashes.value.get(_id) ?? 0;
  const marks = [
    isTicked && 'is-ticked',
    place.value.token === _id && 'is-open',
    // Two names of one animation: changing it starts it again.
    flash > 0 && `flash-${flash % 2}`,
  ];
  return (
    <tr
      data-id={_id}
      tabIndex={-1}
      class={marks.filter(Boolean).join(' ')}
      onClick={(event) => {
        const isControl =
          event.target instanceof Element && event.target.closest('a, button, input, label');
        if (!isControl && window.getSelection()?.isCollapsed !== false) go({ token: _id });
      }}
    >
      <td class="c-tick">
        <input
          type="checkbox"
          aria-label={`Tick ${shortId(jti)} of ${holderOf(token)}`}
          checked={isTicked}
          onChange={(event) => tick([_id], event.currentTarget.checked)}
        />
      </td>
      {columns.map(({ id, cell }) => (
        <td key={id} class={`c-${id}`}>
          {cell(token)}
        </td>
      ))}
      <td class="c-actions">
        {stateOf(token) === 'active' && (
          <button
            type="button"
            class="small outline secondary"
            aria-label={`Revoke ${shortId(jti)} of ${holderOf(token)}`}
            onClick={() => onRevoke(token)}
          >
            Revoke
          </button>
        )}
      </td>
    </tr>
  );
}
