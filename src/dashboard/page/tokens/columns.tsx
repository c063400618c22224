/** The columns of the list: what each cell shows, what sorts, and which are there to begin with. */
import type { ComponentChildren } from 'preact';
import type { SortField, State, WireToken } from '../../wire.ts';
import { session } from '../api.ts';
import { addressOf, go, place } from '../location.ts';
import { CopyButton } from '../ui/copy.tsx';
import { stored, isTexts } from '../ui/stored.ts';
import { now, Time } from '../ui/time.tsx';
import { KINDS, ORIGINS, shortId, STATES } from './wording.ts';

export interface Column {
  readonly id: string;
  readonly label: string;
  readonly sort?: SortField;
  readonly cell: (token: WireToken) => ComponentChildren;
}

/** It may have expired since the service said that it was active. */
export function stateOf({ state, expiresAt }: WireToken): State {
  if (state !== 'active' || expiresAt === null) return state;
  return Date.parse(expiresAt) <= now.value ? 'expired' : 'active';
}

export function isThisSession({ _id }: WireToken): boolean {
  return _id === session.value?.tokenId;
}

export function holderOf({ user, userId, subject }: WireToken): string {
  return user?.email ?? userId ?? subject ?? 'Nobody known';
}

const ICONS: Record<State, string> = {
  active: 'M3.5 8.5l3 3 6-7',
  expired: 'M8 4v4l2.5 2M8 1.5a6.5 6.5 0 1 0 .01 0',
  revoked: 'M3.5 12.5l9-9M8 1.5a6.5 6.5 0 1 0 .01 0',
};

export function StateMark({ state }: { state: State }) {
  return (
    <span class={`state is-${state}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={ICONS[state]} />
      </svg>
      {STATES[state]}
    </span>
  );
}

function Holder({ token }: { token: WireToken }) {
  const name = token.user?.name ?? null;
  return (
    <>
      <span class="held">
        <a
          class="holder"
          href={addressOf({ ...place.value, token: token._id })}
          title={holderOf(token)}
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey || event.shiftKey) return;
            event.preventDefault();
            go({ token: token._id });
          }}
        >
          {name ?? holderOf(token)}
        </a>
        {isThisSession(token) && <span class="badge">this session</span>}
      </span>
      {name !== null && <small class="second">{holderOf(token)}</small>}
      <small class="phone">
        {token.deviceLabel ?? KINDS[token.kind]} · <Time at={token.lastUsedAt} never="never used" />
      </small>
    </>
  );
}

function Expiry({ token }: { token: WireToken }) {
  const left = token.expiresAt === null ? Infinity : Date.parse(token.expiresAt) - now.value;
  const isNear = stateOf(token) === 'active' && left < 86_400_000;
  return (
    <span class={isNear ? 'near' : undefined}>
      <Time at={token.expiresAt} never="Never" />
    </span>
  );
}

export const COLUMNS: readonly Column[] = [
  { id: 'state', label: 'State', cell: (token) => <StateMark state={stateOf(token)} /> },
  { id: 'user', label: 'User', cell: (token) => <Holder token={token} /> },
  {
    id: 'kind',
    label: 'Kind',
    cell: (token) => (
      <>
        {KINDS[token.kind]} <small class="second">{ORIGINS[token.origin]}</small>
      </>
    ),
  },
  { id: 'application', label: 'Application', cell: (token) => text(token.applicationId) },
  { id: 'device', label: 'Device', cell: (token) => text(token.deviceLabel ?? token.cdata) },
  {
    id: 'id',
    label: 'Token id',
    cell: (token) => (
      <span class="id">
        <code title={token.jti}>{shortId(token.jti)}</code>
        <CopyButton text={token.jti} label={`Copy token id ${shortId(token.jti)}`} />
      </span>
    ),
  },
  { id: 'address', label: 'Address', cell: (token) => text(token.device?.ip ?? null) },
  {
    id: 'issued',
    label: 'Issued',
    sort: 'issuedAt',
    cell: (token) => <Time at={token.issuedAt} />,
  },
  {
    id: 'used',
    label: 'Last used',
    sort: 'lastUsedAt',
    cell: (token) => <Time at={token.lastUsedAt} never="Never" />,
  },
  { id: 'expires', label: 'Expires', sort: 'expiresAt', cell: (token) => <Expiry token={token} /> },
  {
    id: 'revoked',
    label: 'Revoked',
    sort: 'revokedAt',
    cell: (token) => <Time at={token.revokedAt} />,
  },
  {
    id: 'refused',
    label: 'Refused',
    sort: 'refusedAt',
    cell: (token) =>
      token.refusedCount === 0 ? (
        text(null)
      ) : (
        <>
          {token.refusedCount}× <Time at={token.lastRefusedAt} />
        </>
      ),
  },
];

function text(value: string | null): ComponentChildren {
  return value === null ? <span class="muted">—</span> : <span title={value}>{value}</span>;
}

const hidden = stored<readonly string[]>(
  'hidden-columns',
  ['application', 'revoked', 'refused'],
  isTexts,
);

export function isShown({ id, sort }: Column): boolean {
  // What the list is sorted by is always worth seeing.
  return id === 'user' || !hidden.value.includes(id) || sort === place.value.sort;
}

export function showColumn(id: string, isWanted: boolean): void {
  const others = hidden.value.filter((each) => each !== id);
  hidden.value = isWanted ? others : [...others, id];
}
