/** `/admin/revocations` and `/admin/cutoffs`: revoking many tokens at once, after a look at what would be revoked; and everything of a scope. */
import type { Request, RequestHandler, Response, Router } from 'express';
import {
  type Caller,
  authenticateAroundBody,
  callerOf,
  ownJti,
  principalOf,
} from '../../auth/authenticate.js';
import { forbidden, invalidInput, ServiceError, unavailable } from '../../errors.js';
import { parseJsonBody } from '../../http/body.js';
import { parseBody } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import type { Clock } from '../../clock.js';
import type { Trail } from '../../audit/trail.js';
import type { Logger } from '../../observability/logger.js';
import type { RevocationContext } from '../../audit/report.js';
import type { Revoker } from '../../revocation/revoke.js';
import type { Matched } from '../../revocation/matched.js';
import type { CutoffScope } from '../../store/cutoffs/cutoffs.js';
import type { TokenRecord } from '../../store/records.js';
import type { TokenStore } from '../../store/tokens/tokens.js';
import type { UserStore } from '../../store/users/users.js';
import { toReason } from './reason.js';
import {
  bulkBody,
  cutoffBody,
  MAX_BULK,
  selection,
  type SelectionInput,
} from './revocations-input.js';
import { toScope } from './scope.js';
import { toTokenSearch } from './tokens-input.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly tokens: Pick<TokenStore, 'findByIds' | 'matching'>;
  readonly users: UserStore;
  readonly revoker: Revoker;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Pick<Trail, 'record'>;
}

const BATCH = 500;
/** Writes at a time: the journal groups them. */
const AT_ONCE = 16;
const PROGRESS_EVERY_MS = 200;

interface BulkResult {
  revoked: number;
  alreadyRevoked: number;
  readonly failed: { _id: string; jti: string; message: string }[];
}

/** How far a bulk revoke is; at the end, what came of it, and what its selection held that wasn't revoked before. */
export type BulkLine =
  | { readonly done: number; readonly total: number }
  | { readonly result: BulkResult & { readonly matched: Matched } };

export function createAdminRevocationsRouter(deps: Dependencies): Router {
  const { authenticate, tokens, users, revoker, clock, log, trail } = deps;
  const router = createRouter();

  /** What isn't revoked yet of the selection, as far as the caller may touch it. @throws ServiceError 400 above the limit */
  async function findSelected(chosen: SelectionInput, caller: Caller): Promise<TokenRecord[]> {
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
    res.set('Cache-Control', 'no-store').json(toWirePreview(selected, ownJti(req), asOf));
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
    res.end(
      lineOf({
        result: { matched: { tokens: selected.length, ...holdersOf(selected) }, ...result },
      }),
    );
  };

  /** Goes on to the end even when nobody listens any more: what was asked for is done. */
  async function revokeAll(
    records: readonly TokenRecord[],
    context: RevocationContext,
    res: Response,
  ): Promise<BulkResult> {
    const result: BulkResult = { revoked: 0, alreadyRevoked: 0, failed: [] };
    let next = 0;
    let done = 0;
    let toldAt = performance.now();
    res.status(200).set({
      'Content-Type': 'application/x-ndjson',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    const tell = () => res.write(lineOf({ done, total: records.length }));
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
    const raised = await revoker.revokeScopeCounted(scope, context, before);
    res.status(201).set('Cache-Control', 'no-store').json(toWireCutoff(scope, raised));
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

/** @param viewerJti the id of the token that the viewer's own request came with. */
export function toWirePreview(
  selected: readonly TokenRecord[],
  viewerJti: string | null,
  asOf: Date,
) {
  const lastUsed = selected.flatMap(({ lastUsedAt }) => lastUsedAt?.getTime() ?? []);
  return {
    /** How many would be revoked: what is revoked already isn't counted. */
    count: selected.length,
    ...holdersOf(selected),
    lastUsedAt: lastUsed.length === 0 ? null : new Date(lastUsed.reduce((a, b) => Math.max(a, b))),
    includesThisSession: selected.some(({ jti }) => jti === viewerJti),
    asOf,
  };
}

type Raised = Awaited<ReturnType<Revoker['revokeScopeCounted']>>;

/** `matched`: the recorded tokens that it hit and that were good before; null = they couldn't be counted in time. */
export function toWireCutoff(
  { userId, applicationId }: Pick<CutoffScope, 'userId' | 'applicationId'>,
  { at, matched }: Raised,
) {
  return { userId, applicationId, at, matched };
}

function holdersOf(records: readonly TokenRecord[]) {
  const distinct = (field: 'userId' | 'applicationId') =>
    new Set(records.flatMap((record) => record[field] ?? [])).size;
  return { users: distinct('userId'), applications: distinct('applicationId') };
}

function lineOf(line: BulkLine): string {
  return `${JSON.stringify(line)}\n`;
}

function contextOf(req: Request, res: Response, reason: string): RevocationContext {
  return {
    by: principalOf(req).userId,
    via: 'dashboard',
    reason,
    requestId: requestIdOf(res),
  };
}
