/** Stub. */
import type { FilterParameters } from '../wire.ts';
export function UsersView(_: { onFilter(filter: FilterParameters): void }) {
  return null;
}
