/** Revoking one token: what stops working, why it is done, and since when it is refused. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { WireToken, WireTokenDetail } from '../../wire.ts';
import { call } from '../api.ts';
import { FormDialog } from '../ui/dialog.tsx';
import { useAction } from '../ui/form.tsx';
import { useLoad } from '../ui/load.ts';
import { toast } from '../ui/toast.tsx';
import { holderOf } from './columns.tsx';
import { isOwn, leave } from './own.ts';
import { NO_REASON, ReasonFields, toRevokeBody } from './reason.tsx';
import { counted, momentOf, nameOf } from './wording.ts';

interface RevokeDialogProps {
  readonly token: WireToken;
  onClose(): void;
  onRevoked(token: WireToken): void;
}

export function RevokeDialog({ token, onClose, onRevoked }: RevokeDialogProps) {
  // An API key has nothing above or below it.
  const related = useLoad<WireTokenDetail>(
    token.kind === 'api-key' ? null : `/admin/tokens/${encodeURIComponent(token._id)}`,
  ).data;
  const origin = related?.session?.state === 'active' ? related.session : null;
  const [wholeSession, setWholeSession] = useState(false);
  const [why, setWhy] = useState(NO_REASON);
  const action = useAction();

  const target = wholeSession && origin !== null ? origin : token;
  const signsOut =
    isOwn(token) ||
    isOwn(target) ||
    (target === token && related?.children.some((child) => isOwn(child)) === true);

  const revoke = async () => {
    const body = toRevokeBody(why);
    if (body === null) return;
    const path = `/admin/tokens/${encodeURIComponent(target._id)}/revoke`;
    const revoked = await call<WireToken>('POST', path, body);
    toast(
      revoked.revokedAt === null
        ? 'Refused everywhere from now on'
        : `Refused everywhere since ${momentOf(revoked.revokedAt)}`,
    );
    onRevoked(revoked);
    if (signsOut) leave();
  };

  return (
    <FormDialog
      title={`Revoke ${lowerFirst(nameOf(target))}?`}
      action={action}
      submit="Revoke"
      danger
      done="revoked"
      marked={['reason', 'note']}
      onSubmit={revoke}
      onClose={onClose}
    >
      <p class="text">
        Held by <strong>{holderOf(target)}</strong>
        {target.deviceLabel !== null && <>, on {target.deviceLabel}</>}.
      </p>
      <p>{consequence(target, related)}</p>
      {origin !== null && (
        <label class="choice">
          <input
            type="checkbox"
            checked={wholeSession}
            disabled={action.busy}
            onChange={(event) => setWholeSession(event.currentTarget.checked)}
          />
          <span>
            Revoke the whole session instead: its refresh token, and every access token that came
            from it
          </span>
        </label>
      )}
      {signsOut && (
        <p class="note is-warning">
          <strong>This is the session you are using.</strong> You will be signed out.
        </p>
      )}
      <ReasonFields value={why} error={action.error} onChange={setWhy} />
      <p class="hint">This can’t be undone: a revoked token stays revoked.</p>
    </FormDialog>
  );
}

function consequence(token: WireToken, related: WireTokenDetail | null): ComponentChildren {
  const count = related?.token._id === token._id ? related.children.length : 0;
  const known = `${related?.moreChildren === true ? 'more than ' : ''}${counted(count, 'is', 'are')} known`;
  switch (token.kind) {
    case 'refresh':
      return `This ends the session: the refresh token and everything that came from it${count > 0 ? ` (${known})` : ''} are refused everywhere, at once.`;
    case 'api-key':
      return `Every script and service that uses this key${count > 0 ? `, and every token minted with it (${known}),` : ''} is refused everywhere, at once. Make and distribute a new key first, if they must go on.`;
    case 'access': {
      const what =
        count > 0
          ? `This token and what was minted with it (${known}) are refused`
          : 'This token alone is refused';
      return token.sessionId === null
        ? `${what} everywhere, at once. Other tokens of the same user go on working.`
        : `${what} everywhere, at once. The refresh token of its session goes on working, and can fetch a new one.`;
    }
  }
}

function lowerFirst(text: string): string {
  return text.startsWith('API') ? text : text.charAt(0).toLowerCase() + text.slice(1);
}
