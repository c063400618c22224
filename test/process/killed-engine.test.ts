/** The engine is killed again and again, under load: the service goes on without it, and with the next. */
import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { jtiOf } from '../support/harness.js';
import { ask, basic, freshToken, useOwnServices } from '../support/own-services.js';
import { engineHostsOf, isAlive, until } from '../support/process.js';

const { dataDir, start } = useOwnServices();

describe('kill -9 of the engine', () => {
  it('under load, 20 times: checks go on, writes get 503, nothing acknowledged is lost', async () => {
    const service = await start();
    const parent = service.child.pid ?? 0;
    const hosts = new Set<number>();
    const acknowledged: string[] = [];
    const answers = new Map<number, number>();
    const withoutRetryAfter: number[] = [];
    let checksDuringOutage = 0;
    let stopped = false;
    const writer = async () => {
      while (!stopped) {
        const token = freshToken('client');
        const answer = await ask(service, 'DELETE', `/v3/jwt/history/${jtiOf(token)}`, token);
        await answer.arrayBuffer();
        answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
        if (answer.status === 200) acknowledged.push(token);
        if (answer.status === 503 && answer.headers.get('retry-after') === null)
          withoutRetryAfter.push(503);
      }
    };
    const writers = Promise.all(Array.from({ length: 4 }, writer));
    const good = freshToken('client');
    const check = async (token: string) =>
      (await ask(service, 'DELETE', '/v1/jwt/history/x', token)).status;
    let slowest = 0;
    for (let round = 0; round < 20; round += 1) {
      await until('revokes go through', () => acknowledged.length > round * 5);
      const host = await hostOf(parent);
      hosts.add(host);
      process.kill(host, 'SIGKILL');
      // A check needs no database: a good token gets as far as v1's demand for JSON, a revoked one doesn't.
      expect([await check(good), await check(acknowledged.at(-1) ?? '')]).toEqual([415, 401]);
      checksDuringOutage += 1;
      const before = acknowledged.length;
      slowest = Math.max(
        slowest,
        await until('revokes work again', () => acknowledged.length > before + 4),
      );
      const ready = await fetch(`${service.address}/readyz`);
      expect(ready.status).toBe(200);
    }
    stopped = true;
    await writers;
    // By itself, and not at the next of some slower rhythm; two seconds where nothing else is done.
    expect(slowest).toBeLessThan(20_000);
    expect(checksDuringOutage).toBe(20);
    expect(hosts.size).toBe(20);
    expect([...answers.keys()].toSorted((a, b) => a - b)).toEqual([200, 503]);
    expect(withoutRetryAfter).toEqual([]);
    const stillListed = await ask(service, 'GET', '/readyz', basic);
    expect(stillListed.status).toBe(200);
    const last = await hostOf(parent);
    const socket = readlinkSync(join(dataDir(), 'engine.sock'));
    expect(await service.end('SIGTERM')).toBe(0);
    expect([...hosts, last].filter(isAlive)).toEqual([]);
    expect(existsSync(socket)).toBe(false);

    const restarted = await start();
    for (const token of acknowledged) {
      expect((await ask(restarted, 'GET', '/v3/jwt/history', token)).status).toBe(401);
    }
    await restarted.end('SIGTERM');
  });

  async function hostOf(parent: number): Promise<number> {
    let found: number | undefined;
    await until('the host runs', () => (found = engineHostsOf(parent)[0]) !== undefined);
    return found ?? 0;
  }
});
