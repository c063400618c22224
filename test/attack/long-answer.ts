/** An answer that is opened and not read, or not to its end: an export, or a stream of events. */
import { once } from 'node:events';
import { connect } from 'node:net';

export interface LongAnswer {
  readonly status: number;
  readonly hasRetryAfter: boolean;
  /** What has come so far, headers included; only while it is read. */
  text(): string;
  /** Reads it from now on: on a connection that nobody reads nobody sees the end. */
  read(): void;
  /** Resolves when the other side has ended it; false = not within so many milliseconds. */
  ends(withinMs: number): Promise<boolean>;
  close(): void;
}

const ANSWER_WITHIN_MS = 30_000;

/** Resolves with the first bytes. @throws when the connection fails before. */
export async function openAnswer(
  address: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<LongAnswer> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  const parts: string[] = [];
  const ended = new Promise<true>((resolve) => {
    socket.once('end', () => resolve(true));
    socket.once('close', () => resolve(true));
  });
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${head.join('')}\r\n`);
  const [first] = (await once(socket, 'data', {
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  })) as [Buffer];
  socket.pause();
  socket.on('error', () => {});
  parts.push(first.toString('latin1'));
  const answered = parts.join('');
  return {
    status: Number(answered.slice(9, 12)),
    hasRetryAfter: /\r\nretry-after:/i.test(answered),
    text: () => parts.join(''),
    read() {
      socket.on('data', (part: Buffer) => parts.push(part.toString('latin1')));
      socket.resume();
    },
    ends(withinMs) {
      return Promise.race([
        ended,
        new Promise<false>((resolve) => setTimeout(() => resolve(false), withinMs).unref()),
      ]);
    },
    close: () => socket.destroy(),
  };
}
