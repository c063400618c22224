/** In which form the passwords of `users` are stored. The hashes themselves stay in the store. */
import type { Model } from 'mongoose';
import type { Run } from '../database/operations.js';
import { hasCode } from '../database/refusals.js';

const BCRYPT = /^\$2[aby]\$(\d\d)\$/;
/** Everything that begins so. */
const BCRYPT_RANGE = { $gte: '$2', $lt: '$3' } as const;
/** The first look goes through everybody, for so long at most. */
const LOOK_MS = 2000;
const MANY = 100;
const TIME_IS_UP = 50;

/**
 * The cost of a bcrypt hash among the stored ones; null when there is none.
 *
 * The first question looks through all of them (2 s at most, then at the oldest and the newest
 * hundred), the following ones at the newest hundred. What was found once stays found.
 */
export function createBcryptCost(
  { collection }: Pick<Model<unknown>, 'collection'>,
  run: Run,
): () => Promise<number | null> {
  let known: number | null = null;
  let isFirst = true;

  const some = (direction: 1 | -1) =>
    hashesOf({}, { sort: { _id: direction }, limit: MANY, maxTimeMS: LOOK_MS });

  async function anywhere(): Promise<string[]> {
    try {
      return await hashesOf({ password: BCRYPT_RANGE }, { limit: 1, maxTimeMS: LOOK_MS });
    } catch (error) {
      if (!hasCode(error, TIME_IS_UP)) throw error;
      return [...(await some(-1)), ...(await some(1))];
    }
  }

  async function hashesOf(filter: object, options: object): Promise<string[]> {
    const found = await run(() =>
      collection
        .find<{ password?: unknown }>(filter, {
          projection: { password: 1 },
          hint: { _id: 1 },
          ...options,
        })
        .toArray(),
    );
    return found.map(({ password }) => password).filter((each) => typeof each === 'string');
  }

  return async () => {
    if (known !== null) return known;
    const hashes = isFirst ? await anywhere() : await some(-1);
    isFirst = false;
    const cost = hashes.map((hash) => BCRYPT.exec(hash)?.[1]).find((found) => found !== undefined);
    known = cost === undefined ? null : Number(cost);
    return known;
  };
}
