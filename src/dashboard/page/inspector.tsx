/** A pasted token, decoded in the page; the service says whether it would be accepted. Nothing of it is kept. */
import { useEffect, useState } from 'preact/hooks';
import type { InspectBody, WireInspection } from '../wire.ts';
import { call, session } from './api.ts';
import { decode, type Decoded, type Part, toToken } from './decode.ts';
import { Related } from './tokens/related.tsx';
import { type Fact, Facts } from './ui/facts.tsx';
import { Field, useAction } from './ui/form.tsx';
import { Problem } from './ui/problem.tsx';
import { Exact } from './ui/exact.tsx';

/** Longer than any token that is accepted, shorter than what makes a page slow. */
const MAX_LENGTH = 17_000;

const MEANINGS: Readonly<Record<string, string>> = {
  alg: 'algorithm (alg)',
  typ: 'type (typ)',
  kid: 'key (kid)',
  iss: 'issuer (iss)',
  sub: 'subject (sub)',
  aud: 'audience (aud)',
  jti: 'id (jti)',
  sid: 'session (sid)',
  iat: 'issued (iat)',
  exp: 'expires (exp)',
  nbf: 'not before (nbf)',
  auth_time: 'signed in (auth_time)',
};

export function InspectorView({ onOpen }: { onOpen(id: string): void }) {
  const [text, setText] = useState('');
  const [answer, setAnswer] = useState<WireInspection | null>(null);
  const { busy, error, run, forget } = useAction();
  const token = toToken(text);
  const decoded = decode(token);
  const isAdministrator = session.value?.isAdministrator === true;

  const change = (value: string) => {
    setText(value);
    setAnswer(null);
    forget();
  };
  // Not even for "back": a browser may keep a page as it was left.
  useEffect(() => {
    const leave = () => change('');
    addEventListener('pagehide', leave);
    return () => removeEventListener('pagehide', leave);
  }, []);

  return (
    <section class="view">
      <h1>Inspect a token</h1>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          const asked: InspectBody = { token };
          void run(async () => {
            setAnswer(null);
            setAnswer(await call<WireInspection>('POST', '/admin/inspect', asked));
          });
        }}
      >
        <Field
          label="Token"
          name="token"
          error={error}
          hint={
            isAdministrator
              ? 'It is decoded in this page. It is sent nowhere before you ask the service, and forgotten when you leave.'
              : 'It is decoded in this page, sent nowhere, and forgotten when you leave.'
          }
        >
          {(attributes) => (
            <textarea
              {...attributes}
              class="token-text"
              rows={5}
              value={text}
              maxLength={MAX_LENGTH}
              required
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              onInput={(event) => change(event.currentTarget.value)}
            />
          )}
        </Field>
        <footer class="actions is-left">
          {isAdministrator && (
            <button
              type="submit"
              class="button primary"
              aria-busy={busy}
              disabled={busy || token === ''}
            >
              Would it be accepted?
            </button>
          )}
          <button type="button" class="button" disabled={text === ''} onClick={() => change('')}>
            Clear
          </button>
        </footer>
      </form>
      {error !== null && <Problem error={error} marked={['token']} />}
      <div aria-live="polite">{answer !== null && <Answer answer={answer} onOpen={onOpen} />}</div>
      <Contents decoded={decoded} />
    </section>
  );
}

function Answer({ answer, onOpen }: { answer: WireInspection; onOpen(id: string): void }) {
  return (
    <div class={answer.accepted ? 'note is-good' : 'note is-bad'}>
      <p>
        <strong>
          <span aria-hidden="true">{answer.accepted ? '✓' : '✕'}</span>{' '}
          {answer.accepted ? 'Accepted' : 'Refused'}
          {answer.reason !== null && `: ${answer.reason.replaceAll('-', ' ')}`}
        </strong>
      </p>
      <p class="text">{answer.explanation}</p>
      {answer.token !== null && (
        <Related label="Its record" tokens={[answer.token]} onOpen={onOpen} />
      )}
    </div>
  );
}

function Contents({ decoded }: { decoded: Decoded }) {
  switch (decoded.form) {
    case 'empty':
      return null;
    case 'unknown':
      return (
        <p class="note is-warning" role="status">
          <strong>This isn’t a token that can be read here.</strong> {decoded.why}
        </p>
      );
    case 'opaque':
      return (
        <>
          <p role="status">
            A refresh token or an API key: an id, and a secret that says nothing. Only the service
            knows what it stands for.
          </p>
          <Facts
            caption="Contents"
            facts={[
              ['id (jti)', <code>{decoded.id}</code>],
              ['secret', 'there is one; not shown'],
            ]}
          />
        </>
      );
    case 'jwt':
      return (
        <>
          <p class="hint">
            What the token says of itself. Anybody can write this; only the signature vouches for
            it, and only the service can check that.
          </p>
          <PartTable caption="Header" part={decoded.header} />
          <PartTable caption="Payload" part={decoded.payload} />
          {decoded.signature !== null && (
            <p class="note is-warning">
              <strong>Signature.</strong> {decoded.signature}
            </p>
          )}
        </>
      );
  }
}

function PartTable({ caption, part }: { caption: string; part: Part }) {
  if ('why' in part) {
    return (
      <p class="note is-warning">
        <strong>The {caption.toLowerCase()} can’t be read.</strong> {part.why}
      </p>
    );
  }
  if (part.claims.length === 0) return <p class="muted">The {caption.toLowerCase()} is empty.</p>;
  const facts = part.claims.map(({ name, value, time }): Fact => [
    Object.hasOwn(MEANINGS, name) ? (MEANINGS[name] ?? name) : name,
    <>
      <code>{value === '' ? '""' : value}</code>
      {typeof time === 'number' && (
        <span class="explained">
          <Exact at={new Date(time).toISOString()} />
        </span>
      )}
      {typeof time === 'string' && <span class="explained wrong">{time}</span>}
    </>,
  ]);
  return <Facts caption={caption} facts={facts} />;
}
