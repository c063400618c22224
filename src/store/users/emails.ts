/** The index on the e-mails of `users`: ours, or the one that another service made. */
import type { Model } from 'mongoose';
import { ServiceError } from '../../errors.js';
import { DuplicateKeyError } from '../database/failures.js';
import { buildIndexes, hasKey, isWhole, listIndexes, type Report } from '../database/indexes.js';
import type { Run } from '../database/operations.js';
import { hasCode } from '../database/refusals.js';

export interface EmailIndex {
  /** For hints: several indexes may have the same key. */
  readonly name: string;
  /** Whether the database itself refuses a second user with an e-mail. */
  readonly isUnique: boolean;
}

const KEY = { email: 1 } as const;
const DUPLICATE_KEY = 11_000;
const CONSEQUENCE =
  'Where two users have the same e-mail, the first that is active signs in; new ones are compared before and after they are written.';

/**
 * Takes the index that is there, whoever made it, since it says what that service needs; makes a
 * unique one where there is none, and a plain one where e-mails repeat.
 * @throws StoreRefusedError when there is none and none can be made.
 */
export async function ensureEmailIndex(
  { collection }: Pick<Model<unknown>, 'collection'>,
  deps: { readonly run: Run; readonly report: Report },
): Promise<EmailIndex> {
  const existing = await listIndexes(collection, deps.run);
  const usable = existing.filter((index) => hasKey(index, KEY) && isWhole(index));
  const found =
    usable.find(({ unique }) => unique === true) ??
    usable.find(({ sparse }) => sparse !== true) ??
    usable[0];
  if (found !== undefined) {
    const isUnique = found.unique === true;
    if (!isUnique) {
      deps.report(
        'warn',
        `collection users: the index ${found.name} on email is not unique. ${CONSEQUENCE} To mend it: delete the duplicates, then db.users.dropIndex('${found.name}'), and start again.`,
      );
    }
    return { name: found.name, isUnique };
  }
  try {
    await buildIndexes(collection, [[KEY, { unique: true }]], existing, deps);
  } catch (error) {
    if (!hasCode(error, DUPLICATE_KEY)) throw error;
    await buildIndexes(collection, [[KEY, {}]], existing, deps);
    deps.report(
      'warn',
      `collection users: several users have the same e-mail, so its index can't be unique. ${CONSEQUENCE} To mend it: delete the duplicates, drop the index on email, and start again.`,
    );
  }
  const made = (await listIndexes(collection, deps.run)).filter(
    (index) => hasKey(index, KEY) && isWhole(index),
  );
  const index = made.find(({ unique }) => unique === true) ?? made[0];
  return { name: index?.name ?? 'email_1', isUnique: index?.unique === true };
}

/** What an insert's failure is: another service's unique index says nothing about the e-mail. */
export function conflictOf(error: unknown): unknown {
  if (!(error instanceof DuplicateKeyError)) return error;
  const { keyPattern } = error.cause as { keyPattern?: object };
  const fields = Object.keys(keyPattern ?? KEY);
  if (fields.includes('email')) return error;
  return new ServiceError(
    'conflict',
    `collection users: another service's unique index on ${fields.join(', ')} lets no further user without ${fields.join(', ')} in. Make that index partial (only documents that have it), or drop it.`,
    { cause: error },
  );
}
