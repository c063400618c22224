/** Revoking single records: concurrent calls share one journaled write, so that the disk is waited for once. */
import mongoose from 'mongoose';
import type { SealContext, StoreContext } from '../database/context.js';
import { createGrouping } from '../database/grouping.js';
import { assertText, isRecordId, type Revocation, type TokenRecord } from '../records.js';
import { mayBeForgotten } from '../database/sealed-ids.js';
import { type TokenDocument, type TokenModel, toRecord } from './model.js';

export interface RevokeOutcome {
  readonly outcome: 'revoked' | 'already-revoked';
  readonly record: TokenRecord;
}

interface Wanted {
  /** Of the record. */
  readonly id: mongoose.mongo.ObjectId;
  readonly revocation: Revocation;
}

export interface TokenRevoke {
  /**
   * Sets the revocation unless there is one: one atomic, durable write, so that of two concurrent
   * calls exactly one says `revoked`. The first revocation's values are kept; repeated, it is read
   * once more by all who follow. null = no such record.
   */
  revoke(id: string, revocation: Revocation): Promise<RevokeOutcome | null>;
}

export function createTokenRevoke(
  model: TokenModel,
  { run, writeConcern, sealedSince }: Pick<StoreContext, 'run' | 'writeConcern'> & SealContext,
): TokenRevoke {
  async function revokeAll(wanted: readonly Wanted[]): Promise<(RevokeOutcome | null)[]> {
    // The first one of a record is the one that is written.
    const firstOf = new Map<string, Wanted>();
    for (const one of wanted) {
      const id = one.id.toHexString();
      if (!firstOf.has(id)) firstOf.set(id, one);
    }
    const writtenBy = new mongoose.mongo.ObjectId();
    // Always a write, even when there is nothing to change: a bare read could see a revocation
    // that another client's write has not made durable yet, and acknowledge it too early.
    await run(() =>
      model.collection.bulkWrite(
        [...firstOf.values()].map(({ id, revocation }) => ({
          updateOne: {
            filter: { _id: id },
            update: unlessRevoked(revocation, writtenBy, sealedSince()),
          },
        })),
        { ordered: false, writeConcern },
      ),
    );
    // What is read is durable, and whose revocation it is stays as it is.
    const found = await run(() =>
      model.collection
        .find<TokenDocument>(
          { _id: { $in: [...firstOf.values()].map(({ id }) => id) } },
          { hint: { _id: 1 } },
        )
        .toArray(),
    );
    const documentOf = new Map(found.map((document) => [document._id.toHexString(), document]));

    return wanted.map((one) => {
      const id = one.id.toHexString();
      const document = documentOf.get(id);
      if (!document?.revocation) return null;
      const isOurs =
        firstOf.get(id) === one && writtenBy.equals(document.revocation.writtenBy ?? '');
      return {
        outcome: isOurs ? 'revoked' : 'already-revoked',
        record: toRecord(document),
      };
    });
  }

  // More than one at once, so that a write that hangs doesn't stop the others.
  const revokeTogether = createGrouping(revokeAll, { most: 100, atOnce: 2 });
  // Whatever a caller put there that the database refuses is that caller's problem alone, and so
  // is the wait when there are many of these.
  const revokeAlone = createGrouping(revokeAll, { most: 1, atOnce: 2 });

  return {
    async revoke(id, revocation) {
      assertText('id', id);
      if (!isRecordId(id)) return null;
      const wanted = { id: mongoose.mongo.ObjectId.createFromHexString(id), revocation };
      // The limit is for the wait as well: behind a database that hangs, nobody waits twice.
      return run(() =>
        revocation.eventInfo === undefined ? revokeTogether(wanted) : revokeAlone(wanted),
      );
    },
  };
}

/**
 * `writtenBy` tells the winner of two writes, of whichever instances. Repeated, a revocation keeps
 * its values but for the time of its recording: whoever missed it reads it then.
 */
function unlessRevoked(
  revocation: Revocation,
  writtenBy: mongoose.mongo.ObjectId,
  sealedSince: number,
) {
  const ifNew = (then: unknown, otherwise: unknown) => ({
    $cond: [{ $eq: [{ $ifNull: ['$revocation', null] }, null] }, then, otherwise],
  });
  // By the database's clock: the instances' may differ, and they read by this.
  const recordedAt = { $max: ['$revocation.recordedAt', '$$NOW'] };
  return [
    {
      $set: {
        revocation: ifNew(
          { $mergeObjects: [{ $literal: { ...revocation, writtenBy } }, { recordedAt }] },
          { $mergeObjects: ['$revocation', { recordedAt }] },
        ),
        // Like the index, the record forgets only what was issued here.
        purgeAt: { $cond: [mayBeForgotten(sealedSince), '$purgeAt', null] },
        updatedAt: ifNew(revocation.at, '$updatedAt'),
      },
    },
  ];
}
