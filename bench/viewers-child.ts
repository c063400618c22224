/** The process that `./stream.ts` starts: viewers of the live stream, on raw sockets, that read what they get and throw it away. */
import { connect } from 'node:net';
import { constants, setPriority } from 'node:os';
import { endWithParent, send, taskOf } from './children.js';

export interface ViewersTask {
  readonly port: number;
  readonly authorization: string;
  readonly count: number;
}

export interface Viewed {
  /** Streams that are open. */
  readonly open: number;
  /** Bytes that all of them got since they were asked last. */
  readonly bytes: number;
  /** Revocations that the first of them has been told of in all. */
  readonly told: number;
}

// Viewers have machines of their own. Here they get what the service and those who ask it leave over,
// and read now and then only: each write to one who waits for it would wake another process.
setPriority(constants.priority.PRIORITY_LOW);
const READ_EVERY_MS = 100;
const SLEEP_MS = 90;

const { port, authorization, count } = taskOf() as ViewersTask;
const REQUEST = [
  'GET /admin/events/stream HTTP/1.1',
  'Host: localhost',
  `Authorization: ${authorization}`,
  '\r\n',
].join('\r\n');
const OPENING_AT_ONCE = 50;
const REVOKED = '"type":"revoked"';
let open = 0;
let bytes = 0;
let told = 0;
/** The end of what the first one got, which may be the beginning of the word. */
let unread = '';

function read(text: string): void {
  const parts = (unread + text).split(REVOKED);
  told += parts.length - 1;
  unread = (parts.at(-1) ?? '').slice(1 - REVOKED.length);
}

function openOne(isFirst: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(REQUEST));
    socket.once('data', (chunk) => {
      if (!chunk.toString('latin1').startsWith('HTTP/1.1 200')) {
        reject(new Error(`a viewer was answered ${chunk.toString('latin1').slice(0, 200)}`));
        return;
      }
      open += 1;
      resolve();
      socket.once('close', () => (open -= 1));
      socket.on('data', (more) => {
        bytes += more.length;
        if (isFirst) read(more.toString('latin1'));
      });
    });
    socket.once('error', reject);
  });
}

for (let opened = 0; opened < count; opened += OPENING_AT_ONCE) {
  const howMany = Math.min(OPENING_AT_ONCE, count - opened);
  await Promise.all(Array.from({ length: howMany }, (_, i) => openOne(opened + i === 0)));
}
const sleeper = new Int32Array(new SharedArrayBuffer(4));
setInterval(() => Atomics.wait(sleeper, 0, 0, SLEEP_MS), READ_EVERY_MS);
process.on('message', () => {
  send({ open, bytes, told } satisfies Viewed);
  bytes = 0;
});
endWithParent();
send({ open, bytes, told } satisfies Viewed);
