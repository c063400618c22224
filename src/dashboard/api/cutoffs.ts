/** `POST /admin/cutoffs/lower`: an administrator moves a cut-off that is in the future back to now. */
import type { RequestHandler, Router } from 'express';
import { authenticateAroundBody, principalOf } from '../../auth/authenticate.js';
import type { ConfirmCaller } from '../../auth/confirm-caller.js';
import { ServiceError } from '../../errors.js';
import { parseJsonBody } from '../../http/body.js';
import { parseBody } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import type { LowerCutoff } from '../../revocation/lower-cutoff.js';
import { toReason, withReason } from './reason.js';
import { scopeFields, toScope } from './scope.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly requireAdministrator: RequestHandler;
  readonly confirmCaller: ConfirmCaller;
  readonly lowerCutoff: LowerCutoff;
}

const PATH = '/admin/cutoffs/lower';

const lowerBody = withReason(scopeFields);

export function createAdminCutoffsRouter(deps: Dependencies): Router {
  const { authenticate, requireAdministrator, confirmCaller, lowerCutoff } = deps;

  const lower: RequestHandler = async (req, res) => {
    const body = parseBody(req, lowerBody);
    const scope = toScope(body);
    const principal = principalOf(req);
    // It lets tokens in again: asked of the database, as whatever grants is.
    await confirmCaller(principal, 'administrator');
    const lowered = await lowerCutoff(scope, {
      by: principal.userId,
      via: 'dashboard',
      reason: toReason(body),
      requestId: requestIdOf(res),
    });
    if (lowered === null) {
      throw new ServiceError(
        'conflict',
        'No cut-off of exactly this scope is more than 5 minutes in the future; any other stays as it is.',
      );
    }
    res.set('Cache-Control', 'no-store').json({ ...scope, ...lowered });
  };

  const router = createRouter();
  const steps = authenticateAroundBody(authenticate, parseJsonBody);
  router.post(PATH, steps, requireAdministrator, lower);
  router.all(PATH, methodNotAllowed('POST'));
  return router;
}
