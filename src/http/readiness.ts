/** Whether the service can answer for its tokens, as `/readyz` says it: from memory, never by asking anybody. */

/** Each part that has to be well. */
export interface ReadinessChecks {
  /** Started, and not stopping. */
  readonly running: boolean;
  /** The revocation list is loaded and up to date: checks can be answered. */
  readonly revocationIndex: boolean;
  /** The database answered lately: what reads or writes it works. */
  readonly store: boolean;
}

export interface Readiness {
  /** `degraded`: checks are answered, but not everything works. */
  readonly status: 'ready' | 'degraded' | 'not ready';
  readonly checks: ReadinessChecks;
  /** Empty when ready. */
  readonly reasons: readonly string[];
  /** Of the embedded engine; a warning, which changes nothing else here. */
  readonly disk?: { readonly freeBytes: number; readonly isLow: boolean };
  /** For so long checks go on without a lease, and what others revoke meanwhile is accepted; a warning, absent where they don't. */
  readonly staleAllowedSeconds?: number;
  /** How often the wall clock jumped since the start; a warning too, absent while it never did. */
  readonly clockJumps?: number;
}

const REASONS: Record<keyof ReadinessChecks, string> = {
  running: 'the service is stopping',
  revocationIndex: 'the revocation list is not loaded, or not up to date',
  store: 'the database does not answer; checks go on until what is known is too old',
};

interface Warnings {
  readonly staleAllowedSeconds: number | null;
  readonly disk: Readiness['disk'];
  readonly clockJumps: number;
}

export function readinessOf(
  checks: ReadinessChecks,
  { disk, clockJumps, staleAllowedSeconds }: Warnings,
): Readiness {
  const canCheck = checks.running && checks.revocationIndex;
  const reasons = (['running', 'revocationIndex', 'store'] as const)
    .filter((name) => !checks[name])
    .map((name) => REASONS[name]);
  const status = canCheck ? (checks.store ? 'ready' : 'degraded') : 'not ready';
  return {
    status,
    checks,
    reasons,
    ...(disk ? { disk } : {}),
    ...(staleAllowedSeconds === null ? {} : { staleAllowedSeconds }),
    ...(clockJumps > 0 ? { clockJumps } : {}),
  };
}
