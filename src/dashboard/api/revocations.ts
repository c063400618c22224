/** `/admin/revocations` and `/admin/cutoffs`: revoking many tokens at once, after a look at what would be revoked; and everything of a scope. */
import type { Request, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import {
  type Caller,
  authenticateAroundBody,
  callerOf,
  ownJti,
  principalOf,
} from '../../auth/authenticate.js';
import { forbidden, invalidInput, ServiceError, unavailable } from '../../errors.js';
import { parseJsonBody } from '../../http/body.js';
import { dateField, parseBody, pastDateField } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import type { Clock } from '../../clock.js';
import type { Trail } from '../../audit/trail.js';
import type { Logger } from '../../observability/logger.js';
import type { RevocationContext } from '../../audit/report.js';
import type { Revoker } from '../../revocation/revoke.js';
import type { TokenRecord } from '../../store/records.js';
import { isRecordId } from '../../store/records.js';
import type { TokenStore } from '../../store/tokens/tokens.js';
import type { UserStore } from '../../store/users/users.js';
import { toReason, withReason } from './reason.js';
import { scopeFields, toScope } from './scope.js';
import { filterBody, toTokenSearch } from './tokens-input.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly tokens: Pick<TokenStore, 'findByIds' | 'matching'>;
  readonly users: UserStore;
  readonly revoker: Revoker;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Pick<Trail, 'record'>;
}

/** Beyond it one is better off with a cut-off, which is one write whatever it covers. */
const MAX_BULK = 10_000;
const MAX_IDS = 1000;
const BATCH = 500;
/** Writes at a time: the journal groups them. */
const AT_ONCE = 16;
const PROGRESS_EVERY_MS = 200;

const IDS = `must be 1 to ${MAX_IDS} record ids.`;
const selection = z.union(
  [
    z.strictObject({
      ids: z
        .array(z.string().refine(isRecordId, { error: 'must be a record id.' }), { error: IDS })
        .min(1, { error: IDS })
        .max(MAX_IDS, { error: IDS }),
    }),
    z.strictObject({ filter: filterBody }),
  ],
  {
    error: `must be {"ids": [1 to ${MAX_IDS} record ids]} or {"filter": {…}} as the list takes it.`,
  },
);
type Selection = z.output<typeof selection>;

const EXPECTED = `must be the count of the preview, at most ${MAX_BULK}.`;
/** @param now ms since the epoch */
const bulkBody = (now: number) =>
  withReason({
    selection,
    expectedCount: z
      .int({ error: EXPECTED })
      .min(0, { error: EXPECTED })
      .max(MAX_BULK, { error: EXPECTED }),
    asOf: pastDateField(now),
  });

const cutoffBody = withReason({
  ...scopeFields,
  before: dateField().optional(),
});

