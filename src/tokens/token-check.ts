/**
 * What every path asks before it accepts a token: the verifier's answer, then the policy for tokens
 * without a record. Accepted tokens are noted for the history, behind the request.
 */
import type { Report } from '../audit/report.js';
import type { Device } from '../store/records.js';
import type { Operation } from '../store/cluster/log.js';
import type { Claims } from './claims.js';
import type { SessionState } from './session-state.js';
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

type Accepted = Extract<Verification, { accepted: true }>;
type Refusal = Extract<Verification, { accepted: false }>;

interface Dependencies {
  readonly verifier: TokenVerifier;
  readonly usage: UsageRecorder;
  readonly sessionState: SessionState;
  readonly unknownTokens: 'adopt' | 'allow' | 'deny';
  readonly report: Report;
  /** Puts in force, here and everywhere, what only the record says. @throws ServiceError 503 */
  readonly learn: (operations: readonly Operation[], refused: Claims) => Promise<void>;
  /** Told of one that only its own date would let in again: it is to stay refused. It may not wait. @throws ServiceError 503 when that can't be promised. */
  readonly keepRefused?: (claims: Claims) => void;
}

export function createTokenCheck(deps: Dependencies): CheckToken {
  const { verifier, usage, unknownTokens } = deps;

  function refuse(verification: Refusal): Refusal {
    const { reason, claims } = verification;
    if (claims !== null && (reason === 'revoked' || reason === 'unknown'))
      deps.report({ what: 'refused', token: claims });
    if (claims !== null && verification.isDated === true) deps.keepRefused?.(claims);
    return verification;
  }

  const mustBeRecorded = ({ claims }: Accepted) =>
    unknownTokens === 'deny' && !usage.isKnown(claims);
  const asksSession = ({ asksSession: asks }: Accepted) => asks === true;

  async function checkRecorded(
    token: string,
    device: () => Device,
    door?: 'dashboard',
  ): Promise<Verification> {
    const first = verifier.check(token, door);
    if (!first.accepted) return refuse(first);
    const { claims } = first;
    if (asksSession(first)) {
      const session = await deps.sessionState(claims.sessionId ?? '');
      if (session !== 'good') return refuse({ accepted: false, reason: session, claims });
    }
    if (mustBeRecorded(first)) {
      const found = await usage.isRecorded(claims);
      // Its record may say more than memory does, on an instance that hasn't heard of it yet.
      if (found === 'revoked') {
        const { jti, issuer } = claims;
        await deps.learn([{ what: 'revoked', entry: { jti, issuer, expiresAt: null } }], claims);
      }
      if (found !== 'recorded') return refuse({ accepted: false, reason: found, claims });
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
    if (asksSession(verification) || mustBeRecorded(verification)) {
      return checkRecorded(token, device, door);
    }
    usage.note(verification.claims, device);
    return verification;
  };
}
