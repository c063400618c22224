/** Attack `slow`: headers and bodies that never end, too many and too large ones, garbage, and answers that nobody reads. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Attack, Target } from './attack.js';
import { type Client, createClient, inLanes, signInAsAdministrator } from './client.js';
import { createRandom, type Random } from './random.js';

const SLOW = { short: 200, full: 2000 } as const;
const TIMES = { short: 1, full: 20 } as const;
const DRIP_MS = 1000;
/** Headers are waited for 10 s, bodies 5 s; looked at every second, and on a busy machine. */
const CLOSED_WITHIN_MS = { short: 30_000, full: 15_000 } as const;
const LANES = 8;
const MEGABYTE = Buffer.alloc(1_000_000, 'x');
const CRLF = '\r\n';

export const slow: Attack = {
  about: 'slow headers and bodies, floods of headers, 10 MB bodies, garbage, unread answers',
  async prepare(target) {
    const client = createClient(target);
    const { headers } = await signInAsAdministrator(client, target);
    const random = createRandom(target.seed);
    return async () => {
      const results = await Promise.all([
        drip(
          client,
          target,
          'headers',
          `GET /auth/verify HTTP/1.1${CRLF}Host: a${CRLF}`,
          'X-A: b\r\n',
        ),
        drip(client, target, 'bodies', bodyHead('/auth/signin', 1000, CRLF), ' '),
        throwShapes(client, target, random),
        largeBodies(client, target, headers['Authorization']),
        unreadAnswers(target, headers['Authorization']),
      ]);
      client.close();
      return {
        numbers: `${results.filter((result) => result !== '').join('; ')}; in all ${client.summary()}`,
        faults: client.faults.list(),
      };
    };
  },
};

function bodyHead(path: string, length: number, more: string): string {
  return [
    `POST ${path} HTTP/1.1`,
    'Host: a',
    'Content-Type: application/json',
    `Content-Length: ${length}`,
    more,
  ].join(CRLF);
}

async function open({ address }: Target): Promise<Socket> {
  const { hostname, port } = new URL(address);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Resolves with the event, when the connection is closed, or after so long. */
function isOver(socket: Socket, event: 'close' | 'drain', withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) return resolve();
    const timer = setTimeout(resolve, withinMs);
    for (const each of [event, 'close'])
      socket.once(each, () => {
        clearTimeout(timer);
        resolve();
      });
  });
}

/** Takes note of each answer on the connection. */
function listen(client: Client, socket: Socket, what: string): void {
  socket.on('data', (part: Buffer) => {
    for (const [, status, head = ''] of part
      .toString('latin1')
      .matchAll(/HTTP\/1\.1 (\d{3})([^]*?)(?:\r\n\r\n|$)/g))
      client.note(Number(status), /\r\nretry-after:/i.test(head), what);
  });
}

/** Connections that send a little now and then, and never come to an end. */
async function drip(
  client: Client,
  target: Target,
  what: string,
  start: string,
  more: string,
): Promise<string> {
  const count = target.short ? SLOW.short : SLOW.full;
  const sockets: Socket[] = [];
  await inLanes(Array.from({ length: count }), 50, async () => {
    const socket = await open(target);
    listen(client, socket, `slow ${what}`);
    socket.write(start);
    sockets.push(socket);
  });
  const openedAt = performance.now();
  const withinMs = target.short ? CLOSED_WITHIN_MS.short : CLOSED_WITHIN_MS.full;
  const left = () => sockets.filter(({ closed }) => !closed);
  while (left().length > 0 && performance.now() - openedAt < withinMs) {
    for (const socket of left()) if (!socket.destroyed) socket.write(more);
    await delay(DRIP_MS);
  }
  const tookMs = performance.now() - openedAt;
  if (left().length > 0)
    client.faults.add(
      `${left().length} connections with slow ${what} are open after ${tookMs.toFixed(0)} ms`,
    );
  for (const socket of sockets) socket.destroy();
  return `${count} connections with slow ${what} closed after ${(tookMs / 1000).toFixed(0)} s`;
}

