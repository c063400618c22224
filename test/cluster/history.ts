/** What happened in a run, by the one clock of the driving process (`performance.now()`, ms): what was handed out, asked, and taken back. */

interface Operation {
  /** Before anything was sent. */
  readonly start: number;
  /** When the whole answer was here, or there was none to wait for any more. */
  readonly end: number;
  /** Which instance was asked. */
  readonly instance: number;
}

export interface Mint extends Operation {
  /** A name of the token in this run, never its text. */
  readonly token: string;
  /** As it is recorded in the database. */
  readonly recordedAs: string;
  /** Whatever may be taken back and takes this token with it: itself, its session, its holder, … */
  readonly scopes: readonly string[];
  /**
   * When the session or the token that it came from was asked for; its own start where there is none.
   * What hits that takes this with it, however much later it was minted.
   */
  readonly since: number;
}

export interface Check extends Operation {
  readonly token: string;
  /** By which door. */
  readonly how?: string;
  /** Refused is 401 (an exchange: 400). 503 and no answer are neither: it couldn't be known. */
  readonly outcome: 'accepted' | 'refused' | 'unknown';
}

export interface Revoke extends Operation {
  readonly scope: string;
  /** By which door. */
  readonly how: string;
  /** Acknowledged is 2xx. Anything else may have happened, and may happen later. */
  readonly outcome: 'acknowledged' | 'unknown';
  /** What its answer says of the instances that it waited for. */
  readonly propagation?: string;
}

export interface History {
  readonly mints: readonly Mint[];
  readonly checks: readonly Check[];
  readonly revokes: readonly Revoke[];
}

/** One that is being written. */
export interface HistoryLog extends History {
  readonly mints: Mint[];
  readonly checks: Check[];
  readonly revokes: Revoke[];
}

export function createHistory(): HistoryLog {
  return { mints: [], checks: [], revokes: [] };
}
