/** `/admin/events`, `/admin/activity`, `/admin/events/stream`: what happened, how much of it, and what happens now. */
import type { Request, RequestHandler, Router } from 'express';
import { z } from 'zod';
import type { Audit } from '../audit/audit.js';
import {
  callerOf,
  isAdministrator as isAdministratorNow,
  principalOf,
} from '../auth/authenticate.js';
import { ServiceError, unavailable } from '../errors.js';
import { openEventStream } from '../http/event-stream.js';
import { choiceField, parseQuery, userIdField, wholeNumberField } from '../http/input.js';
import { methodNotAllowed } from '../http/problem.js';
import { createRouter } from '../http/router.js';
import type { Logger } from '../observability/logger.js';
import {
  type AuditEvent,
  AUDIT_TYPES,
  type EventPosition,
  type EventStore,
} from '../store/events.js';
import { isRecordId } from '../store/records.js';
import type { UserStore } from '../store/users.js';
import type { Claims } from '../tokens/claims.js';
import { createLiveViewers, type LiveViewer } from './live-viewers.js';
import type { ToAdminWire } from './admin-wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly requireAdministrator: RequestHandler;
  readonly users: UserStore;
  readonly events: Pick<EventStore, 'list'>;
  readonly audit: Pick<Audit, 'feed' | 'trail' | 'activity'>;
  readonly toWire: ToAdminWire;
  /** Neither expired nor revoked, from memory. @throws ServiceError 503 when that can't be known. */
  readonly isUsable: (claims: Claims) => boolean;
  /** What is to be done first when the service stops: open streams would hold it up. */
  readonly onStop: (stop: () => void) => void;
  readonly log: Logger;
}

const STREAM = '/admin/events/stream';
const RETRY_MS = 3000;
const MAX_VIEWERS = 2000;
/** Of somebody who is no administrator: a browser has one for each tab. */
const MAX_OF_USER = 20;
const BUSY_SECONDS = 10;
const HOURS = { '24h': 24, '7d': 7 * 24, '30d': 30 * 24 } as const;

const eventsQuery = z.strictObject({
  userId: userIdField().optional(),
  tokenId: z
    .string()
    .refine(isRecordId, { error: "must be the 24 hexadecimal digits of a record's _id." })
    .transform((id) => id.toLowerCase())
    .optional(),
  type: choiceField(AUDIT_TYPES).optional(),
  before: z
    .string()
    .regex(/^\d{1,15}-[0-9a-f]{24}$/, { error: 'must be a cursor that this list gave.' })
    .transform((cursor): EventPosition => {
      const [at = '', id = ''] = cursor.split('-');
      return { at: new Date(Number(at)), id };
    })
    .optional(),
  limit: wholeNumberField(1, 100).default(40),
});

const activityQuery = z.strictObject({ range: choiceField(['24h', '7d', '30d']).default('24h') });

export function createAdminEventsRouter(deps: Dependencies): Router {
  const { authenticate, requireAdministrator, users, events, audit } = deps;
  const { feed, trail, activity } = audit;
  const viewers = createLiveViewers({
    feed,
    toWire: deps.toWire,
    isAdministrator: (userId) => isAdministratorNow({ userId }, users),
    log: deps.log,
  });
  /** Streams by whose they are. */
  const open = new Map<string, number>();
  let total = 0;
  let isStopping = false;

  deps.onStop(() => {
    isStopping = true;
    viewers.closeAll();
  });

  const list: RequestHandler = async (req, res) => {
    const { limit, before, ...filter } = parseQuery(req, eventsQuery);
    // What was done just now belongs into the list.
    await trail.flush();
    const found = await events.list(filter, { limit: limit + 1, before: before ?? null });
    const page = found.slice(0, limit);
    const last = found.length > limit ? page.at(-1) : undefined;
    const next = last === undefined ? null : `${last.at.getTime()}-${last.id}`;
    if (next !== null) res.set('Link', nextLink(req, next));
    res.set('Cache-Control', 'no-store').json({ events: page.map(toWireEvent), next });
  };

  const showActivity: RequestHandler = async (req, res) => {
    const { range } = parseQuery(req, activityQuery);
    const buckets = await activity.buckets(HOURS[range]);
    res.set('Cache-Control', 'no-store').json({ buckets });
  };

  function assertRoom(userId: string, isAdministrator: boolean): void {
    if (isStopping || total >= MAX_VIEWERS) {
      throw unavailable('Too many are watching; try again later.', undefined, BUSY_SECONDS);
    }
    if (!isAdministrator && (open.get(userId) ?? 0) >= MAX_OF_USER) {
      throw new ServiceError('too-many-requests', `At most ${MAX_OF_USER} streams are possible.`, {
        headers: { 'Retry-After': String(BUSY_SECONDS) },
      });
    }
  }

  function count(userId: string, change: 1 | -1): void {
    total += change;
    const ofUser = (open.get(userId) ?? 0) + change;
    if (ofUser === 0) open.delete(userId);
    else open.set(userId, ofUser);
  }

  const watch: RequestHandler = async (req, res) => {
    parseQuery(req, z.strictObject({}));
    const principal = principalOf(req);
    if (principal.kind === 'password') {
      throw new ServiceError(
        'forbidden',
        'Watch with a token: a password has no end to watch for.',
      );
    }
    const { userId, claims } = principal;
    const { isAdministrator } = await callerOf(req, users);
    // Gone while it was looked up: nothing would ever say that it has closed.
    if (res.destroyed) return;
    assertRoom(userId, isAdministrator);
    const viewing: { viewer: LiveViewer | null } = { viewer: null };
    count(userId, 1);
    const stream = await openEventStream(req, res, {
      retryMs: RETRY_MS,
      onClose() {
        count(userId, -1);
        if (viewing.viewer !== null) viewers.remove(viewing.viewer);
      },
    });
    viewing.viewer = { userId, isAdministrator, stream, stillValid: () => deps.isUsable(claims) };
    try {
      await viewers.add(viewing.viewer, req.get('last-event-id') ?? null);
    } catch (error) {
      stream.cut();
      throw error;
    }
    if (isStopping) viewers.closeAll();
  };

  const router = createRouter();
  router.get('/admin/events', authenticate, requireAdministrator, list);
  router.all('/admin/events', methodNotAllowed('GET', 'HEAD'));
  router.get('/admin/activity', authenticate, requireAdministrator, showActivity);
  router.all('/admin/activity', methodNotAllowed('GET', 'HEAD'));
  // Express would answer HEAD with the handler of GET, which never ends.
  router.head(STREAM, methodNotAllowed('GET'));
  router.get(STREAM, authenticate, watch);
  router.all(STREAM, methodNotAllowed('GET'));
  return router;
}

function toWireEvent({ id, ...event }: AuditEvent) {
  return { _id: id, ...event };
}

/** RFC 8288, relative to the request. */
function nextLink(req: Request, before: string): string {
  const query = new URLSearchParams(req.query as Record<string, string>);
  query.set('before', before);
  return `<${req.path}?${query.toString()}>; rel="next"`;
}
