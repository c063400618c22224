/**
 * What happens to tokens, told once by whoever lets it happen: the audit, the log, the witness and
 * whatever else has to know hear of it by the same words (`core.ts` says who).
 */
import type { Cutoff } from '../store/cutoffs/cutoffs.js';
import type { TokenRecord } from '../store/records.js';

/** Who did it, through which door, why; and the request, as the log names it. */
export interface Act {
  readonly by: string;
  readonly via: string;
  readonly reason: string | null;
  readonly requestId: string;
}

/** Who revokes, with FusionAuth's description of the event, as its client gave it. */
export interface RevocationContext extends Act {
  readonly eventInfo?: Readonly<Record<string, unknown>>;
}

/** A token by its verified id. */
export interface RefusedId {
  readonly jti: string;
  readonly issuer: string;
}

/** A cut-off, as far as those need it who only hear of it. */
export type InForce = Pick<Cutoff, 'userId' | 'applicationId' | 'at'>;

export type TokenEvent =
  /** It has its record: issued, registered or adopted. */
  | { readonly what: 'issued'; readonly record: TokenRecord }
  /** Its revocation is durable; by this act, or `already-revoked` by an earlier one. */
  | {
      readonly what: 'revoked' | 'already-revoked';
      readonly record: TokenRecord;
      readonly act: Act;
    }
  /** Everything of a scope: the cut-off is durable and in force. */
  | { readonly what: 'scope-revoked'; readonly cutoff: Cutoff; readonly act: Act }
  /** A cut-off that was in the future is at now. */
  | { readonly what: 'cutoff-lowered'; readonly cutoff: Cutoff; readonly act: Act }
  /** Records that a cut-off had revoked say so now. */
  | { readonly what: 'marked'; readonly cutoff: Cutoff; readonly count: number }
  /** A token of ours was presented, and refused as revoked or unknown. */
  | { readonly what: 'refused'; readonly token: RefusedId }
  /** What other instances revoked, as this one learns of it. */
  | {
      readonly what: 'learnt';
      readonly entries: readonly RefusedId[];
      readonly cutoffs: readonly InForce[];
    };

/** Neither waits nor throws. */
export type Report = (event: TokenEvent) => void;

export const REPORT_NOTHING: Report = () => undefined;

/** Those that have come into force with it. */
export function cutoffsOf(event: TokenEvent): readonly InForce[] {
  if (event.what === 'scope-revoked') return [event.cutoff];
  return event.what === 'learnt' ? event.cutoffs : [];
}

/** Keeps, outside the database, what is durable in it. */
export interface RevocationWitness {
  revoked(record: TokenRecord): void;
  cutOff(cutoff: Cutoff): void;
}

export function tellWitness(witness: RevocationWitness, event: TokenEvent): void {
  if (event.what === 'revoked' || event.what === 'already-revoked') witness.revoked(event.record);
  if (event.what === 'scope-revoked' || event.what === 'cutoff-lowered')
    witness.cutOff(event.cutoff);
}
