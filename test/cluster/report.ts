/** What a run found, as figures and as lines for people. */
import { findViolations, type Rule, type Violation } from './checker.js';
import { countOutcomes, cutFigures } from './figures.js';
import type { Episode, Healthy } from './scenario.js';
import { storyOf } from './story.js';
import { timeLines, timesOf } from './targets.js';
import type { World } from './world.js';

export interface Run {
  readonly world: Pick<World, 'history' | 'answers'>;
  readonly seed: number;
  readonly startedAt: number;
  readonly healthy: Healthy;
  readonly episodes: readonly Episode[];
  readonly recorded: ReadonlySet<string>;
}

/** What the clocks of instances differ by when they do, ms; and then some. */
const SKEW_MS = 11_000;
/** So long before its end an instance without the database must have stopped, ms: far more than its lease. */
const STOPPED_BEFORE_MS = 500;
const HEALTHY = 'no fault';
const STORY_AFTER_MS = 100;
/** Those that are about one token. */
const TOLD: readonly Rule[] = ['R1', 'R2', 'R5', 'refused-good'];

export type Report = ReturnType<typeof reportOn>;

export function reportOn({ world, seed, startedAt, healthy, episodes, recorded }: Run) {
  const { history } = world;
  const violations = findViolations(history, {
    recorded,
    skew: { ms: SKEW_MS, spans: episodes.flatMap(({ outcome }) => outcome.clockOff ?? []) },
    unwritable: episodes.flatMap(({ outcome }) => outcome.unwritable ?? []),
  });
  const within = ({ from, until }: { readonly from: number; readonly until: number }) => ({
    checks: history.checks.filter(({ start }) => start >= from && start < until).length,
    violations: violations.filter(({ at }) => at >= from && at < until),
  });
  // Each until the next begins, the last to the very end: what comes late must not fail nobody.
  const beginOf = (at: number) => episodes[at]?.from ?? Infinity;
  const first = { from: -Infinity, until: beginOf(0) };
  /** Of each rule, as they have different causes. */
  const tellFirst = ({ violations: found }: { readonly violations: readonly Violation[] }) =>
    TOLD.flatMap((rule) => {
      const one = found.find((each) => each.rule === rule);
      if (one === undefined) return [];
      const story = storyOf(history, one.token, startedAt, one.at + STORY_AFTER_MS);
      return [`the first ${rule}:`, ...story.map((line) => `  ${line}`)];
    });
  const toPhase = (span: { readonly from: number; readonly until: number }) => {
    const found = within(span);
    return { ...found, story: tellFirst(found) };
  };
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
    stalestMs: Math.round(
      // There may be more of them than arguments of a call.
      violations.reduce((most, { staleMs }) => Math.max(most, staleMs), 0),
    ),
    times: timesOf(history, healthy, episodes),
    phases: [
      { name: HEALTHY, ...toPhase(first), failure: null, skipped: null, details: '' },
      ...episodes.map((episode, at) => ({
        name: episode.name,
        ...toPhase({ from: episode.from, until: beginOf(at + 1) }),
        failure: failureOf(episode, world),
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

function failureOf({ failure, outcome }: Episode, { history }: Run['world']): string | null {
  if (failure !== null) return failure;
  if (outcome.withoutEffect !== undefined) return outcome.withoutEffect;
  if (outcome.cut === undefined) return null;
  const { from, until, instance } = outcome.cut;
  const { acceptedUntilMs } = cutFigures(history, outcome.cut);
  return acceptedUntilMs !== null && acceptedUntilMs > until - from - STOPPED_BEFORE_MS
    ? `instance ${instance} went on accepting without the database`
    : null;
}

function countAcknowledged({ history }: Run['world']): number {
  return history.revokes.filter(({ outcome }) => outcome === 'acknowledged').length;
}

function countRules(violations: readonly Violation[]): Record<Rule, number> {
  const counts: Record<Rule, number> = { R1: 0, R2: 0, R3: 0, R5: 0, 'refused-good': 0 };
  for (const { rule } of violations) counts[rule] += 1;
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
    for (const line of phase.story) yield `          ${line}`;
  }
  const { checks, minted, revokes, violations } = report;
  yield '';
  yield `${report.seconds} s, seed ${report.seed}: ${text(checks)} checks; ${minted} minted; revokes ${text(revokes)}`;
  yield `violations: ${text(violations)}; the stalest ${report.stalestMs} ms`;
  yield* timeLines(report.times);
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
