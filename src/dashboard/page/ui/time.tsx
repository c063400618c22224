/** Instants as people read them: "3 min ago", the exact time on hovering; they keep up with the clock. */
import { signal } from '@preact/signals';
import type { Instant } from '../../wire.ts';

/** The clock for what needs no more than "some minutes ago", and the one for countdowns. */
export const now = signal(Date.now());
export const second = signal(Date.now());

setInterval(tick, 1000);
document.addEventListener('visibilitychange', tick);

function tick(): void {
  if (document.hidden) return;
  second.value = Date.now();
  if (second.value - now.value >= 15_000) now.value = second.value;
}

const UNITS = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'always', style: 'short' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });
const brief = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export function exactTime(at: Instant): string {
  return exact.format(new Date(at));
}

export function briefTime(at: Instant): string {
  return brief.format(new Date(at));
}

export function relativeTime(at: Instant, from: number): string {
  const seconds = Math.round((Date.parse(at) - from) / 1000);
  // Two clocks are never quite the same: no "in 2 sec." for what has just happened.
  if (Math.abs(seconds) < 5) return 'just now';
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1];
  return relative.format(Math.trunc(seconds / size), unit).replace('.', '');
}

export function Time({ at, never = '—' }: { at: Instant | null; never?: string }) {
  if (at === null) return <span class="muted">{never}</span>;
  const time = Date.parse(at);
  const isNear = time > now.value && time - now.value < 120_000;
  const text = relativeTime(at, isNear ? second.value : now.value);
  return (
    <time dateTime={at} title={exactTime(at)}>
      {text}
    </time>
  );
}

/** Seconds left until then; 0 when it has come. */
export function secondsUntil(time: number): number {
  return Math.max(0, Math.ceil((time - second.value) / 1000));
}
