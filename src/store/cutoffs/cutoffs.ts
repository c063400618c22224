/** The collection `cutoffs`: "everything of this scope issued at or before T is revoked", one document per scope. */
import mongoose, { type Model, Schema, type Types } from 'mongoose';
import { MAX_AHEAD_MS } from '../../clock.js';
import { unavailable } from '../../errors.js';
import type { StoreContext } from '../database/context.js';
import { ensureIndexes } from '../database/indexes.js';
import { isAtEnd } from '../database/operations.js';
import { bareIdOf } from '../ids.js';
import { schemaOptions } from '../database/schema-options.js';
import type { WriteConcern } from '../database/write-concern.js';
import { loweredTo, raisedTo } from './moves.js';

/** Whose tokens: null = whichever. Both null = all; both given = that user in that application. */
export interface CutoffScope {
  readonly userId: string | null;
  readonly applicationId: string | null;
  /** Only refresh tokens and what came from them. */
  readonly sessionsOnly: boolean;
  /** `userId` without a kind, as it was kept once: it may have meant a guest's tokens as well as a user's. */
  readonly everyKind?: true;
}

export interface Cutoff extends CutoffScope {
  /** T: tokens issued at or before it are revoked. */
  readonly at: Date;
  readonly by: string;
  readonly reason: string | null;
  readonly via: string;
  /** The request that set it, as the log names it. */
  readonly requestId?: string;
  /** When it was set, which may be long after `at`; null in those from before it was kept. */
  readonly setAt?: Date | null;
  /** Once it was so far in the future, and an administrator lowered it. */
  readonly loweredFrom?: Date;
}

export interface CutoffStore {
  /** Moves the scope's cut-off to `at`, never back: one atomic, durable write. The cut-off now in force. */
  raise(cutoff: Cutoff): Promise<Cutoff>;
  /**
   * Moves those of exactly this scope that are later than `beyond` back to `at`, or to whatever was
   * asked for meanwhile and moved nothing: one atomic, durable write each. @returns those that it
   * moved, as they are now, each with `loweredFrom`.
   */
  lower(
    scope: Pick<CutoffScope, 'userId' | 'applicationId'>,
    times: { readonly beyond: Date; readonly at: Date },
  ): Promise<Cutoff[]>;
  all(): Promise<Cutoff[]>;
  /**
   * Batches of those that were written since, by the database's clock, or of all: there may be one for
   * each user. @throws ServiceError 503 unless it got to the end.
   */
  writtenSince(since: Date | null): AsyncIterable<Cutoff[]>;
  /** Those whose scope a token of this user and application may be in. */
  matching(userId: string | null, applicationId: string | null): Promise<Cutoff[]>;
  /** Those whose records were not all marked yet when this process last looked; from memory. */
  unmarked(): readonly Cutoff[];
  /** Those whose records are still to be marked. */
  pending(): Promise<Cutoff[]>;
  /** Notes that everything up to this cut-off is marked. */
  setMarked(cutoff: Cutoff): Promise<void>;
}

type CutoffDocument = Omit<Cutoff, 'everyKind'> & {
  readonly _id: string;
  readonly everyKind?: boolean;
  readonly markedUntil: Date | null;
  readonly loweredFrom?: Date | null;
  /** Which call lowered it last. */
  readonly loweredBy?: Types.ObjectId | null;
  /** The latest that was asked for and isn't in the future; one that is may hide it. */
  readonly askedAt?: Date | null;
  /** By the database's clock; not in those from before it was kept, which whoever reads all has. */
  readonly recordedAt?: Date;
};

function cutoffSchema(writeConcern: WriteConcern) {
  return new Schema(
    {
      _id: { type: String, required: true },
      userId: { type: String, default: null },
      applicationId: { type: String, default: null },
      sessionsOnly: { type: Boolean, required: true },
      everyKind: { type: Boolean, default: false },
      at: { type: Date, required: true },
      by: { type: String, required: true },
      reason: { type: String, default: null },
      via: { type: String, required: true },
      requestId: { type: String, default: null },
      setAt: { type: Date, default: null },
      markedUntil: { type: Date, default: null },
      loweredFrom: { type: Date },
      loweredBy: { type: Schema.Types.ObjectId },
      askedAt: { type: Date },
      recordedAt: { type: Date },
    },
    schemaOptions('cutoffs', writeConcern),
  );
}

const RECORDED_INDEX = { recordedAt: 1 } as const;
const BATCH = 1000;

