/** A MongoDB server that is no member of a replica set: refused in production unless that is allowed, and told of in the log. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { parseConfig } from '../../src/config/config.js';
import { assertNotStandalone } from '../../src/store/database/usable.js';
import { writeConcernFor } from '../../src/store/database/write-concern.js';
import { freshDatabase, PASSWORD, SECRET, testMongodbUri } from '../support/harness.js';
import {
  makeFolder,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  startProcess,
} from '../support/process.js';

const CANARY = 'canary-app';
const MESSAGE = /is a standalone server\. .*NODE_ENV=production.* ALLOW_STANDALONE=true/;

let folder: string;
let database: string;
let running: ServiceProcess | null = null;
beforeEach(() => {
  folder = makeFolder();
  database = freshDatabase();
});
afterEach(async () => {
  if (running?.child.exitCode === null) await running.end('SIGKILL');
  running = null;
  removeFolder(folder);
});

/** The embedded engine's own socket: to the driver a server, and a standalone one. */
const uriOf = () => `${testMongodbUri().replace(/\/\?|\/$/, `/${database}?`)}&appName=${CANARY}`;
const environment = (env: Record<string, string>) => ({
  GLOBAL_SECRET: SECRET,
  ADMIN_PASSWORD: PASSWORD,
  DATA_DIR: folder,
  NODE_ENV: 'production',
  ...env,
});

/** The lines of a service that starts and is stopped. */
async function logOf(env: Record<string, string>): Promise<Record<string, unknown>[]> {
  running = await startProcess(environment(env));
  expect(await running.end('SIGTERM')).toBe(0);
  return running
    .stdout()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function collections(): Promise<string[]> {
  const connection = await mongoose.createConnection(uriOf()).asPromise();
  const found = await connection.listCollections();
  await connection.close();
  return found.map(({ name }) => name);
}

describe('a standalone server in production', () => {
  it('is refused: it says what that means and what to do, makes nothing, and shows no address', async () => {
    const { code, stdout, stderr } = await runToEnd(environment({ MONGODB_URI: uriOf() }));
    expect(code).toBe(1);
    expect(stderr).toMatch(MESSAGE);
    expect(stderr).toContain('every revoke that was acknowledged');
    expect(stdout).toContain('"level":"fatal"');
    expect(stdout + stderr).not.toMatch(/canary|ready at|trying again/);
    expect(await collections()).toEqual([]);
  });

  it('is refused by the commands that change something there, too', async () => {
    const child = spawn(process.execPath, ['dist/cli/set-admin.js', 'root@example.com'], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: environment({ MONGODB_URI: uriOf() }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(1);
    expect(output).toMatch(MESSAGE);
    expect(output).not.toContain('canary');
    expect(await collections()).toEqual([]);
  });

  it('is used where that is allowed, with a warning and what is durable there in the log', async () => {
    const lines = await logOf({ MONGODB_URI: uriOf(), ALLOW_STANDALONE: 'true' });
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        msg: expect.stringContaining('no member of a replica set'),
      }),
    );
    expect(lines.find(({ event }) => event === 'service.ready')).toMatchObject({
      topology: 'standalone server',
      writeConcern: { w: 1, j: true },
    });
    expect(lines.find(({ event }) => event === 'service.starting')).toMatchObject({
      settings: { ALLOW_STANDALONE: 'true' },
    });
    expect(JSON.stringify(lines)).not.toContain('canary');
  });

  it('that is the embedded engine of the service itself is none', async () => {
    const lines = await logOf({});
    expect(lines.find(({ event }) => event === 'service.ready')).toMatchObject({
      topology: 'embedded engine',
      writeConcern: { w: 1, j: true },
    });
    expect(JSON.stringify(lines)).not.toMatch(/replica set|standalone/);
  });
});

describe('what is refused', () => {
  const shared = { MONGODB_URI: 'mongodb://db.example', GLOBAL_SECRET: SECRET };
  it.each([
    [{ NODE_ENV: 'production' }, false],
    [{ ...shared }, false],
    [{ ...shared, NODE_ENV: 'development' }, false],
    [{ ...shared, NODE_ENV: 'production' }, true],
    [{ ...shared, NODE_ENV: 'production', ALLOW_STANDALONE: 'false' }, true],
    [{ ...shared, NODE_ENV: 'production', ALLOW_STANDALONE: '' }, true],
    [{ ...shared, NODE_ENV: 'production', ALLOW_STANDALONE: 'true' }, false],
  ])('with %j: %s', (env, expected) => {
    expect(parseConfig(env).refuseStandalone).toBe(expected);
  });

  it.each([
    ['a standalone server', { isWritablePrimary: true }, false],
    ['one that names no set', { setName: null, msg: 'x' }, false],
    ['a replica set’s member', { setName: 'rs0' }, true],
    ['a mongos', { msg: 'isdbgrid' }, true],
  ])('by what %s says of itself', (_name, hello, isDurable) => {
    const act = () => assertNotStandalone(hello);
    if (isDurable) expect(act).not.toThrow();
    else expect(act).toThrow(MESSAGE);
    expect(writeConcernFor(hello)).toEqual({ w: isDurable ? 'majority' : 1, j: true });
  });
});
