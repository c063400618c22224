/** Calls to the service: one function for each kind of answer, and the errors that people are shown. */
import { signal } from '@preact/signals';
import type { WireSession } from '../wire.ts';

/** null = signed out; undefined = not known yet. */
export const session = signal<WireSession | null | undefined>(undefined);

export class ApiError extends Error {
  /** 0 = the service can't be reached. */
  readonly status: number;
  /** Seconds to wait, where the service said so (429, 503). */
  readonly retryAfter: number | null;
  readonly fields: readonly { readonly field: string; readonly message: string }[];

  constructor(
    status: number,
    message: string,
    retryAfter: number | null = null,
    fields: ApiError['fields'] = [],
  ) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
    this.fields = fields;
  }
}

type Method = 'GET' | 'POST' | 'DELETE';

/** @throws ApiError with a message for people. A 401 also signs the page out. */
export async function call<T>(
  method: Method,
  path: string,
  body?: object,
  abort?: AbortSignal,
): Promise<T> {
  const response = await send(method, path, body, abort);
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

/** The same for answers that come line by line (NDJSON). @throws ApiError as above. */
export async function* callLines<T>(
  method: Method,
  path: string,
  body?: object,
): AsyncGenerator<T> {
  const response = await send(method, path, body);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const chunk = await reader?.read();
    if (chunk === undefined || chunk.done) break;
    const lines = (rest + chunk.value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
  }
  if (rest !== '') yield JSON.parse(rest) as T;
}

async function send(
  method: Method,
  path: string,
  body?: object,
  abort?: AbortSignal,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      headers: {
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(method === 'GET' ? {} : { 'X-CSRF-Token': session.value?.csrfToken ?? '' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(abort === undefined ? {} : { signal: abort }),
    });
  } catch (error) {
    if (abort?.aborted === true) throw error;
    throw new ApiError(0, 'The service can’t be reached. Is it running? Trying again is safe.');
  }
  if (response.ok) return response;
  if (response.status === 401 && session.value) session.value = null;
  throw await toApiError(response);
}

async function toApiError(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => ({}))) as {
    msg?: string;
    errors?: ApiError['fields'];
  };
  const seconds = Number(response.headers.get('Retry-After'));
  return new ApiError(
    response.status,
    problem.msg ?? `The service answered ${response.status}.`,
    Number.isFinite(seconds) && seconds > 0 ? seconds : null,
    problem.errors ?? [],
  );
}
