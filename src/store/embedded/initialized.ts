/**
 * A mark beside the embedded database that it has held data: the engine opens a damaged folder as
 * an empty database without complaint, and an empty revocation list would accept every token again.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'initialized';

/** @throws Error when a database that held data is empty now. */
export function assertNotEmptied(dataDir: string, isEmpty: boolean): void {
  const file = join(dataDir, NAME);
  if (isEmpty && existsSync(file)) {
    throw new Error(
      `The database in ${dataDir} held data before and is empty now: every revocation in it is lost. ` +
        `Restore ${dataDir} from a backup; or, to start from nothing, delete ${file} and change the signing secret.`,
    );
  }
}

export function markInitialized(dataDir: string): void {
  writeFileSync(join(dataDir, NAME), 'This folder holds the database of JWT History.\n');
}
