/** Small doors beside the large ones: other spellings of a path, a second credential, a name given twice, an id that several have. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createJti } from '../../src/tokens/jti.js';
import { hasRepeatedKeys } from '../../src/tokens/repeated-keys.js';
import { mint, SECRET, START, startTestService, type TestService } from '../support/harness.js';
import { routesOf } from '../support/routes.js';

let t: TestService;
let server: Server;
let root: string;
beforeAll(async () => {
  t = await startTestService();
  await t.createUser('root@example.com', 'admin');
  root = await t.signIn('root@example.com');
  server = createServer(t.service.handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await t.close();
});

/** The status of these bytes, as they are. */
async function talk(bytes: string): Promise<number> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.write(bytes);
  await once(socket, 'close');
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(heard)?.[1]);
}
const ask = (method: string, path: string, headers: readonly string[]) =>
  talk(
    `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers.map((each) => `${each}\r\n`).join('')}\r\n`,
  );

describe('another spelling of a path', () => {
  const inAnotherCase = (path: string) =>
    path.replace(/[a-z](?=[a-z]*(?:\/|$|\.))/, (letter) => letter.toUpperCase());
  const spellings: Record<string, (path: string) => string> = {
    'in capitals': (path) => path.toUpperCase(),
    'with one capital': inAnotherCase,
    'with a slash at its end': (path) => `${path}/`,
    'with two slashes at its end': (path) => `${path}//`,
    'with two slashes at its beginning': (path) => `/${path}`,
    'with two slashes within': (path) => path.replace(/(.)\//, '$1//'),
    'with an encoded letter': (path) =>
      path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
    'with an encoded slash': (path) => path.replace(/(.)\//, '$1%2f'),
    'with a dot segment': (path) => `/.${path}`,
    'with a parameter': (path) => `${path};x=y`,
  };
  it.each(Object.entries(spellings))('%s is none of ours', async (_name, spell) => {
    const routes = [
      ...routesOf(t.service.app),
      { method: 'GET', path: '/auth/verify' },
      { method: 'HEAD', path: '/auth/verify' },
    ];
    expect(routes.length).toBeGreaterThan(40);
    const answered: unknown[] = [];
    for (const { method, path } of routes) {
      const own = path.replaceAll(/:\w+/g, 'x1');
      const other = spell(own);
      // An id may be any text, with a `;` in it too; of the page itself there is no part to spell.
      const isId = path.includes(':') || path === '/admin/tokens/export';
      if (other === own || (isId && other.endsWith(';x=y'))) continue;
      const status = await ask(method, other, [`Authorization: ${root}`]);
      if (status !== 404) answered.push([method, other, status]);
    }
    expect(answered).toEqual([]);
  });
});

describe('two Authorization headers', () => {
  const good = () => `Authorization: ${root}`;
  const pairs = (): [string, string[]][] => [
    ['the same twice', [good(), good()]],
    ['a good one first', [good(), 'Authorization: Bearer x']],
    ['a good one last', ['Authorization: Bearer x', good()]],
    ['in another case, among others', [good(), 'Accept: */*', 'aUTHORIZATION: Basic eDp5']],
    ['an empty one', [good(), 'Authorization:']],
  ];
  it('are refused, whichever is good', async () => {
    for (const [, headers] of pairs()) {
      expect(await ask('GET', '/auth/verify', headers)).toBe(401);
      for (const path of ['/v3/jwt/history', '/admin/users', '/api/jwt/validate', '/v1/token'])
        expect(await ask('GET', path, headers)).toBe(400);
    }
    expect(await ask('GET', '/auth/verify', [good(), 'Proxy-Authorization: x'])).toBe(204);
  });
});

describe('a name given twice in a token', () => {
  /** Signed rightly, and written as no library would. */
  function signed(payload: string, header = '{"alg":"HS256","typ":"JWT"}'): string {
    const input = [header, payload]
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.');
    return `${input}.${createHmac('sha256', SECRET).update(input).digest('base64url')}`;
  }
  const verify = async (token: string) =>
    (await t.http().get('/auth/verify').set('Authorization', `Bearer ${token}`)).status;
  const jti = createJti(START);

  it.each([
    [204, `{"jti":"${jti}","_id":"u"}`],
    [401, `{"jti":"a","_id":"u","jti":"${jti}"}`],
    [401, `{"jti":"${jti}","_id":"u","\\u006ati":"${jti}"}`],
    [401, `{"jti":"${jti}","_id":"u","_id":"u"}`],
    [401, `{"jti":"${jti}","_id":"u","exp":99999999999,"exp":99999999999}`],
    [401, `{"jti":"${jti}","_doc":{"_id":"a","_id":"u"}}`],
    [401, `{"jti":"${jti}","_id":"u","x":[{"y":1,"y":1}]}`],
    [204, `{"jti":"${jti}","_id":"u","x":[{"y":"jti"},{"y":"\\"jti\\":"}],"z":{"jti":1}}`],
  ])('%i for %s', async (status, payload) => {
    expect(await verify(signed(payload))).toBe(status);
  });

  it('nor in its header', async () => {
    const payload = `{"jti":"${jti}","_id":"u"}`;
    expect(await verify(signed(payload, '{"alg":"HS256","alg":"HS256"}'))).toBe(401);
  });

  it('is found wherever it is, and nowhere else', () => {
    const key = fc.oneof(fc.constantFrom('jti', '"', '\\', '{', ',', ''), fc.string());
    const json = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, fc.jsonValue({ maxDepth: 0 }), tie('object'), tie('list')),
      list: fc.array(tie('value'), { maxLength: 3 }).map((each) => ({
        text: `[ ${each.map(textOf).join(' , ')}]`,
        repeats: each.some(repeats),
      })),
      object: fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((entries) => ({
        text: `{${entries.map(([name, value]) => `${spelled(name)} : ${textOf(value)}`).join(',\n')}}`,
        repeats:
          new Set(entries.map(([name]) => name)).size < entries.length ||
          entries.some(([, value]) => repeats(value)),
      })),
    })).object as fc.Arbitrary<Written>;
    fc.assert(
      fc.property(json, ({ text, repeats: expected }) => {
        JSON.parse(text);
        expect([text, hasRepeatedKeys(text)]).toEqual([text, expected]);
      }),
      { numRuns: 2000 },
    );
  });

  interface Written {
    readonly text: string;
    readonly repeats: boolean;
  }
  const isWritten = (value: unknown): value is Written =>
    typeof value === 'object' && value !== null && 'repeats' in value;
  const textOf = (value: unknown) => (isWritten(value) ? value.text : JSON.stringify(value));
  const repeats = (value: unknown) => isWritten(value) && value.repeats;
  /** Every other character as an escape. */
  const spelled = (name: string) =>
    `"${name
      .split('')
      .map((unit, at) =>
        at % 2 === 1
          ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
          : JSON.stringify(unit).slice(1, -1),
      )
      .join('')}"`;
});

