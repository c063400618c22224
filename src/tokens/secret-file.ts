/** The signing secret of an installation that configured none: made once, kept in a file that only this user can read. */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'signing-secret';

/** Complete on disk before it is used: a token must never outlive its key. @throws Error naming the file when it can't be read or made. */
export function readOrMakeSecret(dataDir: string): string {
  const file = join(dataDir, NAME);
  const existing = read(file);
  if (existing !== null) return existing;
  const temporary = `${file}.${process.pid}`;
  rmSync(temporary, { force: true });
  const descriptor = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(descriptor, `${randomBytes(48).toString('base64')}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  try {
    linkSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
  const made = read(file);
  if (made === null) throw new Error(`${file} could not be made.`);
  return made;
}

function read(file: string): string | null {
  let content: string;
  try {
    content = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (content.length < 32)
    throw new Error(
      `${file} holds no signing secret; restore it from a backup, or delete it to start with a new one (every token signed so far is then refused).`,
    );
  return content;
}
