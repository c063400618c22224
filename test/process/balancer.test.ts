/** Several instances behind a real nginx with the documented configuration: what is asked again elsewhere, what never is, and what passes as it came. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type RequestListener,
  type Server,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findNginx, type Nginx, startNginx } from '../support/nginx.js';

const CONF = readFileSync(
  fileURLToPath(new URL('../../docs/deploy/nginx.conf', import.meta.url)),
  'utf8',
);
const nginxPath = findNginx();
const describeWithNginx = nginxPath === null ? describe.skip : describe;
if (nginxPath === null) {
  process.stderr.write(
    'SKIPPED test/process/balancer.test.ts: no nginx here (Debian: apt-get install nginx-light)\n',
  );
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

let nginx: Nginx;
let instances: Server[] = [];
/** What reached any instance. */
const seen: IncomingMessage[] = [];
/** What they do, the first one asked first; all others answer 200. */
let acts: RequestListener[] = [];

const unavailable: RequestListener = (_req, res) =>
  res.writeHead(503, { 'Retry-After': '7' }).end('not now');
const die: RequestListener = (req) => req.socket.destroy();

beforeEach(async () => {
  seen.length = 0;
  acts = [];
  instances = [];
  for (let i = 0; i < 3; i += 1) {
    const server = createServer((req, res) => {
      seen.push(req);
      const act = acts.shift();
      req.resume().once('end', () => (act ? act(req, res) : res.end('fine')));
    }).listen(0, '127.0.0.1');
    server.on('upgrade', (_req, socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      );
      socket.pipe(socket);
    });
    await once(server, 'listening');
    instances.push(server);
  }
  if (nginxPath !== null) nginx = await startNginx(nginxPath, adapted);
});
afterEach(async () => {
  await nginx?.stop();
  await Promise.all(instances.filter((server) => server.listening).map(close));
});

/** The documented file, with these instances, and nothing outside of the folder. */
function adapted({ port, folder }: { port: number; folder: string }): string {
  const each = / server jwt-history:3000 resolve (.*);/.exec(CONF)?.[1] ?? '';
  const servers = instances.map(
    (server) => ` server 127.0.0.1:${(server.address() as AddressInfo).port} ${each};`,
  );
  const replaced = CONF.replace(/ server jwt-history:3000 resolve .*;/, servers.join('\n'))
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
    .replaceAll('/tmp/', `${folder}/`);
  if (each === '' || !replaced.includes(`:${port};`)) throw new Error('nginx.conf has changed');
  return replaced;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function send({ method = 'GET', path = '/x', headers = {}, body }: Call): Promise<Answer> {
  const options = { host: '127.0.0.1', port: nginx.port, method, path, headers, agent: false };
  const req = request(options);
  req.end(body);
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of res) text += String(chunk);
  return { status: res.statusCode, headers: res.headers, body: text };
}

describeWithNginx('several instances behind nginx', () => {
  it('get the path, the query, Authorization and where the client is, to the letter', async () => {
    const path = '/v3/jwt/history/a%2Fb//c?token=JWT%20x&x=%00&x=+#';
    const headers = {
      Authorization: 'JWT a.b.c',
      Cookie: 'session=a; b=c',
      Host: 'history.example:8443',
      'X-Forwarded-For': '203.0.113.9',
      'X-Forwarded-Host': 'made-up.example',
    };
    expect((await send({ path: path.slice(0, -1), headers })).status).toBe(200);
    expect(seen[0]?.url).toBe(path.slice(0, -1));
    expect(seen[0]?.headers).toMatchObject({
      authorization: 'JWT a.b.c',
      cookie: 'session=a; b=c',
      host: 'history.example:8443',
      'x-forwarded-host': 'history.example:8443',
      'x-forwarded-for': '203.0.113.9, 127.0.0.1',
      'x-forwarded-proto': 'http',
    });
  });

  const failures: [string, RequestListener][] = [
    ['answers 503', unavailable],
    ['dies in the middle', die],
  ];
  for (const [what, act] of failures) {
    it.each(['GET', 'HEAD', 'DELETE', 'PUT'])(
      `of which one ${what}: %s is asked elsewhere`,
      async (method) => {
        acts = [act];
        const { status } = await send({ method });
        expect([status, seen.length]).toEqual([200, 2]);
      },
    );

    it.each([
      ['POST', '/x'],
      ['PATCH', '/x'],
      ['POST', '/api/jwt/refresh'],
      ['GET', '/v1/token?cdata=x'],
      ['HEAD', '/v1/token'],
    ])(`of which one ${what}: %s %s is not asked again`, async (method, path) => {
      acts = [act];
      const { status, headers } = await send({ method, path });
      expect([status, seen.length]).toEqual([503, 1]);
      expect(headers['retry-after']).toBe(act === unavailable ? '7' : '1');
    });
  }

  it('which all answer 503: two are asked, and the last answer is handed on', async () => {
    acts = [unavailable, unavailable, unavailable];
    const { status, headers, body } = await send({});
    expect([status, headers['retry-after'], body, seen.length]).toEqual([503, '7', 'not now', 2]);
  });

  it('of which one is gone: nobody notices', async () => {
    await close(instances[0] as Server);
    for (const method of ['GET', 'POST', 'PATCH', 'DELETE', 'POST', 'POST', 'GET'])
      expect((await send({ method, body: '{}' })).status).toBe(200);
    expect(seen).toHaveLength(7);
  });

  it('which are all gone: 503 with Retry-After, and no address in the log', async () => {
    await Promise.all(instances.map(close));
    for (const method of ['GET', 'POST', 'DELETE']) {
      const answer = await send({ method, path: '/v1/token?token=canary' });
      expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(JSON.parse(answer.body)).toMatchObject({ success: false, status: 503 });
    }
    expect(nginx.stderr()).not.toContain('canary');
  });

  it('stream as it comes', async () => {
    let finish = () => {};
    acts = [
      (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
        res.write('data: first\n\n');
        finish = () => res.end();
      },
    ];
    const req = request({ host: '127.0.0.1', port: nginx.port, path: '/s', agent: false }).end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    const [chunk] = (await once(res, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('data: first\n\n');
    finish();
    await once(res.resume(), 'end');
  });

  it('may be upgraded, and keep their connections otherwise', async () => {
    const socket = connect(nginx.port, '127.0.0.1');
    socket.write('GET /w HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    while (!text.includes('\r\n\r\n')) await once(socket, 'data');
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    socket.write('ping');
    while (!text.endsWith('ping')) await once(socket, 'data');
    socket.destroy();
    for (let i = 0; i < 6; i += 1) await send({});
    expect(seen.every(({ headers }) => headers.connection !== 'close')).toBe(true);
    expect(new Set(seen.map((req) => req.socket)).size).toBe(3);
  });
});
