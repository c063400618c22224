/** Ids of users as text and as they are stored: an ObjectId (ours, Tiledesk's), or what others write, a text or a UUID. */
import mongoose, { type Types } from 'mongoose';
import { isRecordId } from '../records.js';

/** What a document of `users` may have as its `_id`. */
export type StoredId = Types.ObjectId | mongoose.mongo.UUID | string;

/** No colon: `guest:…` and the like are holders of other name spaces, and never a user. */
const TEXT_ID = /^[\w.@+-]{1,128}$/;
const UUID_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** All that may stand for this text, what counts most first; none for a text that is no user's id. */
export function storedIdsOf(id: string): readonly StoredId[] {
  if (!TEXT_ID.test(id)) return [];
  const isUuid = UUID_ID.test(id);
  const isObjectId = isRecordId(id);
  return [
    ...(isObjectId ? [new mongoose.Types.ObjectId(id)] : []),
    ...(isUuid ? [new mongoose.mongo.UUID(id)] : []),
    // Both compare without case. Texts that look like an ObjectId are too rare for all spellings.
    ...new Set([
      ...(isObjectId || isUuid ? [id.toLowerCase()] : []),
      ...(isUuid ? [id.toUpperCase()] : []),
      id,
    ]),
  ];
}

/** The one spelling of a stored id; null when it can be nobody's (a number, a text with a colon). */
export function textOfId(stored: unknown): string | null {
  if (stored instanceof mongoose.Types.ObjectId) return stored.toHexString();
  if (stored instanceof mongoose.mongo.UUID) return stored.toHexString(true);
  if (typeof stored !== 'string' || !TEXT_ID.test(stored)) return null;
  return isRecordId(stored) || UUID_ID.test(stored) ? stored.toLowerCase() : stored;
}

export function isSameId(a: unknown, b: unknown): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a instanceof mongoose.mongo.Binary || b instanceof mongoose.mongo.Binary
    ? a instanceof mongoose.mongo.UUID && b instanceof mongoose.mongo.UUID && a.equals(b)
    : a instanceof mongoose.Types.ObjectId && a.equals(b as Types.ObjectId);
}
