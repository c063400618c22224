/** Stub. */
import type { WireToken } from '../wire.ts';
export function KeysView(_: { onRevoke(token: WireToken): void }) {
  return null;
}
