/** The collection `users`, shaped like Tiledesk's, so that both can share one database. Password hashes leave it only for signing in. */
import { type Model, Schema, Types } from 'mongoose';
import type { StoreContext } from '../database/context.js';
import { DuplicateKeyError } from '../database/failures.js';
import { ensureIndexes } from '../database/indexes.js';
import { MAX_TIME_MS } from '../database/operations.js';
import { ACTIVE_STATUS, type User } from '../records.js';
import { conflictOf, type EmailIndex, ensureEmailIndex } from './emails.js';
import { canonicalId } from '../ids.js';
import { isSameId, storedIdsOf, textOfId } from './ids.js';
import { createUserLookup, type UserDocument } from './lookup.js';
import { createBcryptCost } from './passwords.js';
import type { WriteConcern } from '../database/write-concern.js';

export interface NewUser {
  /** In lower case. */
  readonly email: string;
  readonly passwordHash: string;
  readonly firstname: string | null;
  readonly lastname: string | null;
  readonly role: 'admin' | null;
}

export interface UserWithPassword {
  readonly user: User;
  /** argon2id, or bcrypt as Tiledesk wrote it. */
  readonly passwordHash: string;
}

export interface UserStore {
  /**
   * @throws DuplicateKeyError when the e-mail is taken; ServiceError 409 when another service's
   *   unique index refuses the user for something else.
   */
  insert(user: NewUser): Promise<User>;
  findById(id: string): Promise<User | null>;
  /** Those that there are, in any order. */
  findByIds(ids: readonly string[]): Promise<User[]>;
  /** Where several have this e-mail, the first that is active, as in Tiledesk. @param email in lower case. */
  findByEmail(email: string): Promise<UserWithPassword | null>;
  findWithPassword(id: string): Promise<UserWithPassword | null>;
  /** The ids of those who are disabled: whose status isn't the active one. */
  inactiveIds(): Promise<string[]>;
  /** null = there is no such user. */
  setStatus(id: string, status: number): Promise<User | null>;
  /** Deletes the user for good. @returns whether there was one. */
  remove(id: string): Promise<boolean>;
  /** The ids of users whose e-mail begins with this text, in any case; in the order of their e-mails. */
  idsByText(text: string, limit: number): Promise<string[]>;
  hasAdministrator(): Promise<boolean>;
  /** @param page.emailPrefix in lower case; absent = everyone. */
  list(page: {
    skip: number;
    limit: number;
    emailPrefix?: string | undefined;
  }): Promise<{ users: User[]; count: number }>;
  /** Makes this user an administrator with this password; creates it if need be. */
  setAdministrator(email: string, passwordHash: string): Promise<User>;
  /** null = there is no such user. */
  setPassword(id: string, passwordHash: string): Promise<User | null>;
  /** Replaces the hash if it still is `current`, so that an upgrade never undoes a change of password. */
  replacePasswordHash(id: string, current: string, next: string): Promise<boolean>;
  /** Makes this user an administrator if the hash still is `passwordHash`. */
  promote(id: string, passwordHash: string): Promise<boolean>;
  /** The cost of a bcrypt hash among the stored ones; null when there is none, as far as was looked. */
  bcryptCost(): Promise<number | null>;
}

const EMAIL_ORDER = { email: 1 } as const;
/** No index says who has a role: with a million users of another service, looking takes seconds. */
const SCAN_MS = 600_000;
const STATUS_INDEX = { status: 1, _id: 1 } as const;

function userSchema(writeConcern: WriteConcern) {
  return new Schema(
    {
      email: { type: String, required: true },
      password: { type: String, required: true },
      firstname: { type: String, default: null },
      lastname: { type: String, default: null },
      emailverified: { type: Boolean, default: false },
      status: { type: Number, default: ACTIVE_STATUS },
      role: { type: String, default: null },
      createdAt: { type: Date, required: true },
      updatedAt: { type: Date, required: true },
    },
    {
      collection: 'users',
      strict: 'throw',
      strictQuery: 'throw',
      autoIndex: false,
      autoCreate: false,
      versionKey: false,
      writeConcern,
    },
  );
}

