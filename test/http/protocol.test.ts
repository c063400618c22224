/** The protocol itself, over real sockets: many headers, bodies that are announced and don't come, bodies where none belong. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createJti } from '../../src/tokens/jti.js';
import {
  jtiOf,
  mint,
  PASSWORD,
  SECRET,
  START,
  startTestService,
  type TestService,
} from '../support/harness.js';

let t: TestService;
let server: Server;
let port: number;
let root: string;

beforeAll(async () => {
  t = await startTestService();
  await t.createUser('alice@example.com');
  await t.createUser('root@example.com', 'admin');
  root = await t.signIn('root@example.com');
  server = createServer(t.service.handler);
  server.maxHeadersCount = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await t.close();
});

const freshToken = (claims: object = {}) =>
  mint({ jti: createJti(START), _id: 'user-1', iat: Math.floor(START / 1000), ...claims });

/** Signed rightly, also what a library would not sign. */
function signed(claims: object): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${input}.${createHmac('sha256', SECRET).update(input).digest('base64url')}`;
}

/** What the server says to these bytes until it closes, or until `enough` of it is there. */
async function talk(bytes: string, enough: RegExp | null = null, more?: (socket: Socket) => void) {
  const socket = connect(port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
    if (enough?.test(heard)) socket.destroy();
  });
  socket.on('error', () => {});
  socket.write(bytes);
  more?.(socket);
  await once(socket, 'close');
  return heard;
}

const statuses = (heard: string) =>
  [...heard.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));

const headers = (count: number) =>
  Array.from({ length: count }, (_, i) => `X-Filler-${i}: x\r\n`).join('');

describe('many headers', () => {
  const paths = ['/auth/verify', '/v3/jwt/history', '/api/jwt/validate', '/healthz'] as const;

  it.each(paths)('up to a hundred are all read: %s', async (path) => {
    // Host, Connection, Authorization last, where Node's own limit would have dropped it.
    const heard = await talk(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers(97)}Authorization: JWT ${freshToken()}\r\n\r\n`,
    );
    expect(statuses(heard)).toEqual([path === '/auth/verify' ? 204 : 200]);
  });

  it.each(paths)('more are refused aloud, and nothing is read past them: %s', async (path) => {
    for (const count of [98, 500, 1200]) {
      const heard = await talk(
        `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers(count)}Authorization: JWT ${freshToken()}\r\n\r\n`,
      );
      expect(statuses(heard)).toEqual([431]);
      if (path !== '/auth/verify' && count < 1000)
        expect(heard).toContain('headers: at most 100 are accepted.');
    }
  });
});

