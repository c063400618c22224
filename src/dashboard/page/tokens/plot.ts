/** Draws the activity chart with uPlot: three lines that differ in dashes as well as in colour, and a range to be dragged. */
import uPlot from 'uplot';

export const SERIES = ['issued', 'revoked', 'refused'] as const;
export type Series = (typeof SERIES)[number];

/** Also drawn in the legend. Empty = a solid line. */
export const DASHES: Record<Series, readonly number[]> = {
  issued: [],
  revoked: [8, 4],
  refused: [2, 3],
};

/** Seconds, and one row of numbers for each series. */
export type PlotData = [number[], number[], number[], number[]];

interface PlotOptions {
  readonly target: HTMLElement;
  readonly data: PlotData;
  readonly height: number;
  /** Of the text, the grid, and the series, as the style sheet has them now. */
  readonly colours: Readonly<Record<Series | 'text' | 'grid', string>>;
  /** The bucket under the pointer, or null. */
  onPoint(index: number | null): void;
  /** Milliseconds, at whole hours; half-open. */
  onSelect(from: number, to: number): void;
}

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact' });
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hour12: false,
});
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

export function createPlot(options: PlotOptions): uPlot {
  const { target, data, colours } = options;
  const axis: uPlot.Axis = {
    stroke: colours.text,
    font: '12px system-ui, sans-serif',
    grid: { stroke: colours.grid, width: 1 },
    ticks: { show: false },
  };
  const plot = new uPlot(
    {
      width: Math.max(target.clientWidth, 100),
      height: options.height,
      legend: { show: false },
      cursor: {
        y: false,
        points: { size: 7 },
        drag: { x: true, y: false, setScale: false },
      },
      scales: { y: { range: (_, _low, high) => [0, Math.max(4, high * 1.1)] } },
      axes: [
        { ...axis, space: 64, values: (_, splits, _axis, _space, step) => toLabels(splits, step) },
        {
          ...axis,
          size: 44,
          incrs: [1, 2, 5]
            .flatMap((n) => [1, 10, 100, 1e3, 1e4, 1e5, 1e6].map((m) => n * m))
            .sort((a, b) => a - b),
          values: (_, splits) => splits.map((n) => COMPACT.format(n)),
        },
      ],
      series: [
        {},
        ...SERIES.map((name) => ({
          stroke: colours[name],
          width: 2,
          dash: [...DASHES[name]],
          points: { show: false },
        })),
      ],
      hooks: {
        setCursor: [(u) => options.onPoint(u.cursor.idx ?? null)],
        setSelect: [select],
      },
    },
    data,
    target,
  );
  return plot;

  function select(u: uPlot): void {
    const { left, width } = u.select;
    if (width === 0) return;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    const from = Math.floor(u.posToVal(left, 'x') / HOUR_S) * HOUR_S;
    const to = Math.ceil(u.posToVal(left + width, 'x') / HOUR_S) * HOUR_S;
    options.onSelect(from * 1000, Math.max(to, from + HOUR_S) * 1000);
  }
}

/** Hours within a day, the day where one begins; days when they are farther apart. */
function toLabels(splits: readonly number[], step: number): string[] {
  return splits.map((at) => {
    const date = new Date(at * 1000);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0;
    return step >= DAY_S || midnight ? DAY.format(date) : CLOCK.format(date);
  });
}
