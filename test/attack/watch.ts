/** Watches the service's processes from outside while it is attacked: memory, and whether the engine is still the same one. */
import { readFileSync } from 'node:fs';
import { engineHostsOf } from '../support/process.js';

export interface Watch {
  /** The highest so far, in MB; NaN where the system doesn't tell (not Linux). */
  readonly peak: { readonly service: number; readonly engine: number };
  stop(): void;
}

const LOOK_EVERY_MS = 100;

export function watchMemory(servicePid: number): Watch {
  const engine = engineOf(servicePid);
  const peak = { service: NaN, engine: NaN };
  const look = () => {
    peak.service = higher(peak.service, memoryOf(servicePid));
    peak.engine = higher(peak.engine, engine === null ? NaN : memoryOf(engine));
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  return { peak, stop: () => clearInterval(timer) };
}

/** The process of the embedded engine; null where that can't be told. */
export function engineOf(servicePid: number): number | null {
  return process.platform === 'linux' ? (engineHostsOf(servicePid)[0] ?? null) : null;
}

const higher = (a: number, b: number) => (Number.isNaN(a) || b > a ? b : a);

/** Resident, in MB. */
function memoryOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  } catch {
    return NaN;
  }
}
