/** What stands where no rows are: nothing yet, nothing that matches, nothing to be had just now. */
import { session } from '../api.ts';
import { clearFilters } from '../location.ts';
import { CopyButton } from '../ui/copy.tsx';
import { secondsUntil } from '../ui/time.tsx';
import { isThisSession } from './columns.tsx';
import {
  canKeepLooking,
  isFiltered,
  isLoading,
  keepLooking,
  PAGE_SIZE,
  reload,
  results,
  trouble,
} from './results.ts';

export function Trouble() {
  if (trouble.value === null) return null;
  const { error, retryAt } = trouble.value;
  const wait = secondsUntil(retryAt);
  const isOffline = error.status === 0 && !navigator.onLine;
  return (
    <div class="note is-bad trouble" role="alert">
      <span>
        {isOffline ? 'You are offline.' : error.message}
        {results.value !== null && ' What is shown may be out of date.'}
      </span>
      {retryAt > 0 ? (
        <span class="row">
          <span aria-hidden="true">
            {isLoading.value ? 'Trying…' : `Trying again in ${wait} s`}
          </span>
          <button type="button" class="small outline" disabled={isLoading.value} onClick={reload}>
            Try now
          </button>
        </span>
      ) : (
        <button type="button" class="small outline" onClick={clearFilters}>
          Clear all filters
        </button>
      )}
    </div>
  );
}

/** Below the rows, or in their place. */
export function Below() {
  const page = results.value;
  if (page === null) return null;
  if (!page.complete && page.tokens.length < PAGE_SIZE) return <Unfinished />;
  if (page.tokens.length === 0 && isFiltered.value) return <NothingMatches />;
  const isFirstRun =
    !isFiltered.value && page.previous === null && page.tokens.every(isThisSession);
  return isFirstRun ? <FirstRun /> : null;
}

function Unfinished() {
  return (
    <div class="empty" role="status">
      <p>
        {canKeepLooking.value
          ? 'Looked through part of the history so far.'
          : 'Looking through the history…'}
      </p>
      {canKeepLooking.value && (
        <button type="button" class="small" onClick={keepLooking}>
          Keep looking
        </button>
      )}
    </div>
  );
}

function NothingMatches() {
  return (
    <div class="empty">
      <p>No token matches these filters.</p>
      <button type="button" class="small outline" onClick={clearFilters}>
        Clear all
      </button>
    </div>
  );
}

function FirstRun() {
  const email = session.value?.user.email ?? 'you@example.com';
  const command = `curl -u ${quoted(email)} '${window.location.origin}/v1/token?cdata=my-first-token'`;
  return (
    <div class="empty">
      <h2>{results.value?.tokens.length === 0 ? 'No tokens yet' : 'Only this session so far'}</h2>
      <p>
        Every token that this service issues or sees is listed here. Make one, and watch it come:
      </p>
      <div class="command">
        <pre>
          <code>{command}</code>
        </pre>
        <CopyButton text={command} label="Copy the command" />
      </div>
      <p class="muted">
        It asks for your password. The token never expires, until it’s revoked here.
      </p>
    </div>
  );
}

/** For a shell: an address may hold what a shell would run. */
function quoted(text: string): string {
  return /^[\w.@+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
