/**
 * Modal dialogs on the browser's own `<dialog>`: labelled, closed by Esc, focus kept in and given
 * back. All of them are a `Dialog` with a `DialogForm`, where something is to be decided, or with
 * whatever ends with a `CloseButton`.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { useAction } from './form.tsx';
import { Problem } from './problem.tsx';
import { Toasts } from './toast.tsx';

interface DialogProps {
  readonly title: string;
  /** What a person asked for by Esc, ×, or a click beside a drawer. */
  onClose(): void;
  /** Something is under way, or would be lost: it can't be closed by accident. */
  readonly locked?: boolean;
  /** A drawer stands beside what it is about; an alert came by itself. */
  readonly variant?: 'box' | 'drawer' | 'alert';
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
      class={variant === 'drawer' ? 'dialog drawer' : 'dialog'}
      role={variant === 'alert' ? 'alertdialog' : undefined}
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
      <header class="dialog-head">
        <h2 id={heading}>{title}</h2>
        <button
          type="button"
          class="button cross"
          aria-label="Close"
          disabled={locked}
          onClick={close}
        >
          <span aria-hidden="true">×</span>
        </button>
      </header>
      {children}
      {/* What lies behind a modal dialog is neither clear to see nor read aloud. */}
      <Toasts />
    </dialog>
  );
}

interface DialogFormProps {
  readonly action: ReturnType<typeof useAction>;
  /** What the button says that does it. */
  readonly submit: string;
  /** It revokes: the focus begins on Cancel, so that nothing happens by a stray Enter. */
  readonly danger?: boolean;
  /** As `Problem` takes them. */
  readonly done?: string;
  readonly marked?: readonly string[];
  readonly children: ComponentChildren;
  onSubmit(): Promise<void>;
  onClose(): void;
}

/** Something to be decided: its fields, what went wrong, Cancel and the button that does it. */
export function DialogForm(p: DialogFormProps) {
  const { busy, error, run } = p.action;
  const danger = p.danger === true;
  return (
    <form
      class="dialog-body"
      onSubmit={(event) => {
        event.preventDefault();
        void run(p.onSubmit);
      }}
    >
      {p.children}
      {error !== null && <Problem error={error} done={p.done} marked={p.marked} />}
      <footer class="actions">
        <button type="button" class="button" autofocus={danger} disabled={busy} onClick={p.onClose}>
          Cancel
        </button>
        <button
          type="submit"
          class={`button ${danger ? 'danger' : 'primary'}`}
          aria-busy={busy}
          disabled={busy}
        >
          {danger && error !== null ? 'Try again' : p.submit}
        </button>
      </footer>
    </form>
  );
}

/** The dialog that is one form; it stays while that is under way. */
export function FormDialog(p: DialogFormProps & { readonly title: string }) {
  return (
    <Dialog title={p.title} locked={p.action.busy} onClose={p.onClose}>
      <DialogForm {...p} />
    </Dialog>
  );
}

interface CloseButtonProps {
  readonly label?: string;
  readonly disabled?: boolean;
  onClose(): void;
}

/** The end of a dialog in which nothing is to be decided. */
export function CloseButton({ label = 'Close', disabled = false, onClose }: CloseButtonProps) {
  return (
    <footer class="actions">
      <button
        type="button"
        class="button primary"
        autofocus={!disabled}
        disabled={disabled}
        onClick={onClose}
      >
        {label}
      </button>
    </footer>
  );
}

let open = 0;

function lockScrolling(by: 1 | -1): void {
  const { style, classList, clientWidth } = document.documentElement;
  // The page keeps its width when its scroll bar goes.
  if (open === 0) style.setProperty('--gutter', `${window.innerWidth - clientWidth}px`);
  open += by;
  classList.toggle('is-locked', open > 0);
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