export function createUserStore({
  connection,
  writeConcern,
  clock,
  run,
  report,
}: StoreContext): UserStore & { createIndexes(): Promise<void> } {
  const model = connection.model(
    'User',
    userSchema(writeConcern),
  ) as unknown as Model<UserDocument>;
  const { collection } = model;
  let emails: EmailIndex = { name: 'email_1', isUnique: true };

  const { findDocuments, findOne, findAllByEmail, update } = createUserLookup(
    { collection, run, writeConcern },
    () => emails.name,
  );

  return {
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

    async findById(id) {
      if (storedIdsOf(id).length === 0) return null;
      const found = await run(() => findOne(id));
      return found === null ? null : toUser(found);
    },

    async findByIds(ids) {
      const known = [...new Set(ids.map(canonicalId))].filter((id) => storedIdsOf(id).length > 0);
      if (known.length === 0) return [];
      const found = await findDocuments(known);
      return found.filter((document) => document !== null).map(toUser);
    },

    async findByEmail(email) {
      const all = (await findAllByEmail(email)).filter(({ _id }) => textOfId(_id) !== null);
      const found = all.find(({ status }) => (status ?? ACTIVE_STATUS) === ACTIVE_STATUS) ?? all[0];
      if (found === undefined) return null;
      const user = toUser(found);
      if (!(found._id instanceof Types.ObjectId)) {
        // Its text may be somebody else's id, and a token would then speak for that one.
        const meant = await run(() => findOne(user.id));
        if (!isSameId(meant?._id, found._id)) return null;
      }
      return { user, passwordHash: typeof found.password === 'string' ? found.password : '' };
    },

    async findWithPassword(id) {
      const found = await run(() => findOne(id));
      return found === null
        ? null
        : {
            user: toUser(found),
            passwordHash: typeof found.password === 'string' ? found.password : '',
          };
    },

    async inactiveIds() {
      // No hint: only one index knows the status, and without it, as when somebody dropped it, this
      // takes longer, instead of stopping every check.
      const found = await run(() =>
        model.collection
          .find<Pick<UserDocument, '_id'>>(
            { status: { $nin: [ACTIVE_STATUS, null] } },
            { projection: { _id: 1 }, maxTimeMS: MAX_TIME_MS },
          )
          .toArray(),
      );
      return found.map(({ _id }) => textOfId(_id)).filter((id) => id !== null);
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

    async idsByText(text, limit) {
      if (text === '') return [];
      const begin = text.toLowerCase();
      const found = await run(() =>
        model
          // A range, not a pattern: nothing in the text has a meaning of its own.
          .find({ email: { $gte: begin, $lt: `${begin}\u{10ffff}` } })
          .sort(EMAIL_ORDER)
          .hint(emails.name)
          .limit(limit)
          .select({ _id: 1 })
          .lean(),
      );
      return found.map(({ _id }) => textOfId(_id)).filter((id) => id !== null);
    },

    async hasAdministrator() {
      const found = await run(
        () => model.findOne({ role: 'admin' }).select({ _id: 1 }).maxTimeMS(SCAN_MS).lean(),
        SCAN_MS,
      );
      return found !== null;
    },

    async list({ skip, limit, emailPrefix }) {
      const where =
        emailPrefix === undefined
          ? {}
          : { email: { $gte: emailPrefix, $lt: `${emailPrefix}\u{10ffff}` } };
      const [users, count] = await Promise.all([
        run(() =>
          model.find(where).sort(EMAIL_ORDER).hint(emails.name).skip(skip).limit(limit).lean(),
        ),
        run(() =>
          emailPrefix === undefined
            ? model.estimatedDocumentCount()
            : model.countDocuments(where, { hint: emails.name }),
        ),
      ]);
      return { users: users.map(toUser), count };
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

    bcryptCost: createBcryptCost(model, run),

    async createIndexes() {
      emails = await ensureEmailIndex(model, { run, report });
      await ensureIndexes(model.collection, [[STATUS_INDEX, {}]], { run, report });
    },
  };
}

/** Records written by Tiledesk may lack any field, and hold more. */
function toUser(found: UserDocument): User {
  return {
    id: textOfId(found._id) ?? String(found._id),
    email: found.email ?? '',
    firstname: found.firstname ?? null,
    lastname: found.lastname ?? null,
    emailverified: found.emailverified ?? false,
    status: found.status ?? ACTIVE_STATUS,
    role: found.role === 'admin' ? 'admin' : null,
    createdAt: found.createdAt ?? null,
  };
}
