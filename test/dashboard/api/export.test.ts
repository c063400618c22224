/** Long answers: exports that nobody reads, too many of them, and that they end with what allowed them; and places for streams. */
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { ServiceError } from '../../../src/errors.js';
import { writePieces } from '../../../src/http/long-answer.js';
import { createPlaces } from '../../../src/http/places.js';
import { csvCell } from '../../../src/dashboard/api/export.js';
import {
  listen,
  type Listening,
  openedStream,
  openStream,
  type StreamClient,
} from '../../support/event-stream.js';
import {
  freshDatabase,
  jtiOf,
  PASSWORD,
  startTestService,
  testMongodbUri,
  type TestService,
} from '../../support/harness.js';
import { until } from '../../support/process.js';

/** More than the sockets on the way can hold. */
const RECORDS = 20_000;
const WITHIN_MS = 10_000;

const database = freshDatabase();
let t: TestService;
let listening: Listening;
let connection: mongoose.Connection;
let annId: string;

beforeAll(async () => {
  t = await startTestService({}, database);
  for (const name of ['admin', 'second', 'third', 'demoted'])
    await t.createUser(`${name}@example.com`, 'admin');
  annId = (await t.createUser('ann@example.com')).id;
  await t.createUser('bob@example.com');
  listening = await listen(t);
  connection = await mongoose.createConnection(testMongodbUri(), { dbName: database }).asPromise();
  const issuedAt = new Date(t.clock.now - 60_000);
  const device = { userAgent: 'x'.repeat(500) };
  for (let at = 0; at < RECORDS; at += 2000) {
    const documents = Array.from({ length: 2000 }, (_, i) => ({
      jti: `export-${at + i}`,
      kind: 'access',
      origin: 'adopted',
      issuer: 'elsewhere',
      subject: annId,
      audience: null,
      userId: annId,
      applicationId: null,
      sessionId: null,
      cdata: null,
      device,
      issuedAt,
      expiresAt: null,
      lastUsedAt: null,
      revocation: null,
      purgeAt: null,
      createdAt: issuedAt,
      updatedAt: issuedAt,
    }));
    await connection.collection('tokens').insertMany(documents);
  }
}, 60_000);
afterAll(async () => {
  await connection.close();
  listening.close();
  await t.close();
});

interface Export {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly response: IncomingMessage;
  text(): string;
  /** How it ended: null = not yet. */
  readonly end: 'complete' | 'broken off' | null;
}

const open = new Set<IncomingMessage>();
afterEach(() => {
  for (const response of open) response.destroy();
  open.clear();
});

/** Reads nothing until `response.resume()`. */
async function openExport(
  authorization: string,
  path = '/admin/tokens/export?format=ndjson',
): Promise<Export> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { headers: { authorization }, agent: false } as const;
    request(new URL(path, listening.address), options, resolve).once('error', reject).end();
  });
  open.add(response);
  let text = '';
  let end: Export['end'] = null;
  response.setEncoding('utf8');
  response.pause();
  response.on('data', (chunk: string) => (text += chunk));
  response.pause();
  response.once('error', () => (end ??= 'broken off'));
  response.once('close', () => (end ??= response.complete ? 'complete' : 'broken off'));
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    response,
    text: () => text,
    get end() {
      return end;
    },
  };
}

/** When there is a place again. */
const free = (authorization: string) =>
  until(
    'a place is free',
    async () => {
      const again = await openExport(authorization, '/admin/tokens/export?format=csv&q=nothing');
      again.response.destroy();
      return again.status === 200;
    },
    WITHIN_MS,
  );

