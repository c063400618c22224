/** What is loaded for a view: kept while it is loaded anew, dropped answers when what is asked for has changed. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { type ApiError, call } from '../api.ts';
import { toApiError } from './problem.tsx';

interface Loaded<T> {
  readonly data: T | null;
  readonly error: ApiError | null;
  readonly loading: boolean;
  reload(): void;
  /** What is known better by now than what was loaded. */
  update(change: (data: T) => T): void;
}

/** `path` null = there is nothing to load. */
export function useLoad<T>(path: string | null): Loaded<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [loading, setLoading] = useState(path !== null);
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    setLoading(true);
    call<T>('GET', path, undefined, abort.signal).then(
      (answer) => {
        if (abort.signal.aborted) return;
        setData(answer);
        setError(null);
        setLoading(false);
      },
      (failure: unknown) => {
        if (abort.signal.aborted) return;
        setError(toApiError(failure));
        setLoading(false);
      },
    );
    return () => abort.abort();
  }, [path, turn]);

  const reload = useCallback(() => setTurn((n) => n + 1), []);
  const update = useCallback(
    (change: (old: T) => T) => setData((old) => (old === null ? old : change(old))),
    [],
  );
  return { data, error, loading, reload, update };
}