/** What no client sends. It is answered 4xx, or the connection is closed. */
function shapes(random: Random): string[] {
  const bytes = (length: number) =>
    Array.from({ length }, () => String.fromCharCode(random.below(256))).join('');
  const headers = (count: number, size: number) =>
    Array.from({ length: count }, (_, at) => `X-${at}: ${'y'.repeat(size)}${CRLF}`).join('');
  const get = (more: string, path = '/auth/verify') =>
    `GET ${path} HTTP/1.1${CRLF}Host: a${CRLF}${more}${CRLF}`;
  const post = (more: string, body = '') =>
    `POST /auth/signin HTTP/1.1${CRLF}Host: a${CRLF}Content-Type: application/json${CRLF}${more}${CRLF}${body}`;
  return [
    ...[150, 1500, 3000].map((count) => get(headers(count, 1))),
    ...[1, 16, 1000].map((count) => get(headers(count, 20_000))),
    get(`Authorization: Bearer ${'a'.repeat(15_000)}${CRLF}`),
    get(`Authorization: Basic ${'a'.repeat(15_000)}${CRLF}`),
    get(`Authorization: ${' '.repeat(15_000)}x${CRLF}`),
    get(`Cookie: ${'a=b; '.repeat(3000)}${CRLF}`, '/admin/session'),
    get('', `/${'a'.repeat(15_000)}`),
    get('', `/auth/verify?${'a=b&'.repeat(3500)}`),
    get('', `/v3/jwt/history?${'page=0&'.repeat(2000)}`),
    get('', '/%'),
    get('', '/%00/%ff%fe/..%2f..%2fetc/passwd'),
    get('', '//auth/verify'),
    get('', 'http://other/auth/verify'),
    `GET /auth/verify HTTP/9.9${CRLF}${CRLF}`,
    `GET /auth/verify${CRLF}`,
    `CONNECT a:1 HTTP/1.1${CRLF}Host: a${CRLF}${CRLF}`,
    `TRACE / HTTP/1.1${CRLF}Host: a${CRLF}${CRLF}`,
    `PRI * HTTP/2.0${CRLF}${CRLF}SM${CRLF}${CRLF}`,
    get(`Upgrade: websocket${CRLF}Connection: Upgrade${CRLF}`),
    get(`Expect: the unexpected${CRLF}`),
    get(`Content-Length: 5${CRLF}Transfer-Encoding: chunked${CRLF}`),
    post(`Content-Length: -1${CRLF}`, '{}'),
    post(`Content-Length: 2${CRLF}Content-Length: 3${CRLF}`, '{}x'),
    post(`Content-Length: 99999999999999999999${CRLF}`, '{}'),
    post(`Transfer-Encoding: chunked${CRLF}`, `ffffffffffffffff${CRLF}{}`),
    post(
      `Transfer-Encoding: chunked${CRLF}`,
      `2;${'e'.repeat(20_000)}${CRLF}{}${CRLF}0${CRLF}${CRLF}`,
    ),
    post(`Transfer-Encoding: chunked, identity${CRLF}`, '{}'),
    post(`Content-Encoding: gzip${CRLF}Content-Length: 2${CRLF}`, '{}'),
    post(`Content-Type: application/json; charset=utf-7${CRLF}Content-Length: 2${CRLF}`, '{}'),
    `${get('')}${bytes(200)}`,
    `${post(`Content-Length: 2${CRLF}`, '{}')}${bytes(200)}`,
    ...Array.from({ length: 20 }, () => bytes(1 + random.below(2000))),
    '\0'.repeat(1000),
    CRLF.repeat(1000),
    get('X-A: b\0c\r\n'),
    get(' folded: yes\r\n'),
    get('Authorization : Bearer a\r\n'),
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  ];
}

async function throwShapes(client: Client, target: Target, random: Random): Promise<string> {
  const all = Array.from({ length: target.short ? TIMES.short : TIMES.full }, () => shapes(random));
  const thrown = all.flat();
  await inLanes(thrown, LANES, async (text) => {
    const socket = await open(target);
    listen(client, socket, JSON.stringify(text.slice(0, 60)));
    socket.end(text, 'latin1');
    await isOver(socket, 'close', 10_000);
    socket.destroy();
  });
  return `${thrown.length} odd requests`;
}

/** 10 MB, announced or not; nobody keeps them. */
async function largeBodies(client: Client, target: Target, authorization: string): Promise<string> {
  const paths = ['/auth/signin', '/api/login', '/api/jwt/refresh', '/api/logout', '/admin/users'];
  const times = target.short ? 1 : 5;
  const tries = Array.from({ length: times }, () =>
    paths.flatMap((path) => [true, false].map((isAnnounced) => ({ path, isAnnounced }))),
  ).flat();
  await inLanes(tries, LANES, async ({ path, isAnnounced }) => {
    const socket = await open(target);
    let heard = '';
    socket.on('data', (part: Buffer) => (heard += part.toString('latin1')));
    const auth = `Authorization: ${authorization}${CRLF}`;
    const head = isAnnounced
      ? bodyHead(path, 10 * MEGABYTE.length, auth + CRLF)
      : bodyHead(path, 0, auth + CRLF).replace('Content-Length: 0', 'Transfer-Encoding: chunked');
    socket.write(head);
    for (let sent = 0; sent < 10 && !socket.destroyed; sent += 1) {
      const chunk = isAnnounced
        ? MEGABYTE
        : Buffer.concat([
            Buffer.from(`${MEGABYTE.length.toString(16)}${CRLF}`),
            MEGABYTE,
            Buffer.from(CRLF),
          ]);
      if (!socket.write(chunk)) await isOver(socket, 'drain', 5000);
    }
    await isOver(socket, 'close', 3000);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(heard)?.[1] ?? 0);
    if (status > 0) client.note(status, /\r\nretry-after:/i.test(heard), `10 MB to ${path}`);
    if (status >= 200 && status < 400)
      client.faults.add(`10 MB to ${path} were answered ${status}`);
    socket.destroy();
  });
  return `${tries.length} bodies of 10 MB`;
}

/** Many requests on one connection, whose answers stay unread. */
async function unreadAnswers(target: Target, authorization: string): Promise<string> {
  const connections = target.short ? 5 : 20;
  const each = 500;
  const request = `GET /admin/tokens?limit=100 HTTP/1.1${CRLF}Host: a${CRLF}Authorization: ${authorization}${CRLF}${CRLF}`;
  const sockets: Socket[] = [];
  for (let at = 0; at < connections; at += 1) {
    const socket = await open(target);
    socket.pause();
    socket.write(request.repeat(each));
    sockets.push(socket);
  }
  await delay(target.short ? 3000 : 10_000);
  for (const socket of sockets) socket.destroy();
  return `${(connections * each).toLocaleString('en')} requests whose answers nobody reads`;
}
