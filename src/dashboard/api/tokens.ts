/** `/admin/tokens`: the dashboard's list, a token in detail, revoking one. Administrators see everyone's tokens, others their own. */
import type { Request, RequestHandler, Router } from 'express';
import {
  type Caller,
  authenticateAroundBody,
  callerOf,
  ownJti,
  principalOf,
} from '../../auth/authenticate.js';
import type { Clock } from '../../clock.js';
import { invalidInput, notFound } from '../../errors.js';
import { parseJsonBody } from '../../http/body.js';
import { parseBody, parseIdParameter, parseQuery } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import type { Revoker } from '../../revocation/revoke.js';
import type { CutoffStore } from '../../store/cutoffs/cutoffs.js';
import type { TokenRecord } from '../../store/records.js';
import { isRecordId } from '../../store/records.js';
import type { TokenStore } from '../../store/tokens/tokens.js';
import type { Count, Position } from '../../store/tokens/query/filter.js';
import type { UserStore } from '../../store/users/users.js';
import type { UsageRecorder } from '../../tokens/usage-recorder.js';
import { revokeBody, toReason } from './reason.js';
import { type TimelineEntry, timelineOf } from './timeline.js';
import { formatCursor, parseCursor, tokenListQuery, toTokenSearch } from './tokens-input.js';
import type { AdminWireRecord, ToAdminWire } from './token-wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly tokens: Pick<
    TokenStore,
    'findById' | 'findByJti' | 'search' | 'countMatching' | 'mintedWith'
  >;
  readonly users: UserStore;
  readonly usage: UsageRecorder;
  readonly revoker: Revoker;
  readonly cutoffs: Pick<CutoffStore, 'matching'>;
  readonly toWire: ToAdminWire;
  /** What was revoked just now says so in its record, so that it is found and counted as revoked. */
  readonly settled: () => Promise<void>;
  readonly clock: Clock;
}

export interface TokenPage extends Count {
  readonly tokens: readonly AdminWireRecord[];
  /** Cursors for `cursor=`; null = there is nothing there. Also as `Link` headers. */
  readonly next: string | null;
  readonly previous: string | null;
  /** false: the work allowed for one answer ended before the page was full; `next` goes on there. */
  readonly complete: boolean;
}

export interface TokenDetail {
  readonly token: AdminWireRecord;
  /** The refresh token that it came from. */
  readonly session: AdminWireRecord | null;
  /** The newest of what came from it. */
  readonly children: readonly AdminWireRecord[];
  readonly moreChildren: boolean;
  /** Oldest first. */
  readonly timeline: readonly TimelineEntry[];
}

const MAX_CHILDREN = 50;

export function createAdminTokensRouter(deps: Dependencies): Router {
  const { authenticate, tokens, users, usage, revoker, toWire, clock } = deps;
  const router = createRouter();

  /** The record, if the caller may see it. Someone else's is 404, like an unknown one. */
  async function findOwn(req: Request): Promise<{ record: TokenRecord; caller: Caller }> {
    const id = parseIdParameter(req, 'id');
    if (!isRecordId(id))
      throw invalidInput('id', "must be the 24 hexadecimal digits of a record's _id.");
    const caller = await callerOf(req, users);
    const record = await tokens.findById(id);
    if (record === null || !(caller.isAdministrator || record.userId === caller.userId))
      throw notFound('token');
    return { record, caller };
  }

  const list: RequestHandler = async (req, res) => {
    const { sort, direction, limit, cursor, ...input } = parseQuery(req, tokenListQuery);
    const order = { sortField: sort, direction };
    const from = parseCursor(cursor, order);
    const filter = await toTokenSearch(input, await callerOf(req, users), users);
    // What was seen for the first time just now belongs into the list; without the database there is none.
    if (cursor === undefined) await Promise.all([usage.flush(), deps.settled()]);
    const [found, count] = await Promise.all([
      tokens.search(filter, { ...order, ...from, limit }),
      tokens.countMatching(filter),
    ]);
    const cursorOf = (backwards: boolean, position: Position | null) =>
      position === null ? null : formatCursor(order, backwards, position);
    const next = cursorOf(false, found.next);
    const previous = cursorOf(true, found.previous);
    if (next !== null || previous !== null) res.set('Link', linksOf(req, { next, prev: previous }));
    const wires = await toWire(found.records, ownJti(req));
    const page = { next, previous, complete: found.complete, ...count };
    res.set('Cache-Control', 'no-store').json({ tokens: wires, ...page } satisfies TokenPage);
  };

  const show: RequestHandler = async (req, res) => {
    await usage.flush();
    const { record, caller } = await findOwn(req);
    const [sessions, minted, children] = await Promise.all([
      record.sessionId === null ? [] : tokens.findByJti(record.sessionId),
      tokens.mintedWith(record.id, MAX_CHILDREN),
      record.kind === 'refresh'
        ? tokens.search(
            { userIds: null, sessionId: record.jti },
            {
              sortField: 'createdAt',
              direction: -1,
              limit: MAX_CHILDREN,
              from: null,
              backwards: false,
            },
          )
        : { records: [], next: null },
    ]);
    const isOwn = (other: TokenRecord) => other.userId === record.userId;
    const session = sessions.filter(({ kind }) => kind === 'refresh').find(isOwn) ?? null;
    const shown = [...children.records, ...minted].filter(isOwn);
    const [wire, sessionWire, ...childrenWire] = await toWire(
      [record, session ?? record, ...shown],
      ownJti(req),
    );
    res.set('Cache-Control', 'no-store').json({
      token: wire,
      session: session === null ? null : sessionWire,
      children: childrenWire,
      moreChildren: children.next !== null || minted.length === MAX_CHILDREN,
      timeline: await timelineOf(record, session, {
        users,
        cutoffs: deps.cutoffs,
        now: clock(),
        isAdministrator: caller.isAdministrator,
      }),
    } satisfies TokenDetail);
  };

  const revoke: RequestHandler = async (req, res) => {
    const reason = toReason(parseBody(req, revokeBody));
    const { record } = await findOwn(req);
    const revoked = await revoker.revokeRecord(record, {
      by: principalOf(req).userId,
      via: 'dashboard',
      reason,
      requestId: requestIdOf(res),
    });
    if (revoked === null) throw notFound('token');
    const [wire] = await toWire([revoked.record], ownJti(req));
    res.set('Cache-Control', 'no-store').json(wire);
  };

  router.get('/admin/tokens', authenticate, list);
  router.all('/admin/tokens', methodNotAllowed('GET', 'HEAD'));
  router.get('/admin/tokens/:id', authenticate, show);
  router.post(
    '/admin/tokens/:id/revoke',
    authenticateAroundBody(authenticate, parseJsonBody),
    revoke,
  );
  router.all('/admin/tokens/:id', methodNotAllowed('GET', 'HEAD'));
  router.all('/admin/tokens/:id/revoke', methodNotAllowed('POST'));
  return router;
}

/** RFC 8288, relative to the request. */
function linksOf(req: Request, cursors: Readonly<Record<string, string | null>>): string {
  const query = new URLSearchParams(req.query as Record<string, string>);
  return Object.entries(cursors)
    .flatMap(([rel, cursor]) => {
      if (cursor === null) return [];
      query.set('cursor', cursor);
      return [`<${req.path}?${query.toString()}>; rel="${rel}"`];
    })
    .join(', ');
}
