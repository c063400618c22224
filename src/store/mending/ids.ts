/**
 * Mends what was stored when ids were compared to the letter and a holder's kind was not kept: ids in
 * one case of letters, holders behind their kind. Nothing that was revoked becomes good by it.
 */
import type { mongo } from 'mongoose';
import type { StoreContext } from '../database/context.js';
import { type CutoffScope, scopeKey } from '../cutoffs/cutoffs.js';
import { DuplicateKeyError } from '../database/failures.js';
import { canonicalId, holderOfRecord } from '../ids.js';
import { allDocuments, type Batch, type Mending, PATIENCE_MS } from './mending.js';
import { isIssuedHere } from '../records.js';
import { JTI_INDEX, type TokenDocument } from '../tokens/model.js';

const ID_INDEX = { _id: 1 } as const;
const TOKEN_FIELDS = [
  'jti',
  'issuer',
  'subject',
  'userId',
  'applicationId',
  'sessionId',
] as const satisfies (keyof TokenDocument)[];

type StoredToken = Pick<TokenDocument, '_id' | (typeof TOKEN_FIELDS)[number]>;
/** Only what differs. */
type Change = { [K in 'jti' | 'userId' | 'applicationId' | 'sessionId']?: string };
type StoredEvent = Readonly<
  Record<'jti' | 'userId' | 'applicationId', string | null> & { _id: mongo.ObjectId }
>;
type StoredCutoff = CutoffScope & {
  readonly _id: string;
  readonly at: Date;
  readonly markedUntil?: Date | null;
};

export const ID_MENDINGS: readonly Mending[] = [
  // First, so that at no moment a token's holder is mended and what revoked it isn't.
  { name: 'ids of cut-offs', mend: mendCutoffs },
  { name: 'ids of tokens', mend: mendTokens },
  { name: 'ids of audit events', mend: mendEvents },
];

type Tell = (batch: Batch) => void;

async function mendTokens(context: StoreContext, tell: Tell): Promise<void> {
  const { connection, run, writeConcern } = context;
  const collection = connection.collection<TokenDocument>('tokens');
  for await (const batch of allDocuments<StoredToken>(context, 'tokens', TOKEN_FIELDS)) {
    const due = batch.flatMap((token) => {
      const change = changeOf(token);
      return Object.keys(change).length === 0 ? [] : [{ token, change }];
    });
    const together = due.filter(({ change }) => change.jti === undefined);
    if (together.length > 0) {
      await run(
        () =>
          collection.bulkWrite(
            together.map(({ token: { _id }, change }) => ({
              updateOne: { filter: { _id }, update: { $set: change }, hint: ID_INDEX },
            })),
            { ordered: false, writeConcern },
          ),
        PATIENCE_MS,
      );
    }
    for (const { token, change } of due) {
      if (change.jti !== undefined) await mendJti(context, token, change);
    }
    tell({ seen: batch.length, mended: due.length });
  }
}

function changeOf(token: StoredToken): Change {
  const { jti, subject, userId, applicationId, sessionId } = token;
  const wanted = {
    jti: canonicalId(jti),
    ...(userId ? { userId: holderOfRecord(userId, subject ?? null) } : {}),
    ...(applicationId ? { applicationId: canonicalId(applicationId) } : {}),
    ...(sessionId ? { sessionId: canonicalId(sessionId) } : {}),
  };
  return Object.fromEntries(
    Object.entries(wanted).filter(([name, value]) => token[name as keyof StoredToken] !== value),
  );
}

/** The id may be taken: by what is the same token from now on. */
async function mendJti(context: StoreContext, token: StoredToken, change: Change): Promise<void> {
  const { connection, run, writeConcern } = context;
  const collection = connection.collection<TokenDocument>('tokens');
  try {
    await run(() =>
      collection.updateOne({ _id: token._id }, { $set: change }, { hint: ID_INDEX, writeConcern }),
    );
  } catch (error) {
    if (!(error instanceof DuplicateKeyError)) throw error;
    await merge(context, token, canonicalId(token.jti));
  }
}

/**
 * Two records of one token become one: revoked if either was, known for as long as either was. The
 * one to go is deleted last, and only as it was read, so that this can be repeated.
 */
