/** "Revoke everything of this user": also what has never been seen, and its own confirmation. */
import { useState } from 'preact/hooks';
import type { CutoffBody, WireCutoffDone } from '../../wire.ts';
import { call, session } from '../api.ts';
import { FormDialog } from '../ui/dialog.tsx';
import { useAction } from '../ui/form.tsx';
import { toast } from '../ui/toast.tsx';
import { leave } from './own.ts';
import { NO_REASON, ReasonFields, toRevokeBody } from './reason.tsx';
import { hitsOf, momentOf } from './wording.ts';

interface CutoffDialogProps {
  readonly userId: string;
  /** Who that is, for people. */
  readonly name: string;
  onClose(): void;
  onDone(): void;
}

export function CutoffDialog({ userId, name, onClose, onDone }: CutoffDialogProps) {
  const [why, setWhy] = useState(NO_REASON);
  const action = useAction();
  const isSelf = session.value?.user._id === userId;

  const revoke = async () => {
    const body = toRevokeBody(why);
    if (body === null) return;
    const order: CutoffBody = { ...body, userId };
    const { at, matched } = await call<WireCutoffDone>('POST', '/admin/cutoffs', order);
    toast(
      `Everything of ${name} issued until ${momentOf(at)} is refused everywhere${hitsOf(matched)}`,
    );
    onDone();
    if (isSelf) leave();
  };

  return (
    <FormDialog
      title="Revoke everything of this user?"
      action={action}
      submit="Revoke everything"
      danger
      done="revoked"
      marked={['reason', 'note']}
      onSubmit={revoke}
      onClose={onClose}
    >
      <p class="text">
        Every token of <strong>{name}</strong> that was issued before now is refused everywhere, at
        once: sessions, access tokens and API keys, on every device, and also tokens that this
        service has never seen.
      </p>
      <p>
        The account stays: whoever knows its password can sign in again. Set a new password first if
        it may be known to others.
      </p>
      {isSelf && (
        <p class="note is-warning">
          <strong>This is you.</strong> You will be signed out.
        </p>
      )}
      <ReasonFields value={why} error={action.error} onChange={setWhy} />
      <p class="hint">This can’t be undone: a revoked token stays revoked.</p>
    </FormDialog>
  );
}
