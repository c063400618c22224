/** Processes of the bench itself: each measures, or is measured, without the others' heap and event loop. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Options {
  /** Further options of `node`, such as `--expose-gc`. */
  readonly execArgv?: readonly string[];
}

const END_WITHIN_MS = 10_000;

/** Starts a file of this folder; it gets `task` in `process.argv[2]`. */
export function startChild(
  file: string,
  task: unknown,
  { execArgv = [] }: Options = {},
): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(task)], {
    execArgv: ['--import', 'tsx', ...execArgv],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** The next message of the child. @throws when it ends before. */
export async function messageOf<T>(child: ChildProcess): Promise<T> {
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    const [first] = (await Promise.race([
      once(child, 'message', { signal }),
      once(child, 'exit', { signal }).then(([code]) => {
        throw new Error(`${child.spawnfile} of the bench ended with ${String(code)}`);
      }),
    ])) as [T];
    return first;
  } finally {
    waiting.abort();
  }
}

/** A child ends when it is disconnected. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS);
  const exited = once(child, 'exit');
  if (child.connected) child.disconnect();
  await exited;
  clearTimeout(timer);
}

/** Runs a file of this folder that sends one message, its result. */
export async function runChild<T>(file: string, task: unknown, options?: Options): Promise<T> {
  const child = startChild(file, task, options);
  try {
    return await messageOf<T>(child);
  } finally {
    await endChild(child);
  }
}

/** At the end of a file that starts itself as its child: there, and only there, runs `use` and sends what it returns. */
export async function asChild(url: string, use: (task: never) => unknown): Promise<void> {
  if (process.argv[1] !== fileURLToPath(url)) return;
  const result = await use(taskOf() as never);
  if (result !== undefined) send(result);
}

/** In a child: what it was started with. */
export function taskOf(): unknown {
  return JSON.parse(process.argv[2] ?? 'null');
}

/** In a child: hands the result over. */
export function send(message: unknown): void {
  process.send?.(message);
}

/** In a child that serves: ends it together with the bench. */
export function endWithParent(): void {
  process.once('disconnect', () => process.exit(0));
}

const TICKS_PER_SECOND = 100;

/** The processor time of a process since its start, NaN where it can't be had: on a busy machine it says more than the clock. */
export function cpuMicrosOf(pid: number | null): number {
  try {
    // Behind the name in parentheses, which may hold anything: utime and stime are fields 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
  } catch {
    return NaN;
  }
}