describe('exports that nobody reads', () => {
  it('are two of one user: a third is 429, and says when and what to do; somebody else gets theirs', async () => {
    const ann = await t.signIn('ann@example.com');
    const first = await openExport(ann);
    const second = await openExport(ann);
    expect([first.status, second.status]).toEqual([200, 200]);
    const third = await openExport(await t.signIn('ann@example.com'));
    third.response.resume();
    await until('its answer', () => third.end !== null, WITHIN_MS);
    expect([third.status, third.headers['retry-after']]).toEqual([429, '10']);
    expect(JSON.parse(third.text())).toMatchObject({
      code: 'too-many-requests',
      success: false,
      msg: expect.stringContaining('End one, or wait'),
    });
    const bob = await openExport(await t.signIn('bob@example.com'));
    expect(bob.status).toBe(200);
    first.response.destroy();
    await free(ann);
  });

  it('is given in full to a reader who comes late', async () => {
    const unread = await openExport(await t.signIn('second@example.com'));
    expect(unread.status).toBe(200);
    unread.response.resume();
    await until('it is complete', () => unread.end === 'complete', 60_000);
    expect(unread.text().match(/"jti":"export-/g)).toHaveLength(RECORDS);
  });
});

describe('an export ends soon after', () => {
  const doors: Record<string, (authorization: string) => Promise<unknown>> = {
    'its token is revoked': (authorization) =>
      t
        .http()
        .delete(`/v3/jwt/history/${jtiOf(authorization)}`)
        .set('Authorization', authorization)
        .expect(200),
    'its caller loses the role': () => setUser({ role: null }),
    'its caller is disabled, by another service': () => setUser({ status: 0 }),
    'the revocation list is out of date': async () => {
      t.clock.now += 3651 * 24 * 3_600_000;
    },
  };
  const setUser = (change: object) =>
    connection.collection('users').updateOne({ email: 'demoted@example.com' }, { $set: change });
  let startedAt: number;
  beforeEach(() => {
    startedAt = t.clock.now;
  });
  afterEach(async () => {
    t.clock.now = startedAt;
    await setUser({ role: 'admin', status: 100 });
  });

  /** The service ends it by itself; its reader then learns that this isn't all. */
  async function isBrokenOff(unread: Export): Promise<void> {
    const requestId = String(unread.headers['x-request-id']);
    const isOver = () =>
      t
        .log()
        .split('\n')
        .some((line) => line.includes('"status":499') && line.includes(requestId));
    await until('it is broken off', isOver, WITHIN_MS);
    unread.response.resume();
    await until('its reader knows', () => unread.end !== null, WITHIN_MS);
    expect(unread.end).toBe('broken off');
  }

  it.each(Object.keys(doors))('%s', async (name) => {
    const authorization = await t.signIn('demoted@example.com');
    const unread = await openExport(authorization);
    expect(unread.status).toBe(200);
    await doors[name]?.(authorization);
    await isBrokenOff(unread);
  });

  it('the password that it was asked for with is changed', async () => {
    const unread = await openExport(
      `Basic ${Buffer.from(`demoted@example.com:${PASSWORD}`).toString('base64')}`,
    );
    expect(unread.status).toBe(200);
    await setUser({ password: await t.service.hasher.hash('another good password') });
    await isBrokenOff(unread);
  });

  it('also while nothing is found for long', async () => {
    const ended = new AbortController();
    const filter = { userIds: null, device: 'no such thing' };
    const batches = t.store.tokens.matching(filter, { batch: 10, signal: ended.signal });
    ended.abort(new Error('enough'));
    await expect(batches[Symbol.asyncIterator]().next()).rejects.toThrow('enough');
  });
});

describe('a long answer', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });
  const piece = 'x'.repeat(100_000);

  /** An answer of this many pieces, to a client that reads nothing. */
  async function answer(count: number, takeWithinMs: number, signal?: AbortSignal) {
    const state = { made: 0, isDone: false, outcome: null as unknown };
    async function* pieces() {
      try {
        for (let i = 0; i < count; i += 1) {
          state.made += 1;
          yield piece;
        }
      } finally {
        state.isDone = true;
      }
    }
    const server = createServer((_req, res) => {
      const options = { takeWithinMs, signal: signal ?? new AbortController().signal };
      writePieces(res, pieces(), options).then(
        () => (state.outcome = 'complete'),
        (error: Error) => (state.outcome = error.message),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
    const { port } = server.address() as AddressInfo;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ port, host: '127.0.0.1', agent: false }, resolve).once('error', reject).end();
    });
    response.on('error', () => undefined);
    open.add(response);
    return { state, response };
  }

  it('is broken off when its reader takes nothing for a while, and nothing more is made', async () => {
    const { state } = await answer(10_000, 300);
    await until('it is over', () => state.outcome !== null, WITHIN_MS);
    expect(state).toMatchObject({ isDone: true, outcome: 'nothing was taken for 300 ms' });
    expect(state.made).toBeLessThan(200);
  });

  it('ends when its reader goes, and when it is told to', async () => {
    const left = await answer(10_000, 60_000);
    await until('something was made', () => left.state.made > 0, WITHIN_MS);
    left.response.destroy();
    await until('it is over', () => left.state.outcome !== null, WITHIN_MS);
    expect(left.state).toMatchObject({ isDone: true, outcome: 'the reader is gone' });
    const told = new AbortController();
    const { state } = await answer(10_000, 60_000, told.signal);
    told.abort(new Error('enough'));
    await until('it is over', () => state.outcome !== null, WITHIN_MS);
    expect(state).toMatchObject({ isDone: true, outcome: 'enough' });
  });

  it('reaches a reader in full', async () => {
    const { state, response } = await answer(100, 60_000);
    let length = 0;
    response.on('data', (chunk: Buffer) => (length += chunk.length));
    await until('it is over', () => state.outcome !== null && response.complete, WITHIN_MS);
    expect([state.outcome, length]).toEqual(['complete', 100 * piece.length]);
  });
});

