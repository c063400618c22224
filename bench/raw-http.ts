/** An HTTP/1.1 client for one kept-alive connection that costs next to nothing, so that the server is what is measured. */
import { once } from 'node:events';
import { connect } from 'node:net';

export interface RawConnection {
  /** One request after the other: the next one only when the last was answered. */
  send(request: RawRequest): Promise<RawAnswer>;
  close(): void;
}

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  /** The value of the `Authorization` header. */
  readonly authorization?: string;
  readonly body?: unknown;
}

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

const HEAD_END = '\r\n\r\n';

/** Understands answers with a `Content-Length` and 204 only, which is all that the service sends. */
export async function connectRaw(address: string): Promise<RawConnection> {
  const { hostname, port, host } = new URL(address);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  socket.setEncoding('latin1');
  let received = '';
  let waiting: { resolve(answer: RawAnswer): void; reject(error: Error): void } | null = null;
  socket.on('data', (part: string) => {
    received += part;
    const headEnd = received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = received.slice(0, headEnd);
    const status = Number(head.slice(9, 12));
    const length = status === 204 ? 0 : Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
    if (Number.isNaN(length))
      socket.destroy(new Error(`an answer without Content-Length: ${head}`));
    const end = headEnd + HEAD_END.length + length;
    if (received.length < end) return;
    const text = received.slice(headEnd + HEAD_END.length, end);
    received = received.slice(end);
    const answered = waiting;
    waiting = null;
    answered?.resolve({ status, text });
  });
  let failure = new Error('the connection was closed');
  socket.on('error', (error) => (failure = error));
  socket.on('close', () => waiting?.reject(failure));

  return {
    send({ method, path, authorization, body }) {
      const text = body === undefined ? '' : JSON.stringify(body);
      const head = [
        `${method} ${path} HTTP/1.1`,
        `Host: ${host}`,
        ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
        ...(body === undefined
          ? []
          : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`]),
      ];
      return new Promise((resolve, reject) => {
        if (socket.destroyed || waiting !== null) {
          reject(socket.destroyed ? failure : new Error('one request at a time'));
          return;
        }
        waiting = { resolve, reject };
        socket.write(`${head.join('\r\n')}${HEAD_END}${text}`);
      });
    },
    close: () => socket.destroy(),
  };
}
