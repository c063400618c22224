/** `/admin/events`, `/admin/activity`, `/admin/events/stream`: what happened, how much of it, and what happens now. */
import type { Request, RequestHandler, Router } from 'express';
import { z } from 'zod';
import type { Audit } from '../../audit/audit.js';
import { administratorsAmong, callerOf, principalOf } from '../../auth/authenticate.js';
import type { Clock } from '../../clock.js';
import { ServiceError, unavailable } from '../../errors.js';
import { openEventStream } from '../live/event-stream.js';
import { choiceField, parseQuery, userIdField, wholeNumberField } from '../../http/input.js';
import { createPlaces } from '../../http/places.js';
import { methodNotAllowed } from '../../http/problem.js';
import { createRouter } from '../../http/router.js';
import type { Logger } from '../../observability/logger.js';
import type { HourOfActivity } from '../../store/activity.js';
import {
  type AuditEvent,
  AUDIT_TYPES,
  type EventPosition,
  type EventStore,
} from '../../store/events.js';
import { isRecordId } from '../../store/records.js';
import type { UserStore } from '../../store/users/users.js';
import type { Claims } from '../../tokens/claims.js';
import { createLiveViewers } from '../live/viewers.js';
import type { ToAdminWire } from './token-wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly requireAdministrator: RequestHandler;
  readonly users: UserStore;
  readonly events: Pick<EventStore, 'list'>;
  readonly audit: Pick<Audit, 'feed' | 'trail' | 'activity'>;
  readonly toWire: ToAdminWire;
  readonly clock: Clock;
  /** Neither expired nor revoked, from memory. @throws ServiceError 503 when that can't be known. */
  readonly isUsable: (claims: Claims) => boolean;
  /** What is to be done first when the service stops: open streams would hold it up. */
  readonly onStop: (stop: () => void) => void;
  readonly log: Logger;
}

const STREAM = '/admin/events/stream';
const RETRY_MS = 3000;
const BUSY_SECONDS = 10;
/** A browser has one for each tab. */
const PLACES = {
  what: 'streams',
  inAll: 2000,
  reserved: 200,
  ofUser: 20,
  ofAdministrator: 100,
  retryAfterSeconds: BUSY_SECONDS,
} as const;
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
    administratorsAmong: (userIds) => administratorsAmong(userIds, users),
    log: deps.log,
  });
  const places = createPlaces(PLACES);
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
    res.set('Cache-Control', 'no-store').json(toWireActivity(buckets));
  };

  const watch: RequestHandler = async (req, res) => {
    parseQuery(req, z.strictObject({}));
    const principal = principalOf(req);
    if (principal.kind === 'password') {
      throw new ServiceError(
        'forbidden',
        'Watch with a token: a password has no end to watch for.',
      );
    }
    const { userId, claims, idleAt = Infinity } = principal;
    function stillValid(): boolean {
      // It is no sign of anybody being there, so it asks again with the cookie that there is then.
      if (deps.clock() >= idleAt) throw unavailable('The session may have become idle; ask again.');
      return deps.isUsable(claims);
    }
    const { isAdministrator } = await callerOf(req, users);
    // Gone while it was looked up: nothing would ever say that it has closed.
    if (res.destroyed) return;
    if (isStopping) throw unavailable('The service is stopping.', undefined, BUSY_SECONDS);
    res.once('close', places.take(userId, isAdministrator));
    const stream = openEventStream(req, res, RETRY_MS);
    const viewer = { userId, isAdministrator, stream, stillValid };
    res.once('close', () => viewers.remove(viewer));
    try {
      await viewers.add(viewer, req.get('last-event-id') ?? null);
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

/** One bucket for each hour, oldest first, none missing. */
export function toWireActivity(buckets: readonly HourOfActivity[]) {
  return { buckets };
}

export function toWireEvent({ id, ...event }: AuditEvent) {
  return { _id: id, ...event };
}

/** RFC 8288, relative to the request. */
function nextLink(req: Request, before: string): string {
  const query = new URLSearchParams(req.query as Record<string, string>);
  query.set('before', before);
  return `<${req.path}?${query.toString()}>; rel="next"`;
}
