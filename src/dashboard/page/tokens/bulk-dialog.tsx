/** Revoking many tokens: first what it would hit, then the confirmation, then how far it is and what came of it. */
import { useEffect, useState } from 'preact/hooks';
import type { BulkRevokeBody, Selection, WireBulkLine, WirePreview } from '../../wire.ts';
import { ApiError, call, callLines } from '../api.ts';
import { CloseButton, Dialog, DialogForm } from '../ui/dialog.tsx';
import { TypeToConfirm, useAction } from '../ui/form.tsx';
import { Problem } from '../ui/problem.tsx';
import { type BulkResult, BulkOutcome, Hits } from './bulk-parts.tsx';
import { leaveIfRevoked } from './own.ts';
import { NO_REASON, ReasonFields, toRevokeBody } from './reason.tsx';
import { counted } from './wording.ts';

/** Above it the number must be typed. */
const TYPED_FROM = 26;

interface BulkDialogProps {
  readonly selection: Selection;
  /** Closed, and nothing was changed. */
  onClose(): void;
  /** Closed, and something was revoked, or may have been. */
  onDone(): void;
}

export function BulkDialog({ selection, onClose, onDone }: BulkDialogProps) {
  const [preview, setPreview] = useState<WirePreview | null>(null);
  const [news, setNews] = useState<string | null>(null);
  const [why, setWhy] = useState(NO_REASON);
  const [typed, setTyped] = useState('');
  const [progress, setProgress] = useState<{ done: number; total: number } | null>(null);
  const [result, setResult] = useState<BulkResult | null>(null);
  const [touched, setTouched] = useState(false);
  const looking = useAction();
  const revoking = useAction();

  const look = () =>
    looking.run(async () => {
      setTyped('');
      setPreview(await call<WirePreview>('POST', '/admin/revocations/preview', selection));
    });
  useEffect(() => void look(), []);

  const close = touched ? onDone : onClose;

  const revoke = async () => {
    const body = toRevokeBody(why);
    if (body === null || preview === null) return;
    setNews(null);
    setProgress({ done: 0, total: preview.count });
    const order: BulkRevokeBody = {
      ...body,
      selection,
      expectedCount: preview.count,
      asOf: preview.asOf,
    };
    try {
      for await (const line of callLines<WireBulkLine>('POST', '/admin/revocations', order)) {
        setTouched(true);
        if ('result' in line) {
          setResult(line.result);
          if (preview.includesThisSession) await leaveIfRevoked();
          return;
        }
        setProgress(line);
      }
      throw new ApiError(0, 'The answer broke off before it was complete.');
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 409) return await lookAgain(preview);
      if (!(failure instanceof ApiError) || failure.status === 0 || failure.status >= 500)
        setTouched(true);
      throw failure;
    } finally {
      setProgress(null);
    }
  };

  const lookAgain = async (before: WirePreview) => {
    setTyped('');
    const now = await call<WirePreview>('POST', '/admin/revocations/preview', selection);
    setPreview(now);
    setNews(
      now.count > before.count
        ? `It has grown from ${before.count} to ${now.count} since you looked. Nothing was revoked; please check again.`
        : 'What matches has changed since you looked. Nothing was revoked; please check again.',
    );
  };

  const title =
    result !== null
      ? 'Tokens revoked'
      : preview === null
        ? 'Revoke tokens'
        : `Revoke ${counted(preview.count, 'token')}?`;
  return (
    <Dialog title={title} locked={revoking.busy} onClose={close}>
      {result !== null ? (
        <BulkOutcome result={result} onClose={onDone} />
      ) : preview === null || preview.count === 0 ? (
        <div class="dialog-body">
          {looking.error !== null && (
            <>
              <Problem error={looking.error} onRetry={() => void look()} />
              {looking.error.status === 400 && (
                <p>
                  Narrow the filter; or revoke everything of a user or an application, which has no
                  limit.
                </p>
              )}
            </>
          )}
          {looking.busy && <p aria-busy="true">Counting what this would revoke…</p>}
          {preview?.count === 0 && (
            <p role="status">Nothing to revoke: all that matches is revoked already.</p>
          )}
          <CloseButton label={preview?.count === 0 ? 'Close' : 'Cancel'} onClose={close} />
        </div>
      ) : (
        <DialogForm
          action={revoking}
          submit={`Revoke ${counted(preview.count, 'token')}`}
          danger
          done="completed"
          onSubmit={revoke}
          onClose={close}
        >
          {news !== null && (
            <p class="note is-warning" role="alert">
              {news}
            </p>
          )}
          <Hits preview={preview} />
          {preview.includesThisSession && (
            <p class="note is-warning">
              <strong>The session you are using is among them.</strong> You will be signed out when
              it’s done.
            </p>
          )}
          <ReasonFields value={why} error={revoking.error} onChange={setWhy} />
          {preview.count >= TYPED_FROM && (
            <TypeToConfirm word={String(preview.count)} value={typed} onInput={setTyped} />
          )}
          <p class="hint">This can’t be undone: a revoked token stays revoked.</p>
          {progress !== null && (
            <label class="progress">
              <span>
                {progress.done} of {progress.total} done
              </span>
              <progress value={progress.done} max={progress.total} />
            </label>
          )}
        </DialogForm>
      )}
    </Dialog>
  );
}
