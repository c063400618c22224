/** `POST /admin/inspect`: would this token be accepted now, and if not, why? Only an administrator may know; anyone else learns "no" and nothing more. */
import type { RequestHandler, Router } from 'express';
import { z } from 'zod';
import { authenticateAroundBody, ownJti } from '../../auth/authenticate.js';
import { tokenOfParameter } from '../../auth/credentials.js';
import type { Clock } from '../../clock.js';
import { parseJsonBody } from '../../http/body.js';
import { parseBody } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { createRouter } from '../../http/router.js';
import { ANY_ISSUER, type TokenRecord } from '../../store/records.js';
import type { TokenStore } from '../../store/tokens/tokens.js';
import { hashSecret, type OpaqueToken, parseOpaqueToken } from '../../tokens/opaque.js';
import { stateOf } from '../../tokens/state.js';
import type { Sessions } from '../../tokens/session.js';
import type { SessionState } from '../../tokens/session-state.js';
import type { RefusalReason, TokenVerifier } from '../../tokens/verifier.js';
import type { AdminWireRecord, ToAdminWire } from './token-wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly requireAdministrator: RequestHandler;
  readonly verifier: TokenVerifier;
  readonly sessionState: SessionState;
  readonly tokens: Pick<TokenStore, 'findByJti' | 'findSecret'>;
  readonly sessions: Pick<Sessions, 'recognize'>;
  readonly isRevoked: (record: TokenRecord) => boolean;
  readonly unknownTokens: 'adopt' | 'allow' | 'deny';
  readonly ownIssuer: string;
  readonly toWire: ToAdminWire;
  readonly clock: Clock;
}

type Reason = RefusalReason | 'used';

interface Finding {
  readonly reason: Reason | null;
  readonly record: TokenRecord | null;
}

const EXPLANATIONS: Readonly<Record<Reason, string>> = {
  malformed: 'This is neither a JWT nor one of our opaque tokens. Was it copied in full?',
  'bad-signature':
    'It was not signed with this service’s key, or changed since; or, for an opaque token, its secret is not (or no longer) the right one.',
  'bad-claims':
    'The signature is right, but its claims are not as they must be: it needs a jti and somebody it belongs to.',
  expired: 'It has expired. Its holder needs a new one.',
  'not-yet-valid':
    'It is from more than 5 minutes in the future: check nbf and iat, and the clock of its issuer.',
  altered:
    'It has the id of a token issued here, and isn’t that token: whoever else has the signing key signed it (again), or changed it. If that is no gateway of yours, the key is misused.',
  unknown:
    'It is signed rightly, but this service has no record of it: UNKNOWN_TOKENS is deny, or its sid names a session issued here that has no record (any more).',
  revoked: 'It was revoked: itself, its session, or everything of its scope up to its time.',
  'wrong-audience':
    'It is the session of a browser on the dashboard: good there, in its cookie, and nowhere else.',
  used: 'It was exchanged for its successor. For REFRESH_TOKEN_GRACE it still leads there; after that, whoever presents it ends its session.',
};
const ACCEPTED = 'It would be accepted now.';

export const inspectBody = z.strictObject({
  token: z
    .string({ error: 'must be a token.' })
    .trim()
    .min(1, { error: 'must be a token.' })
    .max(16_384, { error: 'must have at most 16,384 characters.' })
    .transform(tokenOfParameter),
});

export function createAdminInspectRouter(deps: Dependencies): Router {
  const { tokens, verifier, ownIssuer } = deps;
  const router = createRouter();

  async function inspectJwt(token: string): Promise<Finding> {
    const verification = verifier.check(token);
    const { claims } = verification;
    if (claims === null) {
      return { reason: verification.accepted ? null : verification.reason, record: null };
    }
    const records = await tokens.findByJti(claims.jti);
    const record =
      records.find(({ issuer }) => issuer === claims.issuer) ??
      records.find(({ issuer }) => issuer === ANY_ISSUER) ??
      null;
    if (!verification.accepted) return { reason: verification.reason, record };
    // The records, just read, may know more than memory does.
    const isRevoked = records.some(
      ({ issuer, revocation }) =>
        revocation !== null && (issuer === claims.issuer || issuer === ANY_ISSUER),
    );
    if (isRevoked) return { reason: 'revoked', record };
    if (verification.asksSession === true) {
      const session = await deps.sessionState(claims.sessionId ?? '');
      if (session !== 'good') return { reason: session, record };
    }
    const isUnknown = record?.userId !== claims.userId && deps.unknownTokens === 'deny';
    return { reason: isUnknown ? 'unknown' : null, record };
  }

  async function inspectOpaque(text: string, { jti, secret }: OpaqueToken): Promise<Finding> {
    const found = await tokens.findSecret(jti, ownIssuer);
    if (found === null) return { reason: 'unknown', record: null };
    const { record, secretHash } = found;
    const isUsed = secretHash !== hashSecret(secret);
    if (isUsed && (await deps.sessions.recognize(text)) === null)
      return { reason: 'bad-signature', record };
    const state = stateOf(record, deps.clock(), deps.isRevoked);
    if (state !== 'active') return { reason: state, record };
    return { reason: isUsed ? 'used' : null, record };
  }

  const inspect: RequestHandler = async (req, res) => {
    const { token } = parseBody(req, inspectBody);
    const opaque = parseOpaqueToken(token);
    const { reason, record } =
      opaque === null ? await inspectJwt(token) : await inspectOpaque(token, opaque);
    const [wire = null] = record === null ? [] : await deps.toWire([record], ownJti(req));
    res.set('Cache-Control', 'no-store').json(toWireInspection(reason, wire));
  };

  router.post(
    '/admin/inspect',
    authenticateAroundBody(deps.authenticate, parseJsonBody),
    deps.requireAdministrator,
    inspect,
  );
  router.all('/admin/inspect', methodNotAllowed('POST'));
  return router;
}

/** @param token its record, if there is one. */
export function toWireInspection(reason: Reason | null, token: AdminWireRecord | null) {
  return {
    accepted: reason === null,
    reason,
    /** What it means and what to do, for people. */
    explanation: reason === null ? ACCEPTED : EXPLANATIONS[reason],
    token,
  };
}
