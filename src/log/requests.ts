/** What requests leave in the log: the refused and the failed ones, and tokens that were refused; bounded, whatever comes. */
import type { NoteRefused } from '../auth/strategies.js';
import type { Clock } from '../clock.js';
import { requestIdOf } from '../http/request-id.js';
import { type RequestLines, routeOf } from '../http/request-log.js';
import type { Logger } from '../observability/logger.js';
import { createRepeatedLines } from '../observability/repeated-lines.js';
import { createRefusalLog, type RefusalLog } from './refusals.js';

export interface RequestsInLog {
  readonly lines: RequestLines;
  readonly refusals: RefusalLog;
  /** The same for what Express answers. */
  readonly noteRefused: NoteRefused;
  /** Writes the counts that wait. */
  flush(): void;
}

interface Dependencies {
  readonly log: Logger;
  /** By which repeated lines are counted. */
  readonly clock: Clock;
  readonly trustProxyHops: number;
}

/** Of one kind and one address; the further ones are counted. */
const REFUSED_LINES_A_MINUTE = 100;
/** Of one kind, whoever asked. */
const FAILED_LINES_A_MINUTE = 10;

export function createRequestsInLog({ log, clock, trustProxyHops }: Dependencies): RequestsInLog {
  const lines = {
    refused: createRepeatedLines({ clock, atOnce: REFUSED_LINES_A_MINUTE }),
    failed: createRepeatedLines({ clock, atOnce: FAILED_LINES_A_MINUTE }),
  };
  const refusals = createRefusalLog({ log, clock, trustProxyHops });

  return {
    lines,
    refusals,
    noteRefused(req, verification) {
      if (verification.accepted || verification.claims === null) return;
      const { claims, reason } = verification;
      const requestId = req.res === undefined ? '' : requestIdOf(req.res);
      const asked = { method: req.method, route: routeOf(req) };
      refusals.note(req, requestId, { claims, reason }, asked);
    },
    flush() {
      refusals.flush();
      lines.refused.flush();
      lines.failed.flush();
    },
  };
}
