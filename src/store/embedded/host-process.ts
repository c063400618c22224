// Forks one host of the embedded engine and watches it from the outside; ./engine.ts decides when
// there is to be another.

import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fullWith } from './disk.js';
import {
  dataDirInUse,
  endedItself,
  EngineError,
  engineErrorCodes,
  hasEndedItself,
  openFailed,
  unavailable,
} from './engine-error.js';
import type { EngineErrorCode } from './engine-error.js';
import { listenToLastWords } from './last-words.js';
import { removeSocketDir } from './socket-link.js';

const STOP_DEADLINE_MS = 5_000;
/** After its end, for what it wrote just before; its pipes may be held open by a child of its own. */
const LAST_WORDS_MS = 500;

export type HostReport =
  { ready: true; socketPath: string } | { failed: true; code: EngineErrorCode; message: string };

export interface HostExit {
  code: number | null;
  signal: string | null;
  /** The end of what it wrote to its output; mostly empty. */
  lastWords: string;
}

export interface HostProcess {
  /** Null before it has started and after it has ended. */
  pid(): number | null;
  /** The engine's socket; rejects with an `EngineError` if the process ends before it is open. */
  ready: Promise<string>;
  /** Never rejects. The socket's folder is gone by then, even if the process was killed. */
  exited: Promise<HostExit>;
  /** Whether it was open, ever. */
  hasServed(): boolean;
  /** At once, whatever it does: all that was acknowledged is in the journal. */
  kill(): void;
  /** Asks it to close, kills it after some seconds; done when the process has ended. */
  stop(): Promise<void>;
}

export interface HostFolders {
  /** Named in errors: what the operator has configured. */
  dataDir: string;
  databaseDir: string;
  cacheDir: string;
  /** To be removed when this process is killed; null = none. */
  linkDir: string | null;
}

export function startHostProcess({
  dataDir,
  databaseDir,
  cacheDir,
  linkDir,
}: HostFolders): HostProcess {
  const { path, execArgv } = hostProgram();
  const child = fork(path, [databaseDir, cacheDir, linkDir ?? ''], {
    execArgv,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let report: HostReport | undefined;
  const words = listenToLastWords(child.stdout, child.stderr);

  const exited = new Promise<HostExit>((resolve) => {
    child.once('exit', (code, signal) => {
      const end = () => resolve({ code, signal, lastWords: words.text() });
      const limit = setTimeout(end, LAST_WORDS_MS);
      child.once('close', () => {
        clearTimeout(limit);
        end();
      });
    });
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, lastWords: error.message });
    });
  }).then((exit) => {
    if (report && 'ready' in report) removeSocketDir(report.socketPath);
    return exit;
  });

  const reported = new Promise<HostReport>((resolve) => {
    child.on('message', (message) => {
      report = toReport(message);
      if (report) resolve(report);
    });
  });
  const ready = Promise.race([reported, exited]).then((outcome) => {
    if ('ready' in outcome) return outcome.socketPath;
    throw 'failed' in outcome ? toError(outcome, dataDir) : endedEarly(outcome, dataDir);
  });
  // Whoever stops it early has no interest in this.
  ready.catch(() => undefined);

  return {
    pid: () => (isRunning() ? (child.pid ?? null) : null),
    ready,
    exited,
    hasServed: () => report !== undefined && 'ready' in report,
    kill: () => void child.kill('SIGKILL'),
    async stop() {
      if (child.connected) child.send('stop', () => undefined);
      const kill = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
      await exited;
      clearTimeout(kill);
    },
  };

  function isRunning(): boolean {
    return child.exitCode === null && child.signalCode === null;
  }
}

/** The parent's own arguments, such as --inspect or those of a test runner, are not handed on. */
function hostProgram(): { path: string; execArgv: string[] } {
  const isSource = import.meta.url.endsWith('.ts');
  const path = fileURLToPath(new URL(isSource ? './host.ts' : './host.js', import.meta.url));
  if (!isSource) return { path, execArgv: [] };
  const tsx = createRequire(import.meta.url).resolve('tsx');
  return { path, execArgv: ['--import', pathToFileURL(tsx).href] };
}

function toReport(message: unknown): HostReport | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  if ('ready' in message && 'socketPath' in message && typeof message.socketPath === 'string') {
    return { ready: true, socketPath: message.socketPath };
  }
  if ('failed' in message && 'code' in message && 'message' in message) {
    const code = engineErrorCodes.find((known) => known === message.code) ?? 'open-failed';
    return { failed: true, code, message: String(message.message) };
  }
  return undefined;
}

/** An `unavailable` says it all in its own words; the others have yet to name the directory. */
function toError(report: { code: EngineErrorCode; message: string }, dataDir: string): EngineError {
  if (report.code === 'data-dir-in-use') return dataDirInUse(dataDir, report.message);
  if (report.code === 'open-failed') return openFailed(dataDir, report.message);
  return new EngineError(report.code, report.message);
}

function endedEarly(exit: HostExit, dataDir: string): EngineError {
  const { signal, lastWords } = exit;
  if (signal === 'SIGILL') return unavailable('this processor lacks instructions it needs.');
  if (hasEndedItself(exit)) return toCrash(exit, dataDir);
  return openFailed(
    dataDir,
    `the engine's process ended with ${howEnded(exit)}. ${lastWords}`.trimEnd(),
  );
}

/** What an end by its own hand means. */
export function toCrash(exit: HostExit, dataDir: string): EngineError {
  const { lastWords: words } = exit;
  return endedItself(dataDir, { how: howEnded(exit), words, fullWith: fullWith(dataDir) });
}

/** By a signal, or with a code. */
export function howEnded({ code, signal }: Pick<HostExit, 'code' | 'signal'>): string {
  return signal ?? `code ${code}`;
}
