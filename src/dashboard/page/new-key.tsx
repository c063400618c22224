/** A new API key: its name and expiry, then the key itself, this once. */
import { useState } from 'preact/hooks';
import type { NewKeyBody, WireNewApiKey } from '../wire.ts';
import { call } from './api.ts';
import { CopyButton } from './ui/copy.tsx';
import { CloseButton, Dialog, FormDialog } from './ui/dialog.tsx';
import { Field, useAction } from './ui/form.tsx';

const EXPIRIES = [
  ['30', 'in 30 days'],
  ['90', 'in 90 days'],
  ['365', 'in a year'],
  ['', 'never'],
] as const;
const DAY_MS = 86_400_000;

interface NewKeyDialogProps {
  onClose(): void;
  onCreated(): void;
}

export function NewKeyDialog({ onClose, onCreated }: NewKeyDialogProps) {
  const [name, setName] = useState('');
  const [days, setDays] = useState('90');
  const [key, setKey] = useState<string | null>(null);
  const action = useAction();
  const { error } = action;

  const create = async () => {
    const expiresAt = days === '' ? null : new Date(Date.now() + Number(days) * DAY_MS);
    const body: NewKeyBody = {
      name: name.trim(),
      ...(expiresAt === null ? {} : { expiresAt: expiresAt.toISOString() }),
    };
    const { key: text } = await call<WireNewApiKey>('POST', '/admin/api-keys', body);
    setKey(text);
    onCreated();
  };

  if (key !== null) return <TheKey name={name.trim()} text={key} onClose={onClose} />;
  return (
    <FormDialog
      title="New API key"
      action={action}
      submit="Create key"
      marked={['name', 'expiresAt']}
      onSubmit={create}
      onClose={onClose}
    >
      <Field
        label="Name"
        name="name"
        error={error}
        hint="What it is for: you will know it by this when it must be revoked."
      >
        {(field) => (
          <input
            {...field}
            value={name}
            required
            maxLength={100}
            pattern=".*\S.*"
            title="A few words"
            autocomplete="off"
            autofocus
            onInput={(event) => setName(event.currentTarget.value)}
          />
        )}
      </Field>
      <Field
        label="Expires"
        name="expiresAt"
        error={error}
        hint={days === '' ? 'A key that never expires works until somebody revokes it.' : undefined}
      >
        {(field) => (
          <select {...field} value={days} onChange={(event) => setDays(event.currentTarget.value)}>
            {EXPIRIES.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        )}
      </Field>
    </FormDialog>
  );
}

/** Shown once, so it can't be closed by a stray Esc: only by saying that it is kept. */
function TheKey({ name, text, onClose }: { name: string; text: string; onClose(): void }) {
  const [kept, setKept] = useState(false);
  return (
    <Dialog title="Your new key" locked onClose={onClose}>
      <div class="dialog-body">
        <p class="text">
          <strong>{name}</strong>: keep it where secrets are kept. It is shown only now; this
          service has no copy of it.
        </p>
        <p class="secret">
          <code>{text}</code>
        </p>
        <p>
          <CopyButton text={text} label="Copy key" isLabelled />
        </p>
        <label class="choice">
          <input
            type="checkbox"
            checked={kept}
            onChange={(event) => setKept(event.currentTarget.checked)}
          />
          <span>I have kept it in a safe place</span>
        </label>
        <CloseButton label="Done" disabled={!kept} onClose={onClose} />
      </div>
    </Dialog>
  );
}
