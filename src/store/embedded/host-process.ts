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
import { removeSocketDir } from './socket-link.js';

const STOP_DEADLINE_MS = 5_000;
const STDERR_KEPT = 2_000;

export type HostReport =
  { ready: true; socketPath: string } | { failed: true; code: EngineErrorCode; message: string };

export interface HostExit {
  code: number | null;
  signal: string | null;
  /** The end of what it wrote to stderr: a crash of the engine says why there. */
  stderr: string;
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
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let report: HostReport | undefined;
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });

  const exited = new Promise<HostExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal, stderr }));
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, stderr: error.message });
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

function endedEarly({ code, signal, stderr }: HostExit, dataDir: string): EngineError {
  if (signal === 'SIGILL') return unavailable('this processor lacks instructions it needs.');
  if (hasEndedItself({ code, signal })) return toCrash({ code, signal, stderr }, dataDir);
  const how = signal === null ? `code ${code}` : signal;
  return openFailed(dataDir, `the engine's process ended with ${how}. ${stderr}`.trimEnd());
}

/** What an end by its own hand means. */
export function toCrash({ code, signal, stderr }: HostExit, dataDir: string): EngineError {
  const how = signal === null ? `code ${code}` : signal;
  return endedItself(dataDir, { how, words: stderr.trimEnd(), fullWith: fullWith(dataDir) });
}
