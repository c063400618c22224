/** The sign-in form: one answer for every wrong sign-in, and the wait where there is one. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { farewell, signIn } from './session.ts';
import { second, secondsUntil } from './ui/time.tsx';

interface Trouble {
  readonly text: string;
  readonly until: number;
}

export function SignIn() {
  const [isBusy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const wait = trouble === null ? 0 : secondsUntil(trouble.until);

  useEffect(() => {
    form.current?.querySelector('input')?.focus();
    document.title = 'Sign in · JWT History';
  }, []);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (!form.current || isBusy || wait > 0) return;
    const fields = new FormData(form.current);
    setBusy(true);
    setTrouble(null);
    try {
      await signIn(textOf(fields, 'email').trim(), textOf(fields, 'password'));
    } catch (error) {
      setBusy(false);
      setTrouble(toTrouble(error));
      const password = form.current?.querySelector<HTMLInputElement>('[type=password]');
      password?.focus();
      password?.select();
    }
  }

  return (
    <main class="sign-in">
      <form ref={form} onSubmit={(event) => void submit(event)} aria-labelledby="sign-in-title">
        <h1 id="sign-in-title">
          <img src="/page/icon.svg" alt="" width="28" height="28" /> JWT History
        </h1>
        {farewell.value !== null && (
          <p class="note" role="status">
            {farewell.value}
          </p>
        )}
        <label>
          E-mail
          <input
            name="email"
            type="email"
            autocomplete="username"
            required
            maxLength={254}
            spellcheck={false}
          />
        </label>
        <label>
          Password
          <input
            name="password"
            type="password"
            autocomplete="current-password"
            required
            maxLength={1024}
          />
        </label>
        <div role="alert">{trouble !== null && <p class="note is-bad">{trouble.text}</p>}</div>
        <button type="submit" aria-busy={isBusy} disabled={isBusy || wait > 0}>
          {wait > 0 ? `Wait ${wait} s` : isBusy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}

function textOf(fields: FormData, name: string): string {
  const value = fields.get(name);
  return typeof value === 'string' ? value : '';
}

function toTrouble(error: unknown): Trouble {
  if (!(error instanceof ApiError)) throw error;
  second.value = Date.now();
  const until = second.value + (error.retryAfter ?? (error.status === 429 ? 60 : 0)) * 1000;
  const text =
    error.status === 401 || error.status === 400
      ? 'E-mail or password is wrong.'
      : error.status === 429
        ? `Too many tries. Wait ${error.retryAfter ?? 60} s, then try again.`
        : error.message;
  return { text, until };
}
