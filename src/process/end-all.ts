/** Ends what was begun, the last first, and all of it: one that can't be ended doesn't keep the engine or a port open. */

export type Cleanup = () => Promise<unknown>;

/**
 * Empties the list first: asked again, it ends nothing twice.
 *
 * @throws what went wrong, after all were tried: the error itself, or an AggregateError of several.
 */
export async function endAll(cleanups: Cleanup[]): Promise<void> {
  const errors: unknown[] = [];
  for (const cleanup of cleanups.splice(0).toReversed()) {
    try {
      await cleanup();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} parts did not stop`);
}
