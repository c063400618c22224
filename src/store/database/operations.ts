/** Runs the store's operations: each within a time limit, each failure translated. */
import type { mongo } from 'mongoose';
import { unavailable } from '../../errors.js';
import { translate } from './failures.js';

/**
 * Runs one operation of the store.
 * @throws DuplicateKeyError when a unique index refused it.
 * @throws ServiceError 503 for every failure of the database and after the time limit: the outcome
 *   of a write is then unknown, never "done".
 */
export type Run = <T>(operation: () => PromiseLike<T>, limitMs?: number) => Promise<T>;

export interface Operations {
  readonly run: Run;
  /** Fails everything under way; for when the database is known to have died. */
  interrupt(): void;
}

/** How long the server may work on one operation. */
export const MAX_TIME_MS = 5000;

/** Longer than the server may work on an operation: this limit is for answers that never come. */
const LIMIT_MS = 6000;
const SILENCE = 'The token store does not answer. Nothing is confirmed; repeat the request.';

/** Whether it was read to its end: one that was closed meanwhile, as by a reconnect, has no more, either. */
export function isAtEnd({ killed, id }: Pick<mongo.FindCursor, 'killed' | 'id'>): boolean {
  return !killed && id?.isZero() === true;
}

/**
 * The driver's own limits are not enough: a write to a socket that has just been destroyed waits
 * for its `drain` event for ever.
 */
export function createOperations(): Operations {
  const underWay = new Set<(error: Error) => void>();

  function run<T>(operation: () => PromiseLike<T>, limitMs = LIMIT_MS): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        underWay.delete(fail);
      };
      const fail = (error: unknown) => {
        settle();
        reject(translate(error));
      };
      const timer = setTimeout(
        () => fail(unavailable(SILENCE, new Error(`no answer within ${limitMs} ms`))),
        limitMs,
      );
      underWay.add(fail);
      // From a microtask, so that a synchronous throw of Mongoose's is a rejection too.
      Promise.resolve()
        .then(operation)
        .then((value) => {
          settle();
          resolve(value);
        }, fail);
    });
  }

  return {
    run,
    interrupt() {
      for (const fail of underWay) fail(unavailable(SILENCE, new Error('the database ended')));
    },
  };
}
