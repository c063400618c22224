/** What one instance tells the log of its requests: the refused and the failed ones, sign-ins, and whether checks are answered at all; all of it bounded, whatever comes. */
import type { NoteRefused } from '../auth/strategies.js';
import { createSignInLog, type SignInLog } from '../auth/sign-in-log.js';
import type { Clock } from '../clock.js';
import { type RequestLines, routeOf } from '../http/request-log.js';
import { requestIdOf } from '../http/request-id.js';
import { type CheckOutages, createCheckOutages } from '../observability/check-outages.js';
import type { Logger } from '../observability/logger.js';
import { createRepeatedLines } from '../observability/repeated-lines.js';
import { createRefusalLog, type RefusalLog } from './refusals.js';

export interface ServiceLog {
  readonly requestLines: RequestLines;
  readonly refusals: RefusalLog;
  /** The same for what Express answers. */
  readonly noteRefused: NoteRefused;
  readonly signIns: SignInLog;
  readonly outages: CheckOutages;
  /** Writes the counts that wait. */
  flush(): void;
}

interface Dependencies {
  readonly log: Logger;
  /** By which repeated lines are counted. */
  readonly clock: Clock;
  readonly trustProxyHops: number;
  /** Whether checks can be answered. */
  readonly canAnswer: () => boolean;
  /** Why they can't. */
  readonly why: () => string;
}

/** Of one kind and one address; the further ones are counted. */
const REFUSED_LINES_A_MINUTE = 100;
/** Of one kind, whoever asked. */
const FAILED_LINES_A_MINUTE = 10;

export function createServiceLog({
  log,
  clock,
  trustProxyHops,
  canAnswer,
  why,
}: Dependencies): ServiceLog {
  const requestLines = {
    refused: createRepeatedLines({ clock, atOnce: REFUSED_LINES_A_MINUTE }),
    failed: createRepeatedLines({ clock, atOnce: FAILED_LINES_A_MINUTE }),
  };
  const refusals = createRefusalLog({ log, clock, trustProxyHops });
  const signIns = createSignInLog({ log, clock });

  return {
    requestLines,
    refusals,
    noteRefused(req, verification) {
      if (verification.accepted || verification.claims === null) return;
      const { claims, reason } = verification;
      const requestId = req.res === undefined ? '' : requestIdOf(req.res);
      const asked = { method: req.method, route: routeOf(req) };
      refusals.note(req, requestId, { claims, reason }, asked);
    },
    signIns,
    outages: createCheckOutages({ canAnswer, why, clock, log }),
    flush() {
      refusals.flush();
      signIns.flush();
      requestLines.refused.flush();
      requestLines.failed.flush();
    },
  };
}

/** Why checks can't be answered, as the end of a sentence. @param ageMs of what is known; null = nothing is */
export function whyNothingIsKnown(ageMs: number | null, failure: string | null): string {
  const end = failure === null ? '' : `: ${failure}`;
  if (ageMs === null) return `the revocation list was never loaded${end}`;
  if (ageMs < 0) return 'the clock was set back: how old the revocation list is, nobody knows';
  return `what was revoked in the last ${Math.round(ageMs / 1000)} s is unknown${end}`;
}
