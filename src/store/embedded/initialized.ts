/**
 * A mark beside the embedded database that it has held data, and which one it was: the engine opens
 * a damaged or deleted folder as an empty database without complaint, and an empty revocation list
 * would accept every token again; even when something has been written into it since.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IdentityStore } from '../database/identity.js';

interface Marked {
  readonly identity: IdentityStore;
  isEmpty(): Promise<boolean>;
}

/** Whatever is in this database, it isn't what was revoked before. */
export class DatabaseLostError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DatabaseLostError';
  }
}

export const RESTORE_OR_ACCEPT =
  'Restore the folder from the newest backup (docs/restore.md); or, to go on with what is there: npm run database -- accept-restore, which refuses every token issued until now.';

const NAME = 'initialized';
export const WITNESS_NAME = 'witness';
const WITNESSED = 'witness: kept beside it';
const ID_LINE = /^id: (\S+)$/m;

/**
 * @param known which one it was, for who has seen it; else the mark in the folder tells.
 * @throws DatabaseLostError when it isn't the database that held data here before; ServiceError 503 when that can't be known.
 */
export async function assertSameDatabase(
  dataDir: string,
  store: Marked,
  known: string | null = null,
): Promise<void> {
  const file = join(dataDir, NAME);
  const mark = existsSync(file) ? readFileSync(file, 'utf8') : null;
  // Earlier versions wrote no id.
  const id = known ?? ID_LINE.exec(mark ?? '')?.[1];
  if (mark === null && id === undefined) return;
  const isEmpty = await store.isEmpty();
  const isSame = id === undefined ? !isEmpty : (await store.identity.find()) === id;
  if (known === null && mark?.includes(WITNESSED) && !existsSync(join(dataDir, WITNESS_NAME)))
    throw new DatabaseLostError(
      `The file ${join(dataDir, WITNESS_NAME)} is missing: nothing tells whether the newest revocations are in the database. ${RESTORE_OR_ACCEPT}`,
    );
  if (isSame) return;
  throw new DatabaseLostError(
    `The database in ${dataDir} held data before and is ${isEmpty ? 'empty' : 'another one'} now: every revocation in it is lost. ` +
      RESTORE_OR_ACCEPT,
  );
}

/** Notes which database this is, now that it holds data and has a witness. @returns its id. */
export async function markInitialized(dataDir: string, store: Marked): Promise<string> {
  const file = join(dataDir, NAME);
  const id = await store.identity.give(randomUUID());
  const text = `This folder holds the database of JWT History.\nid: ${id}\n${WITNESSED}\n`;
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return id;
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return id;
}
