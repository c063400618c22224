/** Stub. */
export function InspectorView(_: { onOpen(id: string): void }) {
  return null;
}
