/** Stub. */
import type { Selection } from '../../wire.ts';
export function BulkDialog(_: { selection: Selection; onClose(): void; onDone(): void }) {
  return null;
}
