/** Who revokes, and through which door, where it is FusionAuth's. */
import type { Request } from 'express';
import { requestIdOf } from '../../http/request-id.js';
import type { RevocationContext } from '../../audit/report.js';

export function contextOf(
  req: Request,
  by: string,
  more: Partial<RevocationContext> = {},
): RevocationContext {
  return {
    by,
    via: 'fusionauth',
    reason: null,
    requestId: req.res === undefined ? '' : requestIdOf(req.res),
    ...more,
  };
}
