/** What happens to tokens while the page is looked at: the service's event stream, paused in a hidden tab. */
import { effect, signal, type Signal } from '@preact/signals';
import type { WireChange } from '../wire.ts';
import { session } from './api.ts';
import { checkSession } from './session.ts';

const PAUSE_AFTER_MS = 3000;
const RETRY_MS = 5000;

/** The newest batch. */
export const changes: Signal<readonly WireChange[]> = signal([]);
/** Goes up whenever something may have been missed: what is shown should be loaded anew. */
export const missed = signal(0);
export const liveState = signal<'live' | 'connecting' | 'paused'>('connecting');

let source: EventSource | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;

export function startLive(): void {
  let isSignedIn = false;
  effect(() => {
    const isNow = Boolean(session.value);
    if (isNow === isSignedIn) return;
    isSignedIn = isNow;
    if (isNow && !document.hidden) connect();
    else close('paused');
  });
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (document.hidden) {
      // Someone who only looks at another tab for a moment keeps the connection.
      timer = setTimeout(() => close('paused'), PAUSE_AFTER_MS);
    } else if (isSignedIn && source === null) {
      missed.value += 1;
      connect();
    }
  });
}

function connect(): void {
  close('connecting');
  const opened = new EventSource('/admin/events/stream');
  source = opened;
  opened.addEventListener('open', () => {
    liveState.value = 'live';
  });
  opened.addEventListener('changes', (event: MessageEvent<string>) => {
    changes.value = JSON.parse(event.data) as readonly WireChange[];
  });
  opened.addEventListener('resync', () => {
    missed.value += 1;
  });
  opened.addEventListener('end', () => {
    close('connecting');
    void reconnectIfSignedIn();
  });
  opened.addEventListener('error', () => {
    liveState.value = 'connecting';
    // While it is "connecting", the browser tries again by itself, with Last-Event-ID.
    if (opened.readyState === EventSource.CLOSED) {
      close('connecting');
      void reconnectIfSignedIn();
    } else {
      void checkSession();
    }
  });
}

async function reconnectIfSignedIn(): Promise<void> {
  await checkSession();
  if (!session.value || source !== null) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (document.hidden || !session.value) return;
    missed.value += 1;
    connect();
  }, RETRY_MS);
}

function close(state: 'connecting' | 'paused'): void {
  clearTimeout(timer);
  source?.close();
  source = null;
  liveState.value = state;
}
