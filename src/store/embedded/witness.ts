/**
 * A file beside the database that remembers the newest revocations, whatever becomes of the engine's
 * own files: an engine that lost its journal, or was given an older file, opens without a word at an
 * earlier moment. It is appended to once a revocation is durable, and asked before anything is
 * answered. The loss of the whole folder is another matter (`../beginning.ts`).
 */
import { readFileSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { CutoffScope, CutoffStore } from '../cutoffs/cutoffs.js';
import type { RevokedEntry } from '../tokens/revoked-entry.js';
import type { TokenStore } from '../tokens/tokens.js';
import { nodeCodeOf } from './engine-error.js';
import {
  createSeen,
  keyOf,
  type SeenCutoff,
  type SeenToken,
  type WitnessedRecord,
} from './witness-lines.js';
import { DatabaseLostError, RESTORE_OR_ACCEPT, WITNESS_NAME } from './initialized.js';

export interface Witness {
  /** This is durable in the database now. Neither waits nor throws: it is on disk within a second. */
  revoked(record: WitnessedRecord): void;
  /** The last word on a scope counts, also when it is an earlier time. */
  cutOff(scope: CutoffScope & { readonly at: Date }): void;
  /** @throws DatabaseLostError when something that was seen here is news to the loaded list. */
  assertKnown(list: LoadedList): void;
  /** The same of the database itself, for one whose engine has died. @throws ServiceError 503 when it can't be asked. */
  assertStored(store: StoredRevocations): Promise<void>;
  /** Begins to write; what was read before is kept as far as it is needed. @throws Error when it can't be written. */
  start(): Promise<void>;
  /** Forgets what was seen: an operator accepts its loss. */
  forget(): void;
  stop(): Promise<void>;
}

/** The revocation index, of which both say whether it is news. */
interface LoadedList {
  add(entry: RevokedEntry): boolean;
  raiseCutoff(scope: CutoffScope, at: Date): boolean;
}

interface StoredRevocations {
  readonly tokens: Pick<TokenStore, 'findByIds'>;
  readonly cutoffs: Pick<CutoffStore, 'all'>;
}

interface WitnessOptions {
  readonly dataDir: string;
  /** ms since the epoch. */
  readonly clock: () => number;
  readonly log: { warn(fields: object, message: string): void };
}

const MAKE_WRITABLE =
  'It and its folder must belong to the user that the service runs as (chown), and the disk must have room.';
const WRITE_EVERY_MS = 250;
/** Then it is written anew with what is kept. */
const MOST_LINES = 2000;
/** What has expired may have been deleted; clocks differ. */
const EXPIRY_SLACK_MS = 60_000;

/** Reads what was seen before; nothing is written yet. */
export function openWitness({ dataDir, clock, log }: WitnessOptions): Witness {
  const file = join(dataDir, WITNESS_NAME);
  const seen = createSeen(read(file));
  let waiting: string[] = [];
  let handle: FileHandle | null = null;
  let lines = 0;
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();
  let failing = false;

  function note(line: string): void {
    waiting.push(line);
    // Only the newest are of use, should it be long until they can be written.
    if (waiting.length > MOST_LINES) waiting = waiting.slice(-MOST_LINES / 2);
    timer ??= setTimeout(() => {
      timer = null;
      writing = writing.then(write);
    }, WRITE_EVERY_MS).unref();
  }

  async function write(): Promise<void> {
    const batch = waiting;
    waiting = [];
    try {
      // One that was deleted, though open, would be missed at the next start.
      const isThere = handle !== null && (await handle.stat()).nlink > 0;
      if (handle === null || !isThere || lines + batch.length > MOST_LINES) await writeAnew();
      else {
        await handle.appendFile(batch.join(''));
        await handle.datasync();
        lines += batch.length;
      }
      failing = false;
    } catch (error) {
      if (nodeCodeOf(error) === '') throw error;
      // What was torn off is written anew with the rest.
      await letGo();
      if (!failing) log.warn({ err: error }, `${file} can't be written; it is tried again`);
      failing = true;
      note('');
    }
  }

  async function letGo(): Promise<void> {
    const closing = handle;
    handle = null;
    try {
      await closing?.close();
    } catch (error) {
      if (nodeCodeOf(error) === '') throw error;
    }
  }

  async function writeAnew(): Promise<void> {
    const kept = seen.lines();
    const next = await open(`${file}.new`, 'w', 0o600);
    try {
      await next.writeFile(kept.join(''));
      await next.datasync();
      await rename(`${file}.new`, file);
    } catch (error) {
      await next.close();
      throw error;
    }
    await letGo();
    handle = next;
    lines = kept.length;
    await syncFolder(dataDir);
  }

  return {
    revoked(record) {
      const line = seen.addToken(record);
      if (line !== null) note(line);
    },
    cutOff: (cutoff) => note(seen.addCutoff(cutoff)),

    assertKnown(list) {
      const tokens = seen.tokens().filter((token) => !mayBeForgotten(token, clock()));
      assertNoneMissing(dataDir, [
        ...tokens.filter((token) => list.add(token)),
        ...seen.cutoffs().filter(({ scope, at }) => list.raiseCutoff(scope, new Date(at))),
      ]);
    },

    async assertStored({ tokens, cutoffs }) {
      const wanted = seen.tokens().filter((token) => !mayBeForgotten(token, clock()));
      const wantedCutoffs = seen.cutoffs();
      const [found, all] = await Promise.all([
        tokens.findByIds(wanted.map(({ id }) => id)),
        cutoffs.all(),
      ]);
      const revoked = new Set(found.filter(({ revocation }) => revocation).map(({ id }) => id));
      const timeOf = new Map(all.map((cutoff) => [keyOf(cutoff), cutoff.at.getTime()]));
      assertNoneMissing(dataDir, [
        ...wanted.filter(({ id }) => !revoked.has(id)),
        ...wantedCutoffs.filter(({ scope, at }) => (timeOf.get(keyOf(scope)) ?? -Infinity) < at),
      ]);
    },

    async start() {
      writing = writing.then(write);
      await writing;
      // Later it is tried again; but a start without it would be refused the next time.
      if (failing) throw new Error(`${file} can't be written. ${MAKE_WRITABLE}`);
    },

    forget: seen.forget,

    async stop() {
      if (timer !== null) {
        clearTimeout(timer);
        writing = writing.then(write);
      }
      await writing;
      // What could not be written has been told of.
      if (timer !== null) clearTimeout(timer);
      await letGo();
    },
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return '';
    throw new Error(`${file} can't be read (${nodeCodeOf(error)}). ${MAKE_WRITABLE}`, {
      cause: error,
    });
  }
}

function mayBeForgotten({ expiresAt }: SeenToken, now: number): boolean {
  return expiresAt !== null && expiresAt - EXPIRY_SLACK_MS < now;
}

function assertNoneMissing(dataDir: string, missing: readonly (SeenToken | SeenCutoff)[]): void {
  if (missing.length === 0) return;
  const numbers = missing.map(({ n }) => n);
  throw new DatabaseLostError(
    `The database in ${dataDir} is older than what was acknowledged here, or a part of it is missing: of the newest revocations at least ${missing.length} are not in it (numbers ${Math.min(...numbers)} to ${Math.max(...numbers)}). ${RESTORE_OR_ACCEPT}`,
  );
}

/** So that the file's new name outlives a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
