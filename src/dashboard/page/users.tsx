/** Users: found by e-mail, created, given a password; and the way to their tokens. */
import { useEffect, useState } from 'preact/hooks';
import type { FilterParameters, WireUser, WireUserPage } from '../wire.ts';
import { NewUserDialog, PasswordDialog } from './user-dialogs.tsx';
import { CutoffDialog } from './tokens/cutoff-dialog.tsx';
import { counted } from './tokens/wording.ts';
import { useLoad } from './ui/load.ts';
import { Problem } from './ui/problem.tsx';
import { Time } from './ui/time.tsx';

const PER_PAGE = 40;
const TYPED_MS = 250;

type Asking =
  { readonly what: 'new' } | { readonly what: 'password' | 'revoke'; readonly user: WireUser };

export function UsersView({ onFilter }: { onFilter(filter: FilterParameters): void }) {
  const [typed, setTyped] = useState('');
  const [search, setSearch] = useState('');
  const [page, setPage] = useState(0);
  const [asking, setAsking] = useState<Asking | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => {
      setSearch(typed.trim());
      setPage(0);
    }, TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed]);

  const query = new URLSearchParams({
    ...(search === '' ? {} : { search }),
    page: String(page),
    limit: String(PER_PAGE),
  });
  const { data, error, loading, reload } = useLoad<WireUserPage>(`/admin/users?${query}`);
  const done = () => {
    setAsking(null);
    reload();
  };

  return (
    <section class="view">
      <header class="view-head">
        <h1>Users</h1>
        <input
          type="search"
          aria-label="Search by e-mail"
          placeholder="Search by e-mail"
          autocomplete="off"
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <button type="button" class="button primary" onClick={() => setAsking({ what: 'new' })}>
          New user…
        </button>
      </header>
      {error !== null && <Problem error={error} onRetry={reload} />}
      {data === null && error === null && <p aria-busy="true">Loading…</p>}
      {data !== null && (
        <div aria-busy={loading}>
          <p class="muted" role="status">
            {data.count === 0
              ? search === ''
                ? 'There are no users yet.'
                : `No user’s e-mail begins with “${search}”.`
              : counted(data.count, 'user')}
          </p>
          {data.users.length > 0 && (
            <UserTable users={data.users} onFilter={onFilter} onAsk={setAsking} />
          )}
          <Pages page={page} perPage={data.perPage} count={data.count} onPage={setPage} />
        </div>
      )}
      {asking?.what === 'new' && <NewUserDialog onClose={() => setAsking(null)} onDone={done} />}
      {asking?.what === 'password' && (
        <PasswordDialog user={asking.user} onClose={() => setAsking(null)} onDone={done} />
      )}
      {asking?.what === 'revoke' && (
        <CutoffDialog
          userId={asking.user._id}
          name={asking.user.email}
          onClose={() => setAsking(null)}
          onDone={done}
        />
      )}
    </section>
  );
}

interface UserTableProps {
  readonly users: readonly WireUser[];
  onFilter(filter: FilterParameters): void;
  onAsk(asking: Asking): void;
}

function UserTable({ users, onFilter, onAsk }: UserTableProps) {
  return (
    <table class="table is-stacked">
      <thead>
        <tr>
          <th scope="col">E-mail</th>
          <th scope="col">Name</th>
          <th scope="col">Role</th>
          <th scope="col">Created</th>
          <th scope="col">
            <span class="offscreen">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {users.map((user) => (
          <tr key={user._id}>
            <th scope="row" class="text">
              {user.email}
            </th>
            <td class="text">{[user.firstname, user.lastname].filter(Boolean).join(' ')}</td>
            <td>
              {user.role === 'admin' && <span class="badge">administrator</span>}
              {user.status !== 100 && <span class="badge is-off">not active</span>}
            </td>
            <td>
              <Time at={user.createdAt} never="unknown" />
            </td>
            <td>
              <div class="row-actions">
                <button
                  type="button"
                  class="button"
                  aria-label={`Show tokens of ${user.email}`}
                  onClick={() => onFilter({ userId: user._id })}
                >
                  Show tokens
                </button>
                <button
                  type="button"
                  class="button"
                  aria-label={`Set password of ${user.email}`}
                  onClick={() => onAsk({ what: 'password', user })}
                >
                  Set password…
                </button>
                <button
                  type="button"
                  class="button danger-quiet"
                  aria-label={`Revoke everything of ${user.email}`}
                  onClick={() => onAsk({ what: 'revoke', user })}
                >
                  Revoke everything…
                </button>
              </div>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface PagesProps {
  readonly page: number;
  readonly perPage: number;
  readonly count: number;
  onPage(page: number): void;
}

function Pages({ page, perPage, count, onPage }: PagesProps) {
  const last = Math.max(0, Math.ceil(count / perPage) - 1);
  if (last === 0 && page === 0) return null;
  return (
    <nav class="pages" aria-label="Pages of users">
      <button type="button" class="button" disabled={page === 0} onClick={() => onPage(page - 1)}>
        Back
      </button>
      <span>
        Page {page + 1} of {last + 1}
      </span>
      <button type="button" class="button" disabled={page >= last} onClick={() => onPage(page + 1)}>
        Next
      </button>
    </nav>
  );
}
