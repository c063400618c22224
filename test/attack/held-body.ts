/** A request whose body is held back: its headers and first byte are sent, and the rest when it is told to. */
import { once } from 'node:events';
import { connect } from 'node:net';

export interface HeldBody {
  readonly name: string;
  /** Sends the rest. @returns the status; 0 = the connection was closed without one. */
  end(): Promise<number>;
}

interface Request {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const BEGIN_WITHIN_MS = 20_000;

/**
 * Resolves when the server has the headers and asks for the body, or has answered already.
 * @throws when nothing comes back.
 */
export async function holdBody(
  address: string,
  { name, method, path, headers, body }: Request,
): Promise<HeldBody> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  let heard = '';
  let failure: Error | null = null;
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.on('error', (error) => (failure = error));
  const all = {
    Host: 'localhost',
    Connection: 'close',
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    Expect: '100-continue',
    ...headers,
  };
  const head = Object.entries(all).map(([header, value]) => `${header}: ${value}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body.slice(0, 1)}`);
  const late = AbortSignal.timeout(BEGIN_WITHIN_MS);
  while (heard === '' && failure === null) await once(socket, 'data', { signal: late });
  return {
    name,
    async end() {
      if (!socket.destroyed) socket.write(body.slice(1));
      if (!socket.closed) await once(socket, 'close');
      return Number(/HTTP\/1\.1 ([2-5]\d\d)/.exec(heard)?.[1] ?? 0);
    },
  };
}
