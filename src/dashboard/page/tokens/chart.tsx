/** What was issued, revoked and refused per hour: a chart, and the same numbers as a table for those who don't see it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Instant, WireActivity } from '../../wire.ts';
import { useLoad } from '../ui/load.ts';
import { Problem } from '../ui/problem.tsx';
import { createPlot, DASHES, type PlotData, SERIES, type Series } from './plot.ts';
import { momentOf } from './wording.ts';

const RANGES = [
  ['24h', '24 hours'],
  ['7d', '7 days'],
  ['30d', '30 days'],
] as const;
type Range = (typeof RANGES)[number][0];
type Bucket = WireActivity['buckets'][number];

const NAMES: Record<Series, string> = { issued: 'Issued', revoked: 'Revoked', refused: 'Refused' };
const HEIGHT = 180;
const REFRESH_MS = 60_000;

export function Chart({ onSelect }: { onSelect(from: Instant, to: Instant): void }) {
  const [range, setRange] = useState<Range>('24h');
  const { data, error, loading, reload } = useLoad<WireActivity>(`/admin/activity?range=${range}`);
  const [point, setPoint] = useState<number | null>(null);
  const buckets = data?.buckets ?? [];

  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);

  return (
    <figure class="v-chart" aria-busy={loading}>
      <figcaption class="v-chart-head">
        <strong>Per hour</strong>
        <Legend buckets={buckets} at={point === null ? null : (buckets[point] ?? null)} />
        <span class="v-ranges" role="group" aria-label="Range of the chart">
          {RANGES.map(([value, text]) => (
            <button
              key={value}
              type="button"
              class="v-button"
              aria-pressed={value === range}
              onClick={() => setRange(value)}
            >
              {text}
            </button>
          ))}
        </span>
      </figcaption>
      {error !== null && <Problem error={error} onRetry={reload} />}
      {data !== null && (
        <>
          <Plot buckets={buckets} onPoint={setPoint} onSelect={onSelect} />
          {buckets.every((bucket) => SERIES.every((name) => bucket[name] === 0)) && (
            <p class="v-muted">Nothing happened in this time.</p>
          )}
          <Numbers buckets={buckets} />
        </>
      )}
      {data === null && error === null && <div class="v-plot" />}
    </figure>
  );
}

function Legend({ buckets, at }: { buckets: readonly Bucket[]; at: Bucket | null }) {
  return (
    <span class="v-legend">
      {SERIES.map((name) => (
        <span key={name} class={`v-key v-line-${name}`}>
          <svg width="26" height="8" aria-hidden="true">
            <line
              x1="1"
              y1="4"
              x2="25"
              y2="4"
              stroke="currentColor"
              stroke-width="2.5"
              stroke-dasharray={DASHES[name].join(' ')}
            />
          </svg>
          <span class="v-key-text">
            {NAMES[name]}{' '}
            <strong>
              {(
                at?.[name] ?? buckets.reduce((sum, bucket) => sum + bucket[name], 0)
              ).toLocaleString('en')}
            </strong>
          </span>
        </span>
      ))}
      <span class="v-muted" aria-hidden="true">
        {at === null ? 'in all' : momentOf(at.at).replace(/:00$/, '')}
      </span>
    </span>
  );
}

interface PlotProps {
  readonly buckets: readonly Bucket[];
  onPoint(index: number | null): void;
  onSelect(from: Instant, to: Instant): void;
}

function Plot({ buckets, onPoint, onSelect }: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  const latest = useRef({ onPoint, onSelect });
  latest.current = { onPoint, onSelect };
  const [scheme, setScheme] = useState(0);

  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const changed = () => setScheme((n) => n + 1);
    dark.addEventListener('change', changed);
    return () => dark.removeEventListener('change', changed);
  }, []);

  useEffect(() => {
    const target = element.current;
    if (target === null) return undefined;
    const plot = createPlot({
      target,
      data: toData(buckets),
      height: HEIGHT,
      colours: coloursOf(target),
      onPoint: (index) => latest.current.onPoint(index),
      onSelect: (from, to) =>
        latest.current.onSelect(new Date(from).toISOString(), new Date(to).toISOString()),
    });
    const resize = new ResizeObserver(() =>
      plot.setSize({ width: Math.max(target.clientWidth, 100), height: HEIGHT }),
    );
    resize.observe(target);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [buckets, scheme]);

  return (
    <div
      class="v-plot"
      ref={element}
      aria-hidden="true"
      title="Drag to show what was issued in a range of time"
    />
  );
}

function toData(buckets: readonly Bucket[]): PlotData {
  return [
    buckets.map(({ at }) => Date.parse(at) / 1000),
    buckets.map(({ issued }) => issued),
    buckets.map(({ revoked }) => revoked),
    buckets.map(({ refused }) => refused),
  ];
}

/** A canvas knows no variables: the colours are read from the legend, which the style sheet paints. */
function coloursOf(target: HTMLElement) {
  const figure = target.closest('figure') ?? target;
  const colour = (selector: string, property: 'color' | 'borderTopColor' = 'color') => {
    const element = figure.querySelector(selector) ?? figure;
    return getComputedStyle(element)[property];
  };
  return {
    issued: colour('.v-line-issued'),
    revoked: colour('.v-line-revoked'),
    refused: colour('.v-line-refused'),
    text: colour('.v-key-text'),
    grid: colour('.v-plot', 'borderTopColor'),
  };
}

function Numbers({ buckets }: { buckets: readonly Bucket[] }) {
  return (
    <div class="v-hidden">
      <table>
        <caption>Tokens issued, revoked and refused per hour</caption>
        <thead>
          <tr>
            <th scope="col">Hour from</th>
            {SERIES.map((name) => (
              <th key={name} scope="col">
                {NAMES[name]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {buckets.map((bucket) => (
            <tr key={bucket.at}>
              <th scope="row">{momentOf(bucket.at)}</th>
              {SERIES.map((name) => (
                <td key={name}>{bucket[name]}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
