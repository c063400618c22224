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
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        ...(described === '' ? {} : { 'aria-describedby': described }),
        ...(message === undefined ? {} : { 'aria-invalid': 'true' }),
      })}
      {hint !== undefined && (
        <small id={`${id}-hint`} class="hint">
          {hint}
        </small>
      )}
      {message !== undefined && (
        <small id={`${id}-error`} class="wrong">
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
          class="is-short"
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
