/** The keys: rows are walked with the arrows, and everything a pointer does to a row has a key. */
import { signal } from '@preact/signals';
import { session } from './api.ts';
import { go, place } from './location.ts';
import { revoke } from './tokens/list.tsx';
import { results } from './tokens/results.ts';
import { tick, ticked } from './tokens/selection.ts';
import { stateOf } from './tokens/columns.tsx';
import { CloseButton, Dialog } from './ui/dialog.tsx';
import { isOneOf, stored } from './ui/stored.ts';

/** Speech input types letters by accident: keys without Ctrl or Alt can be turned off (WCAG 2.1.4). */
const isOn = stored('keys', true, isOneOf(true, false));
const isHelpOpen = signal(false);

const KEYS = [
  ['/', 'Search'],
  ['↑ ↓', 'Walk through the rows'],
  ['x', 'Tick the row'],
  ['Enter', 'Open the token'],
  ['r', 'Revoke the token'],
  ['Esc', 'Close what is open'],
  ['?', 'This help'],
] as const;

export function startKeyboard(): void {
  document.addEventListener('keydown', onKey);
  // A menu closes when one goes on elsewhere.
  document.addEventListener('click', ({ target }) => {
    for (const menu of document.querySelectorAll<HTMLDetailsElement>('details.menu[open]')) {
      if (!(target instanceof Node) || !menu.contains(target)) menu.open = false;
    }
  });
}

function onKey(event: KeyboardEvent): void {
  if (!session.value || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey)
    return;
  // A dialog has keys of its own.
  if (document.querySelector('dialog:modal') !== null) return;
  const { target } = event;
  if (event.key === 'Escape') {
    escape(target);
    return;
  }
  if (target instanceof Element && target.closest('input:not([type=checkbox]), textarea, select'))
    return;
  const isHandled = event.key.length > 1 ? onRowKey(event) : isOn.value && onLetter(event.key);
  if (isHandled) event.preventDefault();
}

function escape(target: EventTarget | null): void {
  const menu = document.querySelector<HTMLDetailsElement>('details.menu[open]');
  if (menu !== null) {
    menu.open = false;
    menu.querySelector('summary')?.focus();
  } else if (place.value.token !== null) go({ token: null });
  else if (target instanceof HTMLInputElement && target.id === 'search' && target.value === '')
    target.blur();
}

function onLetter(key: string): boolean {
  if (key === '/') {
    const search = document.querySelector<HTMLInputElement>('#search');
    search?.focus();
    search?.select();
    return search !== null;
  }
  if (key === '?') return (isHelpOpen.value = true);
  const token = results.value?.tokens.find(({ _id }) => _id === currentRow()?.dataset['id']);
  if (token === undefined) return false;
  if (key === 'x') tick([token._id], !ticked.value.has(token._id));
  else if (key === 'r') {
    if (stateOf(token) === 'active') revoke(token);
  } else return false;
  return true;
}

/** The row that has the focus, or whose control has it. */
function currentRow(): HTMLElement | null {
  return document.activeElement?.closest<HTMLElement>('tr[data-id]') ?? null;
}

function onRowKey({ key, target }: KeyboardEvent): boolean {
  const row = currentRow();
  if (key === 'Enter' && row !== null && target === row) {
    go({ token: row.dataset['id'] ?? null });
    return true;
  }
  if (key !== 'ArrowDown' && key !== 'ArrowUp') return false;
  const isElsewhere =
    row === null &&
    document.activeElement !== document.body &&
    document.activeElement?.id !== 'main';
  if (isElsewhere) return false;
  const rows = [...document.querySelectorAll<HTMLElement>('tr[data-id]')];
  const index = row === null ? -1 : rows.indexOf(row);
  const next = rows[key === 'ArrowDown' ? index + 1 : Math.max(0, index - 1)];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
  return next !== undefined;
}

export function HelpButton() {
  return (
    <button
      type="button"
      class="plain help"
      aria-label="Keyboard help"
      title="Keyboard help"
      onClick={() => {
        isHelpOpen.value = true;
      }}
    >
      ?
    </button>
  );
}

export function Help() {
  return isHelpOpen.value ? <HelpDialog /> : null;
}

function HelpDialog() {
  const close = () => {
    isHelpOpen.value = false;
  };
  return (
    <Dialog title="Keyboard" onClose={close}>
      <div class="dialog-body">
        <dl class="keys">
          {KEYS.map(([key, what]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
        <label>
          <input
            type="checkbox"
            role="switch"
            checked={isOn.value}
            onChange={(event) => {
              isOn.value = event.currentTarget.checked;
            }}
          />
          Single letters do something
        </label>
        <CloseButton onClose={close} />
      </div>
    </Dialog>
  );
}
