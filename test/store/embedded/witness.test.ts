/** The witness beside the embedded database: what was acknowledged and isn't in the engine's files any more stops the start, or the service. */
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DatabaseLostError } from '../../../src/store/embedded/initialized.js';
import { openWitness } from '../../../src/store/embedded/witness.js';
import { createJti } from '../../../src/tokens/jti.js';
import { jtiOf, mint, SECRET, START } from '../../support/harness.js';
import { askOnce } from '../../support/own-services.js';
import {
  engineHostsOf,
  makeFolder,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  startProcess,
  until,
} from '../../support/process.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PASSWORD = 'the administrator of this test';
const BASIC = `Basic ${Buffer.from(`admin@localhost:${PASSWORD}`).toString('base64')}`;
const WITHIN_MS = 60_000;

let folder: string;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => removeFolder(folder));

describe('the witness', () => {
  const warnings: string[] = [];
  const open = (clock = () => START) =>
    openWitness({
      dataDir: folder,
      clock,
      log: { warn: (_, line) => void warnings.push(line) },
    });
  const record = (name: string, expiresAt: number | null = null) => ({
    id: name.padStart(24, '0'),
    jti: name,
    issuer: 'https://issuer.example',
    origin: 'signin' as const,
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
    revocation: { at: new Date(START), by: 'x', reason: null, via: 'x' },
  });
  const cutoff = (userId: string, at: number) => ({
    userId,
    applicationId: null,
    sessionsOnly: false,
    at: new Date(at),
  });
  /** A list that holds everything but what is named. */
  const listWithout = (...missing: string[]) => ({
    add: ({ jti }: { jti: string }) => missing.includes(jti),
    raiseCutoff: ({ userId }: { userId: string | null }, at: Date) =>
      missing.includes(`${userId} ${at.getTime()}`),
  });
  beforeEach(() => void warnings.splice(0));

  it('tells after a restart what is missing, and nothing when all is there', async () => {
    const first = open();
    await first.start();
    first.revoked(record('a'));
    first.cutOff(cutoff('holder', START));
    first.revoked(record('b'));
    await first.stop();
    const second = open();
    expect(() => second.assertKnown(listWithout())).not.toThrow();
    for (const name of ['a', 'b', `holder ${START}`])
      expect(() => second.assertKnown(listWithout(name))).toThrow(DatabaseLostError);
    expect(() => second.assertKnown(listWithout('a', 'b'))).toThrow(
      /at least 2 are not in it \(numbers 1 to 3\).*restore\.md.*accept-restore/,
    );
    // What is written anew holds the same, and the numbers go on.
    await second.start();
    second.revoked(record('c'));
    await second.stop();
    expect(() => open().assertKnown(listWithout('a', 'c'))).toThrow('numbers 1 to 4');
    expect(statSync(join(folder, 'witness')).mode & 0o777).toBe(0o600);
  });

  it('is not emptied by one token that is revoked again and again', async () => {
    const first = open();
    await first.start();
    first.revoked(record('b'));
    for (let i = 0; i < 1000; i += 1) first.revoked(record('a'));
    await first.stop();
    expect(() => open().assertKnown(listWithout('b'))).toThrow('numbers 1 to 1');
    expect(() => open().assertKnown(listWithout('a'))).toThrow('numbers 2 to 2');
  });

  it('can be neither begun nor read without its file: that says whose it must be', async () => {
    const first = open();
    mkdirSync(join(folder, 'witness'));
    await expect(first.start()).rejects.toThrow(/can't be written.*chown/);
    expect(() => open()).toThrow(/can't be read \(EISDIR\).*chown/);
  });

  it('misses nothing that has expired and may be deleted, nor a cut-off that was lowered', async () => {
    const first = open();
    await first.start();
    first.revoked(record('expiring', START + 1_000_000));
    first.cutOff(cutoff('holder', START));
    first.cutOff(cutoff('holder', START - 5000));
    await first.stop();
    const lost = listWithout('expiring');
    expect(() => open().assertKnown(lost)).toThrow(DatabaseLostError);
    expect(() => open(() => START + 1_000_000).assertKnown(lost)).not.toThrow();
    expect(() => open().assertKnown(listWithout(`holder ${START}`))).not.toThrow();
    expect(() => open().assertKnown(listWithout(`holder ${START - 5000}`))).toThrow(
      DatabaseLostError,
    );
  });

  it('reads on behind a torn line, and stays small', async () => {
    const first = open();
    await first.start();
    first.revoked(record('a'));
    await first.stop();
    appendFileSync(join(folder, 'witness'), '{"n":2,"at":17\n\n7\n');
    const second = open();
    await second.start();
    for (let i = 0; i < 30_000; i += 1) second.revoked(record(`x${i}`));
    await second.stop();
    expect(() => open().assertKnown(listWithout('x29999'))).toThrow('numbers 30001 to 30001');
    expect(readFileSync(join(folder, 'witness'), 'utf8').split('\n').length).toBeLessThan(2002);
  });

  it('that cannot be written says so once, keeps what it has, and writes it when that works again', async () => {
    const first = open();
    await first.start();
    first.revoked(record('a'));
    rmSync(folder, { recursive: true });
    first.revoked(record('b'));
    await until('it was told', () => warnings.length > 0, WITHIN_MS);
    mkdirSync(folder);
    await until('it is there', () => existsSync(join(folder, 'witness')), WITHIN_MS);
    await first.stop();
    expect(warnings).toEqual([expect.stringContaining("witness can't be written")]);
    expect(() => open().assertKnown(listWithout('b'))).toThrow(DatabaseLostError);
  });
});

describe('a service', () => {
  const running = new Set<ServiceProcess>();
  afterEach(async () => {
    for (const { child, end } of running) if (child.exitCode === null) await end('SIGKILL');
    running.clear();
  });
  const dataDir = () => join(folder, 'data');
  const environment = () => ({
    DATA_DIR: dataDir(),
    GLOBAL_SECRET: SECRET,
    ADMIN_PASSWORD: PASSWORD,
  });
  async function start(): Promise<ServiceProcess> {
    const service = await startProcess(environment());
    running.add(service);
    return service;
  }
  const status = async (service: ServiceProcess, method: string, path: string, token: string) =>
    (await askOnce(service, method, path, { authorization: `JWT ${token}` })).status;
  const verify = (service: ServiceProcess, token: string) =>
    status(service, 'GET', '/auth/verify', token);
  async function revoke(service: ServiceProcess, token: string): Promise<void> {
    expect(await status(service, 'DELETE', `/v3/jwt/history/${jtiOf(token)}`, token)).toBe(200);
  }
  const freshToken = () =>
    mint({
      jti: createJti(Date.now()),
      _id: 'holder',
      iss: 'https://tiledesk.com',
      iat: Math.floor(Date.now() / 1000),
    });
  const isWitnessed = (text: string) =>
    until(
      'it is on disk',
      () => readFileSync(join(dataDir(), 'witness'), 'utf8').includes(text),
      WITHIN_MS,
    );
  const command = (name: string, ...args: string[]) =>
    promisify(execFile)(process.execPath, [`dist/cli/${name}.js`, ...args], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], ...environment() },
    });
  const database = () => join(dataDir(), 'db');
  const keep = () => cpSync(database(), join(folder, 'kept'), { recursive: true });
  function putBack(): void {
    rmSync(database(), { recursive: true });
    cpSync(join(folder, 'kept'), database(), { recursive: true });
  }
  async function refusal(): Promise<string> {
    const { code, stderr } = await runToEnd(environment());
    expect(code).toBe(1);
    expect(stderr).not.toContain('MONGODB_URI');
    return stderr;
  }

  it('does not start on files from before a revocation, until an operator accepts the loss', async () => {
    const first = await start();
    const [kept, lost] = [freshToken(), freshToken()];
    await revoke(first, kept);
    await first.end('SIGTERM');
    keep();
    const second = await start();
    await revoke(second, lost);
    await second.end('SIGTERM');
    putBack();
    const said = await refusal();
    expect(said).toContain(`The database in ${dataDir()} is older than what was acknowledged`);
    expect(said).toContain('npm run database -- accept-restore');
    await expect(command('set-admin', 'you@example.com')).rejects.toMatchObject({
      stderr: expect.stringContaining('is older than'),
    });
    await refusal();
    await command('database', 'accept-restore');
    const third = await start();
    expect([await verify(third, kept), await verify(third, lost)]).toEqual([401, 401]);
    expect(await verify(third, freshToken())).toBe(204);
    await third.end('SIGTERM');
  }, 300_000);

  it('misses a cut-off, and what was revoked on the command line, just the same', async () => {
    const first = await start();
    const made = await askOnce(first, 'POST', '/admin/users', {
      authorization: BASIC,
      body: { email: 'alice@example.com', password: PASSWORD },
    });
    expect(made.status).toBe(201);
    await first.end('SIGTERM');
    keep();
    await command('user', 'disable', 'alice@example.com');
    putBack();
    expect(await refusal()).toContain('is older than');
  }, 300_000);

  it('does not start without the journal that held the newest revocations, nor without its witness', async () => {
    // What is there when the engine closes isn't in the journal alone.
    await (await start()).end('SIGTERM');
    const first = await start();
    const token = freshToken();
    await revoke(first, token);
    await isWitnessed(jtiOf(token));
    const hosts = engineHostsOf(first.child.pid ?? 0);
    for (const host of hosts) process.kill(host, 'SIGKILL');
    await first.end('SIGKILL');
    cpSync(dataDir(), join(folder, 'whole'), { recursive: true, verbatimSymlinks: true });
    rmSync(join(database(), 'journal'), { recursive: true });
    expect(await refusal()).toContain('is older than');
    removeFolder(dataDir());
    cpSync(join(folder, 'whole'), dataDir(), { recursive: true, verbatimSymlinks: true });
    rmSync(join(dataDir(), 'witness'));
    expect(await refusal()).toContain(`The file ${join(dataDir(), 'witness')} is missing`);
  }, 300_000);

  it('answers nothing more when its engine comes back without what was acknowledged', async () => {
    await (await start()).end('SIGTERM');
    const service = await start();
    const token = freshToken();
    await revoke(service, token);
    const [host = 0] = engineHostsOf(service.child.pid ?? 0);
    process.kill(host, 'SIGSTOP');
    rmSync(join(database(), 'journal'), { recursive: true });
    process.kill(host, 'SIGKILL');
    // A lease that ran out comes back; this doesn't.
    await until(
      'its readiness says why',
      async () => (await (await askOnce(service, 'GET', '/readyz')).text()).includes('lost'),
      WITHIN_MS,
    );
    expect(await verify(service, freshToken())).toBe(503);
    await until(
      'it is told why',
      () => service.stdout().includes('is older than what was acknowledged'),
      WITHIN_MS,
    );
    expect(await service.end('SIGTERM')).toBe(0);
  }, 300_000);

  it.each([
    ['cut in half', (file: string) => truncateSync(file, Math.floor(statSync(file).size / 2))],
    ['missing', (file: string) => rmSync(file)],
  ])(
    'whose files are %s says so, and how to mend it',
    async (_, damage) => {
      const first = await start();
      await revoke(first, freshToken());
      await first.end('SIGTERM');
      for (const name of readdirSync(database()))
        if (name.startsWith('collection-')) damage(join(database(), name));
      const said = await refusal();
      expect(said).toContain(`Can't open the database in ${dataDir()}: the engine ended with`);
      expect(said).toContain('Restore the folder from the newest backup (docs/restore.md)');
    },
    120_000,
  );
});