describe('a body that is announced and does not come', () => {
  const next = `GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  const token = () => `Authorization: JWT ${freshToken()}\r\n`;
  const rows: [string, string, number][] = [
    ['a good token', `GET /auth/verify HTTP/1.1\r\nHost: x\r\n${token()}`, 204],
    ['HEAD', `HEAD /auth/verify HTTP/1.1\r\nHost: x\r\n${token()}`, 204],
    ['no token', 'GET /auth/verify HTTP/1.1\r\nHost: x\r\n', 401],
    ['another method', 'POST /auth/verify HTTP/1.1\r\nHost: x\r\n', 405],
    ['a list', `GET /v3/jwt/history HTTP/1.1\r\nHost: x\r\n${token()}`, 200],
    ['a list without token', 'GET /v3/jwt/history HTTP/1.1\r\nHost: x\r\n', 401],
    ['HEAD elsewhere', 'HEAD /healthz HTTP/1.1\r\nHost: x\r\n', 200],
    ['nowhere', 'GET /nowhere HTTP/1.1\r\nHost: x\r\n', 404],
  ];
  for (const announced of ['Content-Length: 48', 'Transfer-Encoding: chunked']) {
    it.each(rows)(
      `${announced} with %s: answered, and the connection ends`,
      async (_what, head, status) => {
        const heard = await talk(`${head}${announced}\r\n\r\n`);
        expect(statuses(heard)).toEqual([status]);
        expect(heard).toMatch(/^Connection: close\r$/m);
      },
    );
  }

  it('swallows no request of somebody else: there is none on that connection', async () => {
    // As a proxy would send it, were the connection still open.
    const heard = await talk(
      `GET /auth/verify HTTP/1.1\r\nHost: x\r\n${token()}Content-Length: 30\r\n\r\n`,
      null,
      (socket) => socket.once('data', () => socket.write(next)),
    );
    expect(statuses(heard)).toEqual([204]);
  });

  it('a length of 0 is none, and the connection goes on', async () => {
    const check = `GET /auth/verify HTTP/1.1\r\nHost: x\r\n${token()}Content-Length: 0\r\n\r\n`;
    expect(statuses(await talk(`${check}${check}${next}`))).toEqual([204, 204, 200]);
  });

  it('one that does come is taken in first, so that the answer is not lost', async () => {
    const heard = await talk(
      `GET /auth/verify HTTP/1.1\r\nHost: x\r\n${token()}Content-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`,
    );
    expect(statuses(heard)).toEqual([204]);
  });
});

describe('charset=utf8', () => {
  it.each([
    'application/json; charset=utf8',
    'application/json;charset=UTF8',
    'application/json; charset="utf8"',
    'application/json; charset=utf-8',
    'Application/JSON; charset=utf8; x=y',
  ])('%s is read', async (type) => {
    const body = JSON.stringify({ email: 'alice@example.com', password: PASSWORD });
    const answer = await t.http().post('/auth/signin').set('Content-Type', type).send(body);
    expect(answer.status).toBe(200);
  });

  it('is read in a form too, and other charsets are still refused', async () => {
    const form = (charset: string) =>
      t
        .http()
        .delete('/api/jwt/refresh')
        .set('Authorization', root)
        .set('Content-Type', `application/x-www-form-urlencoded; charset=${charset}`)
        .send('userId=nobody-at-all');
    expect((await form('utf8')).status).not.toBe(415);
    expect((await form('klingon')).status).toBe(415);
  });
});

describe('a body where there may be none', () => {
  const login = () =>
    t
      .http()
      .post('/api/login')
      .send({ loginId: 'alice@example.com', password: PASSWORD, applicationId: 'app-1' })
      .then(({ body }) => body as { refreshToken: string; token: string });
  const isLive = async (refreshToken: string) =>
    (await t.http().post('/api/jwt/refresh').send({ refreshToken })).status === 200;
  const NOTHINGS = ['null', '[]', '{}', ' null ', '[ ]', ''];
  const json = { 'Content-Type': 'application/json' };

  it.each(NOTHINGS)('an exchange with the cookie alone, and the body %j', async (body) => {
    const { refreshToken } = await login();
    const answer = await t
      .http()
      .post('/api/jwt/refresh')
      .set({ ...json, Cookie: `refresh_token=${refreshToken}` })
      .send(body);
    expect([answer.status, Object.keys(answer.body)]).toEqual([
      200,
      ['token', 'refreshToken', 'refreshTokenId'],
    ]);
  });

  it('an exchange with the cookie alone, and no body at all', async () => {
    const { refreshToken } = await login();
    const post = () => t.http().post('/api/jwt/refresh');
    const cookie = `refresh_token=${refreshToken}`;
    expect((await post().set('Cookie', cookie)).status).toBe(200);
    const nothing = await post();
    expect([nothing.status, nothing.body.fieldErrors.refreshToken[0].code]).toEqual([
      400,
      '[blank]refreshToken',
    ]);
  });

  it.each(NOTHINGS)(
    "FusionAuth's DELETE with the body %j hits what the query names",
    async (body) => {
      const [one, other] = [await login(), await login()];
      const revoke = (path: string) =>
        t
          .http()
          .delete(path)
          .set({ ...json, Authorization: root })
          .send(body);
      expect((await revoke('/api/jwt/refresh')).status).toBe(400);
      expect((await revoke(`/api/jwt/refresh?token=${one.refreshToken}`)).status).toBe(200);
      expect([await isLive(one.refreshToken), await isLive(other.refreshToken)]).toEqual([
        false,
        true,
      ]);
    },
  );

  it.each(NOTHINGS)("Woleet's and Tiledesk's DELETE with the body %j", async (body) => {
    const revoke = (path: string, authorization: string) =>
      t
        .http()
        .delete(path)
        .set({ ...json, Authorization: authorization })
        .send(body);
    const token = await t.signIn('alice@example.com');
    const { token: minted } = (await t.http().get('/v1/token').set('Authorization', token)).body;
    const none = await revoke('/v1/token', token);
    expect([none.status, none.body.msg]).toEqual([400, expect.stringMatching(/^token: is needed/)]);
    expect((await revoke(`/v1/token?token=${minted}`, token)).status).toBe(200);
    expect((await revoke(`/v1/jwt/history/${jtiOf(token)}`, token)).status).toBe(200);
  });

  it.each(NOTHINGS)('a logout with the body %j', async (body) => {
    const { refreshToken } = await login();
    const answer = await t
      .http()
      .post('/api/logout')
      .set({ ...json, Cookie: `refresh_token=${refreshToken}` })
      .send(body);
    expect(answer.status).toBe(200);
    expect(await isLive(refreshToken)).toBe(false);
  });

  it.each([
    ['a list of things', json, '[{"userId":"x"}]', 400],
    ['a text', json, '"userId"', 400],
    ['a number', json, '0', 400],
    ['false', json, 'false', 400],
    ['half of it', json, '{"applicationId":', 400],
    ['plain text', { 'Content-Type': 'text/plain' }, '{"applicationId":"app-2"}', 415],
    ['XML', { 'Content-Type': 'application/xml' }, '<applicationId>app-2</applicationId>', 415],
  ] as const)('%s is not ignored: it could have meant less', async (_what, type, body, status) => {
    const session = await login();
    const { _id: userId } = JSON.parse(
      Buffer.from(session.token.split('.')[1] ?? '', 'base64url').toString(),
    ) as { _id: string };
    for (const [method, path] of [
      ['delete', `/api/jwt/refresh?userId=${userId}`],
      ['delete', `/v1/token?token=${session.token}`],
      ['post', '/api/logout'],
      ['post', '/api/jwt/refresh'],
    ] as const) {
      const call = t.http()[method](path);
      const answer = await call.set({ ...type, Authorization: root }).send(body);
      expect([path, answer.status]).toEqual([path, status]);
      expect(answer.text).not.toMatch(/expected|received/);
    }
    expect(await isLive(session.refreshToken)).toBe(true);
  });
});

describe('clocks that differ', () => {
  it.each([
    ['nbf', 300, 204],
    ['nbf', 302, 401],
    ['iat', 300, 204],
    ['iat', 302, 401],
  ])('a token whose %s is %i s ahead: %i', async (claim, ahead, status) => {
    const token = freshToken({ [claim]: Math.floor(START / 1000) + ahead });
    const answer = await t.http().get('/auth/verify').set('Authorization', token);
    expect(answer.status).toBe(status);
  });

  it('an nbf that is no number is never reached', async () => {
    const check = (claims: object) =>
      t.http().get('/auth/verify').set('Authorization', signed(claims));
    expect((await check({ jti: createJti(START), _id: 'user-1', nbf: 1 })).status).toBe(204);
    for (const nbf of ['soon', '1', null, {}, true])
      expect((await check({ jti: createJti(START), _id: 'user-1', nbf })).status).toBe(401);
  });
});
