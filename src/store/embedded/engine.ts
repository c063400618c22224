// MongoDB's engine on a folder of this machine, in a process of its own that is started again
// whenever it dies, behind one address that stays the same.

import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type FreeBytes,
  freeBytesIn,
  fullWith,
  megabytes,
  NEEDED_FOR_INDEXES_BYTES,
} from './disk.js';
import { EngineError, hasEndedItself, messageOf, openFailed } from './engine-error.js';
import { USUAL_TIMING, watchEngine, type WatchTiming } from './engine-watch.js';
import {
  type HostExit,
  type HostProcess,
  howEnded,
  startHostProcess,
  toCrash,
} from './host-process.js';
import { closeToOthers } from './modes.js';
import { createSocketLink, type SocketLink } from './socket-link.js';

/** The engine makes `embedded-mongodb-XXXXXX/mongodb.sock` there, of at most 107 bytes in all. */
const MAX_TMPDIR_BYTES = 107 - '/embedded-mongodb-XXXXXX/mongodb.sock'.length;

const RESTART_DELAYS_MS = [0, 100, 200, 400, 800, 1_600, 2_000];

export interface EngineLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface EngineOptions {
  /** Made with mode 0700 if missing. Holds the database, and the link to its socket. */
  dataDir: string;
  /** Where a copy for an older glibc is kept, if one is needed; by default in `dataDir`. */
  cacheDir?: string;
  log?: EngineLog;
  /** Called when the engine serves again after it had died. */
  onRestart?: () => void;
  /** Called each time it ended itself, before it is started again. */
  onCrash?: (error: EngineError) => void;
  /** When it is taken for hung. */
  watch?: WatchTiming;
  freeBytes?: FreeBytes;
}

export interface Engine {
  /** Complete but for the caller's own options, which go behind it with `&`. */
  readonly uri: string;
  /** Leaves no process, socket or link behind. May be called more than once. */
  stop(): Promise<void>;
  /** The process that holds the engine; null while there is none. */
  hostPid(): number | null;
}

/** After `kill -9` of a service its engine lives on for a moment, until it has closed the database. */
const ENDS_WITHIN_MS = 3000;
const ASK_AGAIN_MS = 100;

/** After the first start, starts again without end. @throws EngineError when the first one fails. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const dataDir = resolve(options.dataDir);
  const cacheDir = resolve(options.cacheDir ?? join(dataDir, '.engine'));
  prepare(dataDir, options.log);
  assertRoomForIndexes(dataDir, options.freeBytes ?? freeBytesIn);
  const link = createSocketLink(dataDir);
  const databaseDir = join(dataDir, 'db');
  const startHost = () =>
    startHostProcess({ dataDir, databaseDir, cacheDir, linkDir: link.ownDir });

  let host = startHost();
  const refuseAt = performance.now() + ENDS_WITHIN_MS;
  for (;;) {
    try {
      await link.pointTo(await host.ready);
      break;
    } catch (error) {
      await host.stop();
      const mayEnd = error instanceof EngineError && error.code === 'data-dir-in-use';
      if (!mayEnd || performance.now() > refuseAt) {
        link.remove();
        throw error instanceof EngineError ? error : openFailed(dataDir, messageOf(error), error);
      }
      await sleep(ASK_AGAIN_MS);
      host = startHost();
    }
  }
  const supervisor = supervise(host, startHost, link, { ...options, dataDir });
  return {
    uri: `mongodb://${encodeURIComponent(link.path)}/?directConnection=true`,
    ...supervisor,
  };
}

function prepare(dataDir: string, log: EngineLog | undefined): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    if (!statSync(dataDir).isDirectory()) throw new Error('it is not a directory');
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
    for (const sentence of closeToOthers(dataDir)) log?.warn({}, sentence);
  } catch (error) {
    throw openFailed(dataDir, messageOf(error), error);
  }
  if (Buffer.byteLength(tmpdir()) > MAX_TMPDIR_BYTES) {
    throw openFailed(dataDir, `no socket fits below ${tmpdir()}; set TMPDIR to a shorter path.`);
  }
}

/** Where indexes are still to be made; what is there goes on with less. */
function assertRoomForIndexes(dataDir: string, freeBytes: FreeBytes): void {
  if (existsSync(join(dataDir, 'db'))) return;
  const free = freeBytes(dataDir);
  if (free >= NEEDED_FOR_INDEXES_BYTES) return;
  throw openFailed(
    dataDir,
    `only ${megabytes(free)} are free there, and a new database needs ${megabytes(NEEDED_FOR_INDEXES_BYTES)} to make its indexes. Make room, or choose another DATA_DIR.`,
  );
}

