/** The collection `users`, shaped like Tiledesk's, so that both can share one database. Finding users is in `find.ts`. */
import { Types } from 'mongoose';
import type { StoreContext } from '../database/context.js';
import { DuplicateKeyError } from '../database/failures.js';
import { ensureIndexes } from '../database/indexes.js';
import { ACTIVE_STATUS, type User } from '../records.js';
import { conflictOf, type EmailIndex, ensureEmailIndex } from './emails.js';
import { createUserFinder, type UserFinder } from './find.js';
import { createUserLookup } from './lookup.js';
import { createUserModel, toUser } from './model.js';

export interface NewUser {
  /** In lower case. */
  readonly email: string;
  readonly passwordHash: string;
  readonly firstname: string | null;
  readonly lastname: string | null;
  readonly role: 'admin' | null;
}

export interface UserStore extends UserFinder {
  /**
   * @throws DuplicateKeyError when the e-mail is taken; ServiceError 409 when another service's
   *   unique index refuses the user for something else.
   */
  insert(user: NewUser): Promise<User>;
  /** null = there is no such user. */
  setStatus(id: string, status: number): Promise<User | null>;
  /** Deletes the user for good. @returns whether there was one. */
  remove(id: string): Promise<boolean>;
  /** Makes this user an administrator with this password; creates it if need be. */
  setAdministrator(email: string, passwordHash: string): Promise<User>;
  /** null = there is no such user. */
  setPassword(id: string, passwordHash: string): Promise<User | null>;
  /** Replaces the hash if it still is `current`, so that an upgrade never undoes a change of password. */
  replacePasswordHash(id: string, current: string, next: string): Promise<boolean>;
  /** Makes this user an administrator if the hash still is `passwordHash`. */
  promote(id: string, passwordHash: string): Promise<boolean>;
}

const STATUS_INDEX = { status: 1, _id: 1 } as const;

export function createUserStore({
  connection,
  writeConcern,
  clock,
  run,
  report,
}: StoreContext): UserStore & { createIndexes(): Promise<void> } {
  const model = createUserModel(connection, writeConcern);
  const { collection } = model;
  let emails: EmailIndex = { name: 'email_1', isUnique: true };

  const lookup = createUserLookup({ collection, run, writeConcern }, () => emails.name);
  const { findOne, findAllByEmail, update } = lookup;

  return {
    ...createUserFinder(model, run, { ...lookup, emailIndex: () => emails.name }),

    async insert({ passwordHash, ...user }) {
      // Without a unique index: only one that is alone, before and after it was written, stays. Of
      // two at the same moment perhaps neither does.
      if (!emails.isUnique && (await findAllByEmail(user.email)).length > 0) {
        throw new DuplicateKeyError(new Error('there is a user with this e-mail'));
      }
      const _id = new Types.ObjectId();
      const now = new Date(clock());
      const document = await run(() =>
        model.create({ _id, ...user, password: passwordHash, createdAt: now, updatedAt: now }),
      ).catch((error: unknown) => {
        throw conflictOf(error);
      });
      if (!emails.isUnique && (await findAllByEmail(user.email)).length > 1) {
        await run(() => collection.deleteOne({ _id }, { writeConcern }));
        throw new DuplicateKeyError(new Error('another user came with this e-mail meanwhile'));
      }
      return toUser(document.toObject());
    },

    async setStatus(id, status) {
      const found = await update(id, {}, { status, updatedAt: new Date(clock()) });
      return found === null ? null : toUser(found);
    },

    async remove(id) {
      const found = await run(() => findOne(id));
      if (found === null) return false;
      const { deletedCount } = await run(() =>
        model.collection.deleteOne(
          { _id: found._id as Types.ObjectId },
          { hint: { _id: 1 }, writeConcern },
        ),
      );
      return deletedCount === 1;
    },

    async setAdministrator(email, passwordHash) {
      const now = new Date(clock());
      const user = await run(() =>
        model
          .findOneAndUpdate(
            { email: { $eq: email } },
            {
              $set: {
                password: passwordHash,
                role: 'admin',
                status: ACTIVE_STATUS,
                updatedAt: now,
              },
              $setOnInsert: {
                firstname: 'Administrator',
                lastname: null,
                emailverified: false,
                createdAt: now,
              },
            },
            { upsert: true, returnDocument: 'after', hint: emails.name, writeConcern },
          )
          .lean(),
      );
      return toUser(user);
    },

    async setPassword(id, passwordHash) {
      const found = await update(id, {}, { password: passwordHash, updatedAt: new Date(clock()) });
      return found === null ? null : toUser(found);
    },

    async replacePasswordHash(id, current, next) {
      return (await update(id, { password: { $eq: current } }, { password: next })) !== null;
    },

    async promote(id, passwordHash) {
      const values = { role: 'admin', updatedAt: new Date(clock()) };
      return (await update(id, { password: { $eq: passwordHash } }, values)) !== null;
    },

    async createIndexes() {
      emails = await ensureEmailIndex(model, { run, report });
      await ensureIndexes(model.collection, [[STATUS_INDEX, {}]], { run, report });
    },
  };
}
