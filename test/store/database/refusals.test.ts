/** What a start waits for, and what it refuses at once: by the driver's errors, and against servers that answer so. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { ServiceError, unavailable } from '../../../src/errors.js';
import { openStore } from '../../../src/store/database/connect.js';
import { translate } from '../../../src/store/database/failures.js';
import { StoreRefusedError, toRefusal } from '../../../src/store/database/refusals.js';

const { MongoServerError, MongoNetworkError, MongoCompatibilityError, MongoParseError, BSON } =
  mongoose.mongo;

const serverError = (code: number, message = 'what the server says') =>
  new MongoServerError({ message, code });
/** As it arrives above the store. */
const outage = (cause: unknown) => unavailable('The token store does not answer.', cause);
const withCode = (code: string) => Object.assign(new Error('what went wrong'), { code });
/** As the driver tells that it found no server. */
const noServer = (error: Error) =>
  Object.assign(new Error('Server selection timed out'), {
    reason: { servers: new Map([['db:27017', { error }]]) },
  });

describe('a start refuses at once', () => {
  it.each([
    ['a user without rights', serverError(13), /readWrite/],
    ['wrong credentials', serverError(18), /user, the password and authSource in MONGODB_URI/],
    ['wrong credentials (Atlas)', serverError(8000), /user and the password in MONGODB_URI/],
    ['an unknown role', serverError(31), /readWrite/],
    ['an illegal operation', serverError(20), /database of its own/],
    ['a collection of another kind', serverError(48), /database of its own/],
    ['an unknown command', serverError(59), /MongoDB 6\.0/],
    ['an index that can’t be', serverError(67), /database of its own/],
    ['a name of a database that can’t be', serverError(73), /MONGODB_URI/],
    ['an index in another form', serverError(85), /database of its own/],
    ['an index name that is taken', serverError(86), /database of its own/],
    ['an engine without that command', serverError(115), /MongoDB 6\.0/],
    ['another application’s validator', serverError(121), /database of its own/],
    ['a view', serverError(166), /database of its own/],
    ['a duplicate', serverError(11_000), /database of its own/],
    ['a database in another case', serverError(13_297), /name of the database/],
    ['an unknown stage', serverError(40_324), /MongoDB 6\.0/],
    ['a server that is too old', noServer(new MongoCompatibilityError('old')), /MongoDB 6\.0/],
    [
      'a server that is too old, in words',
      new Error('Server at db:27017 reports maximum wire version 7, but …'),
      /MongoDB 6\.0/,
    ],
    ['a certificate of nobody', noServer(withCode('DEPTH_ZERO_SELF_SIGNED_CERT')), /tlsCAFile/],
    ['a certificate of another host', withCode('ERR_TLS_CERT_ALTNAME_INVALID'), /tlsCAFile/],
    ['an address that can’t be read', new MongoParseError('c4n’t'), /Check MONGODB_URI/],
    ['a mistake of ours', new mongoose.Error.StrictModeError('x'), /field `x`/i],
  ])('for %s, and names the mend', (_what, error, mend) => {
    const refusal = toRefusal(translate(error));
    expect(refusal).toBeInstanceOf(StoreRefusedError);
    expect(refusal?.message).toMatch(mend);
    expect(refusal?.message).not.toMatch(/does not answer|repeat the request/);
  });

  it('with the words of whoever knew more', () => {
    const known = new StoreRefusedError('collection users: …');
    expect(toRefusal(known)).toBe(known);
  });
});

describe('a start waits', () => {
  it.each([
    ['a host that is unreachable', serverError(6)],
    ['a host that isn’t found', serverError(7)],
    ['a time limit', serverError(50)],
    ['a write concern that isn’t met yet', serverError(64)],
    ['a network time-out', serverError(89)],
    ['a shutdown', serverError(91)],
    ['a conflict', serverError(112)],
    ['a step-down', serverError(189)],
    ['an index build that was aborted', serverError(276)],
    ['no primary', serverError(10_107)],
    ['an interruption', serverError(11_600)],
    ['a secondary', serverError(13_435)],
    ['a code that nobody knows', serverError(987_654)],
    ['a network error', new MongoNetworkError('connection 1 closed')],
    ['a server that doesn’t listen yet', noServer(withCode('ECONNREFUSED'))],
    ['a name that isn’t known yet', noServer(withCode('ENOTFOUND'))],
    ['an SRV record that isn’t there yet', outage(withCode('ENOTFOUND'))],
    ['silence', outage(new Error('no answer within 6000 ms'))],
  ])('for %s', (_what, error) => {
    const translated = error instanceof ServiceError ? error : translate(outage(error));
    expect(toRefusal(translated)).toBeNull();
  });
});

