// The fixed, short address of an engine whose socket has a new name at each start: a symbolic link
// that is replaced in one step, so that a client's next connection finds the new socket.

import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { nodeCodeOf } from './engine-error.js';

// A driver takes an address for a socket by this ending.
const LINK_NAME = 'engine.sock';
const OWN_DIR = 'jwt-history-link-';
/** A socket's address has room for 107 bytes (Linux) or 103 (macOS). */
const MAX_PATH_BYTES = 100;

export interface SocketLink {
  readonly path: string;
  /** Where the link lies if that is no data directory: to be removed when nobody uses it any more. */
  readonly ownDir: string | null;
  /** To be called by the holder of the data directory only: it takes over a link left behind. */
  pointTo(socketPath: string): Promise<void>;
  /** Whether the link and the socket are there; a link that went is put back where that is possible. */
  leadsToSocket(): boolean;
  /** Leaves a link alone that another service has meanwhile pointed elsewhere. */
  remove(): void;
}

/** Chooses the link's place: `dataDir` or, if that won't do, a folder of its own, made with the link. */
export function createSocketLink(dataDir: string): SocketLink {
  const inDataDir = join(dataDir, LINK_NAME);
  // The driver decodes an address twice, which turns a `%2F` in a folder's name into a slash.
  const isAddress = Buffer.byteLength(inDataDir) <= MAX_PATH_BYTES && !inDataDir.includes('%');
  const fits = isAddress && isOursAlone(dataDir);
  const ownDir = fits ? null : ownDirFor(dataDir);
  const path = ownDir === null ? inDataDir : join(ownDir, LINK_NAME);
  let target: string | null = null;

  function set(socketPath: string): void {
    const next = `${path}.new`;
    rmSync(next, { force: true });
    symlinkSync(socketPath, next);
    renameSync(next, path);
    target = socketPath;
  }

  return {
    path,
    ownDir,
    async pointTo(socketPath) {
      if (ownDir !== null) makeOwnDir(ownDir);
      const before = readLink(path);
      set(socketPath);
      // Left by a service that was killed together with its engine, unless somebody serves it: a
      // copy of a data directory has a copy of the link, which leads to the original's engine.
      if (before !== null && before !== socketPath && !(await mayBeServed(before)))
        removeSocketDir(before);
    },
    leadsToSocket() {
      if (target === null || !existsSync(target)) return false;
      try {
        if (readLink(path) !== target) set(target);
        return true;
      } catch (error) {
        // The folder is gone, or can't be written to any more.
        if (nodeCodeOf(error) === '') throw error;
        return false;
      }
    },
    remove() {
      // Until then what is there is another's: of a service that has the data directory open.
      if (target === null) return;
      if (readLink(path) === target) rmSync(path, { force: true });
      if (ownDir !== null) removeOwnDir(ownDir);
    },
  };
}

/**
 * Removes an engine's socket and the folder made for it. Nothing else: neither a path of another
 * form, nor a folder that holds more.
 */
export function removeSocketDir(socketPath: string): void {
  const dir = dirname(socketPath);
  if (!/^embedded-mongodb-\w{6}$/.test(basename(dir))) return;
  try {
    rmSync(socketPath, { force: true });
    rmdirSync(dir);
  } catch (error) {
    // Gone already, or not ours to remove.
    if (nodeCodeOf(error) === '') throw error;
  }
}

/** Only a refused connection says that nobody listens: an engine that hangs has a full queue instead. */
function mayBeServed(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socketPath);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error) => resolve(nodeCodeOf(error) !== 'ECONNREFUSED'));
  });
}

/**
 * The same for each start on a data directory, so that what a killed one left behind is used and
 * removed by the next; a copy of the directory has another. Made by the holder of the directory.
 */
function ownDirFor(dataDir: string): string {
  const { dev, ino } = statSync(dataDir);
  const key = createHash('sha256').update(`${realpathSync(dataDir)}\n${dev}\n${ino}`);
  const dir = join(tmpdir(), `${OWN_DIR}${key.digest('hex').slice(0, 12)}`);
  // Anyone may have made something of that name.
  return !existsSync(dir) || isOurDir(dir) ? dir : `${dir}-${randomBytes(6).toString('hex')}`;
}

function makeOwnDir(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    if (nodeCodeOf(error) !== 'EEXIST' || !isOurDir(dir)) throw error;
  }
}

function isOurDir(path: string): boolean {
  return lstatSync(path).isDirectory() && isOursAlone(path);
}

/** Removes the folder of a link; by the engine's host, when the service that made it was killed. */
export function removeOwnDir(dir: string): void {
  if (basename(dir).startsWith(OWN_DIR)) rmSync(dir, { recursive: true, force: true });
}

/** In a folder that others can write to, they could put a socket of their own in our place. */
function isOursAlone(dir: string): boolean {
  const { uid, mode } = lstatSync(dir);
  return uid === process.getuid?.() && (mode & 0o022) === 0;
}

function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    // None there, or no link.
    if (!['ENOENT', 'EINVAL'].includes(nodeCodeOf(error))) throw error;
    return null;
  }
}
