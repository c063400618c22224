/** Finding documents of `users` by what they are asked for with: ids as text, of whatever kind they are stored as, and e-mails. */
import type { Model, Types } from 'mongoose';
import type { StoreContext } from '../database/context.js';
import { createGrouping } from '../database/grouping.js';
import { MAX_TIME_MS } from '../database/operations.js';
import { canonicalId } from '../ids.js';
import { isSameId, storedIdsOf, textOfId } from './ids.js';
import type { UserDocument } from './model.js';

export interface UserLookup {
  /** In the order of the ids; null for those that there are not. */
  findDocuments(ids: readonly string[]): Promise<(UserDocument | null)[]>;
  findOne(id: string): Promise<UserDocument | null>;
  /** Those with this e-mail, in the order in which they came. */
  findAllByEmail(email: string): Promise<UserDocument[]>;
  /** Updates the user whom this id means, if it also is as `where` says; what it is then. */
  update(id: string, where: object, values: object): Promise<UserDocument | null>;
}

interface Deps extends Pick<StoreContext, 'run' | 'writeConcern'> {
  readonly collection: Model<unknown>['collection'];
}

const ID_INDEX = { _id: 1 } as const;
const MANY = 100;

/** @param emailIndex the name of the index on e-mails. */
export function createUserLookup(
  { collection, run, writeConcern }: Deps,
  emailIndex: () => string,
): UserLookup {
  async function findDocuments(ids: readonly string[]): Promise<(UserDocument | null)[]> {
    const found = await run(() =>
      collection
        .find<UserDocument>(
          { _id: { $in: ids.flatMap(storedIdsOf) as Types.ObjectId[] } },
          { hint: ID_INDEX, maxTimeMS: MAX_TIME_MS },
        )
        .toArray(),
    );
    const documents = new Map<string, UserDocument[]>();
    for (const document of found) {
      const id = textOfId(document._id) ?? '';
      documents.set(id, [...(documents.get(id) ?? []), document]);
    }
    return ids.map((id) => firstOf(documents.get(canonicalId(id)), id));
  }

  /** Nearly every request asks for its user: those of the same moment are asked for together. */
  const findOne = createGrouping(findDocuments, { most: 100 });

  async function findAllByEmail(email: string): Promise<UserDocument[]> {
    if (typeof email !== 'string') throw new TypeError('an e-mail is a text');
    return run(() =>
      collection
        .find<UserDocument>(
          { email: { $eq: email } },
          { hint: emailIndex(), limit: MANY, maxTimeMS: MAX_TIME_MS },
        )
        .toArray(),
    );
  }

  /** Updates the user whom this id means. */
  async function update(id: string, where: object, values: object): Promise<UserDocument | null> {
    for (const _id of storedIdsOf(id)) {
      const found = await run(() =>
        collection.findOneAndUpdate(
          { _id: _id as Types.ObjectId, ...where },
          { $set: values },
          { returnDocument: 'after', hint: ID_INDEX, maxTimeMS: MAX_TIME_MS, writeConcern },
        ),
      );
      if (found !== null) return found as unknown as UserDocument;
    }
    return null;
  }

  return { findDocuments, findOne, findAllByEmail, update };
}

/** Of several that the id may mean, the one that counts most. */
function firstOf(documents: readonly UserDocument[] = [], id: string): UserDocument | null {
  if (documents.length <= 1) return documents[0] ?? null;
  for (const stored of storedIdsOf(id)) {
    const found = documents.find(({ _id }) => isSameId(_id, stored));
    if (found !== undefined) return found;
  }
  return null;
}
