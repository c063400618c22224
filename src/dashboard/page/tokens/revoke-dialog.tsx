/** Stub. */
import type { WireToken } from '../../wire.ts';
export function RevokeDialog(_: {
  token: WireToken;
  onClose(): void;
  onRevoked(token: WireToken): void;
}) {
  return null;
}
