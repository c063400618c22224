/**
 * The writer behind the check: notes which tokens are in use (`lastUsedAt`, at most once a minute
 * each) and adopts those without a record, in batches, so that no check waits for the database.
 */
import type { Report } from '../audit/report.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../observability/logger.js';
import { type Device, isIssuedHere, type TokenRecord } from '../store/records.js';
import type { SeenToken } from '../store/tokens/uses.js';
import type { TokenStore } from '../store/tokens/tokens.js';
import { unavailable } from '../errors.js';
import { createRecent } from '../recent.js';
import type { Claims } from './claims.js';
import { recordOfClaims } from './record-of-claims.js';

export interface UsageRecorder {
  /** Notes the use of an accepted token. @throws ServiceError 503 when too many adoptions wait already. */
  note(claims: Claims, device: () => Device): void;
  /** Whether this process knows that the token has a record. */
  isKnown(claims: Claims): boolean;
  /** Looks the record up, and what it says. @throws ServiceError 503 */
  isRecorded(claims: Claims): Promise<'recorded' | 'revoked' | 'unknown'>;
  /** Resolves when everything noted before is durable. @throws ServiceError 503; it stays noted. */
  flush(): Promise<void>;
  /** Resolves when a token with this jti that was seen before has its record. @throws ServiceError 503 */
  adopted(jti: string): Promise<void>;
  /** How many notes aren't durable yet: those that wait, and those being written. */
  readonly pending: number;
}

interface Dependencies {
  readonly tokens: Pick<TokenStore, 'recordSeen' | 'isRecorded' | 'findByJtis'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly adopt: boolean;
  readonly retentionSeconds: number;
  readonly report: Report;
  /**
   * A token of others has a record that it may have got just now: the outcome of a write was unknown,
   * or another instance adopted it too. It may neither wait nor throw.
   */
  readonly onFound?: (record: TokenRecord) => void;
  /** The use of a token was noted (once a minute each); it may neither wait nor throw. */
  readonly onNoted?: (claims: Claims) => void;
}

const NOTE_EVERY_MS = 60_000;
const FLUSH_AFTER_MS = 50;
const RETRY_AFTER_MS = 1000;
const BATCH = 500;
const MAX_TRACKED = 200_000;
/** From here on, uses of recorded tokens are no longer noted; adoptions still are. */
const MAX_PENDING_USES = 5000;
/** From here on, unknown tokens are refused: one that is accepted must be recorded. */
const MAX_PENDING = 100_000;

