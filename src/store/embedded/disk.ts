// How much room the embedded engine has: said before it is too little, and with the figure.

import { statfsSync } from 'node:fs';
import { nodeCodeOf } from './engine-error.js';

export interface DiskSpace {
  readonly freeBytes: number;
  /** Room should be made soon. */
  readonly isLow: boolean;
}

export interface DiskWatch {
  /** As of the last look. */
  readonly space: DiskSpace;
  stop(): void;
}

export type FreeBytes = (folder: string) => number;

interface Dependencies {
  readonly dataDir: string;
  readonly freeBytes?: FreeBytes;
  readonly everyMs?: number;
  readonly log: Record<'info' | 'warn', (fields: object, message: string) => void>;
}

const MEBIBYTE = 1024 * 1024;
const LOW_BYTES = 1024 * MEBIBYTE;
/** MongoDB makes no index with less (`indexBuildMinAvailableDiskSpaceMB`). */
export const NEEDED_FOR_INDEXES_BYTES = 500 * MEBIBYTE;
/** The engine ends itself when a write finds no room. */
const FULL_BYTES = 64 * MEBIBYTE;
const EVERY_MS = 10_000;

/** What this process may still write there. */
export function freeBytesIn(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

export function megabytes(bytes: number): string {
  return `${Math.floor(bytes / MEBIBYTE)} MB`;
}

/** How much is free on a disk that is full; null = it isn't, or the folder is gone. */
export function fullWith(folder: string): string | null {
  try {
    const free = freeBytesIn(folder);
    return free < FULL_BYTES ? megabytes(free) : null;
  } catch (error) {
    if (nodeCodeOf(error) === '') throw error;
    return null;
  }
}

/** Looks now and then; tells the log once when space becomes low, and once when there is enough again. */
export function watchDisk({
  dataDir,
  log,
  freeBytes = freeBytesIn,
  everyMs = EVERY_MS,
}: Dependencies): DiskWatch {
  let space: DiskSpace = { freeBytes: Infinity, isLow: false };

  function look(): void {
    let free: number;
    try {
      free = freeBytes(dataDir);
    } catch (error) {
      // The folder is gone: others tell of that.
      if (nodeCodeOf(error) === '') throw error;
      return;
    }
    const isLow = free < LOW_BYTES;
    if (isLow && !space.isLow)
      log.warn(
        {},
        `only ${megabytes(free)} free in ${dataDir}: make room; without it nothing can be issued or revoked`,
      );
    if (!isLow && space.isLow) log.info({}, `${megabytes(free)} free again in ${dataDir}`);
    space = { freeBytes: free, isLow };
  }

  look();
  const timer = setInterval(look, everyMs).unref();
  return {
    get space() {
      return space;
    },
    stop: () => clearInterval(timer),
  };
}