describe('places', () => {
  const options = {
    what: 'things',
    inAll: 20,
    reserved: 5,
    ofUser: 3,
    ofAdministrator: 8,
    retryAfterSeconds: 7,
  };
  const refusal = (take: () => unknown) => {
    try {
      take();
    } catch (error) {
      if (error instanceof ServiceError) return [error.status, error.headers['Retry-After']];
      throw error;
    }
    return null;
  };

  it('are limited for each holder, and given back once', () => {
    const places = createPlaces(options);
    const leave = Array.from({ length: 3 }, () => places.take('ann', false));
    expect(refusal(() => places.take('ann', false))).toEqual([429, '7']);
    leave[0]?.();
    leave[0]?.();
    expect(refusal(() => places.take('ann', false))).toBeNull();
    expect(refusal(() => places.take('ann', false))).toEqual([429, '7']);
    expect(refusal(() => places.take('bob', false))).toBeNull();
  });

  it('are left for an administrator, whatever others take', () => {
    const places = createPlaces(options);
    for (let holder = 0; holder < 100; holder += 1) {
      for (let i = 0; i < 10; i += 1) {
        refusal(() => places.take(`user ${holder}`, false));
        refusal(() => places.take('greedy', true));
      }
    }
    expect(refusal(() => places.take('newcomer', false))).toEqual([429, '7']);
    expect(refusal(() => places.take('root', true))).toBeNull();
    expect(refusal(() => places.take('root', true))).toBeNull();
    expect(refusal(() => places.take('root', true))).toEqual([429, '7']);
  });
});

describe('streams', () => {
  it('of one administrator are a hundred, and shut no other out', async () => {
    const authorization = await t.signIn('third@example.com');
    const clients: StreamClient[] = [];
    for (let i = 0; i < 100; i += 1)
      clients.push(await openStream(listening.address, { authorization }));
    expect(clients.every(({ status }) => status === 200)).toBe(true);
    const refused = await openStream(listening.address, { authorization });
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '10']);
    const other = await t.signIn('second@example.com');
    clients.push(await openedStream(listening.address, { authorization: other }));
    for (const client of clients) client.close();
  }, 30_000);

  it('of a demoted administrator end, and tell nothing more', async () => {
    const authorization = await t.signIn('admin@example.com');
    const client = await openedStream(listening.address, { authorization });
    const users = connection.collection('users');
    await users.updateOne({ email: 'admin@example.com' }, { $set: { role: null } });
    // Half a second, and what the machine takes; it used to be five.
    const took = await until('it has ended', () => client.hasEnded, WITHIN_MS);
    expect(took).toBeLessThan(4000);
    await users.updateOne({ email: 'admin@example.com' }, { $set: { role: 'admin' } });
    const token = await t.signIn('ann@example.com');
    await t.service.audit.flush();
    expect(client.text()).not.toContain(jtiOf(token));
  });
});

describe('a cell of the export', () => {
  const hidden = [
    '\u200b',
    '\ufeff',
    '\u00ad',
    '\u2060',
    '\u3164',
    '\ufe0f',
    '\u2800',
    '\u00a0',
    '\u0000',
  ];
  it.each([
    [' =1', `"' =1"`],
    ['|=cmd', `"'|'=cmd"`],
    ['  \u200b | +1', `"'  \u200b |' +1"`],
    ['"=1', `"'""=1"`],
    ['\n=1', `"'\n'=1"`],
    ['﹦1', `"'﹦1"`],
    ['−1', `"'−1"`],
    ['a;=1', `"a;'=1"`],
    ['a\t @b', `"a\t' @b"`],
    ...hidden.map((sign): [string, string] => [`${sign}=1`, `"'${sign}=1"`]),
  ])('that would be a formula is text: %j', (value, cell) => {
    expect(csvCell(value)).toBe(cell);
  });

  it.each(['a=1', 'a-b', 'x (KHTML, like Gecko)', '2026-01-01T00:00:00.000Z', 'ann@example.com'])(
    'that is none stays: %j',
    (value) => {
      expect(csvCell(value).replaceAll('"', '')).toBe(value);
    },
  );
});
