/** However many requests arrive with it, a check waits for hardly any of them. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import { createChecksFirst } from '../../src/http/checks-first.js';
import { until } from '../support/process.js';

const COSTS_MS = 5;
const MANY = 60;
let server: Server;
const sockets: Socket[] = [];
/** What was begun, in this order. */
const begun: string[] = [];

beforeAll(async () => {
  const app = express();
  app.set('trust proxy', 1);
  app.use(createChecksFirst());
  app.get('/fails', () => {
    throw new Error('at once');
  });
  app.get('/:id', (req, res) => {
    begun.push(req.params.id);
    const over = performance.now() + COSTS_MS;
    while (performance.now() < over);
    res.send('done');
  });
  server = createServer((req, res) => {
    if (req.url !== '/check') return app(req, res);
    begun.push('check');
    res.end('checked');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

async function open() {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  sockets.push(socket);
  let heard = '';
  socket.on('data', (part: Buffer) => (heard += part.toString()));
  await once(socket, 'connect');
  const ask = (path: string, from = '192.0.2.9') =>
    void socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${from}\r\n\r\n`);
  // Connections are accepted one by one; only then is there something to pass.
  ask('/check');
  await until('the connection is served', () => heard.endsWith('checked'));
  heard = '';
  return { ask, heard: () => heard };
}

describe('a check', () => {
  it('does not wait for the requests that arrived before it', async () => {
    const clients = await Promise.all(Array.from({ length: MANY }, open));
    const checker = await open();
    begun.length = 0;
    clients.forEach(({ ask }, at) => ask(`/n${at}`));
    checker.ask('/check');
    await until('all are answered', () =>
      [...clients, checker].every(({ heard }) => heard().includes('200 OK')),
    );
    expect(begun).toHaveLength(MANY + 1);
    expect(begun.indexOf('check')).toBeLessThan(5);
    // Nobody was passed over, and nobody overtaken.
    expect(begun.filter((name) => name !== 'check')).toEqual(clients.map((_, at) => `n${at}`));
  });

  it('keeps to turns of the addresses: a crowd of one holds up nobody else', async () => {
    const crowd = await Promise.all(Array.from({ length: MANY }, open));
    const other = await open();
    begun.length = 0;
    crowd.forEach(({ ask }, at) => ask(`/n${at}`, '192.0.2.1'));
    other.ask('/other', '192.0.2.2');
    await until('all are answered', () =>
      [...crowd, other].every(({ heard }) => heard().includes('200 OK')),
    );
    expect(begun).toHaveLength(MANY + 1);
    expect(begun.indexOf('other')).toBeLessThan(5);
  });

  it('is followed by the others also when one of them fails at once', async () => {
    const [failing, next] = [await open(), await open()];
    failing.ask('/fails');
    next.ask('/after');
    await until('both are answered', () =>
      [failing, next].every(({ heard }) => /HTTP\/1.1 (?:500|200)/.test(heard())),
    );
    expect(failing.heard()).toContain('500');
    expect(next.heard()).toContain('200 OK');
  });
});
