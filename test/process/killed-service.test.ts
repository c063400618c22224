/** The service is killed again and again, in the middle of its work: what it acknowledged holds. */
import { describe, expect, it } from '@jest/globals';
import { jtiOf } from '../support/harness.js';
import { ask, freshToken, useOwnServices } from '../support/own-services.js';
import { until } from '../support/process.js';

const { start } = useOwnServices();

describe('kill -9 of the service', () => {
  it('right after a revoke was answered: the token stays refused, 20 times', async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      const service = await start();
      const before = acknowledged.length;
      let killed = false;
      const client = async () => {
        while (!killed) {
          const token = freshToken('client');
          try {
            const revoked = await ask(service, 'DELETE', `/v3/jwt/history/${jtiOf(token)}`, token);
            await revoked.arrayBuffer();
            if (revoked.status === 200) acknowledged.push(token);
          } catch {
            return;
          }
        }
      };
      const clients = Promise.all(Array.from({ length: 8 }, client));
      await until('revokes were answered', () => acknowledged.length >= before + 8 + round);
      service.child.kill('SIGKILL');
      killed = true;
      await Promise.all([clients, service.end('SIGKILL')]);
    }
    const service = await start();
    const accepted = [];
    for (const token of acknowledged) {
      if ((await ask(service, 'GET', '/v3/jwt/history', token)).status !== 401)
        accepted.push(jtiOf(token));
    }
    expect(accepted).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(300);
    expect((await ask(service, 'GET', '/v3/jwt/history', freshToken('client'))).status).toBe(200);
    await service.end('SIGTERM');
  });
});
