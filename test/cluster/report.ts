/** What a run found, as figures and as lines for people. */
import { findViolations, type Violation } from './checker.js';
import { acknowledgements, countOutcomes, cutFigures, quantiles } from './figures.js';
import type { Episode, Healthy } from './scenario.js';
import type { World } from './world.js';

export interface Run {
  readonly world: World;
  readonly seed: number;
  readonly startedAt: number;
  readonly healthy: Healthy;
  readonly episodes: readonly Episode[];
  readonly recorded: ReadonlySet<string>;
}

/** Clocks of instances may differ so much here, ms; and then some. */
const SKEW_MS = 15_000;
const HEALTHY = 'no fault';

export type Report = ReturnType<typeof reportOn>;

export function reportOn({ world, seed, startedAt, healthy, episodes, recorded }: Run) {
  const { history } = world;
  const violations = findViolations(history, {
    recorded,
    skewMs: SKEW_MS,
    unwritable: episodes.flatMap(({ outcome }) => outcome.unwritable ?? []),
  });
  const within = ({ from, until }: { readonly from: number; readonly until: number }) => ({
    checks: history.checks.filter(({ start }) => start >= from && start < until).length,
    violations: violations.filter(({ at }) => at >= from && at < until),
  });
  const first = { from: startedAt, until: healthy.until };
  const single = quantiles(acknowledgements(history, healthy.from, healthy.until));
  const bare = quantiles(healthy.bareWrites);
  return {
    seed,
    seconds: Math.round((performance.now() - startedAt) / 1000),
    checks: { all: history.checks.length, ...countOutcomes(history) },
    minted: history.mints.length,
    revokes: {
      acknowledged: countAcknowledged(world),
      unknown: history.revokes.length - countAcknowledged(world),
    },
    violations: countRules(violations),
    stalestMs: Math.round(Math.max(0, ...violations.map(({ staleMs }) => staleMs))),
    acknowledgementMs: { single, bareWrite: bare },
    phases: [
      { name: HEALTHY, ...within(first), failure: null, skipped: null, details: '' },
      ...episodes.map((episode) => ({
        name: episode.name,
        ...within(episode),
        failure: episode.failure,
        skipped: episode.outcome.skipped ?? null,
        details: episode.outcome.note ?? '',
        recovery: episode.recovery,
        wasAway: episode.outcome.wasAway === true,
        cut: episode.outcome.cut === undefined ? null : cutFigures(history, episode.outcome.cut),
      })),
    ],
    answers: Object.fromEntries(
      [...world.answers].toSorted(([a], [b]) => a.localeCompare(b, 'en')),
    ),
  };
}

function countAcknowledged({ history }: World): number {
  return history.revokes.filter(({ outcome }) => outcome === 'acknowledged').length;
}

function countRules(violations: readonly Violation[]): Record<string, number> {
  const counts: Record<string, number> = { R1: 0, R2: 0, R3: 0, R5: 0, 'refused-good': 0 };
  for (const { rule } of violations) counts[rule] = (counts[rule] ?? 0) + 1;
  return counts;
}

/** Of each phase, whether it held; one that could not be carried out is neither. */
export function verdicts({ phases }: Report): { held: number; failed: number; skipped: number } {
  const failed = phases.filter(hasFailed).length;
  const skipped = phases.filter((phase) => !hasFailed(phase) && phase.skipped !== null).length;
  return { held: phases.length - failed - skipped, failed, skipped };
}

const hasFailed = ({ failure, violations }: Report['phases'][number]) =>
  failure !== null || violations.length > 0;

/** @param startedAt what the times are counted from. */
export function* linesOf(report: Report, startedAt: number): Iterable<string> {
  for (const phase of report.phases) {
    const verdict = hasFailed(phase) ? 'FAILED ' : phase.skipped === null ? 'held   ' : 'skipped';
    yield `${verdict} ${phase.name.padEnd(36)} ${phase.skipped ?? phaseLine(phase)}`;
    if (phase.failure !== null) yield `          - ${phase.failure}`;
    for (const violation of phase.violations.slice(0, SHOWN))
      yield `          - ${violationLine(violation, startedAt)}`;
    const more = phase.violations.length - SHOWN;
    if (more > 0) yield `          - and ${more} more`;
  }
  const { checks, minted, revokes, violations, acknowledgementMs } = report;
  const { single, bareWrite } = acknowledgementMs;
  yield '';
  yield `${report.seconds} s, seed ${report.seed}: ${text(checks)} checks; ${minted} minted; revokes ${text(revokes)}`;
  yield `violations: ${text(violations)}; the stalest ${report.stalestMs} ms`;
  yield `acknowledgement of a single revoke, all well: p50 ${single.p50} ms, p99 ${single.p99} ms (${single.count}); a bare journaled write beside it: p50 ${bareWrite.p50} ms, p99 ${bareWrite.p99} ms (${bareWrite.count})`;
}

const SHOWN = 3;

function phaseLine(phase: Report['phases'][number]): string {
  const parts = [`${phase.checks} checks`, countText(phase.violations)];
  if (phase.details !== '') parts.push(phase.details);
  if ('cut' in phase && phase.cut !== null) {
    const { firstAckMaxMs, laterAckMaxMs, acceptedUntilMs, firstUnknownMs } = phase.cut;
    parts.push(
      `others acknowledged within ${firstAckMaxMs} ms, later ${laterAckMaxMs} ms`,
      `it accepted until ${acceptedUntilMs ?? 'never'} ms, first 503 after ${firstUnknownMs ?? '-'} ms`,
    );
  }
  if ('recovery' in phase && phase.recovery !== null) {
    const { checksAfterMs, revokesAfterMs } = phase.recovery;
    parts.push(
      `checks again after ${Math.round(checksAfterMs)} ms, revokes after ${Math.round(revokesAfterMs)} ms`,
    );
  }
  return parts.join('; ');
}

function countText(violations: readonly Violation[]): string {
  if (violations.length === 0) return 'no violation';
  const found = Object.entries(countRules(violations)).filter(([, count]) => count > 0);
  return `violations: ${text(Object.fromEntries(found))}`;
}

function violationLine(violation: Violation, startedAt: number): string {
  const { rule, token, instance, at, staleMs, because } = violation;
  const seconds = ((at - startedAt) / 1000).toFixed(3);
  return `${rule} at ${seconds} s by instance ${instance}, ${Math.round(staleMs)} ms stale: ${token} (${because})`;
}

function text(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
