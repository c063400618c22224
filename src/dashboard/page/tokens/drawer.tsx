/** Everything about one token, beside the list: claims, times, device, what belongs to it and what happened to it. */
import { useEffect, useState } from 'preact/hooks';
import type { FilterParameters, WireToken, WireTokenDetail } from '../../wire.ts';
import { session } from '../api.ts';
import { CopyButton } from '../ui/copy.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { useFollow } from '../ui/follow.ts';
import { useLoad } from '../ui/load.ts';
import { Problem } from '../ui/problem.tsx';
import { holderOf, StateMark, stateOf } from './columns.tsx';
import { CutoffDialog } from './cutoff-dialog.tsx';
import { Related } from './related.tsx';
import { Timeline } from './timeline.tsx';
import { TokenFacts } from './token-facts.tsx';
import { isOwn } from './own.ts';
import { nameOf } from './wording.ts';

interface DrawerProps {
  readonly id: string;
  onClose(): void;
  onOpen(id: string): void;
  onRevoke(token: WireToken): void;
  onFilter(filter: FilterParameters): void;
}

export function Drawer(props: DrawerProps) {
  const [name, setName] = useState('Token');
  return (
    <Dialog title={name} variant="drawer" onClose={props.onClose}>
      {/* Another token is another drawer: nothing of the one before may stay. */}
      <Contents key={props.id} {...props} onName={setName} />
    </Dialog>
  );
}

function Contents(props: DrawerProps & { onName(name: string): void }) {
  const { id, onOpen, onRevoke, onFilter, onName } = props;
  const details = useLoad<WireTokenDetail>(`/admin/tokens/${encodeURIComponent(id)}`);
  const { data, error, loading, reload } = details;
  useFollow((batch) => {
    const kin = data === null ? [] : [data.session, ...data.children].map((each) => each?._id);
    let isConcerned = false;
    for (const change of batch) {
      if (change.type === 'scope-revoked' || kin.includes(change.token._id)) isConcerned = true;
      else if (change.token._id === id) {
        isConcerned = true;
        details.update((old) => ({ ...old, token: change.token }));
      }
    }
    return isConcerned;
  }, reload);
  const name = data === null ? null : nameOf(data.token);
  useEffect(() => onName(name ?? 'Token'), [name]);

  if (data === null) {
    return (
      <div class="dialog-body">
        {error === null ? (
          <p aria-busy="true">Loading…</p>
        ) : error.status === 404 ? (
          <p role="status">
            There is no such token, or it isn’t yours. Records are removed some time after their
            token has expired.
          </p>
        ) : (
          <Problem error={error} onRetry={reload} />
        )}
      </div>
    );
  }
  const { token, session: origin, children, moreChildren, timeline } = data;
  return (
    <div class="dialog-body" aria-busy={loading && error !== null}>
      {error !== null && <Problem error={error} onRetry={reload} />}
      <p class="line">
        <StateMark state={stateOf(token)} />
        {isOwn(token) && <span class="badge">this session</span>}
        <span class="text">{holderOf(token)}</span>
      </p>
      <Tools token={token} onRevoke={onRevoke} reload={reload} />
      <TokenFacts token={token} onFilter={onFilter} />
      {origin !== null && (
        <section>
          <h3>Came from</h3>
          <Related label="Came from" tokens={[origin]} onOpen={onOpen} />
        </section>
      )}
      {(children.length > 0 || token.kind === 'refresh') && (
        <section>
          <h3>What came from it</h3>
          {children.length === 0 ? (
            <p class="muted">Nothing so far.</p>
          ) : (
            <Related label="What came from it" tokens={children} onOpen={onOpen} />
          )}
          {moreChildren && token.kind === 'refresh' && (
            <button type="button" class="button" onClick={() => onFilter({ sessionId: token.jti })}>
              Show all of this session
            </button>
          )}
        </section>
      )}
      <section>
        <h3>Timeline</h3>
        <Timeline entries={timeline} />
      </section>
    </div>
  );
}

function Tools(p: { readonly token: WireToken; onRevoke(token: WireToken): void; reload(): void }) {
  const { token } = p;
  const [asking, setAsking] = useState(false);
  const { userId } = token;
  return (
    <div class="tools">
      {stateOf(token) === 'active' && (
        <button type="button" class="button danger" onClick={() => p.onRevoke(token)}>
          Revoke…
        </button>
      )}
      <CopyButton text={token.jti} label="Copy id" isLabelled />
      <CopyButton text={toCurl(token.jti)} label="Copy as curl" isLabelled />
      {session.value?.isAdministrator === true && userId !== null && (
        <button type="button" class="button danger-quiet" onClick={() => setAsking(true)}>
          Revoke everything of this user…
        </button>
      )}
      {asking && userId !== null && (
        <CutoffDialog
          userId={userId}
          name={token.user?.email ?? userId}
          onClose={() => setAsking(false)}
          onDone={() => {
            setAsking(false);
            p.reload();
          }}
        />
      )}
    </div>
  );
}

/** The credential stays a variable of the shell's; an id can't leave its quotes. */
function toCurl(jti: string): string {
  const id = encodeURIComponent(jti).replaceAll('!', '%21');
  return `curl -X DELETE "${location.origin}/v3/jwt/history/${id}" -H "Authorization: JWT $TOKEN"`;
}
