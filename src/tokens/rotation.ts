/**
 * What the secrets of a rotated refresh token are to one another (RFC 9700 section 4.14): which one
 * was presented, and which of the used ones still lead to the current one. Rules only, no store.
 */
import type { UsedSecret } from '../store/records.js';
import type { SecretRecord } from '../store/tokens/secrets.js';
import { createSuccessor, hashFamily, hashSecret, openSuccessor, sealSuccessor } from './opaque.js';

export type Standing =
  | { readonly kind: 'current' }
  /** A used one that still leads to the current one, be it over several exchanges. */
  | { readonly kind: 'repeat'; readonly current: string; readonly used: UsedSecret }
  /** Once part of this session: whoever brings it holds, or has made from, one that was handed out. */
  | { readonly kind: 'used' }
  | { readonly kind: 'foreign' };

export interface Rotation {
  readonly successor: string;
  readonly grace: readonly UsedSecret[];
}

/** More exchanges than that within one grace are no lost answers any more. */
const MOST_USED = 4;

/** What the presented secret is to this session at the time `now` (ms). */
export function standingOf(
  { secretHash, familyHash, grace }: Omit<SecretRecord, 'record'>,
  secret: string,
  now: number,
): Standing {
  const presented = hashSecret(secret);
  if (presented === secretHash) return { kind: 'current' };
  const used = grace.find((one) => one.secretHash === presented);
  if (used !== undefined && (used.until === null || used.until.getTime() > now)) {
    const current = followTo(secretHash, grace, secret);
    if (current !== null) return { kind: 'repeat', current, used };
  }
  return { kind: familyHash === hashFamily(secret) ? 'used' : 'foreign' };
}

/** Each successor is sealed with the secret before it, so that only who holds one gets to the next. */
function followTo(
  currentHash: string,
  grace: readonly UsedSecret[],
  secret: string,
): string | null {
  let at = secret;
  // Never more steps than there are, whatever is stored.
  for (const _ of grace) {
    const hash = hashSecret(at);
    const used = grace.find((one) => one.secretHash === hash);
    if (used === undefined) return null;
    at = openSuccessor(at, used.sealedSuccessor);
    if (hashSecret(at) === currentHash) return at;
  }
  return null;
}

/** The exchange of the current secret at the time `now` (ms): no answer to it has been given yet. */
export function rotate(
  { secretHash, grace }: Pick<SecretRecord, 'secretHash' | 'grace'>,
  secret: string,
  now: number,
  graceSeconds: number,
): Rotation {
  const successor = createSuccessor(secret);
  const end = new Date(now + graceSeconds * 1000);
  // Who brings the current secret got it in an answer: what led to it isn't open any more.
  const kept = grace
    .map((one) => ({ ...one, until: one.until ?? end }))
    .filter(({ until }) => until.getTime() > now);
  const used: UsedSecret = {
    secretHash,
    sealedSuccessor: sealSuccessor(secret, successor),
    exchangedAt: new Date(now),
    until: null,
  };
  return { successor, grace: [...kept, used].slice(-MOST_USED) };
}
