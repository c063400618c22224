/**
 * Notes in the store which exchanges were answered, behind the answers and many at once: until then
 * a used secret leads to its successor, because nobody can know whether anyone has that.
 */
import { setTimeout as later } from 'node:timers';
import { ServiceError } from '../errors.js';
import type { AnsweredExchange, SecretStore } from '../store/tokens/secrets.js';

export interface AnswerNotes {
  /** The secret with this hash is about to be handed out; the grace of those before it ends at `until`. */
  note(answered: AnsweredExchange): void;
  /** What is noted for the secret with this hash, and may not be in the store yet. */
  untilOf(recordId: string, secretHash: string): Date | null;
  /** Writes what is noted. Never throws for a store that doesn't answer: it's tried again. */
  flush(): Promise<void>;
}

/** How long a note may wait for others: whoever finds none waits longer than that before believing it. */
const DELAY_MS = 250;

export function createAnswerNotes(write: SecretStore['noteAnswered']): AnswerNotes {
  /** By record: whatever was handed out before the newest secret is answered with it. */
  const notes = new Map<string, AnsweredExchange>();
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();

  function schedule(): void {
    timer ??= later(() => {
      timer = null;
      void flush();
    }, DELAY_MS).unref();
  }

  async function writeAll(): Promise<void> {
    const batch = [...notes.values()];
    if (batch.length === 0) return;
    try {
      await write(batch);
    } catch (error) {
      if (!(error instanceof ServiceError && error.code === 'unavailable')) throw error;
      schedule();
      return;
    }
    for (const one of batch) if (notes.get(one.id) === one) notes.delete(one.id);
  }

  function flush(): Promise<void> {
    writing = writing.then(writeAll, writeAll);
    return writing;
  }

  return {
    note(answered) {
      notes.set(answered.id, answered);
      schedule();
    },
    untilOf(recordId, secretHash) {
      const noted = notes.get(recordId);
      return noted?.secretHash === secretHash ? noted.until : null;
    },
    flush,
  };
}
