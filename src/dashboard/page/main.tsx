/** The page's beginning: who is signed in, then the sign-in form or the page itself. */
import { render } from 'preact';
import { Toasts } from './ui/toast.tsx';

function App() {
  return <Toasts />;
}

const root = document.getElementById('app');
if (root) render(<App />, root);
