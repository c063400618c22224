/** Modal dialogs on the browser's own `<dialog>`: labelled, closed by Esc, focus kept in and given back. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Toasts } from './toast.tsx';

interface DialogProps {
  readonly title: string;
  /** What a person asked for by Esc, ×, or a click beside a drawer. */
  onClose(): void;
  /** Something is under way, or would be lost: it can't be closed by accident. */
  readonly locked?: boolean;
  readonly variant?: 'box' | 'wide' | 'drawer';
  readonly children: ComponentChildren;
}

export function Dialog({ title, onClose, locked = false, variant = 'box', children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const pressedBeside = useRef(false);
  const heading = useId();

  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    lockScrolling(1);
    return () => {
      lockScrolling(-1);
      dialog?.close();
      giveFocusBack(before);
    };
  }, []);

  // What had the focus may have gone with what the dialog showed before.
  useEffect(() => {
    const dialog = element.current;
    const { activeElement } = document;
    if (activeElement !== document.body && activeElement !== dialog) return;
    (dialog?.querySelector<HTMLElement>('[autofocus]:enabled') ?? dialog)?.focus();
  });

  const close = () => {
    if (!locked) onClose();
  };
  return (
    <dialog
      ref={element}
      class={`v-dialog v-${variant}`}
      aria-labelledby={heading}
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        // Prevented, so that a second Esc doesn't close it past `locked`, as browsers let it.
        event.preventDefault();
        event.stopPropagation();
        close();
      }}
      onCancel={(event) => {
        if (event.target !== event.currentTarget) return;
        event.preventDefault();
        close();
      }}
      onClose={(event) => {
        // Closed by the browser (a second "back" on a phone), not by us.
        const dialog = event.currentTarget;
        if (event.target !== dialog || !dialog.isConnected || dialog.open) return;
        if (locked) dialog.showModal();
        else onClose();
      }}
      onPointerDown={(event) => {
        pressedBeside.current = event.target === event.currentTarget;
      }}
      onClick={(event) => {
        if (variant === 'drawer' && pressedBeside.current && event.target === event.currentTarget)
          close();
      }}
    >
      <div class="v-box">
        <header class="v-head">
          <h2 id={heading}>{title}</h2>
          <button
            type="button"
            class="v-button v-cross"
            aria-label="Close"
            disabled={locked}
            onClick={close}
          >
            <span aria-hidden="true">×</span>
          </button>
        </header>
        {children}
      </div>
      {/* What lies behind a modal dialog is neither clear to see nor read aloud. */}
      <Toasts />
    </dialog>
  );
}

let open = 0;

function lockScrolling(by: 1 | -1): void {
  const { style, classList, clientWidth } = document.documentElement;
  // The page keeps its width when its scroll bar goes.
  if (open === 0) style.setProperty('--v-gutter', `${window.innerWidth - clientWidth}px`);
  open += by;
  classList.toggle('v-locked', open > 0);
}

/** To where it was; when that has gone (a button of a row that changed), to what is in front now. */
function giveFocusBack(before: Element | null): void {
  if (before instanceof HTMLElement && before.isConnected) before.focus();
  requestAnimationFrame(() => {
    if (document.activeElement !== null && document.activeElement !== document.body) return;
    const front =
      [...document.querySelectorAll<HTMLElement>('dialog[open]')].at(-1) ??
      document.querySelector<HTMLElement>('main');
    if (front === null) return;
    if (!front.hasAttribute('tabindex')) front.tabIndex = -1;
    front.focus();
  });
}
