/** What was issued, revoked and refused per hour: a chart, and the same numbers as a table for those who don't see it. */
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Instant, WireActivity } from '../../wire.ts';
import { useLoad } from '../ui/load.ts';
import { Problem } from '../ui/problem.tsx';
import { type Bucket, DASHES, hourOf, Plot, SERIES, type Series } from './plot.tsx';

const RANGES = [
  ['24h', '24 hours'],
  ['7d', '7 days'],
  ['30d', '30 days'],
] as const;
type Range = (typeof RANGES)[number][0];

const NAMES: Record<Series, string> = { issued: 'Issued', revoked: 'Revoked', refused: 'Refused' };
const REFRESH_MS = 60_000;

export function Chart({ onSelect }: { onSelect(from: Instant, to: Instant): void }) {
  const [range, setRange] = useState<Range>('24h');
  const { data, error, loading, reload } = useLoad<WireActivity>(`/admin/activity?range=${range}`);
  const point = useSignal<number | null>(null);
  const buckets = data?.buckets ?? [];
  const numbers = useMemo(() => <Numbers buckets={buckets} />, [data]);

  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);

  return (
    <figure class="chart" aria-busy={data === null && loading}>
      <figcaption class="chart-head">
        <strong>Per hour</strong>
        <Legend buckets={buckets} point={point} />
        <span class="chart-ranges" role="group" aria-label="Range of the chart">
          {RANGES.map(([value, text]) => (
            <button
              key={value}
              type="button"
              class="button"
              aria-pressed={value === range}
              onClick={() => setRange(value)}
            >
              {text}
            </button>
          ))}
        </span>
      </figcaption>
      {error !== null && <Problem error={error} onRetry={reload} />}
      {(data !== null || error === null) && (
        <Plot buckets={buckets} point={point} onSelect={onSelect} />
      )}
      {data !== null && numbers}
    </figure>
  );
}

interface LegendProps {
  readonly buckets: readonly Bucket[];
  readonly point: Signal<number | null>;
}

function Legend({ buckets, point }: LegendProps) {
  const at = point.value === null ? undefined : buckets[point.value];
  const numberOf = (name: Series) =>
    at?.[name] ?? buckets.reduce((sum, bucket) => sum + bucket[name], 0);
  return (
    <span class="chart-legend">
      {SERIES.map((name) => (
        <span key={name} class="chart-key">
          <svg class={`line-${name}`} width="26" height="8" aria-hidden="true">
            <polyline points="1,4 25,4" stroke-dasharray={DASHES[name]} />
          </svg>
          {NAMES[name]} <strong>{numberOf(name).toLocaleString('en')}</strong>
        </span>
      ))}
      <span class="muted">{at === undefined ? 'in all' : hourOf(at)}</span>
    </span>
  );
}

function Numbers({ buckets }: { buckets: readonly Bucket[] }) {
  return (
    <div class="offscreen">
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
              <th scope="row">{hourOf(bucket)}</th>
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