export function createUsageRecorder(deps: Dependencies): UsageRecorder {
  const { tokens, clock, log, adopt, retentionSeconds } = deps;
  /** When the use of a token was last noted (ms). */
  const noted = createRecent<number>(MAX_TRACKED);
  const known = createRecent<true>(MAX_TRACKED);
  let waiting = new Map<string, SeenToken>();
  /** The jtis of those that may have no record yet: noted, and being written. */
  let unrecorded = new Set<string>();
  let recording = new Set<string>();
  /** How many are being written: they wait again when it fails. */
  let underWay = 0;
  let timer: NodeJS.Timeout | null = null;
  /** The write under way, and the one that starts after it for all who asked meanwhile. */
  let writing: Promise<void> | null = null;
  let next: Promise<void> | null = null;

  const pending = (): number => waiting.size + underWay;

  function schedule(delayMs: number): void {
    timer ??= setTimeout(() => {
      timer = null;
      flush().catch((error: unknown) => {
        log.warn({ err: error, pending: pending() }, 'uses of tokens could not be recorded yet');
      });
    }, delayMs).unref();
  }

  /** Writes what waits now; what is noted meanwhile waits for the next time. */
  async function writeAll(): Promise<void> {
    const all = [...waiting];
    waiting = new Map();
    underWay = all.length;
    recording = unrecorded;
    unrecorded = new Set();
    for (let at = 0; at < all.length; at += BATCH) {
      const batch = all.slice(at, at + BATCH);
      try {
        const adopted = await tokens.recordSeen(
          batch.map(([, seen]) => seen),
          adopt,
        );
        for (const record of adopted) deps.report({ what: 'issued', record });
        if (adopt) await lookAtOthers(batch, adopted);
      } catch (error) {
        // Later notes of the same tokens, made during the write, win.
        waiting = new Map([...all.slice(at), ...waiting]);
        underWay = 0;
        unrecorded = new Set([...recording, ...unrecorded]);
        recording = new Set();
        schedule(RETRY_AFTER_MS);
        throw error;
      }
      underWay -= batch.length;
      if (adopt) for (const [key] of batch) known.set(key, true);
    }
    recording = new Set();
  }

  /** Those that had a record, as far as the write tells, and weren't known to have one. */
  async function lookAtOthers(
    batch: readonly (readonly [string, SeenToken])[],
    adopted: readonly TokenRecord[],
  ): Promise<void> {
    const isNew = new Set(adopted.map(({ issuer, jti, userId }) => `${issuer}\n${jti}\n${userId}`));
    const others = batch
      .filter(([key]) => !known.has(key) && !isNew.has(key))
      .map(([, { record }]) => record);
    if (others.length === 0) return;
    const records = new Map(
      (await tokens.findByJtis(others.map(({ jti }) => jti))).map(
        (record) => [`${record.issuer}\n${record.jti}`, record] as const,
      ),
    );
    for (const { issuer, jti, userId } of others) {
      const record = records.get(`${issuer}\n${jti}`);
      // What is issued here is dated exactly: a cut-off hits it for ever, marked or not.
      if (record !== undefined && !isIssuedHere(record.origin)) deps.onFound?.(record);
      // Two holders of one id: its record is the first one's, and revoking it refuses both.
      const holder = record?.userId ?? userId;
      if (holder !== userId)
        log.warn(
          { event: 'token.other-holder', jti, issuer, userId },
          'a token is in use whose id is recorded for another holder',
        );
    }
  }

  function flush(): Promise<void> {
    if (writing === null) {
      if (waiting.size === 0) return Promise.resolve();
      writing = writeAll().finally(() => {
        writing = null;
      });
      return writing;
    }
    next ??= writing
      .catch(() => undefined)
      .then(() => {
        next = null;
        return flush();
      });
    return next;
  }

  return {
    note(claims, device) {
      const key = keyOf(claims);
      const now = clock();
      const last = noted.get(key);
      if (last !== undefined && now - last < NOTE_EVERY_MS && now >= last) return;
      deps.onNoted?.(claims);
      const mustBeAdopted = adopt && !known.has(key) && !waiting.has(key);
      if (!mustBeAdopted && pending() >= MAX_PENDING_USES) return;
      if (pending() >= MAX_PENDING) {
        throw unavailable('Too many new tokens are waiting to be recorded.');
      }
      noted.set(key, now);
      if (mustBeAdopted) unrecorded.add(claims.jti);
      const lastUsedAt = new Date(now);
      waiting.set(key, {
        record: recordOfClaims(claims, {
          origin: 'adopted',
          device: device(),
          lastUsedAt,
          seenAt: now,
          retentionSeconds,
        }),
        lastUsedAt,
      });
      schedule(FLUSH_AFTER_MS);
    },

    isKnown: (claims) => known.has(keyOf(claims)),

    async isRecorded(claims) {
      const found = await tokens.isRecorded(claims.jti, claims.issuer, claims.userId);
      if (found === 'recorded') known.set(keyOf(claims), true);
      return found;
    },

    flush,

    async adopted(jti) {
      if (unrecorded.has(jti) || recording.has(jti)) await flush();
    },

    get pending() {
      return pending();
    },
  };
}

/** With the holder: what is known of one's token says nothing of another's with the same id. */
function keyOf({ issuer, jti, userId }: Claims): string {
  return `${issuer}\n${jti}\n${userId}`;
}