describe('an id that several have', () => {
  const verify = async (at: TestService, token: string) =>
    (await at.http().get('/auth/verify').set('Authorization', token)).status;
  const iat = Math.floor(START / 1000) - 60;

  it.each(['adopt', 'allow', 'deny'])('a DELETE by jti hits them all (%s)', async (policy) => {
    const at = await startTestService({ UNKNOWN_TOKENS: policy });
    await at.createUser('root@example.com', 'admin');
    const admin = await at.signIn('root@example.com');
    const [one, other] = ['one', 'other'].map((iss) => mint({ jti: 'same', _id: 'u', iss, iat }));
    if (one === undefined || other === undefined) throw new Error('two tokens');
    const register = (token: string) =>
      at.http().post('/v3/jwt/history').set('Authorization', admin).send({ token });
    await register(one);
    if (policy === 'deny') await register(other);
    expect([await verify(at, one), await verify(at, other)]).toEqual([204, 204]);
    const gone = await at.http().delete('/v3/jwt/history/same').set('Authorization', admin);
    expect(gone.status).toBe(200);
    // A record of one that was seen, not the one that stands for all others.
    expect(['one', 'other']).toContain(gone.body.issuer);
    expect([await verify(at, one), await verify(at, other)]).toEqual([401, 401]);
    await at.close();
  });

  it('of a user who is no administrator it hits their own only (allow)', async () => {
    const at = await startTestService({ UNKNOWN_TOKENS: 'allow' });
    await at.createUser('root@example.com', 'admin');
    const admin = await at.signIn('root@example.com');
    const own = mint({ jti: 'same', _id: 'u', iss: 'one', iat });
    const foreign = mint({ jti: 'same', _id: 'somebody', iss: 'other', iat });
    await at.http().post('/v3/jwt/history').set('Authorization', admin).send({ token: own });
    const gone = await at.http().delete('/v3/jwt/history/same').set('Authorization', own);
    expect(gone.status).toBe(200);
    expect([await verify(at, own), await verify(at, foreign)]).toEqual([401, 204]);
    await at.close();
  });

  it('with deny, the record must be of the same holder', async () => {
    const at = await startTestService({ UNKNOWN_TOKENS: 'deny' });
    await at.createUser('root@example.com', 'admin');
    const admin = await at.signIn('root@example.com');
    const claims = { jti: 'same', iss: 'one', iat };
    const own = mint({ ...claims, _id: 'u' });
    const others = [
      mint({ ...claims, _id: 'somebody' }),
      mint({ ...claims, _id: 'u', sub: 'guest' }),
      mint({ ...claims, _id: 'U' }),
    ];
    await at.http().post('/v3/jwt/history').set('Authorization', admin).send({ token: own });
    const inspect = (token: string) =>
      at.http().post('/admin/inspect').set('Authorization', admin).send({ token });
    // Also once the record's own token is known.
    for (const _ of ['looked up', 'known']) {
      for (const token of others) expect(await verify(at, token)).toBe(401);
      expect(await verify(at, own)).toBe(204);
    }
    expect((await inspect(own)).body.accepted).toBe(true);
    for (const token of others) {
      expect((await inspect(token)).body).toMatchObject({ accepted: false, reason: 'unknown' });
    }
    await at.close();
  });

  it('with adopt, the log tells of a second holder', async () => {
    const claims = { jti: createJti(START), iss: 'one', iat: Math.floor(START / 1000) };
    const [first, second] = ['first', 'second'].map((_id) => mint({ ...claims, _id }));
    if (first === undefined || second === undefined) throw new Error('two tokens');
    const lines = () =>
      t
        .log()
        .split('\n')
        .filter((line) => line.includes('token.other-holder'));
    expect(await verify(t, first)).toBe(204);
    await t.service.usage.flush();
    expect(lines()).toEqual([]);
    expect(await verify(t, second)).toBe(204);
    await t.service.usage.flush();
    expect(lines()).toEqual([expect.stringContaining('"userId":"second"')]);
    await t.http().delete(`/v3/jwt/history/${claims.jti}`).set('Authorization', root).expect(200);
    expect([await verify(t, first), await verify(t, second)]).toEqual([401, 401]);
  });
});
