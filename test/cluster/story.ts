/** All that happened to one token, in lines for people: what a violation is understood from. */
import type { Check, History } from './history.js';

/** Checks of the same outcome by the same instance, one after the other, are told of as one. */
interface Row {
  readonly what: string;
  readonly instance: number;
  readonly from: number;
  until: number;
  count: number;
}

const SHOWN = 14;

/** @param startedAt what the times are counted from, ms. @param until what came later is of no interest. */
export function storyOf(
  { mints, checks, revokes }: History,
  name: string,
  startedAt: number,
  until: number,
): string[] {
  const mint = mints.find(({ token }) => token === name);
  const rows: Row[] = [];
  const add = (what: string, { instance, start, end }: Omit<Check, 'token' | 'outcome'>) =>
    rows.push({ what, instance, from: start, until: end, count: 1 });
  if (mint !== undefined) add('handed out', mint);
  for (const revoke of revokes)
    if (mint?.scopes.includes(revoke.scope)) add(`${revoke.how}: ${revoke.outcome}`, revoke);
  for (const check of checks)
    if (check.token === name) add(`${check.outcome}, ${check.how ?? 'checked'}`, check);
  const told: Row[] = [];
  for (const row of rows.filter(({ from }) => from <= until).toSorted((a, b) => a.from - b.from)) {
    const last = told.at(-1);
    if (last?.what === row.what && last.instance === row.instance) {
      last.count += 1;
      last.until = Math.max(last.until, row.until);
    } else told.push(row);
  }
  const at = (time: number) => ((time - startedAt) / 1000).toFixed(3);
  return told
    .slice(-SHOWN)
    .map(
      ({ what, instance, from, until: end, count }) =>
        `${at(from)}–${at(end)} instance ${instance}: ${what}${count > 1 ? ` (${count})` : ''}`,
    );
}
