/** Requests to `/auth/verify` that no proxy sends: other methods and paths, damaged tokens, odd connections. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startVerifying } from './verify.js';

const { t, verify, freshToken, close } = await startVerifying();
afterAll(close);

describe('what is not the endpoint', () => {
  it.each(['post', 'put', 'patch', 'delete', 'options'] as const)(
    '%s is 405, with a good token too',
    async (method) => {
      for (const token of [freshToken(), undefined]) {
        const response = await verify(token, {}, { method });
        expect([response.status, response.headers['allow']]).toEqual([405, 'GET, HEAD']);
        expect(response.headers).not.toHaveProperty('x-user-id');
        expect(response.text).toBe('');
      }
    },
  );

  it.each([
    '/auth/verifyx',
    '/auth/verify/',
    '/auth/verify/x',
    '/auth/verify/?x=1',
    '/auth/verify;x',
    '/Auth/Verify',
    '/auth/%76erify',
    '/auth',
  ])('%s is 404', async (path) => {
    const response = await verify(freshToken(), {}, { path });
    expect(response.status).toBe(404);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(response.body.code).toBe('not-found');
    expect(response.headers).not.toHaveProperty('x-user-id');
  });
});

describe('hostile requests', () => {
  it('with any number of parts but three are refused', async () => {
    const parts = freshToken().split('.');
    for (let count = 1; count <= 7; count += 1) {
      const token = Array.from({ length: count }, (_part, i) => parts[i % 3]).join('.');
      expect([count, (await verify(`JWT ${token}`)).status]).toEqual([
        count,
        count === 3 ? 204 : 401,
      ]);
    }
    for (const token of ['.', '..', '...', `${parts[0]}.${parts[1]}.`, `.${parts[1]}.${parts[2]}`])
      expect((await verify(`JWT ${token}`)).status).toBe(401);
  });

  it('with another spelling of a good token are refused', async () => {
    const token = freshToken();
    expect((await verify(token)).status).toBe(204);
    const bytesOf = (text: string) => Buffer.from(text, 'base64url').toString('hex');
    const signature = token.slice(token.lastIndexOf('.') + 1);
    const siblings = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map((last) => signature.slice(0, -1) + last)
      .filter((text) => text !== signature && bytesOf(text) === bytesOf(signature))
      .map((text) => token.slice(0, -signature.length) + text);
    expect(siblings).toHaveLength(3);
    for (const sibling of [...siblings, `${token}=`, `${token}.`, `${token}%3D`])
      expect((await verify(`JWT ${sibling}`)).status).toBe(401);
  });

  describe('over one connection', () => {
    let port: number;
    const server = createServer((req, res) => t.service.handler(req, res));
    const agent = new Agent({ keepAlive: true, maxSockets: 32 });

    beforeAll(async () => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      port = (server.address() as AddressInfo).port;
    });
    afterAll(async () => {
      agent.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    });

    async function get(
      authorization: string,
      body?: Buffer,
      from = agent,
    ): Promise<IncomingMessage> {
      const headers = { authorization, ...(body ? { 'content-length': body.length } : {}) };
      const req = httpRequest({
        agent: from,
        host: '127.0.0.1',
        port,
        path: '/auth/verify',
        headers,
      });
      req.end(body);
      const [res] = (await once(req, 'response')) as [IncomingMessage];
      res.resume();
      await once(res, 'end');
      return res;
    }

    it('with a header of 16 kB are refused by the server itself', async () => {
      expect((await get(`JWT ${'a'.repeat(16_384)}`)).statusCode).toBe(431);
      expect((await get(freshToken())).statusCode).toBe(204);
    });

    it('with a body are answered like those without, and the next one too', async () => {
      const one = new Agent({ keepAlive: true, maxSockets: 1 });
      // What would be a request of its own, if the body were taken for one.
      const body = Buffer.from('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3000));
      for (const [token, status] of [
        [freshToken(), 204],
        ['garbage', 401],
        [freshToken(), 204],
      ] as const) {
        expect((await get(token, body, one)).statusCode).toBe(status);
        expect((await get(freshToken(), undefined, one)).statusCode).toBe(204);
      }
      one.destroy();
    });

    it('by the ten thousand leave nothing behind', async () => {
      await t.service.usage.flush();
      const { index, usage } = t.service;
      const before = { size: index.size, pending: usage.pending, log: t.log() };
      const collect = (globalThis as { gc?: () => void }).gc;
      collect?.();
      const heapBefore = process.memoryUsage().heapUsed;

      const [head, payload] = freshToken().split('.');
      let sent = 0;
      const statuses = new Set<number | undefined>();
      await Promise.all(
        Array.from({ length: 32 }, async () => {
          while (sent < 10_000) {
            sent += 1;
            // Shaped like tokens, with a signature that must be computed to be refused.
            const token = `${head}.${payload}.${randomBytes(32).toString('base64url')}`;
            statuses.add((await get(`JWT ${token}`)).statusCode);
          }
        }),
      );
      expect([...statuses]).toEqual([401]);
      expect({ size: index.size, pending: usage.pending, log: t.log() }).toEqual(before);
      if (collect !== undefined) {
        collect();
        expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(10_000_000);
      }
    });
  });
});
