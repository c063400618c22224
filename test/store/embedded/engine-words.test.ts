/** Why the embedded engine ended: what it said at last, on either stream, and whether its disk is full, beside the news of its end. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statfsSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createJti } from '../../../src/tokens/jti.js';
import { jtiOf, mint, SECRET } from '../../support/harness.js';
import {
  engineHostsOf,
  makeFolder,
  removeFolder,
  runToEnd,
  type ServiceProcess,
  startProcess,
  until,
} from '../../support/process.js';

const MB = 1024 * 1024;

let folder: string;
let service: ServiceProcess | null = null;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(async () => {
  await service?.end('SIGKILL');
  service = null;
  removeFolder(folder);
});
const dataDir = () => join(folder, 'data');

/** Loaded into the engine's process, says something on both streams and aborts, as MongoDB's code does. */
function speaking(when: 'at once' | 'on SIGUSR2'): Record<string, string> {
  const crash = `() => {
    process.stdout.write('said on stdout: No space left on device\\n');
    process.stderr.write('said on stderr: fassert() failure\\n', () => process.abort());
  }`;
  const begin = when === 'at once' ? `setImmediate(${crash})` : `process.on('SIGUSR2', ${crash})`;
  const program = `if (/embedded.host/.test(process.argv[1])) ${begin};`;
  return {
    NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(program)}"`,
  };
}

interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

const ends = ({ stdout }: Pick<ServiceProcess, 'stdout'>) =>
  stdout()
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line)
    .filter(({ msg }) => msg.startsWith('the embedded engine ended'));

describe('an engine that ends', () => {
  it('leaves its last words, of both streams, beside the news', async () => {
    const running = await startProcess({ DATA_DIR: dataDir(), ...speaking('on SIGUSR2') });
    service = running;
    const [host = 0] = engineHostsOf(running.child.pid ?? 0);
    process.kill(host, 'SIGUSR2');
    await until('it is told of', () => ends(running).length > 0);
    const [line] = ends(running);
    expect(line).toMatchObject({
      level: 'warn',
      msg: 'the embedded engine ended with SIGABRT; it is started again',
      signal: 'SIGABRT',
    });
    expect(line?.['lastWords']).toContain('said on stdout: No space left on device');
    expect(line?.['lastWords']).toContain('said on stderr: fassert() failure');
    await until('it is back', () => running.stdout().includes('engine is back'));
    // One that is killed says nothing, and then nothing is said of words.
    const [next = 0] = engineHostsOf(running.child.pid ?? 0);
    process.kill(next, 'SIGKILL');
    await until('it is told of', () => ends(running).length > 1);
    expect(ends(running)[1]).toMatchObject({ signal: 'SIGKILL' });
    expect(ends(running)[1]).not.toHaveProperty('lastWords');
  });

  it('before it ever served, has them in the reason why the start failed', async () => {
    const { code, stderr } = await runToEnd({ DATA_DIR: dataDir(), ...speaking('at once') });
    expect(code).toBe(1);
    expect(stderr).toContain('ended with SIGABRT');
    expect(stderr).toContain('said on stdout: No space left on device');
    expect(stderr).toContain('said on stderr: fassert() failure');
  });

  const onSmallDisk = canMount() ? it : it.skip;
  onSmallDisk(
    'as its disk is full, which it does without a word, is told of with that',
    async () => {
      mkdirSync(dataDir());
      mountSmallDisk(dataDir());
      try {
        const running = await startProcess({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET });
        service = running;
        const ballast = join(dataDir(), 'ballast');
        fill(dataDir(), ballast);
        await until('the engine ended', async () => {
          // The journal has room of its own, which is used up first.
          const statuses = await Promise.all(Array.from({ length: 32 }, () => revoke(running)));
          // Whatever is freed is taken too, until it ends.
          if (!statuses.includes(503)) fill(dataDir(), ballast);
          return ends(running).length > 0;
        });
        expect(ends(running)[0]).toMatchObject({
          msg: expect.stringMatching(
            /^the embedded engine ended with SIGABRT: the disk is full \(\d+ MB free\), make room; it is started again$/,
          ),
        });
        unlinkSync(ballast);
        await until('it is back', () => running.stdout().includes('engine is back'));
        await running.end('SIGTERM');
      } finally {
        execFileSync('umount', ['--lazy', dataDir()]);
      }
    },
  );
});

async function revoke({ address }: ServiceProcess): Promise<number> {
  const iat = Math.floor(Date.now() / 1000);
  const token = mint({ jti: createJti(Date.now()), _id: 'x', iss: 'i', iat });
  const { status } = await fetch(`${address}/v3/jwt/history/${jtiOf(token)}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${token}` },
  });
  return status;
}

/** Takes all the room that is left. */
function fill(disk: string, path: string): void {
  const file = openSync(path, 'a');
  try {
    const { bavail, bsize } = statfsSync(disk);
    let left = bavail * bsize;
    const block = Buffer.alloc(MB, 1);
    while (left > 0) left -= writeSync(file, block, 0, Math.min(MB, left));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}

function mountSmallDisk(path: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600m', 'none', path], { stdio: 'ignore' });
}

/** Only root may, and not everywhere. */
function canMount(): boolean {
  const path = makeFolder();
  try {
    mountSmallDisk(path);
    execFileSync('umount', [path]);
    return true;
  } catch {
    return false;
  } finally {
    removeFolder(path);
  }
}
