/** The page's beginning: session and first rows are asked for at once, then the sign-in form or the page is drawn. */
import { render } from 'preact';
import { ApiError, session } from './api.ts';
import { IdleWarning, startIdle } from './idle.tsx';
import { Help, startKeyboard } from './keyboard.tsx';
import { startLive } from './live.ts';
import { checkSession, wasSignedIn } from './session.ts';
import { Shell } from './shell.tsx';
import { SignIn } from './sign-in.tsx';
import { startCards } from './tokens/cards.tsx';
import { startResults } from './tokens/results.ts';
import { startSelection } from './tokens/selection.ts';
import { Toasts } from './ui/toast.tsx';

const RETRY_MS = 3000;

function App() {
  return (
    <>
      <Page />
      <Help />
      <IdleWarning />
      <Toasts />
    </>
  );
}

function Page() {
  if (session.value === null) return <SignIn />;
  // Who was signed in most likely still is: their page is drawn while the answer is on its way.
  return session.value !== undefined || wasSignedIn.value ? <Shell /> : null;
}

async function begin(): Promise<void> {
  try {
    await checkSession();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Not reachable, or not ready: the list says so; who is signed in is asked until there's an answer.
    wasSignedIn.value = true;
    setTimeout(() => void begin(), (error.retryAfter ?? 0) * 1000 || RETRY_MS);
  }
}

startResults();
void begin();
startCards();
startSelection();
startLive();
startIdle();
startKeyboard();
const root = document.getElementById('app');
if (root) render(<App />, root);
