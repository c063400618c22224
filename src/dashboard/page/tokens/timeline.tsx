/** What happened to a token, oldest first. */
import type { ComponentChildren } from 'preact';
import type { WireTimelineEntry } from '../../wire.ts';
import { Exact } from '../ui/exact.tsx';
import { counted } from './wording.ts';

export function Timeline({ entries }: { entries: readonly WireTimelineEntry[] }) {
  return (
    <ol class="timeline">
      {entries.map((entry, index) => (
        <li key={index} class={`was-${entry.what}`}>
          <span>{describe(entry)}</span>
          <span class="timeline-when">
            <Exact at={entry.at} />
          </span>
          {(entry.reason !== null || entry.requestId !== null) && (
            <span class="timeline-more text">
              {entry.reason}
              {entry.requestId !== null && (
                <>
                  {entry.reason !== null && ' · '}request <code>{entry.requestId}</code>
                </>
              )}
            </span>
          )}
        </li>
      ))}
    </ol>
  );
}

function describe({ what, by, via, count }: WireTimelineEntry): ComponentChildren {
  const who = (
    <>
      {by !== null && <> by {by}</>}
      {via !== null && <> through {via}</>}
    </>
  );
  switch (what) {
    case 'issued':
      return <>Issued{who}</>;
    case 'first-used':
      return <>First used{who}</>;
    case 'last-used':
      return <>Last used{who}</>;
    case 'refused':
      return count === null ? (
        <>Refused{who}</>
      ) : (
        <>Presented after its revocation and refused {counted(count, 'time')}; the last time</>
      );
    case 'expired':
      return 'Expired';
    case 'revoked':
      return (
        <>
          <strong>Revoked</strong>
          {who}
        </>
      );
    case 'cut-off':
      return (
        <>
          <strong>Revoked</strong> with everything issued until then{who}
        </>
      );
  }
}
