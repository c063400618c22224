/**
 * When this database began, and how far it has come: kept in the collection `identity`, once. What
 * was issued before it began may have been revoked in another database, of which this one knows
 * nothing; and what was revoked since may be missing from an older state of it.
 */
import { randomUUID } from 'node:crypto';
import type mongoose from 'mongoose';
import type { StoreContext } from './context.js';
import type { CutoffStore } from '../cutoffs/cutoffs.js';

export interface Beginning {
  /** What was issued at or before it is refused; null = nothing is for that reason. */
  readonly refusesUntil: Date | null;
  /** By this call. */
  readonly isNew: boolean;
}

export interface BeginningStore {
  /** Whether this service has never used the database. @throws ServiceError 503 */
  isUnused(): Promise<boolean>;
  /**
   * To be called before anything else is asked of the database. In one that was never used before,
   * everything that was issued before is refused from then on: one atomic, durable note, the same
   * for all instances, then the cut-off.
   * @param options.adoptEarlier nothing is refused: no earlier database is missed. Counts only in one that was never used.
   * @throws ServiceError 503
   */
  begin(options?: { readonly adoptEarlier?: boolean }): Promise<Beginning>;
  /**
   * Whether the database still is the one that this process began with, or an older state of that
   * (a backup was restored). Where it isn't the same, what was revoked is lost: everything that was
   * issued before now is refused there from then on.
   * @throws ServiceError 503
   */
  look(): Promise<'same' | 'older' | 'another'>;
  /** Notes durably that the database has come further. @param atOnce also when that was only some seconds ago. @throws ServiceError 503 */
  advance(atOnce: boolean): Promise<void>;
}

interface BeginningDocument {
  readonly _id: string;
  readonly at: Date;
  /** `earlier`: it had been used before this was noted. */
  readonly kind: 'new' | 'earlier' | 'adopting';
  /** Whether the cut-off is set; absent where none is wanted. */
  readonly isCutOff?: boolean;
}

/** What a process that uses the database writes into it again and again: an older state of the database has an older one, or none. */
interface MarkDocument {
  readonly _id: string;
  readonly count: number;
  readonly at: Date;
}

/** A state of the database that is older by less isn't noticed. */
const ADVANCE_EVERY_MS = 10_000;
const FORGOTTEN_AFTER_MS = 7 * 86_400_000;
const MARK = 'mark:';

const ONLY = { _id: 'beginning' } as const;
const BY_ID = { _id: 1 } as const;
const UNKNOWN = 'a new database knows nothing of what was revoked before';
const OLDER = 'an older state of the database knows nothing of what was revoked since';

interface Dependencies extends Pick<StoreContext, 'connection' | 'writeConcern' | 'clock' | 'run'> {
  readonly cutoffs: Pick<CutoffStore, 'raise'>;
  /** The time by the database's clock. */
  readonly time: () => Promise<Date>;
}

export function createBeginningStore({
  connection,
  writeConcern,
  clock,
  run,
  cutoffs,
  time,
}: Dependencies): BeginningStore {
  const collection = () =>
    connection.collection('identity') as unknown as mongoose.mongo.Collection<BeginningDocument>;
  const find = () => run(() => collection().findOne(ONLY, { hint: BY_ID }));

  /** Users may be another service's; only what nobody else writes tells. */
  async function holdsNothing(): Promise<boolean> {
    const found = await Promise.all([
      run(() => connection.collection('tokens').findOne({}, { hint: BY_ID })),
      run(() => connection.collection('cutoffs').findOne({}, { hint: BY_ID })),
      run(() => connection.collection('audit').findOne({}, { hint: BY_ID })),
      run(() =>
        connection
          .collection<{ _id: string }>('identity')
          .findOne({ _id: 'database' }, { hint: BY_ID }),
      ),
    ]);
    return found.every((document) => document === null);
  }

  /** When the database began that this process works with. */
  let knownAt: Date | null = null;
  const markId = `${MARK}${randomUUID()}`;
  /** 0 = there is no mark yet. */
  let markedCount = 0;
  let advancedAt = -Infinity;

  async function note(
    adoptEarlier: boolean,
    wasLost = false,
  ): Promise<BeginningDocument & { isOurs: boolean }> {
    // Before anybody else could have begun, and used, the database without our knowing.
    const at = new Date(Math.max(clock(), (await time()).getTime()));
    // What is in a lost one by now was written since, by instances that went on.
    const isNew = wasLost || (await holdsNothing());
    const kind = !isNew ? 'earlier' : adoptEarlier ? 'adopting' : 'new';
    const before = await run(() =>
      collection().findOneAndUpdate(
        ONLY,
        { $setOnInsert: { at, kind, ...(kind === 'new' ? { isCutOff: false } : {}) } },
        { upsert: true, returnDocument: 'before', hint: BY_ID, writeConcern },
      ),
    );
    // Another instance may have been first: its time counts.
    return before === null ? { ...ONLY, at, kind, isOurs: true } : { ...before, isOurs: false };
  }

  /** Once: whoever lowers it afterwards does so for good. */
  async function setCutoff(at: Date, reason = UNKNOWN): Promise<void> {
    await cutoffs.raise({
      userId: null,
      applicationId: null,
      sessionsOnly: false,
      at,
      by: 'system',
      reason,
      via: 'system',
    });
    await run(() =>
      collection().updateOne(ONLY, { $set: { isCutOff: true } }, { hint: BY_ID, writeConcern }),
    );
  }

  const marks = () =>
    connection.collection('identity') as unknown as mongoose.mongo.Collection<MarkDocument>;

  async function writeMark(): Promise<void> {
    const count = markedCount + 1;
    await run(() =>
      marks().replaceOne(
        { _id: markId },
        { count, at: new Date(clock()) },
        { upsert: true, hint: BY_ID, writeConcern },
      ),
    );
    markedCount = count;
  }

  async function forgetOldMarks(): Promise<void> {
    const before = new Date(clock() - FORGOTTEN_AFTER_MS);
    const old = { _id: { $gte: MARK, $lt: `${MARK}~` }, at: { $lt: before } };
    await run(() => marks().deleteMany(old, { hint: BY_ID, writeConcern }));
  }

  return {
    isUnused: async () => (await find()) === null && (await holdsNothing()),

    async begin({ adoptEarlier = false } = {}) {
      const found = await find();
      const { at, kind, isOurs, isCutOff } =
        found === null ? await note(adoptEarlier) : { ...found, isOurs: false };
      knownAt = at;
      if (kind !== 'new') return { refusesUntil: null, isNew: isOurs };
      if (isCutOff !== true) await setCutoff(at);
      return { refusesUntil: at, isNew: isOurs };
    },

    async look() {
      if (knownAt === null) return 'same';
      const found = await find();
      if (found === null) {
        const { at } = await note(false, true);
        await setCutoff(at);
      }
      if (found?.at.getTime() !== knownAt.getTime()) return 'another';
      if (markedCount === 0) return 'same';
      const mark = await run(() => marks().findOne({ _id: markId }, { hint: BY_ID }));
      if (mark !== null && mark.count >= markedCount) return 'same';
      await setCutoff(new Date(Math.max(clock(), (await time()).getTime())), OLDER);
      // Only now: as long as the cut-off isn't there, it is set at the next look.
      await writeMark();
      return 'older';
    },

    async advance(atOnce) {
      const now = performance.now();
      if (knownAt === null || (!atOnce && now - advancedAt < ADVANCE_EVERY_MS)) return;
      if (markedCount === 0) await forgetOldMarks();
      await writeMark();
      advancedAt = now;
    },
  };
}
