// Keeps a copy of the engine's package that also loads on glibc 2.36 and 2.37 (Debian 12), where
// the original asks for symbols of 2.38. Made once, checked at each use, remade when damaged.

import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { withoutGlibc238 } from './elf.js';
import { nodeCodeOf } from './engine-error.js';

const MANIFEST = 'MANIFEST';
/** To be raised when the rewriting changes, so that copies made before are made again. */
const RECIPE = 2;

export interface EngineFiles {
  /** The package's `index.js`. */
  entry: string;
  /** The folder of the package with the native files for this platform. */
  nativeDir: string;
}

/** Whether a failure to load comes from a glibc older than 2.38, anywhere in its chain of causes. */
export function isGlibcTooOld(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (/version `GLIBC_2\.38' not found/.test(e.message)) return true;
  }
  return false;
}

/**
 * The path of an `index.js` that loads on glibc 2.36: a copy under `cacheDir`, kept per version of
 * the package.
 * @throws ElfError when a file isn't what the rewriting expects; Error when it can't be written.
 */
export function adaptedCopy(files: EngineFiles, cacheDir: string): string {
  const folder = join(cacheDir, folderName(files));
  prepareCacheDir(cacheDir);
  if (!isIntact(folder)) replaceFolder(folder, (temporary) => writeCopy(files, temporary));
  return join(folder, 'index.js');
}

function folderName({ entry, nativeDir }: EngineFiles): string {
  return `${basename(nativeDir)}-${versionIn(nativeDir)}-${versionIn(dirname(entry))}`;
}

function versionIn(packageDir: string): string {
  const path = join(packageDir, 'package.json');
  const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const version =
    typeof parsed === 'object' && parsed !== null && 'version' in parsed && parsed.version;
  // It becomes part of a path.
  if (typeof version !== 'string' || !/^[\w.+-]+$/.test(version)) {
    throw new Error(`no version in ${path}`);
  }
  return version;
}

/** Code is loaded from here: nobody but us and root may have made it, or may write to it. */
function prepareCacheDir(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const { uid, mode } = statSync(dir);
  if ((uid !== 0 && uid !== process.getuid?.()) || (mode & 0o002) !== 0) {
    throw new Error(`${dir} belongs to another user or can be written by anyone`);
  }
}

function writeCopy({ entry, nativeDir }: EngineFiles, to: string): void {
  const write = (name: string, content: Buffer) =>
    writeFileSync(join(to, name), content, { mode: 0o600 });
  // The package's loader tries the native file beside it first.
  for (const name of ['index.js', 'native.js'])
    write(name, readFileSync(join(dirname(entry), name)));
  for (const name of readdirSync(nativeDir).filter((file) => /\.(node|so)$/.test(file))) {
    write(name, withoutGlibc238(readFileSync(join(nativeDir, name))));
  }
  // The folder may lie inside a project whose files are ES modules; these are not.
  write('package.json', Buffer.from('{"type":"commonjs"}\n'));
  write(MANIFEST, Buffer.from(describe(to)));
}

/** What the manifest of this folder must say: a digest of every other file in it. */
function describe(folder: string): string {
  const names = readdirSync(folder).filter((name) => name !== MANIFEST);
  const lines = names.toSorted().map((name) => {
    const content = readFileSync(join(folder, name));
    return `${createHash('sha256').update(content).digest('hex')}  ${content.length}  ${name}\n`;
  });
  return `recipe ${RECIPE}\n${lines.join('')}`;
}

function isIntact(folder: string): boolean {
  try {
    return readFileSync(join(folder, MANIFEST), 'utf8') === describe(folder);
  } catch (error) {
    // Absent or unreadable: both are mended by making it.
    if (nodeCodeOf(error) === '') throw error;
    return false;
  }
}

/** Fills a new folder, then puts it in place in one step: nobody ever sees half of it. */
function replaceFolder(folder: string, fill: (temporary: string) => void): void {
  const temporary = mkdtempSync(`${folder}.new-`);
  const discarded = `${folder}.old-${randomBytes(6).toString('hex')}`;
  try {
    fill(temporary);
    try {
      renameSync(folder, discarded);
    } catch (error) {
      if (nodeCodeOf(error) !== 'ENOENT') throw error;
    }
    try {
      renameSync(temporary, folder);
    } catch (error) {
      // Another process was faster; what it made serves as well, if it's whole.
      if (!['ENOTEMPTY', 'EEXIST'].includes(nodeCodeOf(error)) || !isIntact(folder)) throw error;
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(discarded, { recursive: true, force: true });
  }
}
