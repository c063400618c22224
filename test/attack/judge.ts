/** What held during an attack, and the line that says so. */
import type { Outcome } from './attack.js';
import type { BystanderFigures } from './bystander-child.js';

interface Phase extends BystanderFigures {
  /** MB; NaN where it can't be told. */
  readonly memory: { readonly service: number; readonly engine: number };
}

export interface Measured {
  readonly seconds: number;
  readonly rest: Phase;
  readonly during: Phase;
  readonly engineChanged: boolean;
  /** All that the service has logged. */
  readonly log: string;
}

/**
 * What others may notice. At rest a check takes 2 ms, and some more are nothing: the attacker, who
 * has a machine of its own elsewhere, shares the processors here. The short form runs anywhere, also
 * where everything takes five times as long: only what is far out counts there. By how much a server
 * that does nothing answers later than at rest, at the same pace, is the machine's doing.
 */
const LIMITS = {
  full: { slower: 3, floorMs: 10, signInMs: 2000 },
  short: { slower: 30, floorMs: 1000, signInMs: 20_000 },
} as const;
const MEMORY_FACTOR = 2;

export function judge(
  outcome: Outcome,
  { seconds, rest, during, engineChanged, log }: Measured,
  short: boolean,
): { line: string; faults: string[] } {
  const limits = short ? LIMITS.short : LIMITS.full;
  const faults = [...outcome.faults];
  const machines = Math.max(0, during.bareP99Ms - rest.bareP99Ms);
  const slowest = Math.max(limits.floorMs, rest.p99Ms * limits.slower) + machines;
  if (during.p99Ms > slowest)
    faults.push(`others' checks took ${ms(during.p99Ms)} (p99), more than ${ms(slowest)}`);
  if (during.slowestSignInMs > limits.signInMs)
    faults.push(`somebody's sign-in took ${ms(during.slowestSignInMs)}`);
  for (const which of ['service', 'engine'] as const) {
    const [before, peak] = [rest.memory[which], during.memory[which]];
    if (peak > before * MEMORY_FACTOR)
      faults.push(`the ${which}'s memory grew from ${mb(before)} to ${mb(peak)}`);
  }
  for (const [what, count] of Object.entries(during.wrong))
    faults.push(`of others: ${what} (${count} times)`);
  if (engineChanged) faults.push('the engine is another process than before');
  const ends = log.split('\n').filter((line) => line.includes('embedded engine ended'));
  if (ends.length > 0) faults.push(`the engine ended ${ends.length} times`);
  const logged = log.split('\n').filter((line) => /"level":(?:"(?:error|fatal)"|[56]0)/.test(line));
  const jumps = logged.filter((line) => line.includes('"event":"clock.jumped"'));
  if (outcome.movedClock === true && jumps.length === 0)
    faults.push('the clock was moved, and the log does not say so');
  const errors =
    outcome.movedClock === true ? logged.filter((line) => !jumps.includes(line)) : logged;
  if (errors.length > 0)
    faults.push(`${errors.length} errors in the log, the first: ${errors[0]?.slice(0, 300)}`);

  const line = [
    outcome.numbers,
    `others' checks p99 ${ms(rest.p99Ms)} → ${ms(during.p99Ms)} (worst ${ms(during.worstMs)}; a bare server's ${ms(rest.bareP99Ms)} → ${ms(during.bareP99Ms)}), sign-in ${ms(rest.slowestSignInMs)} → ${ms(during.slowestSignInMs)}${during.unavailable > 0 ? `, ${during.unavailable} × 503` : ''}`,
    Number.isNaN(during.memory.service)
      ? 'memory not measured on this system'
      : `memory ${mb(rest.memory.service)} → ${mb(during.memory.service)}, engine ${mb(rest.memory.engine)} → ${mb(during.memory.engine)}`,
    `${seconds.toFixed(0)} s`,
  ].join('; ');
  return { line, faults };
}

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
const mb = (value: number) => `${value.toFixed(0)} MB`;
