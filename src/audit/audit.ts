/**
 * What is told of everything that happens to tokens: the feed for whoever watches now, the trail for
 * whoever asks later, the counts for the chart.
 */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/database/connect.js';
import { ANY_ISSUER } from '../store/records.js';
import { type Activity, createActivity } from './activity.js';
import { createFeed, type Feed } from './feed.js';
import { createRefusals } from './refusals.js';
import type { Act, RefusedId, Report, TokenEvent } from './report.js';
import { type AuditEntry, createTrail, type Trail } from './trail.js';

export interface Audit {
  readonly feed: Feed;
  readonly trail: Trail;
  readonly activity: Activity;
  readonly report: Report;
  /** Writes what waits. @throws ServiceError 503 when something could not be written. */
  flush(): Promise<void>;
}

interface Dependencies {
  readonly store: Pick<Store, 'tokens' | 'events' | 'activity'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly retentionSeconds: number;
}

/** More than these at once aren't told one by one. */
const MAX_TOLD = 100;

export function createAudit({ store, clock, log, retentionSeconds }: Dependencies): Audit {
  const { tokens } = store;
  const feed = createFeed();
  const trail = createTrail({ events: store.events, clock, log, retentionSeconds });
  const activity = createActivity({ store: store.activity, clock, log });
  const refusals = createRefusals({
    record: tokens.recordRefused,
    async onRecorded(seen) {
      activity.count(
        'refused',
        seen.reduce((sum, { count }) => sum + count, 0),
      );
      // Further ones are on their records; only nobody is told at once.
      await publishById('refused', seen.slice(0, MAX_TOLD));
    },
    clock,
    log,
  });

  async function publishById(
    type: 'revoked' | 'refused',
    ids: readonly RefusedId[],
  ): Promise<void> {
    try {
      const wanted = new Set(ids.map(keyOf));
      for (const record of await tokens.findByJtis(ids.map(({ jti }) => jti))) {
        const isMeant = wanted.has(keyOf(record)) || record.issuer === ANY_ISSUER;
        if (isMeant) feed.publish({ type, record });
      }
    } catch (error) {
      log.warn({ err: error }, 'what happened could not be told at once');
      feed.publish({ type: 'resync' });
    }
  }

  function recordAct(
    type: 'token.revoked' | 'scope.revoked' | 'cutoff.lowered',
    { by, via, reason, requestId }: Act,
    about: Partial<AuditEntry>,
  ): void {
    trail.record({ type, by, via, reason, requestId, ...about });
  }

  function report(event: TokenEvent): void {
    switch (event.what) {
      case 'issued':
        activity.count('issued');
        feed.publish({ type: 'issued', record: event.record });
        break;
      case 'revoked': {
        const { record, act } = event;
        const { id: tokenId, jti, userId, applicationId } = record;
        activity.count('revoked');
        feed.publish({ type: 'revoked', record });
        recordAct('token.revoked', act, { tokenId, jti, userId, applicationId });
        break;
      }
      case 'already-revoked':
        break;
      case 'scope-revoked': {
        const { cutoff, act } = event;
        const { userId, applicationId } = cutoff;
        feed.publish({ type: 'scope-revoked', cutoff });
        recordAct('scope.revoked', act, { userId, applicationId });
        break;
      }
      case 'cutoff-lowered': {
        const { userId, applicationId } = event.cutoff;
        feed.publish({ type: 'resync' });
        recordAct('cutoff.lowered', event.act, { userId, applicationId });
        break;
      }
      case 'marked':
        activity.count('revoked', event.count);
        // Once more: the records themselves say it only now.
        feed.publish({ type: 'scope-revoked', cutoff: event.cutoff });
        break;
      case 'refused':
        refusals.note(event.token);
        break;
      case 'learnt':
        for (const cutoff of event.cutoffs) feed.publish({ type: 'scope-revoked', cutoff });
        if (event.entries.length > MAX_TOLD) feed.publish({ type: 'resync' });
        else if (event.entries.length > 0) void publishById('revoked', event.entries);
        break;
    }
  }

  return {
    feed,
    trail,
    activity,
    report,

    async flush() {
      // Refusals are counted when they are written, so the counts come after them.
      const results = [
        ...(await Promise.allSettled([refusals.flush(), trail.flush()])),
        ...(await Promise.allSettled([activity.flush()])),
      ];
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
}

function keyOf({ issuer, jti }: RefusedId): string {
  return `${issuer}\n${jti}`;
}
