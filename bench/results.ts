/** What a part of the bench finds: samples of several contestants, tables for people, targets, figures for `results.json`. */
import { cpus, loadavg, totalmem } from 'node:os';

/** How much is measured, as the command line says; `--quick` is for trying the bench out. */
export interface Effort {
  readonly rounds: number;
  readonly seconds: number;
  /** All numbers of entries and records are divided by this. */
  readonly divisor: number;
  /** Of `lists` and `searches`: records of the database, and its folder. */
  readonly records: number;
  readonly dir: string | null;
  /** `lists` also shows how the database finds those that missed their target. */
  readonly explain: boolean;
  /** Of `sign-ins`: requests a second, and how many sign in at a time. */
  readonly rate: number;
  readonly concurrency: number;
}

export interface PartResult {
  readonly tables: readonly Table[];
  readonly figures: Readonly<Record<string, unknown>>;
  readonly targets: readonly Target[];
}

type Cell = string | number;

export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface Target {
  readonly name: string;
  readonly value: number;
  readonly target: number;
  readonly is: 'at least' | 'at most';
  readonly met: boolean;
}

/** A figure that is no number (nothing was measured) misses every target. */
export function atLeast(name: string, value: number, target: number): Target {
  return { name, value, target, is: 'at least', met: value >= target };
}

export function atMost(name: string, value: number, target: number): Target {
  return { name, value, target, is: 'at most', met: value <= target };
}

/** The samples of each contestant, a round after the other; what asks for a figure of one makes a column. */
export interface Samples<K extends string> {
  readonly all: Readonly<Record<string, readonly Readonly<Record<K, number>>[]>>;
  add(name: string, sample: Readonly<Record<K, number>>): void;
  median(key: K): (name: string) => number;
  /** The least and the most of all rounds. */
  range(key: K): (name: string) => string;
  /** The median of the quotients of each round: what the machine did meanwhile hits both. */
  ratio(key: K, other: string): (name: string) => number;
  table(title: string, columns: Readonly<Record<string, (name: string) => Cell>>): Table;
}

export function createSamples<K extends string>(names: readonly string[]): Samples<K> {
  const all: Record<string, Readonly<Record<K, number>>[]> = Object.fromEntries(
    names.map((name) => [name, []]),
  );
  const valuesOf = (name: string, key: K) => (all[name] ?? []).map((sample) => sample[key]);
  return {
    all,
    add: (name, sample) => void (all[name] ??= []).push(sample),
    median: (key) => (name) => median(valuesOf(name, key)),
    range: (key) => (name) => {
      const values = valuesOf(name, key);
      return `${figure(Math.min(...values))} to ${figure(Math.max(...values))}`;
    },
    ratio: (key, other) => (name) => {
      const others = valuesOf(other, key);
      return median(valuesOf(name, key).map((value, round) => value / (others[round] ?? NaN)));
    },
    table: (title, columns) => ({
      title,
      header: Object.keys(columns),
      rows: Object.keys(all).map((name) => [
        name,
        ...Object.values(columns).map((column) => column(name)),
      ]),
    }),
  };
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + upper) / 2 : upper;
}

export interface Summary {
  readonly n: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest-rank percentiles: with fewer than 100 samples p99 is the maximum. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
  return { n: sorted.length, min: at(0), p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** A line for each, of all its samples. */
export function summaryTable(
  title: string,
  samples: Readonly<Record<string, readonly number[]>>,
): Table {
  const rows = Object.entries(samples).map(([name, values]) => {
    const { n, min, p50, p99, max } = summarize(values);
    return [name, n, min, p50, p99, max];
  });
  return { title, header: ['n', 'min', 'p50', 'p99', 'max'], rows };
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** 1,234 or 12.3 or 0.981: no more digits than mean something. */
export function figure(value: number): string {
  if (Math.abs(value) >= 1000 || Number.isInteger(value))
    return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

const SHOWN_TARGETS = 10;

/** Of many targets only those that were missed are shown. */
export function printPart({ tables, targets }: PartResult): void {
  tables.forEach(printTable);
  if (targets.length === 0) return;
  const missed = targets.filter(({ met }) => !met);
  const title = `target (${targets.length - missed.length} of ${targets.length} met)`;
  printTable({
    title,
    header: ['is', 'wanted', ''],
    rows: (targets.length > SHOWN_TARGETS ? missed : targets).map((each) => [
      each.name,
      each.value,
      `${each.is === 'at least' ? '≥' : '≤'} ${each.target}`,
      each.met ? 'met' : 'MISSED',
    ]),
  });
}

/** The first column to the left, the others to the right. */
function printTable({ title, header, rows }: Table): void {
  const shown = (cell: Cell) => (typeof cell === 'number' ? figure(cell) : cell);
  const lines = [[title, ...header], ...rows.map((row) => row.map(shown))];
  const widths = [title, ...header].map((_, i) =>
    Math.max(...lines.map((line) => line[i]?.length ?? 0)),
  );
  for (const line of lines) {
    const cells = line.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    );
    console.log(`  ${cells.join('  ').trimEnd()}`);
  }
  console.log();
}

export function printHeading(title: string): void {
  const models = [...new Set(cpus().map(({ model }) => model.trim()))].join(', ');
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  console.log(`# ${title}
${new Date().toISOString()}, ${cpus().length} × ${models}, ${gib} GiB, ${process.platform}-${process.arch}, Node ${process.version}
load before the start: ${loadavg()[0]?.toFixed(2)} (1 min)\n`);
}
