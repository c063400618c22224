/** The newest revocations and cut-offs that a witness has seen, numbered, as lines of a file and in memory. */
import type { CutoffScope } from '../cutoffs.js';
import type { TokenRecord } from '../records.js';
import { type RevokedEntry, toRevokedEntry } from '../revoked-entry.js';

export type WitnessedRecord = Pick<
  TokenRecord,
  'id' | 'jti' | 'issuer' | 'origin' | 'expiresAt' | 'revocation'
>;

export interface SeenToken extends RevokedEntry {
  readonly n: number;
  readonly at: number;
  readonly id: string;
}

export interface SeenCutoff {
  readonly n: number;
  readonly at: number;
  readonly scope: CutoffScope;
}

/** A loss takes the newest: the last ones tell. */
const TOKENS_KEPT = 200;
const CUTOFFS_KEPT = 1000;

/** @param text what an earlier process wrote. */
export function createSeen(text: string) {
  let tokens: SeenToken[] = [];
  const cutoffs = new Map<string, SeenCutoff>();
  let n = 0;

  function keepToken(token: SeenToken): void {
    tokens.push(token);
    if (tokens.length > 2 * TOKENS_KEPT) tokens = tokens.slice(-TOKENS_KEPT);
  }

  function keepCutoff(cutoff: SeenCutoff): void {
    const key = keyOf(cutoff.scope);
    // The newest last.
    cutoffs.delete(key);
    cutoffs.set(key, cutoff);
    const [oldest] = cutoffs.keys();
    if (cutoffs.size > CUTOFFS_KEPT && oldest !== undefined) cutoffs.delete(oldest);
  }

  for (const line of text.split('\n')) {
    const parsed = parse(line);
    if (parsed === null) continue;
    n = Math.max(n, parsed.n);
    if ('scope' in parsed) keepCutoff(parsed);
    else keepToken(parsed);
  }

  return {
    tokens: () => tokens.slice(-TOKENS_KEPT),
    cutoffs: () => [...cutoffs.values()],
    addToken(record: WitnessedRecord): string {
      const at = record.revocation?.at.getTime() ?? 0;
      const token = { n: ++n, at, id: record.id, ...toRevokedEntry(record) };
      keepToken(token);
      return toLine(token);
    },
    addCutoff({ at, userId, applicationId, sessionsOnly, everyKind }: CutoffScope & { at: Date }) {
      const scope = { userId, applicationId, sessionsOnly, ...(everyKind ? { everyKind } : {}) };
      const cutoff = { n: ++n, at: at.getTime(), scope };
      keepCutoff(cutoff);
      return toLine(cutoff);
    },
    lines: () =>
      [...tokens.slice(-TOKENS_KEPT), ...cutoffs.values()]
        .toSorted((a, b) => a.n - b.n)
        .map(toLine),
    forget() {
      tokens = [];
      cutoffs.clear();
    },
  };
}

function toLine(seen: SeenToken | SeenCutoff): string {
  return `${JSON.stringify(seen)}\n`;
}

/** null = torn, as by a power cut or a full disk. */
function parse(line: string): SeenToken | SeenCutoff | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || !('n' in parsed)) return null;
  return parsed as SeenToken | SeenCutoff;
}

/** Of exactly this scope. */
export function keyOf({ userId, applicationId, sessionsOnly, everyKind }: CutoffScope): string {
  return JSON.stringify([userId, applicationId, sessionsOnly, everyKind === true]);
}
