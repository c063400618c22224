/** "Revoke everything of this user": also what has never been seen, and its own confirmation. */
import { useState } from 'preact/hooks';
import type { CutoffBody, WireCutoffDone } from '../../wire.ts';
import { call, session } from '../api.ts';
import { Dialog } from '../ui/dialog.tsx';
import { Actions, useAction } from '../ui/form.tsx';
import { Problem } from '../ui/problem.tsx';
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
  const { busy, error, run } = useAction();
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
    <Dialog title="Revoke everything of this user?" locked={busy} onClose={onClose}>
      <form
        class="v-body"
        onSubmit={(event) => {
          event.preventDefault();
          void run(revoke);
        }}
      >
        <p class="v-text">
          Every token of <strong>{name}</strong> that was issued before now is refused everywhere,
          at once: sessions, access tokens and API keys, on every device, and also tokens that this
          service has never seen.
        </p>
        <p>
          The account stays: whoever knows its password can sign in again. Set a new password first
          if it may be known to others.
        </p>
        {isSelf && (
          <p class="v-warning">
            <strong>This is you.</strong> You will be signed out.
          </p>
        )}
        <ReasonFields value={why} error={error} onChange={setWhy} />
        <p class="v-hint">This can’t be undone: a revoked token stays revoked.</p>
        {error !== null && <Problem error={error} done="revoked" marked={['reason', 'note']} />}
        <Actions
          submit={error === null ? 'Revoke everything' : 'Try again'}
          danger
          focusCancel
          busy={busy}
          onCancel={onClose}
        />
      </form>
    </Dialog>
  );
}
