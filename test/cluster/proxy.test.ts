/** The proxy of the cluster test: what each fault of a link does to what passes, on a server of frames that stands for the engine. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { makeFolder, removeFolder, until } from '../support/process.js';
import { createSplitter } from './frames.js';
import { PASS } from './link.js';
import { type Link, openLink } from './proxy.js';

const { BSON } = mongoose.mongo;

let folder: string;
let server: Server;
/** The commands that the engine was given. */
let done: string[];
let link: Link;
let opened: Socket[];

function toMessage(id: number, responseTo: number, body: object): Buffer {
  const document = BSON.serialize(body);
  const message = Buffer.alloc(21 + document.length);
  message.writeInt32LE(message.length, 0);
  message.writeInt32LE(id, 4);
  message.writeInt32LE(responseTo, 8);
  message.writeInt32LE(2013, 12);
  message.set(document, 21);
  return message;
}

const bodyOf = (message: Buffer) => BSON.deserialize(message.subarray(21));

beforeEach(async () => {
  folder = makeFolder();
  done = [];
  opened = [];
  server = createServer((socket) => {
    const onMessage = (message: Buffer) => {
      done.push(Object.keys(bodyOf(message))[0] ?? '');
      socket.write(toMessage(0, message.readInt32LE(4), { n: 1, ok: 1 }));
    };
    socket.on('error', () => undefined);
    socket.on('data', createSplitter(onMessage));
  });
  server.listen(join(folder, 'engine.sock'));
  await once(server, 'listening');
  link = await openLink(join(folder, 'engine.sock'));
});

afterEach(async () => {
  for (const socket of opened) socket.destroy();
  await link.close();
  server.close();
  await once(server, 'close');
  removeFolder(folder);
});

/** One connection through the link. */
async function open() {
  const socket = connect(link.port, '127.0.0.1');
  opened.push(socket);
  const answers: object[] = [];
  const ended: string[] = [];
  socket.on(
    'data',
    createSplitter((message) => answers.push(bodyOf(message))),
  );
  socket.on('error', (error: NodeJS.ErrnoException) => ended.push(error.code ?? ''));
  socket.on('close', () => ended.push('closed'));
  await once(socket, 'connect');
  let id = 0;
  return {
    answers,
    ended,
    ask: (command: string) => void socket.write(toMessage((id += 1), 0, { [command]: 'tokens' })),
    answered: (count: number) => until(`${count} answers`, () => answers.length === count),
    closed: () => until('it is closed', () => ended.includes('closed')),
  };
}

/** A write whose hit is counted says that it is at the link, whatever becomes of it there. */
async function askAndArrive(ask: (command: string) => void): Promise<void> {
  link.failWrites({ kind: 'concern', code: 64, codeName: 'WriteConcernTimeout' });
  ask('insert');
  await until('it is at the link', () => link.takeHits() === 1);
  link.failWrites(null);
}

describe('a link', () => {
  it('passes requests and answers', async () => {
    const { ask, answered, answers } = await open();
    ask('insert');
    await answered(1);
    expect({ done, answers }).toEqual({ done: ['insert'], answers: [{ n: 1, ok: 1 }] });
  });

  it('delays each way', async () => {
    const { ask, answered } = await open();
    link.setMode({ kind: 'delay', ms: 60 });
    const startedAt = performance.now();
    ask('find');
    await answered(1);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(119);
  });

  it('that is dropped closes what is open, and what is opened', async () => {
    const before = await open();
    link.setMode({ kind: 'drop' });
    await before.closed();
    const after = await open();
    await after.closed();
    link.setMode(PASS);
    const again = await open();
    again.ask('find');
    await again.answered(1);
    expect(done).toEqual(['find']);
  });

  it.each([
    { kind: 'black-hole', passes: [] },
    { kind: 'lost-requests', passes: [] },
    { kind: 'lost-answers', passes: ['insert'] },
  ] as const)('of mode $kind loses, and is reset when it is mended', async ({ kind, passes }) => {
    const { ask, answers, ended, closed } = await open();
    // It knows of the connection.
    ask('ping');
    await until('it is there', () => answers.length === 1);
    link.setMode({ kind });
    await askAndArrive(ask);
    await until('what passes has passed', () => done.length === 1 + passes.length);
    expect(ended).toEqual([]);
    link.setMode(PASS);
    await closed();
    expect(answers).toHaveLength(1);
    expect(ended).toEqual(['ECONNRESET', 'closed']);
  });

  it('that holds lets all of it arrive when it is mended', async () => {
    const { ask, answered, answers } = await open();
    ask('ping');
    await answered(1);
    link.setMode({ kind: 'hold' });
    await askAndArrive(ask);
    ask('find');
    expect({ done, answers: answers.length }).toEqual({ done: ['ping'], answers: 1 });
    link.setMode(PASS);
    await answered(3);
    expect(done).toEqual(['ping', 'insert', 'find']);
  });

  it('can be reset', async () => {
    const { ask, answered, closed, ended } = await open();
    ask('ping');
    await answered(1);
    link.reset();
    await closed();
    expect(ended).toEqual(['ECONNRESET', 'closed']);
  });
});

describe('a primary that steps down', () => {
  it('refuses writes, which are not done, and answers reads', async () => {
    const { ask, answered, answers } = await open();
    link.failWrites({ kind: 'refused', code: 10_107, codeName: 'NotWritablePrimary' });
    ask('update');
    await answered(1);
    ask('find');
    await answered(2);
    expect(done).toEqual(['find']);
    expect(answers).toEqual([
      {
        ok: 0,
        code: 10_107,
        codeName: 'NotWritablePrimary',
        errmsg: 'NotWritablePrimary',
      },
      { n: 1, ok: 1 },
    ]);
    expect([link.takeHits(), link.takeHits()]).toEqual([1, 0]);
  });

  it('does the write, and says that nobody knows whether it stays', async () => {
    const { ask, answered, answers } = await open();
    link.failWrites({ kind: 'concern', code: 64, codeName: 'WriteConcernTimeout' });
    ask('findAndModify');
    await answered(1);
    expect(done).toEqual(['findAndModify']);
    expect(answers).toMatchObject([{ ok: 1, n: 1, writeConcernError: { code: 64 } }]);
  });

  it('does the write, and is gone before it has answered', async () => {
    const { ask, closed, answers } = await open();
    link.failWrites({ kind: 'unanswered' });
    ask('insert');
    await closed();
    expect({ done, answers }).toEqual({ done: ['insert'], answers: [] });
  });

  it('hits only the part that it is to hit', async () => {
    const { ask, answered } = await open();
    link.failWrites({ kind: 'refused', code: 189, codeName: 'PrimarySteppedDown' }, () => false);
    ask('insert');
    await answered(1);
    expect(done).toEqual(['insert']);
  });
});
