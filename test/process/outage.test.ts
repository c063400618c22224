/** The database goes, by dying or by hanging, and comes back: checks go on while what is known is fresh, then stop; readiness says so at once; nothing needs a restart. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Engine, startEngine } from '../../src/store/embedded/engine.js';
import { createJti } from '../../src/tokens/jti.js';
import { jtiOf, mint, SECRET } from '../support/harness.js';
import {
  makeFolder,
  removeFolder,
  type ServiceProcess,
  startProcess,
  until,
} from '../support/process.js';

/** Where an older glibc needs a copy of the engine, all tests share it. */
const cacheDir = fileURLToPath(new URL('../../node_modules/.cache/engine', import.meta.url));
/** Long enough for all that is to be seen before, also where much else is done. */
const STALE_AFTER_MS = 15_000;
/** The last refresh began up to a second, and what it took, before the outage. */
const REFRESH_MS = 2000;
/** From memory; it asked the database, and took as long as that did: 6 s. */
const READINESS_WITHIN_MS = 5000;

interface Scenario {
  readonly folder: string;
  readonly service: ServiceProcess;
  engine: Engine;
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
}

/** Each takes the engine away, and gives what brings it back. */
const outages: Record<string, (scenario: Scenario) => Promise<() => Promise<void>>> = {
  async 'is killed and started again'(scenario) {
    process.kill(hostOf(scenario.engine), 'SIGKILL');
    await scenario.engine.stop();
    return async () => {
      scenario.engine = await startEngine({ dataDir: dataDirOf(scenario.folder), cacheDir });
    };
  },
  async 'hangs and goes on'({ engine }) {
    const host = hostOf(engine);
    process.kill(host, 'SIGSTOP');
    return async () => {
      process.kill(host, 'SIGCONT');
    };
  },
};

const scenarios = new Map<string, Scenario>();
beforeEach(async () => {
  await Promise.all(
    Object.keys(outages).map(async (name) => {
      const folder = makeFolder();
      const engine = await startEngine({ dataDir: dataDirOf(folder), cacheDir });
      const service = await startProcess({
        DATA_DIR: join(folder, 'service'),
        MONGODB_URI: engine.uri,
        GLOBAL_SECRET: SECRET,
        STALE_AFTER: String(STALE_AFTER_MS / 1000),
        ADMIN_PASSWORD: 'the administrator of this test',
      });
      scenarios.set(name, { folder, service, engine });
    }),
  );
});
afterEach(async () => {
  for (const { folder, service, engine } of scenarios.values()) {
    await service.end('SIGKILL');
    const host = engine.hostPid();
    if (host !== null) process.kill(host, 'SIGCONT');
    await engine.stop();
    removeFolder(folder);
  }
  scenarios.clear();
});

function dataDirOf(folder: string): string {
  return join(folder, 'engine');
}

function hostOf(engine: Engine): number {
  const pid = engine.hostPid();
  if (pid === null) throw new Error('the engine has no process');
  return pid;
}

function freshToken(): string {
  return mint({
    jti: createJti(Date.now()),
    _id: 'holder',
    iss: 'https://tiledesk.com',
    iat: Math.floor(Date.now() / 1000),
  });
}

