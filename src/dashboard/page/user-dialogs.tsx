/** Creating a user, and giving one a new password, which revokes all that the old one brought about. */
import { useState } from 'preact/hooks';
import type { NewUserBody, PasswordBody, WireUser } from '../wire.ts';
import { type ApiError, call, session } from './api.ts';
import { leave } from './tokens/own.ts';
import { FormDialog } from './ui/dialog.tsx';
import { Field, useAction } from './ui/form.tsx';
import { toast } from './ui/toast.tsx';

interface DialogProps {
  onClose(): void;
  onDone(): void;
}

export function NewUserDialog({ onClose, onDone }: DialogProps) {
  const [values, setValues] = useState({ email: '', firstname: '', lastname: '', password: '' });
  const [isAdministrator, setAdministrator] = useState(false);
  const action = useAction();
  const { error } = action;

  const create = async () => {
    const { email, password, firstname, lastname } = values;
    const body: NewUserBody = {
      email,
      password,
      ...(firstname.trim() === '' ? {} : { firstname: firstname.trim() }),
      ...(lastname.trim() === '' ? {} : { lastname: lastname.trim() }),
      ...(isAdministrator ? { role: 'admin' } : {}),
    };
    const user = await call<WireUser>('POST', '/admin/users', body);
    toast(`${user.email} can sign in now`);
    onDone();
  };

  const text = (
    name: 'email' | 'firstname' | 'lastname',
    label: string,
    attributes: { type?: 'email'; required?: boolean; maxLength: number },
  ) => (
    <Field label={label} name={name} error={error}>
      {(field) => (
        <input
          {...field}
          {...attributes}
          value={values[name]}
          autocomplete="off"
          onInput={(event) => setValues({ ...values, [name]: event.currentTarget.value })}
        />
      )}
    </Field>
  );

  return (
    <FormDialog
      title="New user"
      action={action}
      submit="Create user"
      marked={['email', 'firstname', 'lastname', 'password']}
      onSubmit={create}
      onClose={onClose}
    >
      {text('email', 'E-mail', { type: 'email', required: true, maxLength: 254 })}
      <div class="pair">
        {text('firstname', 'First name (optional)', { maxLength: 100 })}
        {text('lastname', 'Last name (optional)', { maxLength: 100 })}
      </div>
      <PasswordField
        value={values.password}
        error={error}
        onInput={(password) => setValues({ ...values, password })}
      />
      <label class="choice">
        <input
          type="checkbox"
          checked={isAdministrator}
          onChange={(event) => setAdministrator(event.currentTarget.checked)}
        />
        <span>Administrator: sees and revokes everyone’s tokens</span>
      </label>
    </FormDialog>
  );
}

export function PasswordDialog({
  user,
  onClose,
  onDone,
}: DialogProps & { readonly user: WireUser }) {
  const [password, setPassword] = useState('');
  const action = useAction();
  const { error } = action;
  const isSelf = session.value?.user._id === user._id;

  const change = async () => {
    const path = `/admin/users/${encodeURIComponent(user._id)}/password`;
    const body: PasswordBody = { password };
    await call('POST', path, body);
    toast(`New password set; the tokens of ${user.email} are refused everywhere`);
    onDone();
    if (isSelf) leave('Your password was changed. Sign in with the new one.');
  };

  return (
    <FormDialog
      title="Set a new password?"
      action={action}
      submit="Set password and revoke tokens"
      danger
      done="set"
      marked={['password']}
      onSubmit={change}
      onClose={onClose}
    >
      <p class="text">
        For <strong>{user.email}</strong>. It also revokes all of this user’s tokens: sessions on
        every device, access tokens and API keys are refused everywhere, at once, and the old
        password no longer signs in.
      </p>
      {isSelf && (
        <p class="note is-warning">
          <strong>This is you.</strong> You will be signed out; sign in with the new password.
        </p>
      )}
      <PasswordField value={password} error={error} onInput={setPassword} />
    </FormDialog>
  );
}

interface PasswordFieldProps {
  readonly value: string;
  readonly error: ApiError | null;
  onInput(value: string): void;
}

function PasswordField({ value, error, onInput }: PasswordFieldProps) {
  const [shown, setShown] = useState(false);
  return (
    <>
      <Field
        label="Password"
        name="password"
        error={error}
        hint="8 to 256 characters. A long phrase is best."
      >
        {(field) => (
          <input
            {...field}
            type={shown ? 'text' : 'password'}
            value={value}
            required
            minLength={8}
            maxLength={256}
            autocomplete="new-password"
            autocapitalize="off"
            spellcheck={false}
            onInput={(event) => onInput(event.currentTarget.value)}
          />
        )}
      </Field>
      <label class="choice">
        <input
          type="checkbox"
          checked={shown}
          onChange={(event) => setShown(event.currentTarget.checked)}
        />
        <span>Show the password</span>
      </label>
    </>
  );
}
