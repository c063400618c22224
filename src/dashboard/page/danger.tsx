/** Stub. */
export function DangerView() {
  return null;
}
