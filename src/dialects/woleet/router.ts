/** Woleet's token API: mint a JWT that never expires, revoke one by its value. */
import type { Request, RequestHandler, Router } from 'express';
import { z } from 'zod';
import {
  authenticateAroundBody,
  isAdministrator,
  principalOf,
  userPrincipalOf,
} from '../../auth/authenticate.js';
import type { Minting } from '../../auth/minting.js';
import { tokenOfParameter } from '../../auth/credentials.js';
import { invalidInput } from '../../errors.js';
import { parseOptionalBody } from '../../http/body.js';
import { clientDevice } from '../../http/client.js';
import { parseBody, parseQuery, textField } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import { recordVanished, type Revoker } from '../../revocation/revoke.js';
import { bareIdOf } from '../../store/ids.js';
import type { UserStore } from '../../store/users/users.js';
import type { Claims } from '../../tokens/claims.js';
import type { TokenIssuer } from '../../tokens/issuer.js';
import type { TokenRegistrar } from '../../tokens/registrar.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly issuer: TokenIssuer;
  readonly minting: Minting;
  readonly identify: (token: string) => Claims | null;
  readonly registrar: TokenRegistrar;
  readonly revoker: Revoker;
  readonly users: UserStore;
  readonly config: { readonly tokenAudience: string };
}

const PATH = '/v1/token';
const MAX_CDATA = 64;

const mintQuery = z.strictObject({
  cdata: z.union([z.literal('').transform(() => undefined), textField(MAX_CDATA)]).optional(),
  /** The generated client's cache breaker. */
  _: z.unknown().optional(),
});
const tokenInput = z.object({
  token: z
    .string({ error: 'must be a JWT of this service.' })
    .max(9000, { error: 'must be a JWT of this service.' })
    .optional(),
});

export function createWoleetRouter(deps: Dependencies): Router {
  const { authenticate, issuer, minting, identify, registrar, revoker, users } = deps;
  const { tokenAudience: audience } = deps.config;

  const mint: RequestHandler = async (req, res) => {
    const { cdata } = parseQuery(req, mintQuery);
    const { token } = await minting.mint(
      userPrincipalOf(req),
      ({ userId, parent }) => {
        const id = bareIdOf(userId);
        return issuer.issueAccessToken({
          origin: 'woleet',
          userId,
          subject: id,
          audience,
          lifetimeSeconds: null,
          device: clientDevice(req),
          claims: { _id: id },
          ...(parent === null ? {} : { parentId: parent.id }),
          ...(parent?.applicationId ? { applicationId: parent.applicationId } : {}),
          ...(cdata === undefined ? {} : { cdata }),
        });
      },
      { door: 'child', isEndless: true },
    );
    res.set('Cache-Control', 'no-store').json({ token });
  };

  const revoke: RequestHandler = async (req, res) => {
    const principal = principalOf(req);
    const token = tokenOf(req);
    const claims = identify(token);
    // Somebody else's is answered like none of ours.
    if (
      claims === null ||
      (claims.userId !== principal.userId && !(await isAdministrator(principal, users)))
    ) {
      throw invalidInput('token', 'must be a token of yours, issued by this service.');
    }
    const { record } = await registrar.register({ token });
    const revoked = await revoker.revokeRecord(record, {
      by: principal.userId,
      via: 'woleet',
      reason: null,
      requestId: requestIdOf(res),
    });
    // Repeated, it is registered again.
    if (revoked === null) throw recordVanished();
    res.set('Cache-Control', 'no-store').end();
  };

  const router = createRouter();
  // Express would answer HEAD with the handler of GET, and mint a token.
  router.head(PATH, methodNotAllowed('GET', 'DELETE'));
  router.get(PATH, authenticate, mint);
  router.delete(PATH, authenticateAroundBody(authenticate, parseOptionalBody), revoke);
  router.all(PATH, methodNotAllowed('GET', 'DELETE'));
  return router;
}

/** From the query, or from a JSON or form body, so that it need not be in a URL. */
function tokenOf(req: Request): string {
  const given = [
    parseBody({ body: req.query }, tokenInput).token,
    parseBody(req, tokenInput).token,
  ].filter((value) => value !== undefined && value !== '');
  const [token, other] = given;
  if (token === undefined)
    throw invalidInput('token', 'is needed, as a parameter or in a JSON or form body.');
  if (other !== undefined && other !== token)
    throw invalidInput('token', 'differs between the query and the body.');
  return tokenOfParameter(token);
}
