/** The Mongoose schema of the collection `users`, and the way from a document, whoever wrote it, to a plain user. */
import { type Connection, type Model, Schema } from 'mongoose';
import { schemaOptions } from '../database/schema-options.js';
import type { WriteConcern } from '../database/write-concern.js';
import { ACTIVE_STATUS, type User } from '../records.js';
import { type StoredId, textOfId } from './ids.js';

export type UserDocument = Omit<User, 'id'> & {
  readonly _id: StoredId;
  readonly password: string;
  readonly updatedAt: Date;
};

export type UserModel = Model<UserDocument>;

export function createUserModel(connection: Connection, writeConcern: WriteConcern): UserModel {
  return connection.model('User', userSchema(writeConcern)) as unknown as UserModel;
}

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
    schemaOptions('users', writeConcern),
  );
}

/** Records written by Tiledesk may lack any field, and hold more. */
export function toUser(found: UserDocument): User {
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
