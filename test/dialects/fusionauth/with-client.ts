/** The service on a port of its own with FusionAuth's official client in front of it, two users and an API key. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FusionAuthClient } from '@fusionauth/typescript-client';
import { expect } from '@jest/globals';
import { PASSWORD, startTestService } from '../../support/harness.js';

export const APP = '3c219e58-ed0e-4b18-ad48-f4f92793ae32';
export const OTHER_APP = '85a03867-dccf-4882-adde-1a79aeec50df';

export async function startWithClient() {
  const t = await startTestService();
  const alice = await t.createUser('alice@example.com');
  const bob = await t.createUser('bob@example.com');
  await t.createUser('root@example.com', 'admin');
  const server = createServer(t.service.handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const root = await t.signIn('root@example.com');
  const made = await t
    .http()
    .post('/admin/api-keys')
    .set('Authorization', root)
    .send({ name: 'tests' });
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({
    kind: 'api-key',
    state: 'active',
    expiresAt: null,
    device: { name: 'tests' },
  });
  const apiKey: string = made.body.key;
  const client = (key?: string) => new FusionAuthClient(key as string, url);

  return {
    t,
    alice,
    bob,
    apiKey,
    client,
    async login(loginId = 'alice@example.com', applicationId: string | undefined = APP) {
      // A login in the millisecond of a cut-off would be revoked by it.
      t.clock.now += 1;
      const { response } = await client().login({
        loginId,
        password: PASSWORD,
        applicationId,
        metaData: { device: { name: 'Phone', description: 'of the test', type: 'MOBILE' } },
      });
      return response as unknown as {
        token: string;
        tokenExpirationInstant: number;
        refreshToken: string;
        refreshTokenId: string;
        user: { id: string; email: string };
      };
    },
    accepted: async (token: string) =>
      (await t.http().get('/auth/verify').set('Authorization', `Bearer ${token}`)).status === 204,
    exchange: (refreshToken: string, more = {}) =>
      client().exchangeRefreshTokenForJWT({ refreshToken, ...more }),
    async close() {
      server.close();
      await t.close();
    },
  };
}

/** What an answer was, whether the client took it for an error or not. */
export const outcome = (promise: Promise<{ statusCode: number; exception?: unknown }>) =>
  promise.then(
    ({ statusCode, exception }) => ({ statusCode, exception }),
    ({ statusCode, exception }: { statusCode: number; exception?: unknown }) => ({
      statusCode,
      exception,
    }),
  );
