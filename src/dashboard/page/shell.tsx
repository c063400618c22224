/** The frame around every view: where one is, where one can go, who is signed in. */
import { useEffect } from 'preact/hooks';
import { ApiError, session } from './api.ts';
import { DangerView } from './danger.tsx';
import { InspectorView } from './inspector.tsx';
import { KeysView } from './keys.tsx';
import { HelpButton } from './keyboard.tsx';
import { liveState } from './live.ts';
import { addressOf, go, place, showOnly, type View } from './location.ts';
import { signOut } from './session.ts';
import { ThemeChoice } from './theme.tsx';
import { revoke, TokenOverlays, TokensView } from './tokens/list.tsx';
import { toast } from './ui/toast.tsx';
import { UsersView } from './users.tsx';

const NAMES: Record<View, string> = {
  tokens: 'Tokens',
  inspect: 'Inspector',
  users: 'Users',
  keys: 'API keys',
  danger: 'Danger zone',
};
const VIEW_NAMES = Object.entries(NAMES) as readonly (readonly [View, string])[];

export function Shell() {
  const isAdministrator = session.value?.isAdministrator === true;
  const name = isAdministrator ? NAMES[place.value.view] : 'My tokens';
  useEffect(() => {
    document.title = `${name} · JWT History`;
  }, [name]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/" onClick={followed({ view: 'tokens' })}>
          <img src="/page/icon.svg" alt="" width="22" height="22" />
          <span>JWT History</span>
        </a>
        {isAdministrator ? (
          <nav aria-label="Views">
            {VIEW_NAMES.map(([view, label]) => (
              <ViewLink key={view} view={view} label={label} />
            ))}
          </nav>
        ) : (
          <nav aria-label="Views">
            <ViewLink view="tokens" label={session.value ? 'My tokens' : 'Tokens'} />
          </nav>
        )}
        <div class="who">
          <Live />
          <HelpButton />
          <ThemeChoice />
          {session.value && <Account email={session.value.user.email} />}
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Viewed isAdministrator={isAdministrator} />
      </main>
      {session.value && <TokenOverlays />}
    </>
  );
}

function Viewed({ isAdministrator }: { isAdministrator: boolean }) {
  const { view } = place.value;
  const openToken = (id: string) => go({ token: id });
  if (!isAdministrator || view === 'tokens') return <TokensView />;
  if (view === 'inspect') return <InspectorView onOpen={openToken} />;
  if (view === 'users') return <UsersView onFilter={showOnly} />;
  if (view === 'keys') return <KeysView onRevoke={revoke} />;
  return <DangerView />;
}

/** A view's own address, without the list's filter. */
function followed(to: { view: View }): (event: MouseEvent) => void {
  return (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(plain(to.view));
    document.getElementById('main')?.focus({ preventScroll: true });
  };
}

function plain(view: View) {
  return {
    view,
    token: null,
    card: null,
    filter: {},
    cursor: null,
    sort: 'issuedAt',
    direction: -1,
  } as const;
}

function ViewLink({ view, label }: { view: View; label: string }) {
  return (
    <a
      href={addressOf(plain(view))}
      aria-current={place.value.view === view ? 'page' : undefined}
      onClick={followed({ view })}
    >
      {label}
    </a>
  );
}

const LIVE = { live: 'Live', connecting: 'Connecting…', paused: 'Paused' } as const;

function Live() {
  return (
    <span
      class={`live is-${liveState.value}`}
      title="Changes show by themselves while this is live"
    >
      {LIVE[liveState.value]}
    </span>
  );
}

function Account({ email }: { email: string }) {
  return (
    <>
      <span class="email" title={email}>
        {email}
      </span>
      <button
        type="button"
        class="small outline secondary"
        onClick={() => {
          signOut('You have signed out.').catch((error: unknown) => {
            if (!(error instanceof ApiError)) throw error;
            toast(`You are still signed in: ${error.message}`, 'bad');
          });
        }}
      >
        Sign out
      </button>
    </>
  );
}
