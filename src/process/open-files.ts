/** How many files this process may have open: too few, and the engine dies in the middle of its work. */
import { readFileSync } from 'node:fs';

const NEEDED = 256;

/** @throws Error in one line, with the mend, when they are too few; where the system doesn't tell (no /proc), they are enough. */
export function assertEnoughOpenFiles(limit = openFilesLimit()): void {
  if (limit === null || limit >= NEEDED) return;
  throw new Error(
    `Only ${limit} files may be open at a time here, and ${NEEDED} are needed. Raise the limit: ulimit -n 1024, or LimitNOFILE=1024 (systemd), --ulimit nofile=1024 (docker run).`,
  );
}

/** Node has raised the soft limit to the hard one by now. */
function openFilesLimit(): number | null {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? null : Number(soft);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return null;
  }
}
