/** The view that the page opens on: cards, chart, filters, the table, and the dialogs over it. */
import { signal } from '@preact/signals';
import type { WireToken } from '../../wire.ts';
import { session } from '../api.ts';
import { go, place, refine, showOnly } from '../location.ts';
import { BulkDialog } from './bulk-dialog.tsx';
import { Cards } from './cards.tsx';
import { Chart } from './chart.tsx';
import { Drawer } from './drawer.tsx';
import { Below, Trouble } from './empty.tsx';
import { Filters } from './filters.tsx';
import { isLoading, reload, replaceToken, results, turnTo } from './results.ts';
import { RevokeDialog } from './revoke-dialog.tsx';
import { selection, untickAll } from './selection.ts';
import { TokenTable } from './table.tsx';
import { isChartOpen, Toolbar } from './toolbar.tsx';

/** The token that the revoke dialog is about. */
export const revoking = signal<WireToken | null>(null);
const isBulkOpen = signal(false);

export function revoke(token: WireToken): void {
  revoking.value = token;
}

export function TokensView() {
  const isEveryone = session.value?.isAdministrator === true;
  return (
    <>
      <h1 class="offscreen">{isEveryone ? 'Tokens' : 'My tokens'}</h1>
      <Cards />
      {isEveryone && isChartOpen.value && (
        <div class="chart-place">
          {results.value !== null && (
            <Chart onSelect={(from, to) => refine({ issuedFrom: from, issuedTo: to })} />
          )}
        </div>
      )}
      <Filters />
      <Toolbar
        onBulk={() => {
          isBulkOpen.value = true;
        }}
      />
      <Trouble />
      <TokenTable onRevoke={revoke} />
      <Below />
      <Pager />
      {isBulkOpen.value && selection.value !== null && (
        <BulkDialog
          selection={selection.value}
          onClose={() => {
            isBulkOpen.value = false;
          }}
          onDone={() => {
            isBulkOpen.value = false;
            untickAll();
            reload();
          }}
        />
      )}
    </>
  );
}

/** The drawer and the revoke dialog, which any view may open. */
export function TokenOverlays() {
  const { token } = place.value;
  return (
    <>
      {token !== null && (
        <Drawer
          id={token}
          onClose={() => go({ token: null })}
          onOpen={(id) => go({ token: id })}
          onRevoke={revoke}
          onFilter={showOnly}
        />
      )}
      {revoking.value !== null && (
        <RevokeDialog
          token={revoking.value}
          onClose={() => {
            revoking.value = null;
          }}
          onRevoked={(revoked) => {
            revoking.value = null;
            replaceToken(revoked);
          }}
        />
      )}
    </>
  );
}

function Pager() {
  const page = results.value;
  if (page === null) return null;
  const { sort, direction, cursor } = place.value;
  const isByTime = direction === -1 && (sort === 'issuedAt' || sort === 'createdAt');
  const turn = (to: string | null, isNewer = false) => {
    turnTo(to, isNewer);
    window.scrollTo({ top: 0 });
  };
  return (
    <nav class="pager" aria-label="Pages">
      <button
        type="button"
        class="small outline secondary"
        disabled={cursor === null}
        onClick={() => turn(null)}
      >
        {isByTime ? 'Newest' : 'First page'}
      </button>
      <button
        type="button"
        class="small outline secondary"
        disabled={page.previous === null || isLoading.value}
        onClick={() => turn(page.previous, true)}
      >
        ‹ {isByTime ? 'Newer' : 'Previous'}
      </button>
      <button
        type="button"
        class="small outline secondary"
        disabled={page.next === null || isLoading.value}
        onClick={() => turn(page.next)}
      >
        {isByTime ? 'Older' : 'Next'} ›
      </button>
    </nav>
  );
}
