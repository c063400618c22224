/** The body comes after the check: whoever holds it back gets nothing with what was revoked meanwhile, on whichever route. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import mongoose from 'mongoose';
import { readInTime } from '../../src/http/body-limits.js';
import { createProblemHandler } from '../../src/http/problem.js';
import {
  freshDatabase,
  jtiOf,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../support/harness.js';
import { actsOf, type ActTarget } from '../support/late-acts.js';
import { asksWho, CHANGING, type Route, routesOf } from '../support/routes.js';

const database = freshDatabase();
let t: TestService;
let raw: mongoose.Connection;
let server: Server;
let root: string;
let routes: Route[];

beforeAll(async () => {
  t = await startTestService({ SIGN_IN_ATTEMPTS: '100000' }, database);
  raw = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
  await t.createUser('root@example.com', 'admin');
  root = await t.signIn('root@example.com');
  server = createServer(t.service.handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  routes = routesOf(t.service.app).filter((route) => CHANGING.has(route.method) && asksWho(route));
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await raw.close();
  await t.close();
});

let serial = 0;
const newName = () => `name-${(serial += 1)}`;
const newEmail = () => `${newName()}@example.com`;
const asRoot = (method: 'post' | 'delete', path: string, body: object = {}) =>
  t.http()[method](path).set('Authorization', root).send(body);

/** What there is to act on. */
async function makeTarget(): Promise<ActTarget> {
  const email = newEmail();
  const user = await t.createUser(email);
  const login = await t.http().post('/api/login').send({ loginId: email, password: PASSWORD });
  const jti = newName();
  const record = await asRoot('post', '/v3/jwt/history', { jti, userId: user.id });
  const woleet = await t
    .http()
    .get('/v1/token')
    .set('Authorization', `JWT ${String(login.body.token)}`);
  // An application with a cut-off in the future.
  const aheadId = `ahead-${user.id}`;
  await t.store.cutoffs.raise({
    userId: null,
    applicationId: aheadId,
    sessionsOnly: false,
    at: new Date('2099-01-01'),
    by: 'root',
    reason: null,
    via: 'test',
  });
  return {
    aheadId,
    userId: user.id,
    refreshToken: String(login.body.refreshToken),
    refreshTokenId: String(login.body.refreshTokenId),
    jti,
    recordId: String(record.body._id),
    token: String(woleet.body.token),
  };
}

const ACTS = actsOf({ newName, newEmail, now: () => t.clock.now, password: PASSWORD });

const nameOf = ({ method, path }: Route) => `${method} ${path}`;
const requestFor = (route: Route, target: ActTarget) => {
  const act = ACTS[nameOf(route)];
  if (act === undefined) throw new Error(`${nameOf(route)} is new: say what it does in ACTS`);
  const { path = route.path, body } = act(target);
  return { path, body: JSON.stringify(body) };
};

