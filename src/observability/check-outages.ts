/** Tells the log when checks can't be answered any more, and when they can again: once each, with how many were refused meanwhile. */
import type { Clock } from '../clock.js';
import type { Logger } from './logger.js';

export interface CheckOutages {
  /** Somebody was answered 503. */
  refused(): void;
  /** Looks whether checks can be answered now. */
  look(): void;
  /** Looks every second until stopped. */
  start(): void;
  stop(): void;
}

interface Dependencies {
  readonly canAnswer: () => boolean;
  /** Why they can't, as the end of a sentence. */
  readonly why: () => string;
  readonly clock: Clock;
  readonly log: Logger;
}

const EVERY_MS = 1000;

export function createCheckOutages({ canAnswer, why, clock, log }: Dependencies): CheckOutages {
  let outage: { readonly since: number; refused: number } | null = null;
  let timer: NodeJS.Timeout | null = null;

  function look(): void {
    const isOver = canAnswer();
    if (!isOver && outage === null) {
      outage = { since: clock(), refused: 0 };
      log.error({ event: 'checks.stopped' }, `checks now answer 503, because ${why()}`);
    } else if (isOver && outage !== null) {
      // A clock that was set back has no answer.
      const ms = Math.max(0, clock() - outage.since);
      log.info(
        { event: 'checks.resumed', ms, count: outage.refused },
        `checks answer again after ${Math.round(ms / 1000)} s`,
      );
      outage = null;
    }
  }

  return {
    look,
    refused() {
      look();
      if (outage !== null) outage.refused += 1;
    },
    start() {
      timer ??= setInterval(look, EVERY_MS).unref();
    },
    stop() {
      if (timer !== null) clearInterval(timer);
      timer = null;
    },
  };
}