describe('against a server', () => {
  const servers: { server: Server; sockets: Set<Socket> }[] = [];
  afterEach(async () => {
    for (const { server, sockets } of servers.splice(0)) {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  type Answer = (command: Record<string, unknown>) => object;

  /** Speaks as much of the wire protocol as a driver needs. */
  async function serve(answer: Answer, maxWireVersion = 21): Promise<string> {
    const sockets = new Set<Socket>();
    const hello = {
      ok: 1,
      helloOk: true,
      isWritablePrimary: true,
      ismaster: true,
      minWireVersion: 0,
      maxWireVersion,
      maxBsonObjectSize: 16_777_216,
      maxMessageSizeBytes: 48_000_000,
      maxWriteBatchSize: 100_000,
      saslSupportedMechs: ['SCRAM-SHA-256'],
    };
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      let received = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
        while (received.length >= 16 && received.length >= received.readInt32LE(0)) {
          const message = received.subarray(0, received.readInt32LE(0));
          received = received.subarray(message.length);
          const isQuery = message.readInt32LE(12) === 2004;
          // After a query's flags, collection, skip and limit; after a message's flags and kind.
          const at = isQuery ? message.indexOf(0, 20) + 9 : 21;
          const command = BSON.deserialize(
            message.subarray(at, at + message.readInt32LE(at)),
          ) as Record<string, unknown>;
          const isHello = 'hello' in command || 'ismaster' in command;
          const body = BSON.serialize(isHello ? hello : answer(command));
          const extra = isQuery ? Buffer.alloc(20) : Buffer.alloc(5);
          if (isQuery) extra.writeInt32LE(1, 16);
          const head = Buffer.alloc(16);
          head.writeInt32LE(head.length + extra.length + body.length, 0);
          head.writeInt32LE(message.readInt32LE(4), 8);
          head.writeInt32LE(isQuery ? 1 : 2013, 12);
          socket.write(Buffer.concat([head, extra, body]));
        }
      });
    });
    servers.push({ server, sockets });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const failureOf = (uri: string) =>
    openStore({ uri, clock: Date.now }).then(
      () => null,
      (error: unknown) => error,
    );
  const error = (code: number, errmsg: string) => ({ ok: 0, code, errmsg });

  it('with wrong credentials: refused', async () => {
    const host = await serve((command) =>
      'saslStart' in command ? error(18, 'Authentication failed.') : { ok: 1 },
    );
    const failure = await failureOf(`mongodb://ann:c4nary@${host}/tiledesk`);
    expect(failure).toBeInstanceOf(StoreRefusedError);
    expect(String(failure)).toMatch(/Authentication failed\. Check the user, the password/);
    expect(String(failure)).not.toContain('c4nary');
  });

  it('whose user may only read: refused, and the collection is named', async () => {
    const host = await serve((command) =>
      'update' in command ? error(13, 'not authorized on tiledesk') : { ok: 1, n: 0 },
    );
    const failure = await failureOf(`mongodb://${host}/tiledesk`);
    expect(failure).toBeInstanceOf(StoreRefusedError);
    expect(String(failure)).toMatch(/collection \w+: can't be written.*role readWrite/);
  });

  it('whose user may make no index: refused, and the index is named', async () => {
    const host = await serve((command) => {
      if ('createIndexes' in command) return error(13, 'not authorized on tiledesk');
      if ('listIndexes' in command) return error(26, 'ns does not exist');
      return { ok: 1, n: 0, nModified: 0 };
    });
    const failure = await failureOf(`mongodb://${host}/tiledesk`);
    expect(failure).toBeInstanceOf(StoreRefusedError);
    expect(String(failure)).toMatch(
      /collection \w+: the index on \{ .*\} can't be made.*role readWrite/,
    );
  });

  it.each([
    ['4.0, which the driver refuses', 7],
    ['4.4', 9],
    ['5.0', 13],
  ])('of MongoDB %s: refused', async (_what, maxWireVersion) => {
    const host = await serve(() => ({ ok: 1, n: 0 }), maxWireVersion);
    const failure = await failureOf(`mongodb://${host}/tiledesk`);
    expect(failure).toBeInstanceOf(StoreRefusedError);
    expect(String(failure)).toContain('6.0 or newer');
  });

  it('that steps down: waited for', async () => {
    const host = await serve((command) =>
      'update' in command ? error(10_107, 'not primary') : { ok: 1, n: 0 },
    );
    expect(await failureOf(`mongodb://${host}/tiledesk`)).toMatchObject({ code: 'unavailable' });
  });
});
