/** Forward authentication with a real nginx and the documented configuration: client → nginx → this service's check → application. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  request,
  type RequestListener,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { User } from '../../../src/store/records.js';
import { createJti } from '../../../src/tokens/jti.js';
import { jtiOf, mint, startTestService, type TestService } from '../../support/harness.js';
import { makeFolder, removeFolder } from '../../support/process.js';

const docs = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url)), 'utf8');
const NGINX_CONF = docs('nginx.conf');
const CHALLENGE = 'Bearer realm="Users"';
const SPOOFED = {
  'X-User-Id': 'spoofed',
  'X-Subject-Type': 'spoofed',
  'X-Token-Jti': 'spoofed',
  'X-Application-Id': 'spoofed',
};

/** null where nginx, with its module, isn't installed. */
const nginxPath = findNginx();
const describeWithNginx = nginxPath === null ? describe.skip : describe;
if (nginxPath === null) {
  process.stderr.write(
    'SKIPPED test/dialects/forward-auth/nginx.test.ts: no nginx with auth_request here (Debian: apt-get install nginx-light)\n',
  );
}

function findNginx(): string | null {
  for (const path of ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx']) {
    const { stderr } = spawnSync(path, ['-V'], { encoding: 'utf8' });
    if (stderr?.includes('http_auth_request_module')) return path;
  }
  return null;
}

describe('the documentation', () => {
  it('shows the configuration that is tested here', () => {
    expect(docs('forward-auth.md')).toContain(`\`\`\`nginx\n${NGINX_CONF}\`\`\``);
  });
});

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly authorization?: string | string[] | undefined;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer;
}

interface Nginx {
  readonly port: number;
  stderr(): string;
  stop(): Promise<void>;
}

const sockets = new Agent({ keepAlive: true });

async function listen(listener: RequestListener): Promise<{ server: Server; port: number }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** nginx can't be asked to take a port that is free: one is found first, and another if it was taken meanwhile. */
async function startNginx(ports: { service: number; application: number }): Promise<Nginx> {
  for (let attempt = 1; ; attempt += 1) {
    const { server, port } = await listen(() => {});
    await close(server);
    try {
      return await runNginx(port, ports);
    } catch (error) {
      if (attempt === 5 || !/Address already in use/.test(String(error))) throw error;
    }
  }
}

async function runNginx(
  port: number,
  { service, application }: { service: number; application: number },
): Promise<Nginx> {
  const folder = makeFolder();
  // The workers of an nginx that root starts are another user.
  chmodSync(folder, 0o755);
  const conf = join(folder, 'nginx.conf');
  writeFileSync(conf, adapted(NGINX_CONF, { port, service, application }));
  const globals = `daemon off; pid ${folder}/pid; error_log stderr notice;`;
  const child = spawn(nginxPath ?? '', ['-p', folder, '-c', conf, '-g', globals], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  try {
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
        // Its sockets listen before its workers start.
        if (stderr.includes('start worker process ')) resolve();
      });
      child.once('error', reject);
      child.once('close', (code) => reject(new Error(`nginx ended with ${code}: ${stderr}`)));
    });
  } catch (error) {
    removeFolder(folder);
    throw error;
  }
  return {
    port,
    stderr: () => stderr,
    async stop() {
      await endOf(child);
      removeFolder(folder);
    },
  };
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  await closed;
}

