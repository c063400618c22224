/** The newest revocations and cut-offs that a witness has seen, numbered, as lines of a file and in memory. */
import type { CutoffScope } from '../cutoffs/cutoffs.js';
import type { TokenRecord } from '../records.js';
import { type RevokedEntry, toRevokedEntry } from '../tokens/revoked-entry.js';

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
  /** By record: one that is revoked again and again is no newer for that, and displaces nothing. */
  const tokens = new Map<string, SeenToken>();
  const cutoffs = new Map<string, SeenCutoff>();
  let n = 0;

  function keepToken(token: SeenToken): void {
    tokens.set(token.id, token);
    const [oldest] = tokens.keys();
    if (tokens.size > TOKENS_KEPT && oldest !== undefined) tokens.delete(oldest);
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
    tokens: () => [...tokens.values()],
    cutoffs: () => [...cutoffs.values()],
    /** null = it is among them already. */
    addToken(record: WitnessedRecord): string | null {
      if (tokens.has(record.id)) return null;
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
      [...tokens.values(), ...cutoffs.values()].toSorted((a, b) => a.n - b.n).map(toLine),
    forget() {
      tokens.clear();
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
  return isSeen(parsed) ? parsed : null;
}

function isSeen(value: unknown): value is SeenToken | SeenCutoff {
  if (typeof value !== 'object' || value === null) return false;
  const { n, at, id, jti, scope } = value as Partial<Record<string, unknown>>;
  const isToken = typeof id === 'string' && typeof jti === 'string';
  const isCutoff = typeof scope === 'object' && scope !== null;
  return typeof n === 'number' && typeof at === 'number' && isToken !== isCutoff;
}

/** Of exactly this scope. */
export function keyOf({ userId, applicationId, sessionsOnly, everyKind }: CutoffScope): string {
  return JSON.stringify([userId, applicationId, sessionsOnly, everyKind === true]);
}