/** Sends the headers and the first byte, and resolves once the server has them. */
async function begin(route: Route, target: ActTarget, credentials: Record<string, string>) {
  const { path, body } = requestFor(route, target);
  const headers = {
    Host: 'localhost',
    Connection: 'close',
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    Expect: '100-continue',
    ...credentials,
  };
  const socket: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${route.method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body.slice(0, 1)}`);
  while (!heard.includes('100 Continue')) await once(socket, 'data');
  return {
    name: nameOf(route),
    async end() {
      socket.write(body.slice(1));
      if (!socket.closed) await once(socket, 'close');
      const [, status] = /HTTP\/1\.1 ([2-5]\d\d)/.exec(heard) ?? [];
      return Number(status);
    },
  };
}

/** Everything that an act could change. */
async function everything() {
  await t.service.usage.flush();
  await t.service.audit.flush();
  await t.service.marker.settled();
  const of = (name: string) => raw.collection(name).find({}).sort({ _id: 1 }).toArray();
  const [tokens, users, cutoffs, events] = await Promise.all(
    ['tokens', 'users', 'cutoffs', 'audit'].map(of),
  );
  return {
    tokens: tokens?.map(({ _id, revocation, userId }) => ({ _id, revocation, userId })),
    users,
    cutoffs,
    events: events?.map(({ _id }) => _id),
  };
}

interface Caller {
  readonly userId: string;
  readonly jti: string | null;
  readonly headers: Record<string, string>;
}
const basicOf = (email: string) =>
  `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}`;

const CALLERS: Record<string, () => Promise<Caller>> = {
  async token() {
    const email = newEmail();
    const { id } = await t.createUser(email, 'admin');
    const token = await t.signIn(email);
    return { userId: id, jti: jtiOf(token), headers: { Authorization: token } };
  },
  async password() {
    const email = newEmail();
    const { id } = await t.createUser(email, 'admin');
    return { userId: id, jti: null, headers: { Authorization: basicOf(email) } };
  },
  async 'API key'() {
    const email = newEmail();
    const { id } = await t.createUser(email, 'admin');
    const made = await t
      .http()
      .post('/admin/api-keys')
      .set('Authorization', basicOf(email))
      .send({ name: 'key' });
    return { userId: id, jti: made.body.jti, headers: { Authorization: made.body.key } };
  },
  async 'dashboard session'() {
    const email = newEmail();
    const { id } = await t.createUser(email, 'admin');
    const made = await t.http().post('/admin/session').send({ email, password: PASSWORD });
    const cookie = String(made.headers['set-cookie']).split(';')[0] ?? '';
    const token = cookie.split('=')[1]?.split('.').slice(0, 3).join('.') ?? '';
    const csrf = String(made.body.csrfToken);
    return { userId: id, jti: jtiOf(token), headers: { Cookie: cookie, 'X-CSRF-Token': csrf } };
  },
};

const CHANGES: Record<string, (caller: Caller) => Promise<unknown>> = {
  'it was revoked': ({ jti }) => asRoot('delete', `/v3/jwt/history/${jti ?? 'none'}`).expect(200),
  'its user was disabled': ({ userId }) =>
    asRoot('post', `/admin/users/${userId}/disable`, { reason: 'left' }).expect(200),
  'the password was changed': ({ userId }) =>
    asRoot('post', `/admin/users/${userId}/password`, { password: `${PASSWORD}?` }).expect(204),
  'the user was deleted': ({ userId }) =>
    asRoot('delete', `/admin/users/${userId}`, { reason: 'left' }).expect(204),
  'the role was lost': ({ userId }) =>
    raw
      .collection('users')
      .updateOne({ _id: new mongoose.Types.ObjectId(userId) }, { $unset: { role: 1 } }),
};

const takesCookies = ({ steps }: Route) =>
  steps.some((step) => /^authenticate(Dashboard|Cookie)$/.test(step));
const takesHeader = ({ steps }: Route) => !steps.includes('authenticateCookie');
const routesFor = (kind: string) =>
  routes.filter((route) => (kind === 'dashboard session' ? takesCookies : takesHeader)(route));

describe('every route that changes something', () => {
  it('reads the body between two questions about its caller', () => {
    expect(routes.length).toBeGreaterThan(20);
    for (const route of routes) {
      const asks = route.steps.flatMap((step, at) => (step.startsWith('authenticate') ? [at] : []));
      const reads = route.steps.flatMap((step, at) => (step === 'readBodyInTime' ? [at] : []));
      expect([nameOf(route), asks.length, reads.length]).toEqual([nameOf(route), 2, 1]);
      expect((asks[0] ?? 0) < (reads[0] ?? 0) && (reads[0] ?? 0) < (asks[1] ?? 0)).toBe(true);
    }
  });

  it('or asks nobody: then the body itself, or a cookie, is the credential', () => {
    const others = routesOf(t.service.app).filter(
      (route) => CHANGING.has(route.method) && !asksWho(route),
    );
    expect(others.map(nameOf).toSorted()).toEqual([
      'POST /admin/session',
      'POST /api/jwt/refresh',
      'POST /api/login',
      'POST /api/logout',
      'POST /auth/signin',
    ]);
    for (const route of others) expect(route.steps).toContain('readBodyInTime');
  });

  it('acts when the caller is still good, however late the body', async () => {
    const caller = await CALLERS['token']?.();
    const session = await CALLERS['dashboard session']?.();
    for (const route of routes) {
      const headers = (takesHeader(route) ? caller : session)?.headers ?? {};
      const pending = await begin(route, await makeTarget(), headers);
      expect([pending.name, Math.floor((await pending.end()) / 100)]).toEqual([pending.name, 2]);
    }
  });

  const rows = Object.keys(CALLERS).flatMap((kind) =>
    Object.keys(CHANGES)
      .filter((change) => !(kind === 'password' && change === 'it was revoked'))
      .map((change): [string, string] => [kind, change]),
  );
  it.each(rows)('does nothing with a %s when, before the body came, %s', async (kind, change) => {
    const caller = await CALLERS[kind]?.();
    if (caller === undefined) throw new Error(kind);
    // Whoever has lost a role may still sign out.
    const lost = change === 'the role was lost';
    const tried = routesFor(kind).filter(({ path }) => !(lost && path === '/admin/session'));
    const target = await makeTarget();
    await t.http().get('/v3/jwt/history').set(caller.headers);
    const pending = await Promise.all(tried.map((route) => begin(route, target, caller.headers)));
    await CHANGES[change]?.(caller);
    const before = await everything();
    const answers: (readonly [string, number])[] = [];
    for (const each of pending) answers.push([each.name, await each.end()]);
    // With a lost role they still look at, and revoke, what is their own: of this, nothing.
    const isHarmless = ([name, status]: readonly [string, number]) =>
      lost
        ? [400, 401, 403, 404].includes(status) || / .admin.revocations/.test(name)
        : status === 401;
    expect(answers.filter((answer) => !isHarmless(answer))).toEqual([]);
    const after = await everything();
    expect(lost ? { ...after, events: before.events } : after).toEqual(before);
  });
});

describe('a body that does not come', () => {
  it('is waited for until its time is over: 408, and the connection ends', async () => {
    const app = express();
    app.post('/', readInTime(express.json(), 30), (_req, res) => void res.json({ read: true }));
    app.use(createProblemHandler(t.logger));
    const slow = createServer(app).listen(0, '127.0.0.1');
    await once(slow, 'listening');
    const socket = connect((slow.address() as AddressInfo).port, '127.0.0.1');
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    socket.write(
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    );
    await once(socket, 'close');
    slow.close();
    expect(heard).toMatch(/^HTTP\/1\.1 408 [\s\S]*^Connection: close\r$/m);
    expect(heard).toContain('body: must be here within 0.03 s of the headers.');
  });
});
