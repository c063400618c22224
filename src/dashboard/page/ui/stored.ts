/** What this browser remembers of someone's choices: signals kept in localStorage, shared by its tabs. */
import { effect, signal, type Signal } from '@preact/signals';

/** @param isValid what another version of the page left behind isn't trusted. */
export function stored<T>(key: string, usual: T, isValid: (value: unknown) => boolean): Signal<T> {
  const name = `jwt-history.${key}`;
  const kept = signal<T>(parse(readText(name)));
  function parse(text: string | null): T {
    try {
      const value: unknown = JSON.parse(text ?? 'null');
      return isValid(value) ? (value as T) : usual;
    } catch {
      return usual;
    }
  }
  window.addEventListener('storage', (event) => {
    if (event.key === name) kept.value = parse(event.newValue);
  });
  let last = JSON.stringify(kept.value);
  effect(() => {
    const text = JSON.stringify(kept.value);
    if (text === last) return;
    last = text;
    writeText(name, text);
  });
  return kept;
}

// Storage can be refused altogether (private windows, policies): the page works without it.
function readText(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function writeText(name: string, text: string): void {
  try {
    localStorage.setItem(name, text);
  } catch {
    // Not remembered, then.
  }
}

export const isOneOf =
  (...allowed: readonly unknown[]) =>
  (value: unknown) =>
    allowed.includes(value);
export const isTexts = (value: unknown) =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');
export const isNumber = (value: unknown) => typeof value === 'number';
