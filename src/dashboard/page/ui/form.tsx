/** Forms: a field with its label, hint and error tied to it; and an action that is under way, has failed or neither. */
import type { ComponentChildren } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api.ts';
import { toApiError } from './problem.tsx';

interface FieldAttributes {
  readonly id: string;
  readonly 'aria-describedby'?: string;
  readonly 'aria-invalid'?: 'true';
}

interface FieldProps {
  readonly label: string;
  readonly hint?: ComponentChildren;
  /** The failure of the form, and the name that the service has for this field. */
  readonly error?: ApiError | null;
  readonly name?: string;
  readonly children: (attributes: FieldAttributes) => ComponentChildren;
}

export function Field({ label, hint, error, name, children }: FieldProps) {
  const id = useId();
  const message = error?.fields.find(({ field }) => field === name)?.message;
  const described = [
    ...(hint === undefined ? [] : [`${id}-hint`]),
    ...(message === undefined ? [] : [`${id}-error`]),
  ].join(' ');
  return (
    <div class="v-field">
      <label for={id}>{label}</label>
      {children({
        id,
        ...(described === '' ? {} : { 'aria-describedby': described }),
        ...(message === undefined ? {} : { 'aria-invalid': 'true' }),
      })}
      {hint !== undefined && (
        <small id={`${id}-hint`} class="v-hint">
          {hint}
        </small>
      )}
      {message !== undefined && (
        <small id={`${id}-error`} class="v-wrong">
          {label} {message}
        </small>
      )}
    </div>
  );
}

/** The field in which a word or number must be repeated before something large is done. */
export function TypeToConfirm(p: {
  readonly word: string;
  readonly value: string;
  onInput(value: string): void;
}) {
  return (
    <Field label={`Type ${p.word} to confirm`}>
      {(attributes) => (
        <input
          {...attributes}
          class="v-short"
          value={p.value}
          required
          pattern={` *${p.word} *`}
          title={`Exactly ${p.word}`}
          autocomplete="off"
          spellcheck={false}
          inputMode={/^\d+$/.test(p.word) ? 'numeric' : 'text'}
          onInput={(event) => p.onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** One thing at a time: a second press while it runs does nothing. */
export function useAction() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const running = useRef(false);
  async function run(work: () => Promise<void>): Promise<void> {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (failure) {
      setError(toApiError(failure));
    } finally {
      running.current = false;
      setBusy(false);
    }
  }
  return { busy, error, run, forget: () => setError(null) };
}

/** The buttons at the end of a dialog's form. The focus begins on Cancel: nothing happens by a stray Enter. */
export function Actions(p: {
  readonly submit: string;
  readonly busy: boolean;
  readonly danger?: boolean;
  readonly focusCancel?: boolean;
  readonly disabled?: boolean;
  onCancel(): void;
}) {
  return (
    <footer class="v-actions">
      <button
        type="button"
        class="v-button"
        autofocus={p.focusCancel === true}
        disabled={p.busy}
        onClick={p.onCancel}
      >
        Cancel
      </button>
      <button
        type="submit"
        class={`v-button ${p.danger === true ? 'v-danger' : 'v-primary'}`}
        aria-busy={p.busy}
        disabled={p.busy || p.disabled === true}
      >
        {p.submit}
      </button>
    </footer>
  );
}
