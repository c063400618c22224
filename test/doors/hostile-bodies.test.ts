/** Hostile values at every field of every schema of every route, found by asking the routes: refused, or ignored; the engine lives, and nothing has changed. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type Server, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import mongoose from 'mongoose';
import { describeOddity } from '../../src/http/body-limits.js';
import {
  freshDatabase,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';
import {
  bodyWith,
  fieldsOf,
  HOSTILE,
  HOSTILE_TEXTS,
  nested,
  pathOf,
  wide,
} from '../support/hostile-values.js';
import { routesOf } from '../support/routes.js';

const database = freshDatabase();
let t: TestService;
let raw: mongoose.Connection;
let server: Server;
let root: string;
let cookie: Record<string, string>;

beforeAll(async () => {
  t = await startTestService({ SIGN_IN_ATTEMPTS: '100000', REFRESH_TOKEN_GRACE: '0' }, database);
  raw = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
  await t.createUser('root@example.com', 'admin');
  await t.createUser('alice@example.com');
  root = await t.signIn('root@example.com');
  const session = await t
    .http()
    .post('/admin/session')
    .send({ email: 'root@example.com', password: PASSWORD });
  cookie = {
    Cookie: String(session.headers['set-cookie']).split(';')[0] ?? '',
    'X-CSRF-Token': String(session.body.csrfToken),
  };
  server = createServer(t.service.handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await raw.close();
  await t.close();
});

function send(
  method: string,
  path: string,
  body: string | null,
  headers: Record<string, string> = { Authorization: root },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const req = httpRequest(
      {
        host: '127.0.0.1',
        port: (server.address() as AddressInfo).port,
        method,
        path,
        headers: {
          ...headers,
          ...(body === null
            ? {}
            : {
                'Content-Type': 'application/json',
                'Content-Length': String(Buffer.byteLength(body)),
              }),
        },
      },
      (res) => {
        let text = '';
        res.on('data', (chunk: Buffer) => (text += chunk.toString()));
        res.on('end', () => resolve({ status: res.statusCode ?? 0, text }));
      },
    );
    req.on('error', reject);
    req.end(body ?? undefined);
  });
}

const counts = async () => {
  await t.service.usage.flush();
  await t.service.audit.flush();
  return Promise.all(
    ['tokens', 'users', 'cutoffs', 'audit'].map((name) => raw.collection(name).countDocuments()),
  );
};

describe('every field of every schema', () => {
  it('takes no hostile value', async () => {
    const asked = new Map<string, string[]>();
    const listen = (schema: unknown) => {
      for (const path of fieldsOf(schema)) asked.set(path.join('\n'), path);
    };
    subscribe('jwt-history:schema', listen);
    const wrong: unknown[] = [];
    const reached = new Set<string>();
    const routes = routesOf(t.service.app);
    for (const route of routes) {
      const hasBody = !['GET', 'HEAD'].includes(route.method);
      const isStream = route.path.endsWith('/stream');
      const headers = route.steps.includes('authenticateCookie') ? cookie : { Authorization: root };
      const query = `${pathOf(route)}?`;
      asked.clear();
      // `token` chooses between two schemas; signing out would end the session.
      if (!isStream && !(route.method === 'DELETE' && route.path === '/admin/session'))
        for (const body of ['{}', '{"token":"x"}'])
          await send(route.method, pathOf(route), hasBody ? body : null, headers);
      const done = new Set<string>();
      for (let next = first(asked, done); next !== undefined; next = first(asked, done)) {
        const [key, path] = next;
        done.add(key);
        reached.add(`${route.method} ${route.path} ${path.join('.')}`);
        const fields = [...asked.values()];
        const before = await counts();
        let isRefused = true;
        const note = (what: string, { status, text }: { status: number; text: string }) => {
          isRefused &&= status >= 400;
          if (status >= 500 || /node_modules|BSON|Mongo|Maximum call/.test(text))
            wrong.push([
              route.method,
              route.path,
              path,
              what.slice(0, 80),
              status,
              text.slice(0, 200),
            ]);
        };
        for (const value of hasBody ? HOSTILE : [])
          note(
            value,
            await send(route.method, pathOf(route), bodyWith(fields, path, value), headers),
          );
        if (path.length === 1)
          for (const value of HOSTILE_TEXTS) {
            const parameter = `${encodeURIComponent(path[0] ?? '')}=${encodeURIComponent(value)}`;
            for (const odd of [parameter, `${parameter}&${parameter}`])
              note(odd, await send(route.method, query + odd, hasBody ? '{}' : null, headers));
          }
        const after = await counts();
        if (isRefused && String(before) !== String(after))
          wrong.push([route.method, route.path, path, 'refused, and yet', before, after]);
      }
      // Fields that nobody knows.
      for (const value of hasBody ? HOSTILE : []) {
        const { status } = await send(route.method, pathOf(route), `{"unknown":${value}}`, headers);
        if (status >= 500)
          wrong.push([route.method, route.path, 'unknown', value.slice(0, 40), status]);
      }
    }
    unsubscribe('jwt-history:schema', listen);
    expect(wrong).toEqual([]);
    expect(await t.store.ping()).toBe(true);
    // Found without being named here; a few are, so that finding nothing isn't success.
    expect(reached.size).toBeGreaterThan(150);
    for (const each of [
      'DELETE /api/jwt/refresh eventInfo',
      'POST /api/jwt/refresh eventInfo',
      'POST /api/login metaData.device.name',
      'POST /admin/revocations selection.filter.device',
      'POST /v3/jwt/history token',
      'GET /admin/tokens q',
    ])
      expect([...reached]).toContain(each);
    const users = await raw.collection('users').find({ role: 'admin' }).toArray();
    expect(users.map(({ email }) => email as string)).toEqual(['root@example.com']);
  });

  const first = (asked: Map<string, string[]>, done: Set<string>) =>
    [...asked].find(([key]) => !done.has(key));
});

describe('free text beside a revocation', () => {
  const login = async () =>
    (await t.http().post('/api/login').send({ loginId: 'alice@example.com', password: PASSWORD }))
      .body as { token: string; refreshToken: string; refreshTokenId: string };
  const recordOf = async (jti: string) => (await t.store.tokens.findByJti(jti))[0];
  const ODD = [...HOSTILE, '"text"', 'null', nested(6), wide(200)];

  it.each(ODD.map((value) => [value.slice(0, 40), value]))(
    'a used refresh token that comes back with eventInfo %s revokes its session',
    async (_name, value) => {
      const { refreshToken, refreshTokenId, token } = await login();
      const used = JSON.stringify({ refreshToken });
      expect((await send('POST', '/api/jwt/refresh', used, {})).status).toBe(200);
      const body = `{"refreshToken":${JSON.stringify(refreshToken)},"eventInfo":${value}}`;
      expect((await send('POST', '/api/jwt/refresh', body, {})).status).toBe(400);
      expect((await recordOf(refreshTokenId))?.revocation).not.toBeNull();
      const check = await t.http().get('/auth/verify').set('Authorization', token);
      expect(check.status).toBe(401);
    },
  );

  it.each(ODD.map((value) => [value.slice(0, 40), value]))(
    'a logout with eventInfo %s logs out',
    async (_name, value) => {
      const { refreshToken, refreshTokenId } = await login();
      const body = `{"refreshToken":${JSON.stringify(refreshToken)},"eventInfo":${value}}`;
      expect((await send('POST', '/api/logout', body, {})).status).toBe(200);
      expect((await recordOf(refreshTokenId))?.revocation).not.toBeNull();
    },
  );

  it('a hostile refresh token is not taken for none: the cookie is not looked at', async () => {
    const { refreshToken, refreshTokenId } = await login();
    const headers = { Cookie: `refresh_token=${refreshToken}` };
    for (const path of ['/api/logout', '/api/jwt/refresh'])
      expect((await send('POST', path, `{"refreshToken":${nested(50)}}`, headers)).status).toBe(
        400,
      );
    expect((await recordOf(refreshTokenId))?.revocation).toBeNull();
  });

  it('what is accepted is kept as it was given', async () => {
    const key = fc
      .string({ minLength: 1, maxLength: 8 })
      .filter((each) => describeOddity({ [each]: 1 }, { depth: 2, members: 9 }) === null);
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', maxDepth: 4 },
        fc.oneof(fc.string({ maxLength: 8 }), fc.integer(), fc.boolean(), fc.constant(null)),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 3, noNullPrototype: true }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(key, tree, { maxKeys: 4, noNullPrototype: true }),
        async (given) => {
          const eventInfo = JSON.parse(JSON.stringify({ ...given, 'a.b': 1 })) as object;
          const session = await login();
          const answer = await send(
            'DELETE',
            '/api/jwt/refresh',
            JSON.stringify({ token: session.refreshToken, eventInfo }),
          );
          if (describeOddity(eventInfo, { depth: 5, members: 100 }) !== null) {
            expect(answer.status).toBe(400);
            return;
          }
          expect([answer.text, answer.status]).toEqual(['', 200]);
          expect((await recordOf(session.refreshTokenId))?.revocation?.eventInfo).toEqual(
            eventInfo,
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is refused by its name, and nothing is done', async () => {
    for (const value of [nested(6), nested(1500), wide(200), '{"$set":1}', '"text"']) {
      const { refreshToken, refreshTokenId } = await login();
      const body = `{"token":${JSON.stringify(refreshToken)},"eventInfo":${value}}`;
      const { status, text } = await send('DELETE', '/api/jwt/refresh', body);
      expect([status, Object.keys(JSON.parse(text).fieldErrors)]).toEqual([400, ['eventInfo']]);
      expect((await recordOf(refreshTokenId))?.revocation).toBeNull();
    }
  });
});
