/** In, out, and why: the page's own session. */
import { effect, signal } from '@preact/signals';
import type { SignInBody, WireSession } from '../wire.ts';
import { ApiError, call, session } from './api.ts';
import { isOneOf, stored } from './ui/stored.ts';

/** Why someone finds themselves at the sign-in form; null = they just came. */
export const farewell = signal<string | null>(null);

/** Whether a session is likely, before the service has answered: decides what is drawn first. */
export const wasSignedIn = stored('signed-in', false, isOneOf(true, false));

let previous: WireSession | null = null;
effect(() => {
  const current = session.value;
  if (current === null && previous !== null) {
    farewell.value ??=
      Date.parse(previous.expiresAt ?? '') <= Date.now()
        ? 'Your session has come to its end. Sign in again to go on.'
        : 'This session was revoked: signed out elsewhere, by an administrator, or because the password was changed.';
  }
  if (current !== undefined) {
    previous = current;
    wasSignedIn.value = current !== null;
  }
});

/**
 * Asks whether the session still stands; no answer is no "no".
 * @throws ApiError when there is no answer, and it was not known before either.
 */
export async function checkSession(): Promise<void> {
  try {
    session.value = await call<WireSession>('GET', '/admin/session');
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) session.value = null;
    else if (session.peek() === undefined) throw error;
  }
}

/** @throws ApiError when it is refused. */
export async function signIn(email: string, password: string): Promise<void> {
  const body: SignInBody = { email, password };
  const made = await call<WireSession>('POST', '/admin/session', body);
  farewell.value = null;
  session.value = made;
}

/** @throws ApiError when the session may still stand. */
export async function signOut(why: string): Promise<void> {
  farewell.value = why;
  try {
    await call('DELETE', '/admin/session');
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) {
      farewell.value = null;
      throw error;
    }
  }
  session.value = null;
}
