/** The service as a process of its own, for tests that kill it, stop it and read what it prints. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface ServiceProcess {
  readonly child: ChildProcess;
  readonly address: string;
  stdout(): string;
  stderr(): string;
  /** Sends the signal and resolves with the exit code (null when the signal killed it). */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const LEAVING_MS = 60_000;

/** A temporary folder inside a project of ES modules, as `./data` is; remove it with `removeFolder`. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'jwt-history-process-'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  return folder;
}

export function removeFolder(folder: string): void {
  const giveUpAt = performance.now() + LEAVING_MS;
  for (;;) {
    try {
      rmSync(folder, { recursive: true, force: true });
      return;
    } catch (error) {
      // The engine of a service that was killed may still be leaving, and writing. (Node's own
      // retries only remove the folder again, not what has come into it.)
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' || performance.now() > giveUpAt) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
  }
}

function spawnService(env: Record<string, string>, main = 'dist/main.js') {
  const child = spawn(process.execPath, [main], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], PORT: '0', HOST: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const exited = new Promise<number | null>((resolve) =>
    child.once('close', (code) => resolve(code)),
  );
  return { child, output, exited };
}

/**
 * Starts it and resolves once it says that it is ready.
 * @param main another build's `dist/main.js`; this tree's by default.
 */
export async function startProcess(
  env: Record<string, string>,
  main?: string,
): Promise<ServiceProcess> {
  const { child, output, exited } = spawnService(env, main);
  const address = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', () => {
      const found = /ready at (http:\/\/\S+)/.exec(output.stderr)?.[1];
      if (found !== undefined) resolve(found);
    });
    void exited.then((code) =>
      reject(new Error(`exited with ${code}: ${output.stderr} ${output.stdout}`)),
    );
  });
  return {
    child,
    address,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    end(signal) {
      child.kill(signal);
      return exited;
    },
  };
}

/** Runs it to its end, for starts that are expected to fail. */
export async function runToEnd(env: Record<string, string>): Promise<Ended> {
  const { output, exited } = spawnService(env);
  const code = await exited;
  return { code, ...output };
}

/** The embedded engine's hosts among the children of `pid` . */
export function engineHostsOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid && /embedded\/host/.test(commandOf(child)));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function parentOf(pid: number): number | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]);
  } catch {
    return null;
  }
}

/** So long a condition may take on a machine that has much else to do; far from anything expected. */
export const PATIENCE_MS = 120_000;

/**
 * Asks until the answer is yes; for conditions of other processes, which no clock of ours moves.
 * @param withinMs only to end a test that would never end: how fast something is says the bench.
 */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  withinMs = PATIENCE_MS,
): Promise<number> {
  const startedAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAt > withinMs)
      throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - startedAt;
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
