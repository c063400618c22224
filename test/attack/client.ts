/** An attacker's HTTP client: sends anything, and counts how it was answered. */
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { collectFaults, type Faults, type Target } from './attack.js';

export interface Call {
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON; a text as it is, as JSON too. */
  readonly body?: object | string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Client {
  /** Rejects when there was no answer. */
  call(method: string, path: string, call?: Call): Promise<Answer>;
  /** The parsed JSON. @throws when the answer isn't 2xx. */
  expect<T = Record<string, unknown>>(method: string, path: string, call?: Call): Promise<T>;
  readonly faults: Faults;
  /** Takes note of a status that was read elsewhere. */
  note(status: number, hasRetryAfter: boolean, what: string): void;
  /** "4xx 120, 2xx 3". */
  summary(): string;
  count(wanted: number | ((status: number) => boolean)): number;
  close(): void;
}

const ANSWER_WITHIN_MS = 60_000;

export function createClient({ address }: Pick<Target, 'address'>): Client {
  const { hostname, port } = new URL(address);
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const statuses = new Map<number, number>();
  const faults = collectFaults();
  // An address of its own, so that what one attack fails at doesn't shut out the next.
  const from = `10.${[...randomBytes(3)].join('.')}`;

  const note: Client['note'] = (status, hasRetryAfter, what) => {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status >= 500 && !(status === 503 && hasRetryAfter)) faults.add(`answered ${status}`, what);
  };

  function call(method: string, path: string, { headers, body }: Call = {}): Promise<Answer> {
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: hostname,
          port,
          agent,
          method,
          path,
          headers: {
            'X-Forwarded-For': from,
            ...(text === undefined
              ? {}
              : {
                  'Content-Type': 'application/json',
                  'Content-Length': String(Buffer.byteLength(text)),
                }),
            ...headers,
          },
        },
        (res) => {
          const parts: Buffer[] = [];
          res.on('data', (part: Buffer) => parts.push(part));
          res.on('error', reject);
          res.on('end', () => {
            const status = res.statusCode ?? 0;
            note(
              status,
              res.headers['retry-after'] !== undefined,
              `${method} ${path}`.slice(0, 90),
            );
            resolve({ status, text: Buffer.concat(parts).toString(), headers: res.headers });
          });
        },
      );
      sent.setTimeout(ANSWER_WITHIN_MS, () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
      sent.end(text);
    });
  }

  const count: Client['count'] = (wanted) => {
    const fits = typeof wanted === 'number' ? (status: number) => status === wanted : wanted;
    return [...statuses].reduce((sum, [status, n]) => sum + (fits(status) ? n : 0), 0);
  };

  return {
    call,
    async expect<T>(method: string, path: string, options?: Call) {
      const { status, text } = await call(method, path, options);
      if (status < 200 || status > 299)
        throw new Error(`${method} ${path} was answered ${status}: ${text.slice(0, 300)}`);
      return (text === '' ? {} : JSON.parse(text)) as T;
    },
    faults,
    note,
    count,
    summary: () =>
      [...statuses]
        .toSorted(([a], [b]) => a - b)
        .map(([status, n]) => `${n.toLocaleString('en')} × ${status}`)
        .join(', '),
    close: () => agent.destroy(),
  };
}

/** `JWT …`, the value of an `Authorization` header. */
export async function signIn(
  client: Client,
  { email, password }: { readonly email: string; readonly password: string },
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { token } = await client.expect<{ token: string }>('POST', '/auth/signin', {
    body: { email, password },
    headers,
  });
  return token;
}

export async function signInAsAdministrator(client: Client, target: Target) {
  const root = { Authorization: await signIn(client, target.administrator) };
  return {
    headers: root,
    async createUser(email: string, password: string, role?: 'admin'): Promise<string> {
      const { _id } = await client.expect<{ _id: string }>('POST', '/admin/users', {
        headers: root,
        body: { email, password, ...(role === undefined ? {} : { role }) },
      });
      return _id;
    },
  };
}

/** Runs `act` for each of them, so many at once. */
export async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  act: (item: T, at: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (next < items.length) {
        const at = next;
        next += 1;
        await act(items[at] as T, at);
      }
    }),
  );
}
