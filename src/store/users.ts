/** The collection `users`, shaped like Tiledesk's, so that both can share one database. Password hashes leave it only for signing in. */
import mongoose, { type Model, Schema, type Types } from 'mongoose';
import type { StoreContext } from './context.js';
import { createGrouping } from './grouping.js';
import { MAX_TIME_MS } from './operations.js';
import { ACTIVE_STATUS, type User } from './records.js';
import { isRecordId } from './tokens.js';
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
  findByEmail(email: string): Promise<UserWithPassword | null>;
  hasAdministrator(): Promise<boolean>;
  list(page: { skip: number; limit: number }): Promise<{ users: User[]; count: number }>;
  /** Makes this user an administrator with this password; creates it if need be. */
  setAdministrator(email: string, passwordHash: string): Promise<void>;
  /** Replaces the hash if it still is `current`, so that an upgrade never undoes a change of password. */
  replacePasswordHash(id: string, current: string, next: string): Promise<boolean>;
}

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
  schema.index({ email: 1 }, { unique: true });
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
      return isRecordId(id) ? findOne(id) : null;
    },

    async findByEmail(email) {
      const found = await run(() => model.findOne({ email: { $eq: email } }).lean());
      return found === null ? null : { user: toUser(found), passwordHash: found.password };
    },

    async hasAdministrator() {
      return (await run(() => model.findOne({ role: 'admin' }).select({ _id: 1 }).lean())) !== null;
    },

    async list({ skip, limit }) {
      const [users, count] = await Promise.all([
        run(() => model.find().sort({ email: 1 }).skip(skip).limit(limit).lean()),
        run(() => model.estimatedDocumentCount()),
      ]);
      return { users: users.map(toUser), count };
    },

    async setAdministrator(email, passwordHash) {
      const now = new Date(clock());
      await run(() =>
        model.updateOne(
          { email: { $eq: email } },
          {
            $set: { password: passwordHash, role: 'admin', status: ACTIVE_STATUS, updatedAt: now },
            $setOnInsert: {
              firstname: 'Administrator',
              lastname: null,
              emailverified: false,
              createdAt: now,
            },
          },
          { upsert: true, writeConcern },
        ),
      );
    },

    async replacePasswordHash(id, current, next) {
      const replaced = await run(() =>
        model.updateOne({ _id: id, password: { $eq: current } }, { $set: { password: next } }),
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