export function createAdminRevocationsRouter(deps: Dependencies): Router {
  const { authenticate, tokens, users, revoker, clock, log, trail } = deps;
  const router = createRouter();

  /** What isn't revoked yet of the selection, as far as the caller may touch it. @throws ServiceError 400 above the limit */
  async function findSelected(chosen: Selection, caller: Caller): Promise<TokenRecord[]> {
    if ('ids' in chosen) {
      const found = await tokens.findByIds(chosen.ids);
      return found.filter(
        (record) =>
          record.revocation === null && (caller.isAdministrator || record.userId === caller.userId),
      );
    }
    const filter = await toTokenSearch(chosen.filter, caller, users);
    const selected: TokenRecord[] = [];
    for await (const batch of tokens.matching(filter, { batch: BATCH })) {
      selected.push(...batch.filter(({ revocation }) => revocation === null));
      if (selected.length > MAX_BULK) {
        throw invalidInput(
          'filter',
          `matches more than ${MAX_BULK.toLocaleString('en')} tokens; narrow it, or revoke everything of a user or an application.`,
        );
      }
    }
    return selected;
  }

  const preview: RequestHandler = async (req, res) => {
    const asOf = new Date(clock());
    const selected = await findSelected(parseBody(req, selection), await callerOf(req, users));
    const lastUsed = selected.flatMap(({ lastUsedAt }) => lastUsedAt?.getTime() ?? []);
    res.set('Cache-Control', 'no-store').json({
      count: selected.length,
      users: distinct(selected, 'userId'),
      applications: distinct(selected, 'applicationId'),
      lastUsedAt:
        lastUsed.length === 0 ? null : new Date(lastUsed.reduce((a, b) => Math.max(a, b))),
      includesThisSession: selected.some(({ jti }) => jti === ownJti(req)),
      asOf,
    });
  };

  const revokeMany: RequestHandler = async (req, res) => {
    const body = parseBody(req, bulkBody(clock()));
    const caller = await callerOf(req, users);
    const selected = await findSelected(body.selection, caller);
    if (selected.length > body.expectedCount) {
      throw new ServiceError(
        'conflict',
        `What matches has grown from ${body.expectedCount} to ${selected.length} since the preview; look at it again.`,
      );
    }
    const asOf = body.asOf.getTime();
    const context = contextOf(req, res, toReason(body));
    // What came in the place of something that has gone meanwhile was in no preview.
    const isDue = ({ createdAt }: TokenRecord) => createdAt.getTime() <= asOf;
    const matched = {
      tokens: selected.length,
      users: distinct(selected, 'userId'),
      applications: distinct(selected, 'applicationId'),
    };
    const result = await revokeAll(selected.filter(isDue), context, res);
    for (const { id, jti } of selected.filter((record) => !isDue(record))) {
      const message = 'was recorded after the preview, and is still good; look again.';
      result.failed.push({ _id: id, jti, message });
    }
    trail.record({ type: 'bulk.revoked', ...context, count: result.revoked });
    log.info(
      {
        event: 'bulk.revoked',
        count: result.revoked,
        by: caller.userId,
        requestId: requestIdOf(res),
      },
      'tokens revoked in bulk',
    );
    res.end(`${JSON.stringify({ result: { matched, ...result } })}\n`);
  };

  /** Goes on to the end even when nobody listens any more: what was asked for is done. */
  async function revokeAll(
    records: readonly TokenRecord[],
    context: RevocationContext,
    res: Response,
  ) {
    const result = {
      revoked: 0,
      alreadyRevoked: 0,
      failed: [] as { _id: string; jti: string; message: string }[],
    };
    let next = 0;
    let done = 0;
    let toldAt = performance.now();
    res.status(200).set({
      'Content-Type': 'application/x-ndjson',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    const tell = () => res.write(`${JSON.stringify({ done, total: records.length })}\n`);
    tell();
    async function revokeNext(): Promise<void> {
      for (let record = records[next]; record !== undefined; record = records[next]) {
        next += 1;
        try {
          const outcome = await revoker.revokeRecord(record, context);
          // Its token may be good all the same, and then gets another record.
          if (outcome === null) throw unavailable('has no record any more; look again.');
          if (outcome.outcome === 'revoked') result.revoked += 1;
          else result.alreadyRevoked += 1;
        } catch (error) {
          result.failed.push({
            _id: record.id,
            jti: record.jti,
            message: error instanceof ServiceError ? error.message : 'could not be revoked',
          });
          if (!(error instanceof ServiceError)) log.error({ err: error }, 'a bulk revoke failed');
        }
        done += 1;
        if (performance.now() - toldAt < PROGRESS_EVERY_MS) continue;
        toldAt = performance.now();
        tell();
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, revokeNext));
    return result;
  }

  const raiseCutoff: RequestHandler = async (req, res) => {
    const body = parseBody(req, cutoffBody);
    const { userId = null, applicationId = null, before } = body;
    const caller = await callerOf(req, users);
    // Cut-offs are kept for ever: whoever may name applications freely could make any number of them.
    const isOwn = userId === caller.userId && applicationId === null;
    if (!caller.isAdministrator && !isOwn) throw forbidden();
    const scope = { ...toScope(body), sessionsOnly: false };
    if (before !== undefined && before.getTime() > clock())
      throw invalidInput('before', 'must not be in the future.');
    const context = contextOf(req, res, toReason(body));
    const { at, matched } = await revoker.revokeScopeCounted(scope, context, before);
    res.status(201).set('Cache-Control', 'no-store').json({ userId, applicationId, at, matched });
  };

  const steps = authenticateAroundBody(authenticate, parseJsonBody);
  router.post('/admin/revocations/preview', steps, preview);
  router.post('/admin/revocations', steps, revokeMany);
  router.post('/admin/cutoffs', steps, raiseCutoff);
  router.all(
    ['/admin/revocations/preview', '/admin/revocations', '/admin/cutoffs'],
    methodNotAllowed('POST'),
  );
  return router;
}

function distinct(records: readonly TokenRecord[], field: 'userId' | 'applicationId'): number {
  return new Set(records.flatMap((record) => record[field] ?? [])).size;
}

function contextOf(req: Request, res: Response, reason: string): RevocationContext {
  return {
    by: principalOf(req).userId,
    via: 'dashboard',
    reason,
    requestId: requestIdOf(res),
  };
}
