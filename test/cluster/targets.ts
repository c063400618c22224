/** What the promise may cost in time: the figures of a run beside what is wanted of a quiet machine. */
import { acknowledgements, cutFigures, quantiles, type Quantiles, waits } from './figures.js';
import type { History } from './history.js';
import type { Episode, Healthy } from './scenario.js';

export interface Target {
  readonly what: string;
  /** ms; null = this run didn't see it. */
  readonly ms: number | null;
  /** At most; null = it only says what the others are to be compared with. */
  readonly wantedMs: number | null;
}

/** `LEASE` of the instances, which isn't set here. */
const LEASE_MS = 1000;
const STOPS_WITHIN_MS = LEASE_MS + 500;

export interface Times {
  readonly acknowledged: Quantiles;
  readonly bareWrite: Quantiles;
  /** As the answers themselves say. */
  readonly waited: Quantiles;
  readonly check: Quantiles;
  readonly targets: readonly Target[];
}

export function timesOf(history: History, healthy: Healthy, episodes: readonly Episode[]): Times {
  const { from, until } = healthy;
  const acknowledged = quantiles(acknowledgements(history, from, until));
  const bareWrite = quantiles(healthy.bareWrites);
  const checks = history.checks.filter(({ start }) => start >= from && start < until);
  const cuts = episodes.flatMap(({ outcome }) =>
    outcome.cut === undefined ? [] : cutFigures(history, outcome.cut),
  );
  const back = episodes.flatMap(({ outcome, recovery }) =>
    outcome.wasAway === true && recovery !== null ? recovery : [],
  );
  return {
    acknowledged,
    bareWrite,
    waited: quantiles(waits(history, from, until)),
    check: quantiles(checks.map(({ start, end }) => end - start)),
    targets: [
      target(
        'acknowledged, all well, over a bare write: p50',
        [acknowledged.p50 - bareWrite.p50],
        15,
      ),
      target(
        'acknowledged, all well, over a bare write: p99',
        [acknowledged.p99 - bareWrite.p99],
        60,
      ),
      target(
        'acknowledged by others within 1.5 s of a cut, at most',
        cuts.map(({ firstAckMaxMs }) => firstAckMaxMs),
        STOPS_WITHIN_MS,
      ),
      target(
        'acknowledged by others later in the cut, at most',
        cuts.map(({ laterAckMaxMs }) => laterAckMaxMs),
        null,
      ),
      target(
        'an instance that is cut off accepts for, at most',
        cuts.map(({ acceptedUntilMs }) => acceptedUntilMs ?? 0),
        STOPS_WITHIN_MS,
      ),
      target(
        'the database is back: checks from memory after, at most',
        back.map(({ checksAfterMs }) => checksAfterMs),
        1000,
      ),
      target(
        'the database is back: revokes after, at most',
        back.map(({ revokesAfterMs }) => revokesAfterMs),
        5000,
      ),
    ],
  };
}

export function* timeLines(times: Times): Iterable<string> {
  const line = (what: string, { p50, p99, max, count }: Quantiles) =>
    `${what.padEnd(40)} p50 ${p50} ms, p99 ${p99} ms, max ${max} ms (${count})`;
  yield line('all well: a single revoke acknowledged', times.acknowledged);
  yield line('  of that, waiting for other instances', times.waited);
  yield line('  a bare journaled write beside it', times.bareWrite);
  yield line('  a check beside it', times.check);
  for (const { what, ms, wantedMs } of times.targets) {
    if (ms === null) continue;
    const wanted =
      wantedMs === null ? '' : `, ${ms <= wantedMs ? 'as' : 'NOT as'} wanted: ${wantedMs} ms`;
    yield `${what.padEnd(58)} ${ms} ms${wanted}`;
  }
}

function target(what: string, values: readonly number[], wantedMs: number | null): Target {
  return { what, wantedMs, ms: values.length === 0 ? null : Math.round(Math.max(...values)) };
}
