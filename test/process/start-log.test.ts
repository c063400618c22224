/** What the log says of a start and of an end: what runs where, with which settings, how much it knows, and why it ended; never a secret. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseConfig } from '../../src/config/config.js';
import { createJti } from '../../src/tokens/jti.js';
import { jtiOf, mint, SECRET, testMongodbUri } from '../support/harness.js';
import {
  makeFolder,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  startProcess,
} from '../support/process.js';

const PASSWORD = 'canary-administrator';

let folder: string;
const running = new Set<ServiceProcess>();
beforeEach(() => {
  folder = makeFolder();
});
afterEach(async () => {
  for (const service of running) if (service.child.exitCode === null) await service.end('SIGKILL');
  running.clear();
  removeFolder(folder);
});

async function start(env: Record<string, string>): Promise<ServiceProcess> {
  const service = await startProcess(env);
  running.add(service);
  return service;
}

interface Line {
  readonly event?: string;
  readonly level: string;
  readonly msg: string;
}

const linesOf = (stdout: string, event: string) =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.event === event);

describe('the log of a service on the embedded engine', () => {
  it('says what runs where, with what is not default, what it knows, and why it stops', async () => {
    const env = {
      DATA_DIR: join(folder, 'data'),
      GLOBAL_SECRET: SECRET,
      ADMIN_PASSWORD: PASSWORD,
      ADMIN_EMAIL: 'canary@example.com',
      STALE_AFTER: '20s',
      UNKNOWN_TOKENS: 'adopt',
    };
    const first = await start(env);
    const iat = Math.floor(Date.now() / 1000);
    const token = mint({ jti: createJti(Date.now()), _id: 'x', iss: 'https://tiledesk.com', iat });
    const answer = await fetch(`${first.address}/v3/jwt/history/${jtiOf(token)}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(200);
    expect(await first.end('SIGTERM')).toBe(0);

    const service = await start(env);
    expect(await service.end('SIGINT')).toBe(0);
    const stdout = service.stdout();
    expect(linesOf(stdout, 'service.starting')).toEqual([
      expect.objectContaining({
        level: 'info',
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        node: process.version,
        dataDir: env.DATA_DIR,
        // A default that is written out is one.
        settings: {
          PORT: '0',
          HOST: '127.0.0.1',
          DATA_DIR: env.DATA_DIR,
          GLOBAL_SECRET: 'set',
          ADMIN_EMAIL: 'set',
          ADMIN_PASSWORD: 'set',
          STALE_AFTER: '20s',
        },
      }),
    ]);
    expect(linesOf(stdout, 'service.ready')).toEqual([
      expect.objectContaining({
        level: 'info',
        msg: `ready at ${service.address}`,
        address: service.address,
        topology: 'embedded engine',
        dataDir: env.DATA_DIR,
        revoked: 1,
        // That of a new database.
        cutoffs: 1,
        ms: expect.any(Number),
      }),
    ]);
    expect(linesOf(stdout, 'service.stopping')).toEqual([
      expect.objectContaining({ signal: 'SIGINT' }),
    ]);
    expect(linesOf(stdout, 'service.stopped')).toEqual([
      expect.objectContaining({
        level: 'info',
        msg: 'stopped, as asked by SIGINT',
        ms: expect.any(Number),
      }),
    ]);
    expect(stdout.trimEnd().split('\n').at(-1)).toContain('service.stopped');
    expect(stdout + first.stdout()).not.toContain('canary');
    expect(stdout + first.stdout()).not.toContain(SECRET);
  });

  it('says that it did not start, and why, also when the configuration is what is wrong', async () => {
    const { stdout } = await runToEnd({ DATA_DIR: folder, PORT: 'many', GLOBAL_SECRET: 'canary' });
    const [line, ...more] = linesOf(stdout, 'service.stopped');
    expect(more).toEqual([]);
    expect(line).toMatchObject({ level: 'fatal', msg: expect.stringContaining('PORT: "many"') });
    expect(stdout).not.toContain('canary');
    const busy = await start({ DATA_DIR: join(folder, 'a') });
    const refused = await runToEnd({
      DATA_DIR: join(folder, 'b'),
      PORT: new URL(busy.address).port,
    });
    expect(linesOf(refused.stdout, 'service.stopped')).toEqual([
      expect.objectContaining({
        level: 'fatal',
        err: expect.objectContaining({ message: expect.stringContaining('is in use') }),
      }),
    ]);
  });

  it('says that an error nobody caught ended it', async () => {
    // In a module that is loaded before ours: the error comes once the service runs.
    const bug = `setTimeout(() => { throw new Error('a bug'); }, 100 * Number(process.env.AFTER));`;
    const child = spawn(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(bug)}`, 'dist/main.js'],
      {
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
        env: { PATH: process.env['PATH'], PORT: '0', DATA_DIR: join(folder, 'data'), AFTER: '1' },
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(1);
    expect(linesOf(stdout, 'service.stopping')).toEqual([
      expect.objectContaining({
        level: 'fatal',
        err: expect.objectContaining({ message: 'a bug', stack: expect.anything() }),
      }),
    ]);
    expect(linesOf(stdout, 'service.stopped')).toEqual([
      expect.objectContaining({ level: 'fatal', msg: 'stopped, after an unexpected error' }),
    ]);
  });
});

describe('the log of a service on a server', () => {
  it('says which, and never with what credentials', async () => {
    // Only the parts that say where it is are shown, whatever else the address holds.
    const uri = `${testMongodbUri()}&appName=canary-app`;
    const service = await start({ MONGODB_URI: uri, GLOBAL_SECRET: SECRET, DATA_DIR: folder });
    expect(await service.end('SIGTERM')).toBe(0);
    const [ready] = linesOf(service.stdout(), 'service.ready');
    expect(ready).toMatchObject({
      topology: 'standalone server',
      database: expect.stringMatching(/mongodb\.sock\/jwt-history$|engine\.sock\/jwt-history$/),
    });
    expect(ready).not.toHaveProperty('dataDir');
    expect(service.stdout()).not.toContain('canary');
  });

  it('whose address or settings hold secrets, masks them', () => {
    const canary = 'canary-7af3';
    const { settings } = parseConfig({
      MONGODB_URI: `mongodb://user:${canary}@db.example/x`,
      GLOBAL_SECRET: `${SECRET}${canary}`,
      ADMIN_PASSWORD: canary,
      ADMIN_EMAIL: `${canary}@example.com`,
      CORS_ORIGINS: 'https://app.example.com',
      RETENTION: '30d',
    });
    expect(settings).toEqual({
      MONGODB_URI: 'set',
      GLOBAL_SECRET: 'set',
      ADMIN_PASSWORD: 'set',
      ADMIN_EMAIL: 'set',
      CORS_ORIGINS: 'https://app.example.com',
      RETENTION: '30d',
    });
  });
});
