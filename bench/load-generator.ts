/** Requests as fast as they are answered, from a process of its own: wrk where it is installed, else autocannon. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface Load {
  readonly url: string;
  readonly authorization: string;
  readonly seconds: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface LoadGenerator {
  readonly name: 'wrk' | 'autocannon';
  /** @throws when any answer is not a success. */
  run(load: Load): Promise<LoadResult>;
}

export const CONNECTIONS = 32;

const execute = promisify(execFile);
const AUTOCANNON = fileURLToPath(
  new URL('../node_modules/autocannon/autocannon.js', import.meta.url),
);

export async function findLoadGenerator(): Promise<LoadGenerator> {
  // Without arguments wrk prints its usage and ends with 1; only a missing one is ENOENT.
  const found = await execute('wrk', ['-v']).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT',
  );
  return found ? { name: 'wrk', run: runWrk } : { name: 'autocannon', run: runAutocannon };
}

async function runWrk({ url, authorization, seconds }: Load): Promise<LoadResult> {
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

async function runAutocannon({ url, authorization, seconds }: Load): Promise<LoadResult> {
  const { stdout } = await execute(process.execPath, [
    AUTOCANNON,
    ...`--json --no-progress --connections ${CONNECTIONS} --duration ${seconds}`.split(' '),
    '--headers',
    `Authorization=${authorization}`,
    url,
  ]);
  const { requests, latency, duration, non2xx, errors, timeouts } = JSON.parse(
    stdout,
  ) as AutocannonResult;
  if (non2xx + errors + timeouts > 0)
    throw new Error(`${url}: ${non2xx} refusals, ${errors} errors, ${timeouts} timeouts`);
  return { perSecond: requests.total / duration, p50Ms: latency.p50, p99Ms: latency.p99 };
}
