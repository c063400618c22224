/** The process that `./stream.ts` starts: viewers of the live stream, on raw sockets, that read what they get and throw it away. */
import { connect } from 'node:net';
import { constants, setPriority } from 'node:os';
import { endWithParent, send, taskOf } from './children.js';

export interface ViewersTask {
  readonly port: number;
  /** Of several administrators, who watch in turn: each may have a hundred streams. */
  readonly authorizations: readonly string[];
  readonly count: number;
}

interface Change {
  readonly type: string;
  readonly token?: { readonly jti: string };
}

export interface Viewed {
  /** Streams that are open. */
  readonly open: number;
  /** Bytes that all of them got since they were asked last. */
  readonly bytes: number;
  /** Revoked tokens that the first of them has been told of in all. */
  readonly told: number;
}

// Viewers have machines of their own. Here they get what the service and those who ask it leave over,
// and read now and then only: each write to one who waits for it would wake another process.
setPriority(constants.priority.PRIORITY_LOW);
const READ_EVERY_MS = 100;
const SLEEP_MS = 90;

const { port, authorizations, count } = taskOf() as ViewersTask;
const requestOf = (index: number) =>
  [
    'GET /admin/events/stream HTTP/1.1',
    'Host: localhost',
    `Authorization: ${authorizations[index % authorizations.length]}`,
    '\r\n',
  ].join('\r\n');
const OPENING_AT_ONCE = 50;
let open = 0;
let bytes = 0;
/** Revoked tokens that the first one has been told of. One may be told twice: here, and by what the database says. */
const told = new Set<string>();
/** What the first one got of a message that isn't complete. */
let unread = '';

function read(text: string): void {
  const messages = (unread + text).split('\n\n');
  unread = messages.pop() ?? '';
  for (const message of messages) {
    const data = /^data:(.*)$/m.exec(message)?.[1];
    if (data === undefined || !/^event:changes$/m.test(message)) continue;
    for (const { type, token } of JSON.parse(data) as Change[]) {
      if (type === 'revoked' && token !== undefined) told.add(token.jti);
    }
  }
}

function openOne(index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(requestOf(index)));
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
        if (index === 0) read(more.toString('latin1'));
      });
    });
    socket.once('error', reject);
  });
}

for (let opened = 0; opened < count; opened += OPENING_AT_ONCE) {
  const howMany = Math.min(OPENING_AT_ONCE, count - opened);
  await Promise.all(Array.from({ length: howMany }, (_, i) => openOne(opened + i)));
}
const sleeper = new Int32Array(new SharedArrayBuffer(4));
setInterval(() => Atomics.wait(sleeper, 0, 0, SLEEP_MS), READ_EVERY_MS);
process.on('message', () => {
  send({ open, bytes, told: told.size } satisfies Viewed);
  bytes = 0;
});
endWithParent();
send({ open, bytes, told: told.size } satisfies Viewed);
