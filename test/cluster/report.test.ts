/** The report of the cluster test: whatever the checker finds fails a phase, and with it the run. */
import { describe, expect, it } from '@jest/globals';
import { createHistory } from './history.js';
import { reportOn, verdicts } from './report.js';

const QUIET = { outcome: {}, recovery: null, failure: null };

/** A run of 300 ms with two faults, in which one token is accepted though it was revoked before all of it. */
function verdictWhenAcceptedAt(start: number) {
  const history = createHistory();
  const asked = { instance: 0, start: 0, end: 1 };
  history.mints.push({ ...asked, token: 't', recordedAs: 't', scopes: ['token t'], since: 0 });
  const revoke = { scope: 'token t', how: 'session', outcome: 'acknowledged' } as const;
  history.revokes.push({ ...revoke, instance: 0, start: 2, end: 3 });
  history.checks.push({ token: 't', instance: 1, start, end: start + 1, outcome: 'accepted' });
  const report = reportOn({
    world: { history, answers: new Map() },
    seed: 1,
    startedAt: 0,
    healthy: { from: 5, until: 100, bareWrites: [] },
    episodes: [
      { ...QUIET, name: 'one', from: 110, until: 200 },
      { ...QUIET, name: 'another', from: 210, until: 300 },
    ],
    recorded: new Set(['t']),
  });
  const failed = report.phases.filter(({ violations }) => violations.length > 0);
  return [...failed.map(({ name }) => name), `${verdicts(report).failed} failed`];
}

describe('the report of a run', () => {
  it.each([
    ['before anything is measured', 4, 'no fault'],
    ['between the phases', 105, 'no fault'],
    ['in a fault', 150, 'one'],
    ['between two faults', 205, 'one'],
    ['after the last one, while the clients stop', 301, 'another'],
  ])('fails one phase for what is accepted %s', (_, at, phase) => {
    expect(verdictWhenAcceptedAt(at)).toEqual([phase, '1 failed']);
  });
});