export function createCutoffStore({
  connection,
  writeConcern,
  clock,
  run,
  report,
}: StoreContext): CutoffStore & { createIndexes(): Promise<void> } {
  const model = connection.model(
    'Cutoff',
    cutoffSchema(writeConcern),
  ) as unknown as Model<CutoffDocument>;

  const unmarkedByKey = new Map<string, Cutoff>();

  /** A read that began earlier may end later: nothing older replaces what is known. */
  function noteMarking(found: CutoffDocument): Cutoff {
    const cutoff = toCutoff(found);
    const known = unmarkedByKey.get(found._id);
    const latest = Math.max(cutoff.at.getTime(), cutoff.loweredFrom?.getTime() ?? -Infinity);
    if (known === undefined || known.at.getTime() <= latest) {
      if (isUnmarked(found)) unmarkedByKey.set(found._id, cutoff);
      else unmarkedByKey.delete(found._id);
    }
    return cutoff;
  }

  return {
    async raise(cutoff) {
      const { at, userId, applicationId, sessionsOnly, by, reason, via, requestId } = cutoff;
      const setAt = new Date(clock());
      const found = await run(() =>
        model
          .findOneAndUpdate(
            { _id: scopeKey(cutoff) },
            raisedTo(at, {
              scope: { userId, applicationId, sessionsOnly, everyKind: false },
              cause: { by, reason, via, requestId: requestId ?? null, setAt },
              latest: clock() + MAX_AHEAD_MS,
            }),
            { upsert: true, returnDocument: 'after', updatePipeline: true, writeConcern },
          )
          .lean(),
      );
      return noteMarking(found);
    },

    async lower({ userId, applicationId }, { beyond, at }) {
      const keys = [true, false].flatMap((sessionsOnly) =>
        [{}, { everyKind: true as const }].map((holder) =>
          scopeKey({ userId, applicationId, sessionsOnly, ...holder }),
        ),
      );
      const loweredBy = new mongoose.mongo.ObjectId();
      await run(() =>
        model.updateMany(
          { _id: { $in: keys }, at: { $gt: beyond } },
          loweredTo(at, { beyond, loweredBy }),
          { hint: { _id: 1 }, updatePipeline: true, writeConcern },
        ),
      );
      const found = await run(() =>
        model
          .find({ _id: { $in: keys }, loweredBy })
          .hint({ _id: 1 })
          .lean(),
      );
      return found.map(noteMarking);
    },

    async all() {
      return (await run(() => model.find().lean())).map(noteMarking);
    },

    async *writtenSince(since) {
      const filter = since === null ? {} : { recordedAt: { $gte: since } };
      const hint = since === null ? { _id: 1 as const } : RECORDED_INDEX;
      const cursor = model.collection.find<CutoffDocument>(filter, { hint, batchSize: BATCH });
      try {
        while (await run(() => cursor.hasNext()))
          yield cursor.readBufferedDocuments().map(noteMarking);
        if (!isAtEnd(cursor)) throw unavailable(BROKEN_OFF);
      } finally {
        await run(() => cursor.close()).catch(() => undefined);
      }
    },

    async matching(userId, applicationId) {
      const ofEveryKind: Pick<CutoffScope, 'userId' | 'everyKind'>[] =
        userId === null ? [] : [{ userId: bareIdOf(userId), everyKind: true }];
      const keys = [true, false].flatMap((sessionsOnly) =>
        [{ userId }, { userId: null }, ...ofEveryKind].flatMap((holder) =>
          [applicationId, null].map((application) =>
            scopeKey({ ...holder, applicationId: application, sessionsOnly }),
          ),
        ),
      );
      const found = await run(() =>
        model
          .find({ _id: { $in: [...new Set(keys)] } })
          .hint({ _id: 1 })
          .lean(),
      );
      return found.map(toCutoff);
    },

    unmarked: () => [...unmarkedByKey.values()],

    async pending() {
      const found = await run(() =>
        model.find({ $expr: { $lt: [{ $ifNull: ['$markedUntil', null] }, '$at'] } }).lean(),
      );
      return found.filter(isUnmarked).map(toCutoff);
    },

    async setMarked(cutoff) {
      await run(() =>
        model.updateOne(
          // Unless it was lowered meanwhile: what is raised after that is not marked yet.
          { _id: scopeKey(cutoff), at: { $gte: cutoff.at } },
          // The other instances read it once more.
          { $max: { markedUntil: cutoff.at }, $currentDate: { recordedAt: true } },
          { writeConcern },
        ),
      );
      const key = scopeKey(cutoff);
      const known = unmarkedByKey.get(key);
      if (known !== undefined && known.at <= cutoff.at) unmarkedByKey.delete(key);
    },

    createIndexes: () => ensureIndexes(model.collection, [[RECORDED_INDEX, {}]], { run, report }),
  };
}

function isUnmarked({ at, markedUntil }: CutoffDocument): boolean {
  return (markedUntil?.getTime() ?? -Infinity) < at.getTime();
}

function toCutoff({
  _id,
  markedUntil: _markedUntil,
  loweredBy: _loweredBy,
  askedAt: _askedAt,
  recordedAt: _recordedAt,
  requestId,
  everyKind,
  loweredFrom,
  ...cutoff
}: CutoffDocument): Cutoff {
  return {
    ...cutoff,
    ...(requestId ? { requestId } : {}),
    ...(everyKind === true ? { everyKind } : {}),
    ...(loweredFrom ? { loweredFrom } : {}),
  };
}

const BROKEN_OFF = 'The list of cut-offs broke off. Nothing is confirmed; repeat the request.';

/** Unambiguous for any ids: a JSON array. */
export function scopeKey({ userId, applicationId, sessionsOnly, everyKind }: CutoffScope): string {
  const scope = [userId, applicationId, sessionsOnly];
  return JSON.stringify(everyKind === true ? [...scope, 'every kind'] : scope);
}
