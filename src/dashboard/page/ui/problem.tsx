/** Failures as people are shown them: what happened, whether repeating is safe, and a button for it. */
import { ApiError } from '../api.ts';

/** Anything thrown → an error with words for people. What isn't ours is a broken connection or a bug: the outcome is unknown. */
export function toApiError(error: unknown): ApiError {
  return error instanceof ApiError
    ? error
    : new ApiError(0, 'The connection broke off before the answer was complete.');
}

/** Was it done or not? Then repeating must be safe, and all that revokes is. */
export function isOutcomeUnknown(error: ApiError): boolean {
  return error.status === 0 || error.status >= 500;
}

interface ProblemProps {
  readonly error: ApiError;
  /** What was being done: "revoked", "created". Only for what changes something. */
  readonly done?: string | undefined;
  /** Fields that say themselves what is wrong with them. */
  readonly marked?: readonly string[] | undefined;
  onRetry?(): void;
}

export function Problem({ error, done, marked = [], onRetry }: ProblemProps) {
  const isMarked = error.fields.length > 0 && error.fields.every((f) => marked.includes(f.field));
  return (
    <div class="note is-bad" role="alert">
      <p>
        <strong>{isMarked ? 'Please check what is marked.' : error.message}</strong>
        {done !== undefined && isOutcomeUnknown(error) && (
          <> Whether it was {done} is unknown; repeating is safe.</>
        )}
        {error.retryAfter !== null && <> Try again in {seconds(error.retryAfter)}.</>}
      </p>
      {onRetry && (
        <button type="button" class="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

function seconds(count: number): string {
  if (count >= 120) return `${Math.ceil(count / 60)} minutes`;
  return count === 1 ? '1 second' : `${count} seconds`;
}
