/** What a part of the bench found: a table for people, figures and targets for `results.json`. */
import { printTable } from './figures.js';

export interface Target {
  readonly name: string;
  readonly value: number;
  readonly target: number;
  readonly is: 'at least' | 'at most';
  readonly met: boolean;
}

export interface PartResult {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  readonly figures: Readonly<Record<string, unknown>>;
  readonly targets: readonly Target[];
}

/** How much is measured: `--quick` is for trying the bench out. */
export interface Effort {
  readonly rounds: number;
  readonly seconds: number;
  /** All numbers of entries and records are divided by this. */
  readonly divisor: number;
}

export function atLeast(name: string, value: number, target: number): Target {
  return { name, value, target, is: 'at least', met: value >= target };
}

export function atMost(name: string, value: number, target: number): Target {
  return { name, value, target, is: 'at most', met: value <= target };
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + upper) / 2 : upper;
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** 1,234 or 12.3 or 0.981: no more digits than mean something. */
export function figure(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

export function printPart({ title, header, rows, targets }: PartResult): void {
  printTable([title, ...header], rows);
  if (targets.length === 0) return;
  printTable(
    ['target', 'is', 'wanted', ''],
    targets.map(({ name, value, target, is, met }) => [
      name,
      figure(value),
      `${is === 'at least' ? '≥' : '≤'} ${target}`,
      met ? 'met' : 'MISSED',
    ]),
  );
}
