/** Checks as fast as they are answered, over few connections with some requests under way on each. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Flood {
  readonly address: string;
  readonly connections: number;
  /** Requests under way on each connection: more of them only make others wait longer. */
  readonly depth: number;
  /** The next value of `Authorization`; null = that was all. */
  next(): string | null;
  /** 0 = the connection was closed instead. */
  onAnswer(authorization: string, status: number, hasRetryAfter: boolean): void;
}

const HEAD_END = '\r\n\r\n';

export async function floodWithChecks(flood: Flood): Promise<void> {
  await Promise.all(Array.from({ length: flood.connections }, () => oneConnection(flood)));
}

async function oneConnection({ address, depth, next, onAnswer }: Flood): Promise<void> {
  let socket: Socket | null = null;
  for (;;) {
    const batch: string[] = [];
    while (batch.length < depth) {
      const authorization = next();
      if (authorization === null) break;
      batch.push(authorization);
    }
    if (batch.length === 0) break;
    if (socket === null || socket.destroyed) socket = await open(address);
    let answered = 0;
    await exchange(socket, batch, (status, hasRetryAfter) => {
      onAnswer(batch[answered] ?? '', status, hasRetryAfter);
      answered += 1;
    });
    for (const lost of batch.slice(answered)) onAnswer(lost, 0, false);
  }
  socket?.destroy();
}

async function open(address: string): Promise<Socket> {
  const { hostname, port } = new URL(address);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  socket.setEncoding('latin1');
  // A broken connection closes, too.
  socket.on('error', () => {});
  return socket;
}

/** Resolves when all are answered, or the connection is closed. */
function exchange(
  socket: Socket,
  batch: readonly string[],
  onStatus: (status: number, hasRetryAfter: boolean) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let received = '';
    let left = batch.length;
    const end = () => {
      socket.off('data', read);
      socket.off('close', end);
      resolve();
    };
    function read(part: string): void {
      received += part;
      let from = 0;
      for (let at = received.indexOf(HEAD_END); at !== -1; at = received.indexOf(HEAD_END, from)) {
        const status = Number(received.slice(from + 9, from + 12));
        const head = status === 204 || status === 401 ? '' : received.slice(from, at).toLowerCase();
        const length = Number(/\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0);
        from = at + HEAD_END.length + length;
        left -= 1;
        onStatus(status, head.includes('\nretry-after:'));
      }
      received = received.slice(from);
      if (left === 0) end();
    }
    socket.on('data', read);
    socket.once('close', end);
    const head = 'GET /auth/verify HTTP/1.1\r\nHost: a\r\nAuthorization: ';
    socket.write(batch.map((value) => `${head}${value}${HEAD_END}`).join(''), 'latin1');
  });
}