/** The documented file with this test's ports, and with nothing outside of nginx's temporary folder. */
function adapted(
  text: string,
  { port, service, application }: { port: number; service: number; application: number },
): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path temp_${name};`)
    .join(' ');
  const replacements = [
    ['listen 127.0.0.1:8000;', `listen 127.0.0.1:${port};`],
    ['server 127.0.0.1:3000;', `server 127.0.0.1:${service};`],
    ['server 127.0.0.1:8080;', `server 127.0.0.1:${application};`],
    ['http {\n', `http {\n  access_log off; ${paths}\n`],
  ] as const;
  return replacements.reduce((conf, [from, to]) => {
    if (conf.split(from).length !== 2) throw new Error(`nginx.conf must have one "${from}"`);
    return conf.replace(from, to);
  }, text);
}

async function send(port: number, call: Call): Promise<Answer> {
  const { method = 'GET', path = '/', authorization, body } = call;
  const headers = {
    ...call.headers,
    ...(authorization === undefined ? {} : { authorization }),
  } as OutgoingHttpHeaders;
  const req = request({
    agent: sockets,
    host: '127.0.0.1',
    port,
    method,
    path,
    headers,
  });
  req.end(body);
  const [res] = await once(req, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of res) chunks.push(chunk as Buffer);
  return { status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks) };
}

describeWithNginx('an application behind nginx', () => {
  let t: TestService;
  let alice: User;
  let service: Server;
  let application: Server;
  let nginx: Nginx;
  /** What reached the application, and what the check was asked. */
  const seen: Seen[] = [];
  const checks: Seen[] = [];
  /** A status that this service would not answer, for what a proxy makes of it. */
  let answerInstead: number | null = null;

  const through = (call: Call) => send(nginx.port, call);
  const freshToken = (claims: object = {}) =>
    mint({
      jti: createJti(t.clock.now),
      _id: alice.id,
      iss: 'https://tiledesk.com',
      iat: Math.floor(t.clock.now / 1000),
      ...claims,
    });

  async function note(list: Seen[], req: Parameters<RequestListener>[0]): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const { method, url, headers, rawHeaders } = req;
    list.push({ method, url, headers, rawHeaders, body: Buffer.concat(chunks) });
  }

  beforeAll(async () => {
    t = await startTestService({ STALE_AFTER: '30s', TRUST_PROXY: '1', ACCESS_TOKEN_TTL: '0' });
    alice = await t.createUser('alice@example.com');
    const applicationAt = await listen((req, res) => {
      void note(seen, req).then(() => {
        if (req.url === '/fails') res.writeHead(500, { 'X-Own': 'yes' }).end('its own failure');
        else res.writeHead(201, { 'X-Own': 'yes' }).end('the application');
      });
    });
    application = applicationAt.server;
    const serviceAt = await listen((req, res) => {
      void note(checks, req);
      if (answerInstead === null) t.service.handler(req, res);
      else res.writeHead(answerInstead, { 'Content-Length': 0 }).end();
    });
    service = serviceAt.server;
    nginx = await startNginx({ service: serviceAt.port, application: applicationAt.port });
  });
  afterAll(async () => {
    await nginx?.stop();
    sockets.destroy();
    await Promise.all([application, service].filter((server) => server?.listening).map(close));
    await t?.close();
  });
  beforeEach(() => {
    seen.length = 0;
    checks.length = 0;
    answerInstead = null;
  });

  it("gets the holder's ids, and not those that the client made up", async () => {
    const token = await t.signIn('alice@example.com');
    const answer = await through({ authorization: token, headers: SPOOFED, path: '/a/b?c=d%20e' });
    expect([answer.status, answer.headers['x-own'], answer.body.toString()]).toEqual([
      201,
      'yes',
      'the application',
    ]);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/a/b?c=d%20e' });
    expect(seen[0]?.headers).toMatchObject({
      'x-user-id': alice.id,
      'x-subject-type': 'user',
      'x-token-jti': jtiOf(token),
      authorization: token,
    });
    // This token has no application, so there must be none at all.
    expect(seen[0]?.headers).not.toHaveProperty('x-application-id');
    expect(JSON.stringify(seen[0]?.rawHeaders)).not.toContain('spoofed');
  });

  it('gets the application id where the token has one, and ids as ASCII', async () => {
    const token = freshToken({ _id: 'zoë%', applicationId: 'app-1' });
    await through({ authorization: `Bearer ${token}`, headers: SPOOFED });
    expect(seen[0]?.headers).toMatchObject({
      'x-user-id': 'zo%C3%AB%25',
      'x-token-jti': jtiOf(token),
      'x-application-id': 'app-1',
    });
    expect(JSON.stringify(seen[0]?.rawHeaders)).not.toContain('spoofed');
  });

  it("gets a guest as a guest, also with a user's id", async () => {
    await through({ authorization: freshToken({ sub: 'guest', _id: alice.id }), headers: SPOOFED });
    expect(seen[0]?.headers).toMatchObject({
      'x-user-id': `guest:${alice.id}`,
      'x-subject-type': 'guest',
    });
    expect(JSON.stringify(seen[0]?.rawHeaders)).not.toContain('spoofed');
  });

  it.each([
    ['in capitals', { 'X-USER-ID': 'spoofed', 'X-TOKEN-JTI': 'spoofed' }],
    ['with underscores, which some applications read alike', { X_User_Id: 'spoofed' }],
    ['several times', { 'X-User-Id': ['spoofed', 'spoofed-2'], 'X-Application-Id': ['spoofed'] }],
  ])('gets no made-up ids %s', async (_name, headers) => {
    const answer = await through({ authorization: freshToken(), headers });
    expect(answer.status).toBe(201);
    expect(seen[0]?.headers['x-user-id']).toBe(alice.id);
    expect(JSON.stringify(seen[0]?.rawHeaders)).not.toContain('spoofed');
  });

  it.each([
    ['no token', undefined],
    ['garbage', 'JWT x.y.z'],
    [
      'a token of another key',
      `JWT ${mint({ jti: 'a', _id: 'b' }, {}, 'another-secret-'.repeat(3))}`,
    ],
    ['a password', `Basic ${Buffer.from('alice@example.com:secret').toString('base64')}`],
  ])('is not called with %s: 401 with the challenge', async (_name, authorization) => {
    const answer = await through({
      authorization,
      headers: SPOOFED,
      method: 'POST',
      body: Buffer.from('x'.repeat(1000)),
    });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe(CHALLENGE);
    expect(checks).toHaveLength(1);
    expect(seen).toEqual([]);
  });

  it('sees the one Authorization that was checked, or is not called', async () => {
    const good = freshToken();
    for (const authorization of [
      [good, 'Bearer other'],
      ['Bearer other', good],
    ]) {
      seen.length = 0;
      const { status } = await through({ authorization });
      // Which of two counts depends on nginx's version; never may both pass.
      const passed = seen.map(({ rawHeaders }) =>
        rawHeaders.filter((_text, i) => /^authorization$/i.test(rawHeaders[i - 1] ?? '')),
      );
      expect(passed).toEqual(status === 201 ? [[good]] : []);
      expect([201, 400, 401]).toContain(status);
    }
  });

  it('is closed to a token from the very next request after its revocation', async () => {
    const token = await t.signIn('alice@example.com');
    const other = await t.signIn('alice@example.com');
    for (let i = 0; i < 3; i += 1)
      expect((await through({ authorization: token })).status).toBe(201);
    const revoked = await t
      .http()
      .delete(`/v3/jwt/history/${jtiOf(token)}`)
      .set('Authorization', other);
    expect(revoked.status).toBe(200);
    seen.length = 0;
    const next = await through({ authorization: token, path: '/private?token=canary' });
    expect([next.status, next.headers['www-authenticate']]).toEqual([401, CHALLENGE]);
    expect(seen).toEqual([]);
    expect((await through({ authorization: other })).status).toBe(201);
    const line = t
      .log()
      .split('\n')
      .find((text) => text.includes('token.refused') && text.includes(jtiOf(token)));
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      reason: 'revoked',
      method: 'GET',
      route: '/private',
    });
    expect(t.log()).not.toContain('canary');
  });

  it('gets bodies unharmed, and the check gets none of them', async () => {
    for (const [method, size] of [
      ['POST', 0],
      ['POST', 10],
      ['PUT', 300_000],
      ['PATCH', 900_000],
    ] as const) {
      seen.length = 0;
      checks.length = 0;
      const body = randomBytes(size);
      const answer = await through({
        method,
        authorization: freshToken(),
        path: '/things?x=1',
        headers: { 'Content-Type': 'application/octet-stream', Cookie: 'a=b' },
        body,
      });
      expect(answer.status).toBe(201);
      expect(seen[0]).toMatchObject({ method, url: '/things?x=1' });
      expect(seen[0]?.body.equals(body)).toBe(true);
      expect(checks).toHaveLength(1);
      expect(checks[0]).toMatchObject({ method: 'GET', url: '/auth/verify' });
      expect(checks[0]?.body).toHaveLength(0);
      expect(checks[0]?.headers).toMatchObject({
        'x-original-method': method,
        'x-original-uri': '/things?x=1',
        'x-forwarded-for': '127.0.0.1',
      });
      for (const name of ['content-length', 'transfer-encoding', 'content-type', 'cookie'])
        expect(checks[0]?.headers).not.toHaveProperty(name);
    }
  });

  it('gets a chunked body unharmed', async () => {
    const body = randomBytes(100_000);
    const answer = await through({
      method: 'POST',
      authorization: freshToken(),
      headers: { 'Transfer-Encoding': 'chunked' },
      body,
    });
    expect(answer.status).toBe(201);
    expect(seen[0]?.body.equals(body)).toBe(true);
    expect(checks[0]?.body).toHaveLength(0);
  });

  it("keeps its own 500, which isn't the check's", async () => {
    const answer = await through({ authorization: freshToken(), path: '/fails' });
    expect([answer.status, answer.headers['x-own'], answer.body.toString()]).toEqual([
      500,
      'yes',
      'its own failure',
    ]);
    expect(answer.headers).not.toHaveProperty('retry-after');
  });

  it('has no way in through the location of the check', async () => {
    const answer = await through({ authorization: freshToken(), path: '/_check' });
    expect(answer.status).toBe(404);
    expect(seen).toEqual([]);
  });

  it('is told where the client is, and so is the history', async () => {
    const token = freshToken();
    await through({
      authorization: token,
      headers: { 'X-Forwarded-For': '203.0.113.9', 'User-Agent': 'a browser' },
    });
    expect(seen[0]?.headers['x-forwarded-for']).toBe('203.0.113.9, 127.0.0.1');
    await t.service.usage.flush();
    const [record] = await t.store.tokens.findByJti(jtiOf(token));
    // One proxy is believed: what it saw, not what the client said.
    expect(record?.device).toMatchObject({ ip: '127.0.0.1', userAgent: 'a browser' });
  });

  it('is not called while revocations are out of date: 503 with Retry-After', async () => {
    const token = freshToken();
    expect((await through({ authorization: token })).status).toBe(201);
    seen.length = 0;
    t.clock.now += 31_000;
    const stale = await through({ authorization: token, headers: SPOOFED });
    expect([stale.status, stale.headers['retry-after'], stale.headers['cache-control']]).toEqual([
      503,
      '1',
      'no-store',
    ]);
    expect(seen).toEqual([]);
    await t.service.sync.refresh();
    expect((await through({ authorization: token })).status).toBe(201);
  });

  it.each([400, 404, 405, 429, 431, 500, 502])(
    'is not called when the check answers %i, which is neither yes nor no',
    async (status) => {
      answerInstead = status;
      const answer = await through({ authorization: freshToken() });
      expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
      expect(seen).toEqual([]);
    },
  );

  it('costs no new connection for each check', async () => {
    await through({ authorization: freshToken() });
    let connections = 0;
    const count = () => (connections += 1);
    service.on('connection', count);
    for (let i = 0; i < 20; i += 1) {
      expect((await through({ authorization: freshToken() })).status).toBe(201);
    }
    service.off('connection', count);
    expect(connections).toBe(0);
  });

  // The last one: the service does not come back.
  it('is not called when this service is gone: 503, never let through', async () => {
    const token = freshToken();
    expect((await through({ authorization: token })).status).toBe(201);
    seen.length = 0;
    await close(service);
    for (const authorization of [token, 'garbage']) {
      const answer = await through({ authorization });
      expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
    }
    expect(seen).toEqual([]);
    expect(nginx.stderr()).not.toMatch(/\[(crit|alert|emerg)\]/);
  });
});
