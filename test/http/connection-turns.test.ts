/** Requests that come without waiting for an answer are worked on one after the other. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import { createConnectionTurns } from '../../src/http/connection-turns.js';
import { startTestService, type TestService } from '../support/harness.js';
import { until } from '../support/process.js';

let server: Server;
let sockets: Socket[] = [];
const seen = { under: 0, most: 0, begun: 0 };
let gate: Promise<void> | null = null;

beforeAll(async () => {
  const app = express();
  app.use(createConnectionTurns());
  app.post('/echo/:id', express.text(), (req, res) => {
    res.send(`${req.params.id}=${String(req.body).length};`);
  });
  app.get('/:id', async (req, res) => {
    seen.begun += 1;
    seen.under += 1;
    seen.most = Math.max(seen.most, seen.under);
    await (gate ?? nextTurn());
    seen.under -= 1;
    if (req.params.id === 'ends') res.set('Connection', 'close');
    res.send(`${req.params.id};`);
  });
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

async function open(at = server) {
  const socket = connect((at.address() as AddressInfo).port, '127.0.0.1');
  sockets = [...sockets, socket];
  let heard = '';
  socket.on('data', (part: Buffer) => (heard += part.toString()));
  socket.on('error', () => {});
  await once(socket, 'connect');
  return { socket, heard: () => heard };
}
const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
const bodies = (text: string) => [...text.matchAll(/\r\n\r\n([\w=]+;)/g)].map(([, body]) => body);

describe('requests of one connection', () => {
  it('take turns, and are answered in their order', async () => {
    Object.assign(seen, { under: 0, most: 0, begun: 0 });
    const { socket, heard } = await open();
    const ids = Array.from({ length: 100 }, (_, i) => `/n${i}`);
    socket.write(ids.map((id) => get(id)).join(''));
    await until('all are answered', () => heard().includes('n99;'), 60_000);
    expect(bodies(heard())).toEqual(ids.map((id) => `${id.slice(1)};`));
    expect(seen.most).toBe(1);
  });

  it('are taken in up to a limit, however many are sent behind one that takes long', async () => {
    let release = () => {};
    gate = new Promise((resolve) => (release = resolve));
    let taken = 0;
    const count = () => void (taken += 1);
    server.on('request', count);
    Object.assign(seen, { under: 0, most: 0, begun: 0 });
    const { socket, heard } = await open();
    const many = get('/x').repeat(1000);
    let isClosed = false;
    socket.once('close', () => (isClosed = true));
    for (let i = 0; i < 50 && !socket.destroyed; i += 1) socket.write(many);
    await until('the connection is closed', () => isClosed, 60_000);
    release();
    gate = null;
    server.off('request', count);
    expect([seen.begun, heard()]).toEqual([1, '']);
    // What one read brings is parsed whole.
    expect(taken).toBeLessThan(101 + 65_536 / get('/x').length);
  });

  it('are not begun behind an answer that ends the connection', async () => {
    Object.assign(seen, { under: 0, most: 0, begun: 0 });
    const { socket, heard } = await open();
    let isClosed = false;
    socket.once('close', () => (isClosed = true));
    socket.write(get('/ends') + get('/behind').repeat(5));
    await until('the connection is closed', () => isClosed, 60_000);
    expect(bodies(heard())).toEqual(['ends;']);
    expect(seen.begun).toBe(1);
  });

  it('with bodies too, larger than what is read at once', async () => {
    const { socket, heard } = await open();
    const post = (i: number) =>
      `POST /echo/p${i} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 90000\r\n\r\n${'x'.repeat(90_000)}`;
    socket.write(Array.from({ length: 20 }, (_, i) => post(i) + get(`/g${i}`)).join(''));
    await until('all are answered', () => heard().includes('g19;'), 60_000);
    expect(bodies(heard())).toEqual(
      Array.from({ length: 20 }, (_, i) => [`p${i}=90000;`, `g${i};`]).flat(),
    );
  });

  it('keep nobody else waiting, and are forgotten when their client is gone', async () => {
    let release = () => {};
    gate = new Promise((resolve) => (release = resolve));
    Object.assign(seen, { under: 0, most: 0, begun: 0 });
    const [one, other] = [await open(), await open()];
    one.socket.write(Array.from({ length: 50 }, (_, i) => get(`/a${i}`)).join(''));
    await until('the first has its turn', () => seen.begun === 1, 10_000);
    other.socket.write(get('/b'));
    await until('so has the other one', () => seen.begun === 2, 10_000);
    one.socket.destroy();
    await until('the server has seen it', async () => (await connections()) === 1, 10_000);
    release();
    gate = null;
    await until('the other one is answered', () => other.heard().includes('b;'), 10_000);
    other.socket.write(get('/c'));
    await until('and again', () => other.heard().includes('c;'), 10_000);
    expect(seen.begun).toBe(3);
    other.socket.destroy();
  });

  function connections(): Promise<number> {
    for (const socket of sockets.slice(0, -2)) socket.destroy();
    return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
  }
});

describe('the application', () => {
  let t: TestService;
  beforeAll(async () => {
    t = await startTestService();
  });
  afterAll(() => t.close());

  it('has it first', () => {
    const { stack } = t.service.app.router as unknown as { stack: { name: string }[] };
    expect(stack[0]?.name).toBe('takeConnectionTurn');
  });
});
