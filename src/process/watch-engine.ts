/** What is asked each time that the embedded engine was started again: whether it still is the same database. */
import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/database/connect.js';
import { DatabaseLostError } from '../store/embedded/initialized.js';

const ASK_AGAIN_MS = 500;

/**
 * The embedded engine was started again: the connection is renewed, and it is asked whether it
 * still is the same database. One whose folder was deleted comes back empty, and what would be
 * revoked in it is lost when the real one is restored.
 */
export function watchEngine(
  { store, assertSame, log }: { store: Store; assertSame: () => Promise<void>; log: Logger },
  onLost: (error: DatabaseLostError) => void,
): { onEngineBack: () => void; stop: () => Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;

  async function check(): Promise<void> {
    try {
      await store.reconnect();
    } catch (error) {
      // The following of the revocation list tries again until it succeeds.
      log.warn({ err: error }, 'the connection to the embedded engine could not be renewed');
    }
    while (!signal.aborted) {
      try {
        await assertSame();
        return;
      } catch (error) {
        if (error instanceof DatabaseLostError) {
          onLost(error);
          return;
        }
        if (!(error instanceof ServiceError))
          log.error({ err: error }, 'the database could not be recognized yet');
        await delay(ASK_AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  return {
    onEngineBack: () => void check(),
    stop: async () => stopping.abort(),
  };
}
