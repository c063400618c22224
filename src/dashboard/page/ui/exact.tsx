/** An instant for those who need it to the second: how long ago, and when. */
import type { Instant } from '../../wire.ts';
import { exactTime, Time } from './time.tsx';

export function Exact({ at, never = 'never' }: { at: Instant | null; never?: string }) {
  return (
    <>
      <Time at={at} never={never} />
      {at !== null && <span class="muted"> · {exactTime(at)}</span>}
    </>
  );
}
