/** Draws the activity: three lines that differ in dashes as well as in colour, over a scale of numbers and one of time. */
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Instant, WireActivity } from '../../wire.ts';
import { momentOf } from './wording.ts';

export type Bucket = WireActivity['buckets'][number];
export const SERIES = ['issued', 'revoked', 'refused'] as const;
export type Series = (typeof SERIES)[number];

/** Also drawn in the legend. Empty = a solid line. */
export const DASHES: Record<Series, string> = { issued: '', revoked: '8 4', refused: '2 3' };

const HEIGHT = 150;
const LEFT = 44;
const RIGHT = 8;
const TOP = 6;
const BOTTOM = 20;
const HOUR_MS = 3_600_000;
/** Less is a click, which means the hour, or the day where hours are narrow. */
const DRAG_PX = 4;
const LABEL_PX = 64;
const HOUR_STEPS = [1, 2, 3, 4, 6, 12, 24, 48, 96, 192];

const COMPACT = new Intl.NumberFormat('en', { notation: 'compact' });
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hour12: false,
});
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

interface PlotProps {
  readonly buckets: readonly Bucket[];
  /** The bucket under the pointer. */
  readonly point: Signal<number | null>;
  /** Half-open. */
  onSelect(from: Instant, to: Instant): void;
}

export function Plot({ buckets, point, onSelect }: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  const drag = useSignal<{ readonly from: number; readonly to: number } | null>(null);
  useEffect(() => {
    const target = element.current;
    if (target === null) return undefined;
    const observer = new ResizeObserver(() => {
      width.value = target.clientWidth;
    });
    observer.observe(target);
    return () => observer.disconnect();
  }, []);

  const inner = Math.max(1, width.value - LEFT - RIGHT);
  const count = Math.max(1, buckets.length);
  const bucketAt = (x: number) =>
    Math.min(count - 1, Math.max(0, Math.floor(((x - LEFT) / inner) * count)));
  const xOf = (event: PointerEvent) =>
    event.clientX - (element.current?.getBoundingClientRect().left ?? 0);

  const select = (from: number, to: number) => {
    const [low, high] = [Math.min(from, to), Math.max(from, to)];
    const [first, last] =
      high - low < DRAG_PX ? around(buckets, bucketAt(low)) : [bucketAt(low), bucketAt(high)];
    const [begin, end] = [buckets[first], buckets[last]];
    if (begin === undefined || end === undefined) return;
    onSelect(begin.at, new Date(Date.parse(end.at) + HOUR_MS).toISOString());
  };

  return (
    <div
      class="plot"
      ref={element}
      aria-hidden="true"
      title="Drag over a range of time, or click, to show what was issued then"
      onPointerDown={(event) => {
        if (event.button !== 0 || !event.isPrimary) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        drag.value = { from: xOf(event), to: xOf(event) };
      }}
      onPointerMove={(event) => {
        point.value = bucketAt(xOf(event));
        if (drag.value !== null) drag.value = { ...drag.value, to: xOf(event) };
      }}
      onPointerUp={() => {
        const range = drag.value;
        drag.value = null;
        if (range !== null) select(range.from, range.to);
      }}
      onPointerCancel={() => {
        drag.value = null;
      }}
      onPointerLeave={() => {
        point.value = null;
      }}
    >
      {width.value > 0 && (
        <svg width={width.value} height={HEIGHT}>
          <Lines buckets={buckets} inner={inner} />
          <Marks point={point} drag={drag} inner={inner} count={count} />
        </svg>
      )}
    </div>
  );
}

/** Redrawn at every move of the pointer, so apart from the lines. */
function Marks(p: {
  readonly point: PlotProps['point'];
  readonly drag: Signal<{ readonly from: number; readonly to: number } | null>;
  readonly inner: number;
  readonly count: number;
}) {
  const range = p.drag.value;
  const x = p.point.value === null ? null : LEFT + ((p.point.value + 0.5) / p.count) * p.inner;
  return (
    <>
      {range !== null && (
        <rect
          class="plot-range"
          x={Math.min(range.from, range.to)}
          y={TOP}
          width={Math.abs(range.to - range.from)}
          height={HEIGHT - TOP - BOTTOM}
        />
      )}
      {x !== null && <line class="plot-cursor" x1={x} x2={x} y1={TOP} y2={HEIGHT - BOTTOM} />}
    </>
  );
}

function Lines({ buckets, inner }: { buckets: readonly Bucket[]; inner: number }) {
  const most = buckets.reduce((max, bucket) => Math.max(max, ...SERIES.map((s) => bucket[s])), 0);
  const step = niceStep(Math.max(most, 3) / 3);
  const top = Math.ceil(Math.max(most, 3) / step) * step;
  const y = (value: number) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const x = (index: number) => LEFT + ((index + 0.5) / buckets.length) * inner;
  return (
    <>
      {Array.from({ length: Math.round(top / step) + 1 }, (_, n) => n * step).map((value) => (
        <g key={value}>
          <line class="plot-grid" x1={LEFT} x2={LEFT + inner} y1={y(value)} y2={y(value)} />
          <text x={LEFT - 8} y={y(value) + 4} text-anchor="end">
            {COMPACT.format(value)}
          </text>
        </g>
      ))}
      {labelsOf(buckets, inner).map(([index, label]) => (
        <text key={index} x={x(index)} y={HEIGHT - 4} text-anchor="middle">
          {label}
        </text>
      ))}
      {SERIES.map((name) => (
        <polyline
          key={name}
          class={`line-${name}`}
          stroke-dasharray={DASHES[name]}
          points={buckets
            .map((bucket, index) => `${x(index).toFixed(1)},${y(bucket[name]).toFixed(1)}`)
            .join(' ')}
        />
      ))}
    </>
  );
}

/** 1, 2, 5, 10, 20, …: the first that is no less. */
function niceStep(least: number): number {
  const size = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return size * ([1, 2, 5].find((n) => n * size >= least) ?? 10);
}

/** Where time is written, and how: hours within a day, the day where one begins, so far apart that they have room. */
function labelsOf(buckets: readonly Bucket[], inner: number): (readonly [number, string])[] {
  const room = Math.max(1, inner / LABEL_PX);
  const step = HOUR_STEPS.find((hours) => buckets.length / hours <= room) ?? 384;
  let days = 0;
  return buckets
    .map(({ at }, index) => [index, new Date(at)] as const)
    .toReversed()
    .flatMap(([index, date]) => {
      const hour = date.getHours();
      if (hour === 0) days += 1;
      const isLabelled = step < 24 ? hour % step === 0 : hour === 0 && days % (step / 24) === 0;
      const isCut = (index + 0.5) * (inner / buckets.length) > inner - 16;
      if (!isLabelled || isCut) return [];
      return [[index, (hour === 0 ? DAY : CLOCK).format(date)] as const];
    });
}

/** The bucket alone; where they are too narrow to be told apart, those of its day. */
function around(buckets: readonly Bucket[], index: number): readonly [number, number] {
  if (buckets.length <= 24) return [index, index];
  const dayOf = (bucket: Bucket | undefined) => new Date(bucket?.at ?? 0).toDateString();
  const day = dayOf(buckets[index]);
  return [
    buckets.findIndex((bucket) => dayOf(bucket) === day),
    buckets.findLastIndex((bucket) => dayOf(bucket) === day),
  ];
}

/** "21 Nov 2026, 14:00": the numbers are of the hour that begins then. */
export function hourOf(bucket: Bucket): string {
  return momentOf(bucket.at).replace(/:00$/, '');
}
