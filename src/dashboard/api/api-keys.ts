/** `POST /admin/api-keys`: an administrator makes an API key. Listing and revoking them is the history's business. */
import type { RequestHandler, Router } from 'express';
import { z } from 'zod';
import type { ApiKeys } from '../../auth/api-keys.js';
import { authenticateAroundBody, principalOf } from '../../auth/authenticate.js';
import type { Minting } from '../../auth/minting.js';
import type { Clock } from '../../clock.js';
import { parseJsonBody } from '../../http/body.js';
import { clientDevice } from '../../http/client.js';
import { dateField, noteField, parseBody } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import type { Trail } from '../../audit/trail.js';
import type { Logger } from '../../observability/logger.js';
import type { TokenRecord } from '../../store/records.js';
import { toWireRecord } from '../../tokens/wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly requireAdministrator: RequestHandler;
  readonly apiKeys: ApiKeys;
  readonly minting: Minting;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Pick<Trail, 'record'>;
}

/** @param now ms since the epoch */
export const newKeyBody = (now: number) =>
  z.strictObject({
    name: noteField(100),
    expiresAt: dateField()
      .refine((date) => date.getTime() > now, { error: 'must be in the future.' })
      .nullish(),
  });

export function createAdminApiKeysRouter(deps: Dependencies): Router {
  const { authenticate, requireAdministrator, apiKeys, minting, clock, log, trail } = deps;
  const router = createRouter();

  const create: RequestHandler = async (req, res) => {
    const { name, expiresAt } = parseBody(req, newKeyBody(clock()));
    const principal = principalOf(req);
    const by = principal.userId;
    const { key, record } = await minting.mint(
      principal,
      ({ parent }) =>
        apiKeys.create({
          name,
          userId: by,
          expiresAt: expiresAt ?? null,
          device: clientDevice(req),
          parent,
        }),
      { door: 'child', isEndless: !expiresAt, needed: 'administrator' },
    );
    const { id: tokenId, jti, userId } = record;
    const requestId = requestIdOf(res);
    trail.record({ type: 'api-key.created', by, via: 'admin', requestId, tokenId, jti, userId });
    log.info({ event: 'api-key.created', jti, by, requestId }, 'API key created');
    res.status(201).set('Cache-Control', 'no-store').json(toWireNewKey(key, record));
  };

  router.post(
    '/admin/api-keys',
    authenticateAroundBody(authenticate, parseJsonBody),
    requireAdministrator,
    create,
  );
  router.all('/admin/api-keys', methodNotAllowed('POST'));
  return router;
}

/** @param key shown in this answer only. */
export function toWireNewKey(key: string, record: TokenRecord) {
  return { key, ...toWireRecord(record, 'active') };
}
