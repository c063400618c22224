/** API keys: those there are, making a new one, revoking one. */
import { useState } from 'preact/hooks';
import type { WireToken, WireTokenPage } from '../wire.ts';
import { call } from './api.ts';
import { NewKeyDialog } from './new-key.tsx';
import { holderOf, StateMark, stateOf } from './tokens/columns.tsx';
import { shortId } from './tokens/wording.ts';
import { useAction } from './ui/form.tsx';
import { useFollow } from './ui/follow.ts';
import { useLoad } from './ui/load.ts';
import { Problem } from './ui/problem.tsx';
import { Time } from './ui/time.tsx';

const LIST = '/admin/tokens?kind=api-key&sort=createdAt&direction=-1&limit=50';

export function KeysView({ onRevoke }: { onRevoke(token: WireToken): void }) {
  const { data, error, loading, reload, update } = useLoad<WireTokenPage>(LIST);
  const more = useAction();
  const [creating, setCreating] = useState(false);
  useFollow((batch) => {
    let isOutdated = false;
    for (const change of batch) {
      if (change.type === 'scope-revoked') isOutdated = true;
      else if (change.token.kind !== 'api-key') continue;
      else if (change.type === 'issued') isOutdated = true;
      else {
        const { token } = change;
        update((page) => ({
          ...page,
          tokens: page.tokens.map((key) => (key._id === token._id ? token : key)),
        }));
      }
    }
    return isOutdated;
  }, reload);

  const loadMore = async (cursor: string) => {
    const page = await call<WireTokenPage>('GET', `${LIST}&cursor=${encodeURIComponent(cursor)}`);
    update((old) => ({ ...page, tokens: [...old.tokens, ...page.tokens] }));
  };
  const next = data?.next ?? null;

  return (
    <section class="view">
      <header class="view-head">
        <h1>API keys</h1>
        <button type="button" class="button primary" onClick={() => setCreating(true)}>
          New key…
        </button>
      </header>
      <p class="muted">
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
          class="button"
          aria-busy={more.busy}
          onClick={() => void more.run(() => loadMore(next))}
        >
          Show more
        </button>
      )}
      {creating && <NewKeyDialog onClose={() => setCreating(false)} onCreated={reload} />}
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
    <table class="table is-stacked">
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
            <span class="offscreen">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key._id}>
            <th scope="row" class="text">
              {key.device?.name ?? 'without a name'}
            </th>
            <td>
              <StateMark state={stateOf(key)} />
            </td>
            <td data-label="Id">
              <code title={key.jti}>{shortId(key.jti)}</code>
            </td>
            <td data-label="Acts for" class="text">
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
              {stateOf(key) === 'active' && (
                <button
                  type="button"
                  class="button danger-quiet"
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
