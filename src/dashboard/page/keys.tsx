/** API keys: those there are, making a new one, revoking one. */
import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { WireToken, WireTokenPage } from '../wire.ts';
import { call } from './api.ts';
import { changes } from './live.ts';
import { NewKeyDialog } from './new-key.tsx';
import { StateMark } from './tokens/state.tsx';
import { holderOf, shortId } from './tokens/wording.ts';
import { useAction } from './ui/form.tsx';
import { useLoad } from './ui/load.ts';
import { Problem } from './ui/problem.tsx';
import { Time } from './ui/time.tsx';

const LIST = '/admin/tokens?kind=api-key&sort=createdAt&direction=-1&limit=50';
const RELOAD_AFTER_MS = 500;

export function KeysView({ onRevoke }: { onRevoke(token: WireToken): void }) {
  const { data, error, loading, reload, update } = useLoad<WireTokenPage>(LIST);
  const more = useAction();
  const [creating, setCreating] = useState(false);
  useKeyChanges(update, reload);

  const loadMore = async (cursor: string) => {
    const page = await call<WireTokenPage>('GET', `${LIST}&cursor=${encodeURIComponent(cursor)}`);
    update((old) => ({ ...page, tokens: [...old.tokens, ...page.tokens] }));
  };
  const next = data?.next ?? null;

  return (
    <section class="v-view">
      <header class="v-view-head">
        <h1>API keys</h1>
        <button type="button" class="v-button v-primary" onClick={() => setCreating(true)}>
          New key…
        </button>
      </header>
      <p class="v-muted">
        For scripts and services. A key acts for the administrator who made it, until it expires or
        is revoked.
      </p>
      {error !== null && <Problem error={error} onRetry={reload} />}
      {data === null && error === null && <p aria-busy="true">Loading…</p>}
      {data !== null && data.tokens.length === 0 && next === null && (
        <p role="status">There are no API keys yet.</p>
      )}
      {data !== null && data.tokens.length > 0 && (
        <div aria-busy={loading}>
          <KeyTable keys={data.tokens} onRevoke={onRevoke} />
        </div>
      )}
      {more.error !== null && <Problem error={more.error} />}
      {next !== null && (
        <button
          type="button"
          class="v-button"
          aria-busy={more.busy}
          onClick={() => void more.run(() => loadMore(next))}
        >
          Show more
        </button>
      )}
      {creating && (
        <NewKeyDialog
          onClose={() => setCreating(false)}
          onCreated={(key) =>
            update((old) => ({
              ...old,
              tokens: [key, ...old.tokens.filter(({ _id }) => _id !== key._id)],
            }))
          }
        />
      )}
    </section>
  );
}

function KeyTable({
  keys,
  onRevoke,
}: {
  keys: readonly WireToken[];
  onRevoke(token: WireToken): void;
}) {
  return (
    <table class="v-table v-cards">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">State</th>
          <th scope="col">Id</th>
          <th scope="col">Acts for</th>
          <th scope="col">Created</th>
          <th scope="col">Last used</th>
          <th scope="col">Expires</th>
          <th scope="col">
            <span class="v-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key._id}>
            <th scope="row" class="v-text">
              {key.device?.name ?? 'without a name'}
            </th>
            <td>
              <StateMark state={key.state} />
            </td>
            <td data-label="Id">
              <code title={key.jti}>{shortId(key.jti)}</code>
            </td>
            <td data-label="Acts for" class="v-text">
              {holderOf(key)}
            </td>
            <td data-label="Created">
              <Time at={key.issuedAt} never="unknown" />
            </td>
            <td data-label="Last used">
              <Time at={key.lastUsedAt} never="never" />
            </td>
            <td data-label="Expires">
              <Time at={key.expiresAt} never="never" />
            </td>
            <td>
              {key.state !== 'revoked' && (
                <button
                  type="button"
                  class="v-button v-danger-quiet"
                  aria-label={`Revoke ${key.device?.name ?? shortId(key.jti)}`}
                  onClick={() => onRevoke(key)}
                >
                  Revoke…
                </button>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Rows change in place; a key that isn't listed yet, or a whole scope, loads the list anew. */
function useKeyChanges(
  update: (change: (page: WireTokenPage) => WireTokenPage) => void,
  reload: () => void,
): void {
  const seen = useRef(changes.peek());
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useSignalEffect(() => {
    const batch = changes.value;
    if (batch === seen.current) return;
    seen.current = batch;
    for (const change of batch) {
      if (change.type === 'scope-revoked' || change.type === 'issued') {
        if (change.type === 'issued' && change.token.kind !== 'api-key') continue;
        clearTimeout(timer.current);
        timer.current = setTimeout(reload, RELOAD_AFTER_MS);
      } else {
        update((page) => ({
          ...page,
          tokens: page.tokens.map((key) => (key._id === change.token._id ? change.token : key)),
        }));
      }
    }
  });
  useEffect(() => () => clearTimeout(timer.current), []);
}