function supervise(
  first: HostProcess,
  startHost: () => HostProcess,
  link: SocketLink,
  { dataDir, log, onRestart, onCrash, watch = USUAL_TIMING }: EngineOptions,
): Omit<Engine, 'uri'> {
  const stopping = new AbortController();
  const { signal } = stopping;
  let host = first;
  /** A long outage is told of once for each reason. */
  let failedWith: string | null = null;

  async function keepRunning(): Promise<void> {
    let failures = 0;
    for (;;) {
      const { exit, why } = await endOf(host);
      if (signal.aborted) return;
      if (why === null && hasEndedItself(exit)) onCrash?.(toCrash(exit, dataDir));
      const delayMs = RESTART_DELAYS_MS[failures++] ?? 2_000;
      // One that did not even start has been told of.
      if (host.hasServed())
        log?.warn(
          { ...fieldsOf(exit), delayMs },
          `${endOfEngine(exit, why, dataDir)}; it is started again`,
        );
      await sleep(delayMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      // A host that served was sound: its end is a new incident, and nobody waits for it.
      if (await startAnother()) failures = 0;
    }
  }

  /** `why` is said when it had to be ended. */
  async function endOf(running: HostProcess): Promise<{ exit: HostExit; why: string | null }> {
    const ended: { why: string | null } = { why: null };
    const unwatch = running.hasServed()
      ? watchEngine({ path: link.path, isThere: link.leadsToSocket }, watch, (reason) => {
          if (signal.aborted) return;
          ended.why = reason;
          running.kill();
        })
      : () => undefined;
    signal.addEventListener('abort', unwatch);
    const exit = await running.exited;
    signal.removeEventListener('abort', unwatch);
    unwatch();
    return { exit, why: ended.why };
  }

  async function startAnother(): Promise<boolean> {
    try {
      host = startHost();
      const socketPath = await host.ready;
      if (signal.aborted) return false;
      await link.pointTo(socketPath);
      failedWith = null;
      log?.info({ pid: host.pid() }, 'the embedded engine is back');
      onRestart?.();
      return true;
    } catch (error) {
      if (!signal.aborted && failedWith !== messageOf(error)) {
        failedWith = messageOf(error);
        log?.warn({ err: error }, 'the embedded engine did not start; it is tried again and again');
      }
      await host.stop();
      return false;
    }
  }

  const ended = keepRunning();
  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    stopping.abort();
    // First the link, while our host keeps any other service from this data directory.
    link.remove();
    await host.stop();
    await ended;
  }

  return { stop: () => (stopped ??= stop()), hostPid: () => host.pid() };
}

function fieldsOf({ code, signal, lastWords }: HostExit): object {
  return { code, signal, ...(lastWords === '' ? {} : { lastWords }) };
}

/** On a full disk the engine ends without a word, so it is looked at from here. @param why it had to be ended, if so */
function endOfEngine(exit: HostExit, why: string | null, dataDir: string): string {
  if (why !== null) return `the embedded engine was ended, as ${why}`;
  const full = fullWith(dataDir);
  const about = full === null ? '' : `: the disk is full (${full} free), make room`;
  return `the embedded engine ended with ${howEnded(exit)}${about}`;
}
