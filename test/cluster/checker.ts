/** Scans what happened for what must never happen: the promises R1, R2 and R5, and good tokens that were refused. */
import type { Check, History, Mint, Revoke } from './history.js';

export type Rule =
  /** Accepted by a check that began after a revoke of it was acknowledged. */
  | 'R1'
  /** Accepted by a check that began after somebody had answered that it is revoked. */
  | 'R2'
  /** Acknowledged by an instance of which no write could be known to stay. */
  | 'R3'
  /** Handed out, and in no record. */
  | 'R5'
  /** Refused, and nothing had taken it back. */
  | 'refused-good';

export interface Violation {
  readonly rule: Rule;
  readonly token: string;
  /** Which instance answered so; R5: which handed it out. */
  readonly instance: number;
  /** When that request began, ms. */
  readonly at: number;
  /** How long before it the token should have been refused everywhere, ms; 0 where that means nothing. */
  readonly staleMs: number;
  /** What it contradicts, for people. */
  readonly because: string;
}

/** One instance, from then until then. */
export interface Span {
  readonly instance: number;
  readonly from: number;
  readonly until: number;
}

export interface CheckerOptions {
  /** Every write of that instance was answered with a failure. */
  readonly unwritable?: readonly Span[];
  /** What is recorded in the database at the end; absent = not looked at. */
  readonly recorded?: ReadonlySet<string>;
  /**
   * While the clocks of instances differ, a token may be hit that was issued so much later than the
   * revoke, ms; and as long afterwards, as what was issued or cut off then is of a time to come.
   */
  readonly skew?: { readonly ms: number; readonly spans: readonly Omit<Span, 'instance'>[] };
}

/** @returns in the order of their times. */
export function findViolations(history: History, options: CheckerOptions = {}): Violation[] {
  const { recorded, skew = { ms: 0, spans: [] }, unwritable = [] } = options;
  const revokesOf = groupBy(history.revokes, ({ scope }) => scope);
  const checksOf = groupBy(history.checks, ({ token }) => token);
  const found = history.mints.flatMap((mint) => {
    const checks = checksOf.get(mint.token) ?? [];
    const covering = mint.scopes.flatMap((scope) => revokesOf.get(scope) ?? []);
    return [
      ...acceptedAfterRevoke(mint, checks, covering),
      ...acceptedAfterRefusal(checks),
      ...refusedWithoutRevoke(mint, checks, covering, skew),
      ...(recorded === undefined ? [] : handedOutUnrecorded(mint, recorded)),
    ];
  });
  assertAllMinted(history);
  found.push(...acknowledgedUnwritten(history.revokes, unwritable));
  return found.toSorted((a, b) => a.at - b.at);
}

/** A revoke covers what was handed out before it began: what is minted meanwhile may come after it. */
function acceptedAfterRevoke(mint: Mint, checks: readonly Check[], covering: readonly Revoke[]) {
  const first = earliest(
    covering.filter(({ outcome, start }) => outcome === 'acknowledged' && start > mint.end),
  );
  if (first === null) return [];
  return acceptedAfter(first.end, checks).map((check) =>
    toViolation('R1', check, check.start - first.end, `${first.how} at ${first.instance}`),
  );
}

function acceptedAfterRefusal(checks: readonly Check[]): Violation[] {
  const first = earliest(checks.filter(({ outcome }) => outcome === 'refused'));
  if (first === null) return [];
  return acceptedAfter(first.end, checks).map((check) =>
    toViolation('R2', check, check.start - first.end, `refused by ${first.instance}`),
  );
}

/** Once for a token. */
function refusedWithoutRevoke(
  mint: Mint,
  checks: readonly Check[],
  covering: readonly Revoke[],
  skew: NonNullable<CheckerOptions['skew']>,
): Violation[] {
  const skewAt = (time: number) =>
    skew.spans.some(({ from, until }) => time >= from && time <= until + skew.ms) ? skew.ms : 0;
  /** Whatever came of the revoke, and whenever: one of unknown outcome may be carried out late. */
  const mayBeHitBy = (revoke: Revoke, check: Check) =>
    revoke.start < check.end &&
    (revoke.outcome === 'unknown' ||
      mint.since < revoke.end + Math.max(skewAt(mint.start), skewAt(revoke.start)));
  const wrong = checks.find(
    (check) => check.outcome === 'refused' && !covering.some((each) => mayBeHitBy(each, check)),
  );
  return wrong === undefined ? [] : [toViolation('refused-good', wrong, 0, 'nothing revoked it')];
}

function handedOutUnrecorded(mint: Mint, recorded: ReadonlySet<string>): Violation[] {
  if (recorded.has(mint.recordedAs)) return [];
  return [toViolation('R5', mint, 0, 'handed out, and in no record')];
}

function acknowledgedUnwritten(
  revokes: readonly Revoke[],
  unwritable: readonly Span[],
): Violation[] {
  return revokes
    .filter(
      ({ outcome, instance, start, end }) =>
        outcome === 'acknowledged' &&
        unwritable.some(
          (span) => span.instance === instance && start >= span.from && end <= span.until,
        ),
    )
    .map(({ scope, instance, start, how }) => ({
      rule: 'R3',
      token: scope,
      instance,
      at: start,
      staleMs: 0,
      because: `${how} at ${instance}, all of whose writes failed`,
    }));
}

/** @throws when a check is of nothing that was handed out: the run itself would be wrong then. */
function assertAllMinted({ mints, checks }: History): void {
  const known = new Set(mints.map(({ token }) => token));
  const unknown = checks.find(({ token }) => !known.has(token));
  if (unknown !== undefined) throw new Error(`${unknown.token} was checked, and never handed out`);
}

function acceptedAfter(time: number, checks: readonly Check[]): Check[] {
  return checks.filter(({ outcome, start }) => outcome === 'accepted' && start > time);
}

/** The one that ended first. */
function earliest<T extends { readonly end: number }>(among: readonly T[]): T | null {
  return among.reduce<T | null>(
    (first, each) => (first === null || each.end < first.end ? each : first),
    null,
  );
}

function toViolation(
  rule: Rule,
  { token, instance, start }: Check | Mint,
  staleMs: number,
  because: string,
): Violation {
  return { rule, token, instance, at: start, staleMs, because };
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
