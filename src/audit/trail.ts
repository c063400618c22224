/**
 * The audit trail: who did what to whose token, and why. Written in batches behind the request: what
 * a revocation must never lose (who, why, when, which request) is in the revoked record itself,
 * durably, before the request is answered.
 */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import {
  type AuditEvent,
  type AuditType,
  createEventId,
  type EventStore,
  type NewAuditEvent,
} from '../store/events.js';
import { createWriteBehind } from '../store/write-behind.js';

/** What happened; what isn't said is null. */
export interface AuditEntry extends Partial<Omit<AuditEvent, 'id' | 'at'>> {
  readonly type: AuditType;
  readonly by: string;
  readonly via: string;
  readonly requestId: string;
}

export interface Trail {
  /** Never waits and never throws. */
  record(entry: AuditEntry): void;
  /** Resolves when everything recorded before is durable. @throws ServiceError 503; it stays queued. */
  flush(): Promise<void>;
}

interface Dependencies {
  readonly events: Pick<EventStore, 'insertMany'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly retentionSeconds: number;
}

const FLUSH_AFTER_MS = 50;
const RETRY_AFTER_MS = 1000;
const BATCH = 500;
/** What waits while the database is away; beyond it the newest are dropped, and the log says how many. */
const MAX_QUEUED = 10_000;

export function createTrail({ events, clock, log, retentionSeconds }: Dependencies): Trail {
  const queue: NewAuditEvent[] = [];
  let dropped = 0;
  const writer = createWriteBehind({
    write: writeAll,
    afterMs: FLUSH_AFTER_MS,
    retryAfterMs: RETRY_AFTER_MS,
    onFailure: (error) =>
      log.warn({ err: error, pending: queue.length }, 'audit events could not be written yet'),
  });

  async function writeAll(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH);
      await events.insertMany(batch);
      queue.splice(0, batch.length);
    }
    if (dropped === 0) return;
    log.error({ count: dropped }, 'audit events were dropped while the database was away');
    dropped = 0;
  }

  return {
    record(entry) {
      if (queue.length >= MAX_QUEUED) {
        if (dropped === 0) log.error({ pending: queue.length }, 'audit events are being dropped');
        dropped += 1;
        return;
      }
      const at = new Date(clock());
      const { type, by, via, requestId } = entry;
      // Field by field: whatever else the caller's object holds is not written.
      queue.push({
        id: createEventId(),
        at,
        type,
        by,
        via,
        requestId,
        reason: entry.reason ?? null,
        tokenId: entry.tokenId ?? null,
        jti: entry.jti ?? null,
        userId: entry.userId ?? null,
        applicationId: entry.applicationId ?? null,
        count: entry.count ?? null,
        purgeAt: new Date(at.getTime() + retentionSeconds * 1000),
      });
      writer.noted();
    },
    flush: writer.flush,
  };
}
