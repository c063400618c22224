/**
 * What every path asks before it accepts a token: the verifier's answer, then the policy for tokens
 * without a record. Accepted tokens are noted for the history, behind the request.
 */
import type { Device } from '../store/records.js';
import type { Claims } from './claims.js';
import type { UsageRecorder } from './usage-recorder.js';
import type { TokenVerifier, Verification } from './verifier.js';

/**
 * `device` is only asked for when the token is noted; `door` is the verifier's. A promise only where
 * the policy needs a look-up.
 */
export type CheckToken = (
  token: string,
  device: () => Device,
  door?: 'dashboard',
) => Verification | Promise<Verification>;

type Refusal = Extract<Verification, { accepted: false }>;

interface Dependencies {
  readonly verifier: TokenVerifier;
  readonly usage: UsageRecorder;
  readonly unknownTokens: 'adopt' | 'allow' | 'deny';
  /** A token of ours was refused, as revoked or without a record; it may neither wait nor throw. */
  readonly onRefused?: (claims: Claims) => void;
}

export function createTokenCheck(deps: Dependencies): CheckToken {
  const { verifier, usage, unknownTokens } = deps;

  function refuse(verification: Refusal): Refusal {
    const { reason, claims } = verification;
    if (claims !== null && (reason === 'revoked' || reason === 'unknown')) deps.onRefused?.(claims);
    return verification;
  }

  async function checkRecorded(
    token: string,
    device: () => Device,
    door?: 'dashboard',
  ): Promise<Verification> {
    const first = verifier.check(token, door);
    if (!first.accepted) return refuse(first);
    const found = await usage.isRecorded(first.claims);
    if (found !== 'recorded') {
      // Its record may say more than memory does, on an instance that hasn't heard of it yet.
      return refuse({ accepted: false, reason: found, claims: first.claims });
    }
    // The look-up took time: what was revoked meanwhile is refused.
    const second = verifier.check(token, door);
    if (!second.accepted) return refuse(second);
    usage.note(second.claims, device);
    return second;
  }

  return function checkToken(token, device, door) {
    const verification = verifier.check(token, door);
    if (!verification.accepted) return refuse(verification);
    if (unknownTokens === 'deny' && !usage.isKnown(verification.claims)) {
      return checkRecorded(token, device, door);
    }
    usage.note(verification.claims, device);
    return verification;
  };
}
