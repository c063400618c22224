/** What happens to tokens while the page is looked at: the service's event stream, paused in a hidden tab. */
import { effect, signal, type Signal } from '@preact/signals';
import type { WireChange } from '../wire.ts';
import { session } from './api.ts';
import { checkSession } from './session.ts';

const RESYNC_WITHIN_MS = 1500;
const PAUSE_AFTER_MS = 3000;
const FIRST_RETRY_MS = 2000;
const LAST_RETRY_MS = 60_000;

/** The newest batch. */
export const changes: Signal<readonly WireChange[]> = signal([]);
/** Goes up whenever something may have been missed: what is shown should be loaded anew. */
export const missed = signal(0);
export const liveState = signal<'live' | 'connecting' | 'paused'>('connecting');

let source: EventSource | null = null;
/** There was a stream, then a time without: what happened meanwhile isn't known. */
let hasGap = false;
let retryMs = FIRST_RETRY_MS;
let timer: ReturnType<typeof setTimeout> | undefined;

export function startLive(): void {
  let isSignedIn = false;
  effect(() => {
    const isNow = Boolean(session.value);
    if (isNow === isSignedIn) return;
    isSignedIn = isNow;
    close('paused');
    hasGap = false;
    if (isNow && !document.hidden) connect();
  });
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (document.hidden) {
      // Someone who only looks at another tab for a moment keeps the connection.
      timer = setTimeout(() => close('paused'), PAUSE_AFTER_MS);
    } else if (isSignedIn && source === null) {
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
    retryMs = FIRST_RETRY_MS;
    if (hasGap) missed.value += 1;
    hasGap = false;
  });
  opened.addEventListener('changes', (event: MessageEvent<string>) => {
    changes.value = JSON.parse(event.data) as readonly WireChange[];
  });
  opened.addEventListener('resync', () => {
    // Everybody is told at the same moment: not all should ask at once.
    setTimeout(() => {
      missed.value += 1;
    }, Math.random() * RESYNC_WITHIN_MS);
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
    if (!document.hidden && session.value) connect();
  }, retryMs);
  retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
}

function close(state: 'connecting' | 'paused'): void {
  clearTimeout(timer);
  if (source !== null) hasGap = true;
  source?.close();
  source = null;
  liveState.value = state;
}
