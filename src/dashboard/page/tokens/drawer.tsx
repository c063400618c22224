/** Stub. */
import type { FilterParameters, WireToken } from '../../wire.ts';
export function Drawer(_: {
  id: string;
  onClose(): void;
  onOpen(id: string): void;
  onRevoke(token: WireToken): void;
  onFilter(filter: FilterParameters): void;
}) {
  return null;
}
