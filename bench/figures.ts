/** Figures for people: percentiles, tables, the verdict against a target, and the machine they come from. */
import { cpus, loadavg, totalmem } from 'node:os';

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

export function ms(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

export type Verdict = 'met' | 'MISSED';

/** A figure that is no number (nothing was measured) misses every target. */
export function verdict(value: number, target: number): Verdict {
  return value <= target ? 'met' : 'MISSED';
}

/** The first column to the left, the others to the right. */
export function printTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void {
  const lines = [header, ...rows.map((row) => row.map(String))];
  const widths = header.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
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
  console.log(`# ${title}`);
  console.log(
    `${new Date().toISOString()}, ${cpus().length} × ${models}, ${gib} GiB, ${process.platform}-${process.arch}, Node ${process.version}`,
  );
  console.log(`load before the start: ${loadavg()[0]?.toFixed(2)} (1 min)\n`);
}
