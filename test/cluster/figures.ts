/** The numbers of a run, from its history: how long acknowledgements took, and how soon an instance that was cut off stopped. */
import type { Span } from './checker.js';
import type { History, Revoke } from './history.js';
import { REVOKES } from './revokes.js';

export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface CutFigures {
  /** Of revokes at the other instances, ms. */
  readonly firstAckMaxMs: number;
  /** Of those that began later than that. */
  readonly laterAckMaxMs: number;
  /** From the cut to the beginning of the last check that it accepted; null = it accepted none. */
  readonly acceptedUntilMs: number | null;
  /** From the cut to its first 503; null = there was none. */
  readonly firstUnknownMs: number | null;
}

/** By then the others have waited for its lease once, ms after the cut. */
const NORMAL_AFTER_MS = 1500;

export function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: round(sorted.at(-1) ?? 0) };
}

/** Of single revokes that were acknowledged and began in this time, ms. */
export function acknowledgements(
  { revokes }: History,
  from: number,
  until: number,
  where: (revoke: Revoke) => boolean = () => true,
): number[] {
  return revokes
    .filter(
      (revoke) =>
        revoke.outcome === 'acknowledged' &&
        revoke.start >= from &&
        revoke.start <= until &&
        REVOKES[revoke.how]?.isSingle === true &&
        where(revoke),
    )
    .map(({ start, end }) => end - start);
}

/** How long acknowledged revokes of this time say that they waited for other instances, ms. */
export function waits({ revokes }: History, from: number, until: number): number[] {
  return revokes
    .filter(({ start, outcome }) => outcome === 'acknowledged' && start >= from && start <= until)
    .flatMap(({ propagation = '' }) => /\bwait=(\d+)ms/.exec(propagation)?.[1] ?? [])
    .map(Number);
}

export function cutFigures(history: History, { instance, from, until }: Span): CutFigures {
  const atOthers = (revoke: Revoke) => revoke.instance !== instance;
  const ownChecks = history.checks.filter(
    (check) => check.instance === instance && check.start >= from && check.start <= until,
  );
  const accepted = ownChecks.filter(({ outcome }) => outcome === 'accepted');
  const unknown = ownChecks.filter(({ outcome }) => outcome === 'unknown');
  const largest = (values: readonly number[]) =>
    round(values.reduce((most, value) => Math.max(most, value), 0));
  return {
    firstAckMaxMs: largest(acknowledgements(history, from, from + NORMAL_AFTER_MS, atOthers)),
    laterAckMaxMs: largest(acknowledgements(history, from + NORMAL_AFTER_MS, until, atOthers)),
    acceptedUntilMs:
      accepted.length === 0 ? null : largest(accepted.map(({ start }) => start - from)),
    firstUnknownMs:
      unknown.length === 0 ? null : round(Math.min(...unknown.map(({ start }) => start - from))),
  };
}

/** How many checks there were of each outcome. */
export function countOutcomes({ checks }: History): Record<string, number> {
  const counts: Record<string, number> = { accepted: 0, refused: 0, unknown: 0 };
  for (const { outcome } of checks) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
