/** The processor time of other processes, where the system tells it (Linux): on a busy machine it says more than the clock. */
import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** Of all these processes since their start, in µs; NaN where it can't be had. */
export function cpuMicrosOf(pids: readonly (number | null)[]): number {
  return pids.reduce<number>((sum, pid) => sum + cpuMicros(pid), 0);
}

function cpuMicros(pid: number | null): number {
  try {
    // Behind the name in parentheses, which may hold anything: utime and stime are fields 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
  } catch {
    return NaN;
  }
}
