// Nobody but the service's own user reads what the data directory holds: password hashes, the
// signing secret. What an earlier version, or a copy, left readable is closed at the start.

import { chmodSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { nodeCodeOf } from './engine-error.js';

const OTHERS = 0o077;
/** What the service makes there, and nothing else: the folder may hold more, or be everybody's. */
const OURS = ['db', 'signing-secret', 'initialized', 'witness', '.engine'];

/**
 * Takes the rights of group and others from what is the service's in `dataDir`.
 * @returns what an operator should know, a sentence each.
 */
export function closeToOthers(dataDir: string): string[] {
  const closed: string[] = [];
  const failed: string[] = [];
  for (const name of OURS) close(join(dataDir, name), closed, failed);
  const [first = ''] = closed;
  const [stillOpen = ''] = failed;
  return [
    ...(closed.length > 0
      ? [`other users could read ${first}${andMore(closed)}: closed to them now`]
      : []),
    ...(failed.length > 0
      ? [
          `other users can read ${stillOpen}${andMore(failed)}, and that can't be changed here: chmod -R go-rwx ${dataDir}`,
        ]
      : []),
    ...(canBeReplacedByOthers(dataDir)
      ? [`other users can write to ${dataDir}, and put another database there: chmod go-w it`]
      : []),
  ];
}

/** In a folder like /tmp everybody makes files, and nobody touches another's. */
function canBeReplacedByOthers(dataDir: string): boolean {
  const { mode } = statSync(dataDir);
  return (mode & 0o022) !== 0 && (mode & 0o1000) === 0;
}

function close(path: string, closed: string[], failed: string[]): void {
  const stat = statOf(path);
  if (stat === null || stat.isSymbolicLink()) return;
  if ((stat.mode & OTHERS) !== 0) {
    try {
      chmodSync(path, stat.mode & ~OTHERS & 0o7777);
      // Some filesystems take it and change nothing.
      ((lstatSync(path).mode & OTHERS) === 0 ? closed : failed).push(path);
    } catch (error) {
      // Somebody else's, or a filesystem without modes; or gone meanwhile.
      if (nodeCodeOf(error) === '') throw error;
      if (nodeCodeOf(error) !== 'ENOENT') failed.push(path);
    }
  }
  if (stat.isDirectory())
    for (const name of readdirSync(path)) close(join(path, name), closed, failed);
}

/** null = there is no such file (any more). */
function statOf(path: string) {
  try {
    return lstatSync(path);
  } catch (error) {
    if (nodeCodeOf(error) !== 'ENOENT') throw error;
    return null;
  }
}

function andMore({ length }: readonly string[]): string {
  return length > 1 ? ` and ${length - 1} more` : '';
}
