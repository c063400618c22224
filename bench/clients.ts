/** Those who ask: a connection that costs next to nothing, loops of requests, requests at a rate, and a load generator in a process of its own. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cpuMicrosOf } from './children.js';
import { summarize } from './results.js';

export interface RawConnection {
  /** One request after the other: the next one only when the last was answered. */
  send(request: RawRequest): Promise<RawAnswer>;
  close(): void;
}

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  /** The value of the `Authorization` header. */
  readonly authorization?: string;
  readonly body?: unknown;
}

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

const HEAD_END = '\r\n\r\n';

/** HTTP/1.1, kept alive. Understands answers with a `Content-Length` and 204 only, which is all that the service sends. */
export async function connectRaw(address: string): Promise<RawConnection> {
  const { hostname, port, host } = new URL(address);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  socket.setEncoding('latin1');
  let received = '';
  let waiting: { resolve(answer: RawAnswer): void; reject(error: Error): void } | null = null;
  socket.on('data', (part: string) => {
    received += part;
    const headEnd = received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = received.slice(0, headEnd);
    const status = Number(head.slice(9, 12));
    const length = status === 204 ? 0 : Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
    if (Number.isNaN(length))
      socket.destroy(new Error(`an answer without Content-Length: ${head}`));
    const end = headEnd + HEAD_END.length + length;
    if (received.length < end) return;
    const text = received.slice(headEnd + HEAD_END.length, end);
    received = received.slice(end);
    const answered = waiting;
    waiting = null;
    answered?.resolve({ status, text });
  });
  let failure = new Error('the connection was closed');
  socket.on('error', (error) => (failure = error));
  socket.on('close', () => waiting?.reject(failure));

  return {
    send({ method, path, authorization, body }) {
      const text = body === undefined ? '' : JSON.stringify(body);
      const head = [
        `${method} ${path} HTTP/1.1`,
        `Host: ${host}`,
        ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
        ...(body === undefined
          ? []
          : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`]),
      ];
      return new Promise((resolve, reject) => {
        if (socket.destroyed || waiting !== null) {
          reject(socket.destroyed ? failure : new Error('one request at a time'));
          return;
        }
        waiting = { resolve, reject };
        socket.write(`${head.join('\r\n')}${HEAD_END}${text}`);
      });
    },
    close: () => socket.destroy(),
  };
}

/** What one turn of a loop took, by `performance.now()`. */
export interface Turn<T> {
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly answer: T;
}

/**
 * Closed loops, one for each function: it begins its next turn when its last has ended (and
 * `everyMs` have passed since that began).
 * @returns what ends the loops after the turns on their way, without and with waiting for them;
 * who waits gets all turns, or what one threw.
 */
export function startLoops<T>(
  loops: readonly (() => Promise<T>)[],
  { everyMs = 0 }: { readonly everyMs?: number } = {},
) {
  const turns: Turn<T>[] = [];
  let stopped = false;
  const run = async (turn: () => Promise<T>) => {
    while (!stopped) {
      const sentAt = performance.now();
      const answer = await turn();
      const answeredAt = performance.now();
      turns.push({ sentAt, answeredAt, answer });
      if (everyMs > 0) await delay(Math.max(0, sentAt + everyMs - answeredAt));
    }
  };
  const running = Promise.all(loops.map(run));
  // Whoever stops them hears of a failure; until then it is nobody's.
  running.catch(() => undefined);
  const end = () => {
    stopped = true;
  };
  const stop = async (): Promise<readonly Turn<T>[]> => {
    end();
    await running;
    return turns;
  };
  return { end, stop };
}

export interface LoopSample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time for a turn, of all the given processes; NaN where it can't be had. */
  readonly cpuMicros: number;
}

/** Closed loops for some seconds. @param pids whose processor time is counted. */
export async function closedLoop(
  loops: readonly (() => Promise<unknown>)[],
  { seconds, pids }: { readonly seconds: number; readonly pids: readonly (number | null)[] },
): Promise<LoopSample> {
  const cpu = () => pids.reduce<number>((sum, pid) => sum + cpuMicrosOf(pid), 0);
  const cpuBefore = cpu();
  const startedAt = performance.now();
  const { stop } = startLoops(loops);
  await delay(seconds * 1000);
  const turns = await stop();
  const took = performance.now() - startedAt;
  const { n, p50, p99 } = summarize(turns.map(({ sentAt, answeredAt }) => answeredAt - sentAt));
  return {
    perSecond: (n * 1000) / took,
    p50Ms: p50,
    p99Ms: p99,
    cpuMicros: (cpu() - cpuBefore) / n,
  };
}

/** Open loop: each leaves when it is due, whether the ones before it were answered or not, until `enough`. */
export async function atRate<T>(
  perSecond: number,
  send: (number: number, dueAt: number) => Promise<T>,
  enough: (number: number) => boolean,
): Promise<T[]> {
  const startedAt = performance.now();
  const answers: Promise<T>[] = [];
  for (;;) {
    const number = answers.length;
    const dueAt = startedAt + (number * 1000) / perSecond;
    await delay(Math.max(0, dueAt - performance.now()));
    if (enough(number)) return Promise.all(answers);
    answers.push(send(number, dueAt));
  }
}

export interface Load {
  readonly url: string;
  readonly authorization: string;
  readonly seconds: number;
}

export interface LoadGenerator {
  readonly name: 'wrk' | 'autocannon';
  /** @throws when any answer is not a success. */
  run(load: Load): Promise<Pick<LoopSample, 'perSecond' | 'p50Ms' | 'p99Ms'>>;
}

export const CONNECTIONS = 32;

const execute = promisify(execFile);
const AUTOCANNON = fileURLToPath(
  new URL('../node_modules/autocannon/autocannon.js', import.meta.url),
);

/** Requests as fast as they are answered: wrk where it is installed, else autocannon. */
export async function findLoadGenerator(): Promise<LoadGenerator> {
  // Without arguments wrk prints its usage and ends with 1; only a missing one is ENOENT.
  const found = await execute('wrk', ['-v']).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT',
  );
  return found ? { name: 'wrk', run: runWrk } : { name: 'autocannon', run: runAutocannon };
}

async function runWrk({ url, authorization, seconds }: Load) {
  const { stdout } = await execute('wrk', [
    ...`--latency --threads 1 --connections ${CONNECTIONS} --duration ${seconds}s`.split(' '),
    '--header',
    `Authorization: ${authorization}`,
    url,
  ]);
  const failed = /(Non-2xx or 3xx responses|Socket errors): .*/.exec(stdout)?.[0];
  if (failed !== undefined) throw new Error(`${url}: ${failed}`);
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    // At the start of a line: a share of requests, further up, may end in the same digits.
    p50Ms: milliseconds(/^\s+50%\s+(\S+)/m.exec(stdout)?.[1]),
    p99Ms: milliseconds(/^\s+99%\s+(\S+)/m.exec(stdout)?.[1]),
  };
}

function milliseconds(text = ''): number {
  const unit = /[a-z]+$/.exec(text)?.[0] ?? '';
  return Number.parseFloat(text) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? NaN);
}

interface AutocannonResult {
  readonly requests: { readonly total: number };
  readonly latency: { readonly p50: number; readonly p99: number };
  readonly duration: number;
  readonly non2xx: number;
  readonly errors: number;
  readonly timeouts: number;
}

async function runAutocannon({ url, authorization, seconds }: Load) {
  const { stdout } = await execute(process.execPath, [
    AUTOCANNON,
    ...`--json --no-progress --connections ${CONNECTIONS} --duration ${seconds}`.split(' '),
    '--headers',
    `Authorization=${authorization}`,
    url,
  ]);
  const result = JSON.parse(stdout) as AutocannonResult;
  const { requests, latency, duration, non2xx, errors, timeouts } = result;
  if (non2xx + errors + timeouts > 0)
    throw new Error(`${url}: ${non2xx} refusals, ${errors} errors, ${timeouts} timeouts`);
  return { perSecond: requests.total / duration, p50Ms: latency.p50, p99Ms: latency.p99 };
}
