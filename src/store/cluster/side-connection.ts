/**
 * A connection of its own for what keeps the instances together: short commands that must not queue
 * behind lists and exports, and that are given up early, since whoever waits for them can't answer.
 */
import mongoose from 'mongoose';
import { unavailable } from '../../errors.js';
import { translate } from '../database/failures.js';

export interface SideConnection {
  /**
   * Runs one short operation. Whatever fails but for a refusal of the server, and whatever takes
   * longer than its limit, ends the connection; the next one makes another.
   * @throws ServiceError 503: the outcome of a write is unknown then.
   */
  use<T>(operation: (db: mongoose.mongo.Db) => Promise<T>, limitMs?: number): Promise<T>;
  close(): Promise<void>;
}

interface Options {
  readonly uri: string;
  readonly database: string;
}

const LIMIT_MS = 800;
const SILENCE = 'The token store does not answer. Nothing is confirmed; repeat the request.';

/** Connects only when it is used. */
export function createSideConnection({ uri, database }: Options): SideConnection {
  let client: mongoose.mongo.MongoClient | null = null;
  let isClosed = false;

  function connected(): mongoose.mongo.MongoClient {
    if (isClosed) throw unavailable(SILENCE, new Error('the store is closed'));
    client ??= new mongoose.mongo.MongoClient(uri, {
      serverSelectionTimeoutMS: LIMIT_MS,
      connectTimeoutMS: LIMIT_MS,
      waitQueueTimeoutMS: LIMIT_MS,
      minHeartbeatFrequencyMS: 50,
      // The log's reader may wait for what comes; besides it there are few.
      maxPoolSize: 6,
      readPreference: 'primary',
      // Whoever asks decides whether it is asked again.
      retryWrites: false,
      retryReads: false,
      ignoreUndefined: true,
      appName: 'jwt-history',
    });
    return client;
  }

  /** Its sockets may hang: nobody waits for their end. */
  function giveUp(failed: mongoose.mongo.MongoClient): void {
    if (client === failed) client = null;
    failed.close().catch(() => undefined);
  }

  return {
    async use(operation, limitMs = LIMIT_MS) {
      const used = connected();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(
          () => reject(unavailable(SILENCE, new Error(`no answer within ${limitMs} ms`))),
          limitMs,
        );
      });
      try {
        return await Promise.race([operation(used.db(database)), late]);
      } catch (error) {
        if (!(error instanceof mongoose.mongo.MongoServerError)) giveUp(used);
        throw error instanceof mongoose.mongo.MongoServerError && !isOutage(error)
          ? error
          : translate(error);
      } finally {
        clearTimeout(timer);
      }
    },

    async close() {
      isClosed = true;
      const last = client;
      client = null;
      await last?.close();
    },
  };
}

/** A refusal that the asker may know what to do about; every other one passes, or is an outage. */
function isOutage({ code }: mongoose.mongo.MongoServerError): boolean {
  return typeof code !== 'number' || !KNOWN_TO_ASKERS.has(code);
}

/** BadValue (a tailable cursor on what isn't capped), CursorNotFound, NamespaceExists, CappedPositionLost. */
const KNOWN_TO_ASKERS: ReadonlySet<number> = new Set([2, 43, 48, 136]);
