/** Room on the disk: said beforehand, with the figure, in the log and at `/readyz`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { watchDisk } from '../../../src/store/embedded/disk.js';
import { startEngine } from '../../../src/store/embedded/engine.js';
import { toRefusal } from '../../../src/store/database/refusals.js';
import { SECRET } from '../../support/harness.js';
import { makeFolder, removeFolder, runToEnd, startProcess, until } from '../../support/process.js';

const MB = 1024 * 1024;
const cacheDir = fileURLToPath(new URL('../../../node_modules/.cache/engine', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => removeFolder(folder));
const dataDir = () => join(folder, 'data');

describe('room on the disk', () => {
  it('is asked for before a new database is made, and not of one that is there', async () => {
    const start = (freeBytes: number) =>
      startEngine({ dataDir: dataDir(), cacheDir, freeBytes: () => freeBytes });
    await expect(start(312 * MB)).rejects.toMatchObject({
      code: 'open-failed',
      message: `Can't open the data directory ${dataDir()}: only 312 MB are free there, and a new database needs 500 MB to make its indexes. Make room, or choose another DATA_DIR.`,
    });
    expect(readdirSync(dataDir())).toEqual([]);
    await (await start(500 * MB)).stop();
    await (await start(312 * MB)).stop();
  });

  it('is told of once when it is low, and once when there is enough again', async () => {
    const lines: string[] = [];
    let free = 5000 * MB;
    let looks = 0;
    const watch = watchDisk({
      dataDir: folder,
      freeBytes: () => (looks++, free),
      everyMs: 5,
      log: {
        info: (_, line) => lines.push(`info ${line}`),
        warn: (_, line) => lines.push(`warn ${line}`),
      },
    });
    try {
      const lookedAgain = (seen = looks) => until('it was looked at', () => looks > seen + 2);
      expect(watch.space).toEqual({ freeBytes: free, isLow: false });
      await lookedAgain();
      free = 812 * MB;
      await lookedAgain();
      expect(watch.space).toEqual({ freeBytes: free, isLow: true });
      free = 2000 * MB;
      await lookedAgain();
      expect(lines).toEqual([
        `warn only 812 MB free in ${folder}: make room; without it nothing can be issued or revoked`,
        `info 2000 MB free again in ${folder}`,
      ]);
    } finally {
      watch.stop();
    }
  });

  it('that MongoDB misses for an index is no outage to wait for', () => {
    const error = new mongoose.mongo.MongoServerError({
      message: 'available disk space of 312 bytes is less than required minimum of 524288000',
      code: 14_031,
    });
    expect(toRefusal(error)?.message).toMatch(/less than required.*Make room on the disk/);
  });

  it('is shown at /readyz, as a warning that changes nothing else', async () => {
    const service = await startProcess({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET });
    try {
      const answer = await fetch(`${service.address}/readyz`);
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({
        status: 'ready',
        disk: { freeBytes: expect.any(Number), isLow: expect.any(Boolean) },
      });
    } finally {
      await service.end('SIGTERM');
    }
  });

  (canMount() ? it : it.skip)(
    'that is too little is said at once by the service, on a real disk',
    async () => {
      mkdirSync(dataDir());
      mountSmallDisk(dataDir());
      try {
        const { code, stderr } = await runToEnd({ DATA_DIR: dataDir(), GLOBAL_SECRET: SECRET });
        expect(code).toBe(1);
        expect(stderr).toMatch(/only \d+ MB are free there, and a new database needs 500 MB/);
        expect(stderr).not.toContain('MONGODB_URI');
      } finally {
        execFileSync('umount', [dataDir()]);
      }
    },
  );
});

function mountSmallDisk(path: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'none', path], { stdio: 'ignore' });
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
