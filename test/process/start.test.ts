/** While it starts, and when its database is lost: nothing is answered but 503, and as soon as it is ready everything works. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createGate, type Gate } from '../../src/http/gate.js';
import { createJti } from '../../src/tokens/jti.js';
import { jtiOf, mint, SECRET } from '../support/harness.js';
import {
  engineHostsOf,
  makeFolder,
  removeFolder,
  type ServiceProcess,
  startProcess,
  until,
} from '../support/process.js';

const PASSWORD = 'the administrator of this test';
const BASIC = `Basic ${Buffer.from(`admin@localhost:${PASSWORD}`).toString('base64')}`;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

/** null = nobody listens (yet, or any more). */
function ask(
  port: number,
  path: string,
  { method = 'GET', authorization = '', agent = new Agent(), content = '' } = {},
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const headers = authorization === '' ? {} : { authorization };
    const req = request({ host: '127.0.0.1', port, path, method, headers, agent }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.once('error', () => resolve(null));
      res.once('end', () =>
        resolve({
          status: res.statusCode ?? 0,
          retryAfter: res.headers['retry-after'],
          type: res.headers['content-type'],
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    req.once('error', () => resolve(null));
    req.end(content);
  });
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function freshToken(aheadSeconds = 0): string {
  return mint({
    jti: createJti(Date.now()),
    _id: 'holder',
    iss: 'https://tiledesk.com',
    iat: Math.floor(Date.now() / 1000) + aheadSeconds,
  });
}

let folder: string;
const running = new Set<ServiceProcess>();
beforeEach(() => {
  folder = makeFolder();
});
afterEach(async () => {
  for (const service of running) if (service.child.exitCode === null) await service.end('SIGKILL');
  running.clear();
  removeFolder(folder);
});

const dataDir = () => join(folder, 'data');
const environment = (port = 0) => ({
  DATA_DIR: dataDir(),
  GLOBAL_SECRET: SECRET,
  ADMIN_PASSWORD: PASSWORD,
  PORT: String(port),
});
async function start(port = 0): Promise<ServiceProcess> {
  const service = await startProcess(environment(port));
  running.add(service);
  return service;
}
/** What a start that must not succeed says. */
async function refusal(port = 0): Promise<string> {
  const outcome = await start(port).then(
    () => 'it started',
    (error: unknown) => String(error),
  );
  expect(outcome).toContain('exited with 1');
  return outcome;
}
const portOf = ({ address }: ServiceProcess) => Number(new URL(address).port);

describe('a start', () => {
  it('answers nothing but 503 until the administrator can sign in, from the first moment on', async () => {
    const port = await freePort();
    let failed = false;
    const starting = start(port);
    starting.catch(() => (failed = true));
    const seen: string[] = [];
    /** The first thing that is no 503, and what the administrator is answered right after it. */
    const poll = async (path: string, authorization: () => string) => {
      const agent = new Agent({ keepAlive: true });
      while (!failed) {
        const answer = await ask(port, path, { authorization: authorization(), agent });
        if (answer !== null && answer.status !== 503) {
          const signedIn = await ask(port, '/v3/jwt/history', { authorization: BASIC });
          seen.push(`${path} ${answer.status}, administrator ${signedIn?.status}`);
          agent.destroy();
          return;
        }
        if (answer !== null && answer.retryAfter === undefined)
          seen.push(`${path} without Retry-After`);
      }
    };
    const polls = Promise.all([
      ...Array.from({ length: 3 }, () => poll('/readyz', () => '')),
      // From the second after this one: those from before the database began are refused.
      ...Array.from({ length: 3 }, () => poll('/auth/verify', () => `JWT ${freshToken(1)}`)),
      poll('/v3/jwt/history', () => `JWT ${freshToken(1)}`),
    ]);
    const service = await starting;
    await polls;
    expect(seen.toSorted()).toEqual([
      ...Array.from({ length: 3 }, () => '/auth/verify 204, administrator 200'),
      ...Array.from({ length: 3 }, () => '/readyz 200, administrator 200'),
      '/v3/jwt/history 200, administrator 200',
    ]);
    await service.end('SIGTERM');
  });

  it('that is refused, as the database was emptied, lets no revoked token through', async () => {
    const port = await freePort();
    const first = await start(port);
    const token = freshToken();
    const authorization = `JWT ${token}`;
    const revoke = { method: 'DELETE', authorization };
    expect((await ask(port, `/v3/jwt/history/${jtiOf(token)}`, revoke))?.status).toBe(200);
    await first.end('SIGTERM');
    removeFolder(join(dataDir(), 'db'));
    const statuses = new Set<number>();
    for (let round = 0; round < 3; round += 1) {
      let ended = false;
      const poll = async () => {
        const agent = new Agent({ keepAlive: true });
        while (!ended) {
          const answer = await ask(port, '/auth/verify', { authorization, agent });
          if (answer !== null) statuses.add(answer.status);
        }
        agent.destroy();
      };
      const polls = Promise.all(Array.from({ length: 8 }, poll));
      try {
        expect(await refusal(port)).toContain('is empty now');
      } finally {
        ended = true;
        await polls;
      }
    }
    // Between the starts the port may be another test's, whose service refuses a token of ours too.
    expect([...statuses].filter((status) => ![401, 503].includes(status))).toEqual([]);
  });

  it('is refused, too, when something was written into the emptied database since', async () => {
    const first = await start();
    await first.end('SIGTERM');
    const mark = join(dataDir(), 'initialized');
    const before = readFileSync(mark, 'utf8');
    removeFolder(join(dataDir(), 'db'));
    rmSync(mark);
    // As an engine that came back empty, and tokens adopted into it, would.
    await (await start()).end('SIGTERM');
    expect(readFileSync(mark, 'utf8')).not.toBe(before);
    writeFileSync(mark, before);
    expect(await refusal()).toContain('is another one now');
  });

  it('goes on with a database of an earlier version, whose mark names none', async () => {
    await (await start()).end('SIGTERM');
    const mark = join(dataDir(), 'initialized');
    writeFileSync(mark, 'This folder holds the database of JWT History.\n');
    const service = await start();
    expect((await ask(portOf(service), '/admin/users', { authorization: BASIC }))?.status).toBe(
      200,
    );
    expect(readFileSync(mark, 'utf8')).toMatch(/^id: [0-9a-f-]{36}$/m);
    await service.end('SIGTERM');
  });
});

describe('a running service whose database folder is deleted and whose engine dies', () => {
  it.each([
    ['its database', () => join(dataDir(), 'db')],
    ['its mark as well', () => dataDir()],
  ])('without %s: answers nothing more, and does not start again', async (what, lost) => {
    const service = await start();
    const port = portOf(service);
    const [good, revoked] = [freshToken(), freshToken()];
    const verify = async (token: string) =>
      (await ask(port, '/auth/verify', { authorization: `JWT ${token}` }))?.status;
    await ask(port, `/v3/jwt/history/${jtiOf(revoked)}`, {
      method: 'DELETE',
      authorization: `JWT ${revoked}`,
    });
    expect([await verify(good), await verify(revoked)]).toEqual([204, 401]);
    const [host = 0] = engineHostsOf(service.child.pid ?? 0);
    rmSync(lost(), { recursive: true, force: true });
    process.kill(host, 'SIGKILL');
    const seen = new Set<number | undefined>();
    await until('nothing is answered', async () => {
      seen.add(await verify(revoked));
      return (await verify(good)) === 503 && (await verify(revoked)) === 503;
    });
    expect([...seen].filter((status) => status !== 401 && status !== 503)).toEqual([]);
    const again = await ask(port, `/v3/jwt/history/${jtiOf(good)}`, {
      method: 'DELETE',
      authorization: `JWT ${good}`,
    });
    expect(again).toMatchObject({ status: 503, retryAfter: '1' });
    expect((await ask(port, '/healthz'))?.status).toBe(200);
    // At first because the lease ran out, then for good.
    await until('its readiness says why', async () => {
      const readiness = await ask(port, '/readyz');
      seen.add(await verify(revoked));
      expect(readiness?.status).toBe(503);
      return readiness?.body.includes('lost') === true;
    });
    expect([...seen].filter((status) => status !== 401 && status !== 503)).toEqual([]);
    expect([await verify(good), await verify(revoked)]).toEqual([503, 503]);
    await until('it is told', () => service.stdout().includes('"level":"fatal"'));
    expect(await service.end('SIGTERM')).toBe(0);
    if (what === 'its database') expect(await refusal()).toContain('Restore');
  });
});

describe('the gate', () => {
  let server: Server;
  let gate: Gate;
  let port: number;
  beforeEach(async () => {
    gate = createGate();
    server = createServer(gate.handler);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([
    ['GET', '/auth/verify'],
    ['HEAD', '/auth/verify?x=1'],
    ['POST', '/auth/verify'],
    ['POST', '/auth/signin'],
    ['DELETE', '/api/jwt/refresh'],
    ['GET', '/'],
    ['OPTIONS', '*'],
    ['GET', '//healthz'],
    ['GET', '/healthz/'],
  ])('answers %s %s with 503, as a problem, and when to come again', async (method, path) => {
    const answer = await ask(port, path, { method, content: method === 'POST' ? '{}' : '' });
    expect(answer).toMatchObject({ status: 503, retryAfter: '1' });
    expect(answer?.type).toContain('application/problem+json');
    if (method === 'HEAD') return;
    expect(JSON.parse(answer?.body ?? '')).toEqual({
      type: 'about:blank',
      title: 'Service unavailable',
      status: 503,
      detail: 'Nothing can be answered now: the service is starting.',
      code: 'unavailable',
      success: false,
      msg: 'Nothing can be answered now: the service is starting.',
    });
  });

  it('says that the process lives, and that it is not ready and why', async () => {
    expect(await ask(port, '/healthz')).toMatchObject({ status: 200, body: '{"status":"ok"}' });
    const readiness = await ask(port, '/readyz?now');
    expect(readiness).toMatchObject({ status: 503, retryAfter: '1' });
    expect(JSON.parse(readiness?.body ?? '')).toMatchObject({
      status: 'not ready',
      checks: { running: false },
      reasons: ['the service is starting'],
    });
  });

  it('opens once, and never again after it was shut, on a connection that stays open either', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const status = async () => (await ask(port, '/x', { agent }))?.status;
    const answerer: Parameters<Gate['open']>[0] = (_req, res) => void res.writeHead(204).end();
    expect(await status()).toBe(503);
    gate.open(answerer);
    expect(await status()).toBe(204);
    gate.shut('it was lost');
    expect(await status()).toBe(503);
    expect(() => gate.open(answerer)).toThrow('it was lost');
    expect(await status()).toBe(503);
    expect((await ask(port, '/readyz'))?.body).toContain('it was lost');
    agent.destroy();
  });
});
