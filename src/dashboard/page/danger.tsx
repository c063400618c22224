/** The danger zone: everything issued before a moment is refused, whoever holds it, this session included. */
import { useState } from 'preact/hooks';
import type { CutoffBody, WireCutoffDone } from '../wire.ts';
import { call } from './api.ts';
import { leaveIfRevoked } from './tokens/own.ts';
import { NO_REASON, ReasonFields, toRevokeBody } from './tokens/reason.tsx';
import { hitsOf, momentOf } from './tokens/wording.ts';
import { Field, TypeToConfirm, useAction } from './ui/form.tsx';
import { Problem } from './ui/problem.tsx';
import { toast } from './ui/toast.tsx';

const WORD = 'REVOKE';

export function DangerView() {
  const [until, setUntil] = useState<'now' | 'moment'>('now');
  const [moment, setMoment] = useState('');
  const [application, setApplication] = useState('');
  const [why, setWhy] = useState(NO_REASON);
  const [typed, setTyped] = useState('');
  const [done, setDone] = useState<string | null>(null);
  const { busy, error, run } = useAction();
  const applicationId = application.trim();

  const revoke = async () => {
    const body = toRevokeBody(why);
    if (body === null || typed.trim() !== WORD) return;
    setDone(null);
    const order: CutoffBody = {
      ...body,
      ...(applicationId === '' ? { everything: true } : { applicationId }),
      ...(until === 'now' ? {} : { before: new Date(moment).toISOString() }),
    };
    const { at, matched } = await call<WireCutoffDone>('POST', '/admin/cutoffs', order);
    const scope = applicationId === '' ? 'Everything' : `Everything of ${applicationId}`;
    const sentence = `${scope} issued until ${momentOf(at)} is refused everywhere${hitsOf(matched)}.`;
    toast(sentence);
    setDone(sentence);
    setTyped('');
    setWhy(NO_REASON);
    await leaveIfRevoked();
  };

  return (
    <section class="view">
      <h1>Danger zone</h1>
      <form
        class="form danger-zone"
        onSubmit={(event) => {
          event.preventDefault();
          void run(revoke);
        }}
      >
        <h2>Revoke all tokens issued before…</h2>
        <p>
          For when a signing key, a database or a whole application may be in the wrong hands.{' '}
          <strong>Everyone is signed out</strong>, and every script stops.
        </p>
        <p class="note is-warning">
          <strong>This session and API keys are no exception:</strong> whatever was issued before
          that moment is refused, also the session you are using and every API key, and tokens that
          this service has never seen. It can’t be undone.
        </p>
        <fieldset class="options" disabled={busy}>
          <legend>Issued before</legend>
          <label class="choice">
            <input
              type="radio"
              name="until"
              checked={until === 'now'}
              onChange={() => setUntil('now')}
            />
            <span>Now</span>
          </label>
          <label class="choice">
            <input
              type="radio"
              name="until"
              checked={until === 'moment'}
              onChange={() => setUntil('moment')}
            />
            <span>An earlier moment</span>
          </label>
        </fieldset>
        {until === 'moment' && (
          <Field
            label="Moment"
            name="before"
            error={error}
            hint={`In your time zone (${Intl.DateTimeFormat().resolvedOptions().timeZone}).`}
          >
            {(field) => (
              <input
                {...field}
                type="datetime-local"
                step={1}
                required
                max={toLocal(new Date())}
                value={moment}
                onInput={(event) => setMoment(event.currentTarget.value)}
              />
            )}
          </Field>
        )}
        <Field
          label="Application (optional)"
          name="applicationId"
          error={error}
          hint="Its id. Empty: everything of every application."
        >
          {(field) => (
            <input
              {...field}
              value={application}
              maxLength={128}
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => setApplication(event.currentTarget.value)}
            />
          )}
        </Field>
        <ReasonFields value={why} error={error} onChange={setWhy} />
        <TypeToConfirm word={WORD} value={typed} onInput={setTyped} />
        {error !== null && (
          <Problem
            error={error}
            done="revoked"
            marked={['reason', 'note', 'before', 'applicationId']}
          />
        )}
        <p role="status">{done}</p>
        <footer class="actions is-left">
          <button type="submit" class="button danger" aria-busy={busy} disabled={busy}>
            {applicationId === '' ? 'Revoke everything' : 'Revoke everything of this application'}
          </button>
        </footer>
      </form>
    </section>
  );
}

/** As `datetime-local` wants it: local time, without a zone. */
function toLocal(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