async function merge(context: StoreContext, token: StoredToken, jti: string): Promise<void> {
  const { connection, run, writeConcern } = context;
  const collection = connection.collection<TokenDocument>('tokens');
  for (;;) {
    const [doomed, kept] = await run(() =>
      Promise.all([
        collection.findOne({ _id: token._id }, { hint: ID_INDEX }),
        collection.findOne({ jti, issuer: token.issuer }, { hint: JTI_INDEX }),
      ]),
    );
    // Another instance has done it.
    if (doomed === null || kept?._id.equals(doomed._id) === true) return;
    if (kept === null) return mendJti(context, token, changeOf(token));
    if (doomed.revocation !== null && doomed.revocation !== undefined) {
      await run(() =>
        collection.updateOne(
          { _id: kept._id, revocation: null },
          { $set: { revocation: doomed.revocation, updatedAt: doomed.updatedAt } },
          { hint: ID_INDEX, writeConcern },
        ),
      );
    }
    const $set = {
      expiresAt: later(kept.expiresAt, doomed.expiresAt),
      purgeAt: later(kept.purgeAt, doomed.purgeAt),
      // What wasn't issued here is never forgotten on the word of its expiry.
      origin: isIssuedHere(doomed.origin) ? kept.origin : doomed.origin,
      userId: kept.userId ?? changeOf(doomed).userId ?? doomed.userId,
    };
    await run(() =>
      collection.updateOne({ _id: kept._id }, { $set }, { hint: ID_INDEX, writeConcern }),
    );
    const { deletedCount } = await run(() =>
      collection.deleteOne(
        { _id: doomed._id, 'revocation.at': doomed.revocation?.at ?? null },
        { hint: ID_INDEX, writeConcern },
      ),
    );
    if (deletedCount === 1) return;
  }
}

/** null = never. */
function later(one: Date | null, other: Date | null): Date | null {
  if (!one || !other) return null;
  return one > other ? one : other;
}

/**
 * A cut-off that named an id alone hit every kind of holder with that id, and goes on doing so, as
 * it was: in a document of its own, which no later one moves forward.
 */
async function mendCutoffs(context: StoreContext, tell: Tell): Promise<void> {
  const { connection, run, writeConcern } = context;
  const collection = connection.collection<StoredCutoff>('cutoffs');
  const move = (cutoff: StoredCutoff, scope: CutoffScope) => {
    const { _id, at, markedUntil: _marked, ...rest } = cutoff;
    const kept = Object.entries({ ...rest, ...scope }).map(([name, value]) => [
      name,
      { $cond: [{ $gt: [at, '$at'] }, { $literal: value }, `$${name}`] },
    ]);
    // Marked once more: there may be records that it did not find in their other spelling.
    const change = { ...Object.fromEntries(kept), at: { $max: ['$at', at] }, markedUntil: null };
    return run(() =>
      collection.updateOne({ _id: scopeKey(scope) }, [{ $set: change }], {
        upsert: true,
        writeConcern,
      }),
    );
  };

  let mended: number;
  do {
    const found = await run(
      () => collection.find({ everyKind: { $exists: false } }, { hint: ID_INDEX }).toArray(),
      PATIENCE_MS,
    );
    mended = 0;
    for (const cutoff of found) {
      const scope = scopeOf(cutoff);
      const { _id, at } = cutoff;
      if (scopeKey(scope) === _id) continue;
      await move(cutoff, scope);
      // Unless it was moved forward meanwhile: then it comes once more.
      await run(() => collection.deleteOne({ _id, at }, { hint: ID_INDEX, writeConcern }));
      mended += 1;
    }
    tell({ seen: found.length, mended });
  } while (mended > 0);
}

function scopeOf({ userId, applicationId, sessionsOnly }: StoredCutoff): CutoffScope {
  return {
    userId: userId === null ? null : canonicalId(userId),
    applicationId: applicationId === null ? null : canonicalId(applicationId),
    sessionsOnly,
    ...(userId === null ? {} : { everyKind: true }),
  };
}

async function mendEvents(context: StoreContext, tell: Tell): Promise<void> {
  const { connection, run, writeConcern } = context;
  const collection = connection.collection('audit');
  const fields = ['jti', 'userId', 'applicationId'] as const;
  for await (const batch of allDocuments<StoredEvent>(context, 'audit', fields)) {
    const updates = batch.flatMap((event) => {
      const changes = fields.flatMap((field) => {
        const id = event[field];
        return id && canonicalId(id) !== id ? [[field, canonicalId(id)]] : [];
      });
      if (changes.length === 0) return [];
      const update = { $set: Object.fromEntries(changes) as Record<string, string> };
      return [{ updateOne: { filter: { _id: event._id }, update, hint: ID_INDEX } }];
    });
    if (updates.length > 0) {
      await run(() => collection.bulkWrite(updates, { ordered: false, writeConcern }), PATIENCE_MS);
    }
    tell({ seen: batch.length, mended: updates.length });
  }
}