function clientOf(service: ServiceProcess) {
  async function call(method: string, path: string, token: string): Promise<Answer> {
    const answer = await fetch(`${service.address}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
    });
    await answer.arrayBuffer();
    return { status: answer.status, retryAfter: answer.headers.get('retry-after') };
  }
  return {
    verify: (token: string) => call('GET', '/auth/verify', token),
    revoke: (token: string) => call('DELETE', `/v3/jwt/history/${jtiOf(token)}`, token),
    /** Its status and what it says, never after a wait. */
    async readiness(): Promise<string> {
      const askedAt = performance.now();
      const answer = await fetch(`${service.address}/readyz`);
      const { status, checks, reasons } = (await answer.json()) as {
        status: string;
        checks: Record<string, boolean>;
        reasons: string[];
      };
      expect(performance.now() - askedAt).toBeLessThan(READINESS_WITHIN_MS);
      expect(answer.headers.has('retry-after')).toBe(answer.status === 503);
      expect(reasons).toHaveLength(Object.values(checks).filter((isWell) => !isWell).length);
      return `${answer.status} ${status}`;
    },
  };
}

describe('when the database', () => {
  // Both at the same time: each has to wait until what is known is stale.
  it(`${Object.keys(outages).join(', or ')}: checks go on, stop when stale, and go on again`, async () => {
    await Promise.all([...scenarios].map(([name, scenario]) => play(name, scenario)));
  });
});

async function play(name: string, scenario: Scenario): Promise<void> {
  const { verify, revoke, readiness } = clientOf(scenario.service);
  const [good, revoked, undecided] = [freshToken(), freshToken(), freshToken()];
  const check = async () => {
    const [ofGood, ofRevoked] = await Promise.all([verify(good), verify(revoked)]);
    return { ofGood, ofRevoked, both: [ofGood.status, ofRevoked.status].join(' ') };
  };
  const seen: string[] = [];
  const isNow = (wanted: string) => async () => {
    const { both } = await check();
    if (seen.at(-1) !== both) seen.push(both);
    return both === wanted;
  };
  expect((await verify(undecided)).status).toBe(204);
  expect((await revoke(revoked)).status).toBe(200);
  await until(`${name}: ready`, async () => (await readiness()) === '200 ready');
  await until(`${name}: before`, isNow('204 401'));
  seen.length = 0;

  const startedAt = performance.now();
  const bringBack = await (outages[name] ?? missing)(scenario);
  const unanswered = revoke(undecided);
  expect((await check()).both).toBe('204 401');
  // What can be answered is answered: no proxy takes the service out for it.
  await until(
    `${name}: degraded`,
    async () => (await readiness()) === '200 degraded',
    STALE_AFTER_MS - REFRESH_MS,
  );
  await until(`${name}: stale`, isNow('503 503'));
  expect(performance.now() - startedAt).toBeGreaterThan(STALE_AFTER_MS - REFRESH_MS);
  // No good token becomes a refused one, and no revoked one a good one.
  expect(
    seen.filter((both) => !['204 401', '204 503', '503 401', '503 503'].includes(both)),
  ).toEqual([]);
  expect(seen).toContain('204 401');
  const stale = await check();
  expect(stale.both).toBe('503 503');
  expect([stale.ofGood.retryAfter, stale.ofRevoked.retryAfter]).toEqual([
    expect.stringMatching(/^\d+$/),
    expect.stringMatching(/^\d+$/),
  ]);
  const refused = { status: 503, retryAfter: expect.stringMatching(/^\d+$/) };
  expect([await revoke(good), await unanswered]).toEqual([refused, refused]);
  expect(await readiness()).toBe('503 not ready');
  expect((await check()).both).toBe('503 503');

  seen.length = 0;
  await bringBack();
  await until(`${name}: as before`, isNow('204 401'));
  await until(`${name}: ready`, async () => (await readiness()) === '200 ready');
  expect(seen.filter((both) => both.startsWith('401') || both.endsWith('204'))).toEqual([]);
  // Whether the revoke that got no answer happened is not known; repeated, it has.
  // A connection that is being renewed may fail it once more.
  await until(`${name}: revokes again`, async () =>
    [200, 401].includes((await revoke(undecided)).status),
  );
  expect((await verify(undecided)).status).toBe(401);
  await until(`${name}: revokes others, too`, async () => (await revoke(good)).status !== 503);
  expect((await check()).both).toBe('401 401');
  expect(scenario.service.child.exitCode).toBeNull();
  // Told of once when it began and once when it ended, however many asked meanwhile.
  const told = (what: RegExp) => scenario.service.stdout().match(what) ?? [];
  const began =
    /"msg":"checks now answer 503, because what was revoked in the last \d+ s is unknown: [^"]+"/g;
  await until(`${name}: its end is told`, () => told(/checks answer again/g).length > 0);
  expect(told(began)).toHaveLength(1);
  expect(told(/"msg":"checks answer again after \d+ s"/g)).toHaveLength(1);
}

function missing(): never {
  throw new Error('no such outage');
}
