/** Stub. */
import type { Instant } from '../../wire.ts';
export function Chart(_: { onSelect(from: Instant, to: Instant): void }) {
  return null;
}
