/** The collection `users`, shaped like Tiledesk's, so that both can share one database. Password hashes leave it only for signing in. */
import mongoose, { type Model, Schema, type Types } from 'mongoose';
import type { StoreContext } from './context.js';
import { createGrouping } from './grouping.js';
import { MAX_TIME_MS } from './operations.js';
import { ACTIVE_STATUS, type User } from './records.js';
import { isRecordId } from './records.js';
import type { WriteConcern } from './write-concern.js';

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
  /** @throws DuplicateKeyError when the e-mail is taken. */
  insert(user: NewUser): Promise<User>;
  findById(id: string): Promise<User | null>;
  /** Those that there are, in any order. */
  findByIds(ids: readonly string[]): Promise<User[]>;
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
}

const EMAIL_INDEX = { email: 1 } as const;
const STATUS_INDEX = { status: 1, _id: 1 } as const;

type UserDocument = Omit<User, 'id'> & {
  readonly _id: Types.ObjectId;
  readonly password: string;
  readonly updatedAt: Date;
};

function userSchema(writeConcern: WriteConcern) {
  const schema = new Schema(
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
  schema.index(EMAIL_INDEX, { unique: true });
  schema.index(STATUS_INDEX);
  return schema;
}

export function createUserStore({
  connection,
  writeConcern,
  clock,
  run,
}: StoreContext): UserStore & { createIndexes(): Promise<void> } {
  const model = connection.model(
    'User',
    userSchema(writeConcern),
  ) as unknown as Model<UserDocument>;
  /** Nearly every request asks for its user: those of the same moment are asked for together. */
  const findOne = createGrouping<string, User | null>(
    async (ids) => {
      const found = await run(() =>
        model.collection
          .find<UserDocument>(
            { _id: { $in: ids.map((id) => new mongoose.Types.ObjectId(id)) } },
            { hint: { _id: 1 }, maxTimeMS: MAX_TIME_MS },
          )
          .toArray(),
      );
      const users = new Map(found.map((document) => [document._id.toHexString(), document]));
      return ids.map((id) => {
        const document = users.get(id.toLowerCase());
        return document === undefined ? null : toUser(document);
      });
    },
    { most: 100 },
  );

  return {
    async insert({ passwordHash, ...user }) {
      const now = new Date(clock());
      const document = await run(() =>
        model.create({ ...user, password: passwordHash, createdAt: now, updatedAt: now }),
      );
      return toUser(document.toObject());
    },

    async findById(id) {
      return isRecordId(id) ? run(() => findOne(id)) : null;
    },

    async findByIds(ids) {
      const known = [...new Set(ids)].filter(isRecordId);
      if (known.length === 0) return [];
      const found = await run(() =>
        model
          .find({ _id: { $in: known } })
          .hint({ _id: 1 })
          .lean(),
      );
      return found.map(toUser);
    },

    async findByEmail(email) {
      const found = await run(() => model.findOne({ email: { $eq: email } }).lean());
      return found === null ? null : { user: toUser(found), passwordHash: found.password };
    },

    async findWithPassword(id) {
      if (!isRecordId(id)) return null;
      const found = await run(() => model.findOne({ _id: id }).hint({ _id: 1 }).lean());
      return found === null ? null : { user: toUser(found), passwordHash: found.password };
    },

    async inactiveIds() {
      const ranges = [{ $lt: ACTIVE_STATUS }, { $gt: ACTIVE_STATUS }];
      const found = await Promise.all(
        ranges.map((status) =>
          run(() => model.find({ status }).hint(STATUS_INDEX).select({ _id: 1 }).lean()),
        ),
      );
      return found.flat().map(({ _id }) => _id.toHexString());
    },

    async setStatus(id, status) {
      if (!isRecordId(id)) return null;
      const found = await run(() =>
        model
          .findOneAndUpdate(
            { _id: id },
            { $set: { status, updatedAt: new Date(clock()) } },
            { returnDocument: 'after', writeConcern },
          )
          .lean(),
      );
      return found === null ? null : toUser(found);
    },

    async remove(id) {
      if (!isRecordId(id)) return false;
      const { deletedCount } = await run(() =>
        model.deleteOne({ _id: id }, { hint: { _id: 1 }, writeConcern }),
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
          .sort({ email: 1 })
          .hint({ email: 1 })
          .limit(limit)
          .select({ _id: 1 })
          .lean(),
      );
      return found.map(({ _id }) => _id.toHexString());
    },

    async hasAdministrator() {
      return (await run(() => model.findOne({ role: 'admin' }).select({ _id: 1 }).lean())) !== null;
    },

    async list({ skip, limit, emailPrefix }) {
      const where =
        emailPrefix === undefined
          ? {}
          : { email: { $gte: emailPrefix, $lt: `${emailPrefix}\u{10ffff}` } };
      const [users, count] = await Promise.all([
        run(() =>
          model.find(where).sort(EMAIL_INDEX).hint(EMAIL_INDEX).skip(skip).limit(limit).lean(),
        ),
        run(() =>
          emailPrefix === undefined
            ? model.estimatedDocumentCount()
            : model.countDocuments(where, { hint: EMAIL_INDEX }),
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
            { upsert: true, returnDocument: 'after', writeConcern },
          )
          .lean(),
      );
      return toUser(user);
    },

    async setPassword(id, passwordHash) {
      if (!isRecordId(id)) return null;
      const found = await run(() =>
        model
          .findOneAndUpdate(
            { _id: id },
            { $set: { password: passwordHash, updatedAt: new Date(clock()) } },
            { returnDocument: 'after', writeConcern },
          )
          .lean(),
      );
      return found === null ? null : toUser(found);
    },

    async replacePasswordHash(id, current, next) {
      const replaced = await run(() =>
        model.updateOne(
          { _id: id, password: { $eq: current } },
          { $set: { password: next } },
          { writeConcern },
        ),
      );
      return replaced.modifiedCount === 1;
    },

    createIndexes: () => run(() => model.createIndexes()),
  };
}

/** Records written by Tiledesk may lack any field, and hold more. */
function toUser(found: UserDocument): User {
  return {
    id: found._id.toHexString(),
    email: found.email,
    firstname: found.firstname ?? null,
    lastname: found.lastname ?? null,
    emailverified: found.emailverified ?? false,
    status: found.status ?? ACTIVE_STATUS,
    role: found.role === 'admin' ? 'admin' : null,
    createdAt: found.createdAt ?? null,
  };
}
