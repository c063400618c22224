/** Signs out who has left: a touch in any tab counts for all, and a warning comes a minute before. */
import { effect, signal } from '@preact/signals';
import { ApiError, session } from './api.ts';
import { checkSession, signOut } from './session.ts';
import { CloseButton, Dialog } from './ui/dialog.tsx';
import { isNumber, stored } from './ui/stored.ts';
import { second } from './ui/time.tsx';

const WARNING_SECONDS = 60;
/** So often at most a touch is told to the other tabs, and the service. */
const TELL_TABS_MS = 2000;
const TELL_SERVICE_MS = 60_000;

const touchedAt = stored('touched', Date.now(), isNumber);
const secondsLeft = signal(Infinity);
let toldServiceAt = Date.now();

export function startIdle(): void {
  for (const event of ['pointerdown', 'keydown', 'wheel', 'touchmove'] as const) {
    // Once the warning is there, only its button counts: it says "stay", a stray move doesn't.
    document.addEventListener(event, () => !isWarning() && touch(), { passive: true });
  }
  let isSignedIn = false;
  effect(() => {
    const isNow = Boolean(session.value);
    if (isNow && !isSignedIn) touch(true);
    isSignedIn = isNow;
  });
  setInterval(watch, 1000);
}

function touch(isNow = false): void {
  const time = Date.now();
  if (isNow || time - touchedAt.peek() > TELL_TABS_MS) touchedAt.value = time;
  // The service knows of calls only: who just reads is still there.
  if (session.peek() && time - toldServiceAt > TELL_SERVICE_MS) {
    toldServiceAt = time;
    void checkSession();
  }
}

function isWarning(): boolean {
  return secondsLeft.peek() <= WARNING_SECONDS;
}

function watch(): void {
  const current = session.value;
  if (!current) {
    secondsLeft.value = Infinity;
    return;
  }
  const left = current.idleSeconds - (Date.now() - touchedAt.value) / 1000;
  secondsLeft.value = Math.max(0, Math.ceil(left));
  if (left > 0) return;
  const minutes = Math.round(current.idleSeconds / 60);
  signOut(`You were signed out after ${minutes} minutes without a touch.`).catch(
    (error: unknown) => {
      // The service forgets the session by itself too; here it ends in any case.
      if (!(error instanceof ApiError)) throw error;
      session.value = null;
    },
  );
}

export function IdleWarning() {
  // Recomputed by the second, drawn only while it matters.
  return session.value && secondsLeft.value <= WARNING_SECONDS && second.value > 0 ? (
    <Warning />
  ) : null;
}

function Warning() {
  const stay = () => {
    toldServiceAt = 0;
    touch(true);
    secondsLeft.value = Infinity;
  };
  return (
    <Dialog title="Still there?" variant="alert" onClose={stay}>
      <div class="dialog-body">
        <p>
          Nothing was touched for a while. You’ll be signed out in{' '}
          <strong>{secondsLeft.value} s</strong>.
        </p>
        <CloseButton label="Stay signed in" onClose={stay} />
      </div>
    </Dialog>
  );
}
