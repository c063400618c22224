/** Why something is revoked: one of five reasons, and a note. */
import type { Reason, RevokeBody } from '../../wire.ts';
import type { ApiError } from '../api.ts';
import { Field } from '../ui/form.tsx';
import { REASONS } from './wording.ts';

const MAX_NOTE = 200;

export interface ReasonChoice {
  readonly reason: Reason | '';
  readonly note: string;
}

export const NO_REASON: ReasonChoice = { reason: '', note: '' };

interface ReasonFieldsProps {
  readonly value: ReasonChoice;
  readonly error: ApiError | null;
  onChange(value: ReasonChoice): void;
}

export function ReasonFields({ value, error, onChange }: ReasonFieldsProps) {
  const other = value.reason === 'other';
  return (
    <>
      <Field label="Reason" name="reason" error={error}>
        {(attributes) => (
          <select
            {...attributes}
            required
            value={value.reason}
            onChange={(event) =>
              onChange({ ...value, reason: event.currentTarget.value as Reason | '' })
            }
          >
            <option value="">Choose a reason…</option>
            {Object.entries(REASONS).map(([reason, text]) => (
              <option key={reason} value={reason}>
                {text}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field
        label={other ? 'Note' : 'Note (optional)'}
        name="note"
        error={error}
        hint={`Kept with the token and in the audit trail; ${MAX_NOTE} characters at most. No secrets.`}
      >
        {(attributes) => (
          <input
            {...attributes}
            value={value.note}
            maxLength={MAX_NOTE}
            required={other}
            pattern=".*\S.*"
            title="A few words"
            autocomplete="off"
            onInput={(event) => onChange({ ...value, note: event.currentTarget.value })}
          />
        )}
      </Field>
    </>
  );
}

/** null = no reason was chosen, which the form itself doesn't let through. */
export function toRevokeBody({ reason, note }: ReasonChoice): RevokeBody | null {
  if (reason === '') return null;
  const text = note.trim();
  return text === '' ? { reason } : { reason, note: text };
}
