/**
 * What is told of everything that happens to tokens: the feed for whoever watches now, the trail for
 * whoever asks later, the counts for the chart. The core calls one function for each thing that
 * happens; none of them waits or throws.
 */
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/database/connect.js';
import type { Cutoff } from '../store/cutoffs/cutoffs.js';
import { ANY_ISSUER, type TokenRecord } from '../store/records.js';
import { type Activity, createActivity } from './activity.js';
import { createFeed, type Feed } from './feed.js';
import { createRefusals, type RefusedId } from './refusals.js';
import { createTrail, type Trail } from './trail.js';

/** Who did it, through which door, why. */
export interface Act {
  readonly by: string;
  readonly via: string;
  readonly reason: string | null;
  readonly requestId: string;
}

/** What other instances revoked, as this one learns of it: ids and cut-offs. */
export interface ForeignRevocations {
  readonly entries: readonly RefusedId[];
  readonly cutoffs: readonly Cutoff[];
}

export interface Audit {
  readonly feed: Feed;
  readonly trail: Trail;
  readonly activity: Activity;
  /** A token was issued, registered or adopted. */
  issued(record: TokenRecord): void;
  /** This instance revoked it, just now. */
  revoked(record: TokenRecord, act: Act): void;
  scopeRevoked(cutoff: Cutoff, act: Act): void;
  /** A cut-off that was in the future is at now. */
  cutoffLowered(scope: Pick<Cutoff, 'userId' | 'applicationId'>, act: Act): void;
  /** Records that a cut-off had revoked were marked. */
  marked(cutoff: Cutoff, count: number): void;
  /** A token of ours was presented, and refused as revoked or unknown. */
  refused(token: RefusedId): void;
  foreign(revocations: ForeignRevocations): void;
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

  return {
    feed,
    trail,
    activity,

    issued(record) {
      activity.count('issued');
      feed.publish({ type: 'issued', record });
    },

    revoked(record, { by, via, reason, requestId }) {
      activity.count('revoked');
      feed.publish({ type: 'revoked', record });
      const { id: tokenId, jti, userId, applicationId } = record;
      const about = { tokenId, jti, userId, applicationId };
      trail.record({ type: 'token.revoked', by, via, reason, requestId, ...about });
    },

    scopeRevoked(cutoff, { by, via, reason, requestId }) {
      feed.publish({ type: 'scope-revoked', cutoff });
      const { userId, applicationId } = cutoff;
      const about = { userId, applicationId };
      trail.record({ type: 'scope.revoked', by, via, reason, requestId, ...about });
    },

    cutoffLowered({ userId, applicationId }, { by, via, reason, requestId }) {
      feed.publish({ type: 'resync' });
      const about = { userId, applicationId };
      trail.record({ type: 'cutoff.lowered', by, via, reason, requestId, ...about });
    },

    marked(cutoff, count) {
      activity.count('revoked', count);
      // Once more: the records themselves say it only now.
      feed.publish({ type: 'scope-revoked', cutoff });
    },

    refused: refusals.note,

    foreign({ entries, cutoffs }) {
      for (const cutoff of cutoffs) feed.publish({ type: 'scope-revoked', cutoff });
      if (entries.length > MAX_TOLD) feed.publish({ type: 'resync' });
      else if (entries.length > 0) void publishById('revoked', entries);
    },

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
