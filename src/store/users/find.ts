/** Finding users: by their ids, their e-mails, what they may do, page by page. Password hashes leave only for signing in. */
import { Types } from 'mongoose';
import { canonicalId } from '../ids.js';
import { MAX_TIME_MS, type Run } from '../database/operations.js';
import { ACTIVE_STATUS, type User } from '../records.js';
import { isSameId, storedIdsOf, textOfId } from './ids.js';
import type { UserLookup } from './lookup.js';
import { toUser, type UserDocument, type UserModel } from './model.js';
import { createBcryptCost } from './passwords.js';

export interface UserWithPassword {
  readonly user: User;
  /** argon2id, or bcrypt as Tiledesk wrote it. */
  readonly passwordHash: string;
}

export interface UserFinder {
  findById(id: string): Promise<User | null>;
  /** Those that there are, in any order. */
  findByIds(ids: readonly string[]): Promise<User[]>;
  /** Where several have this e-mail, the first that is active, as in Tiledesk. @param email in lower case. */
  findByEmail(email: string): Promise<UserWithPassword | null>;
  findWithPassword(id: string): Promise<UserWithPassword | null>;
  /** The ids of those who are disabled: whose status isn't the active one. */
  inactiveIds(): Promise<string[]>;
  /** The ids of users whose e-mail begins with this text, in any case; in the order of their e-mails. */
  idsByText(text: string, limit: number): Promise<string[]>;
  hasAdministrator(): Promise<boolean>;
  /** @param page.emailPrefix in lower case; absent = everyone. */
  list(page: {
    skip: number;
    limit: number;
    emailPrefix?: string | undefined;
  }): Promise<{ users: User[]; count: number }>;
  /** The cost of a bcrypt hash among the stored ones; null when there is none, as far as was looked. */
  bcryptCost(): Promise<number | null>;
}

const EMAIL_ORDER = { email: 1 } as const;
/** No index says who has a role: with a million users of another service, looking takes seconds. */
const SCAN_MS = 600_000;

type Deps = Pick<UserLookup, 'findDocuments' | 'findOne' | 'findAllByEmail'> & {
  /** The name of the index on e-mails. */
  readonly emailIndex: () => string;
};

export function createUserFinder(
  model: UserModel,
  run: Run,
  { findDocuments, findOne, findAllByEmail, emailIndex }: Deps,
): UserFinder {
  return {
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
      return withPassword(found, user);
    },

    async findWithPassword(id) {
      const found = await run(() => findOne(id));
      return found === null ? null : withPassword(found);
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

    async idsByText(text, limit) {
      if (text === '') return [];
      const begin = text.toLowerCase();
      const found = await run(() =>
        model
          // A range, not a pattern: nothing in the text has a meaning of its own.
          .find({ email: { $gte: begin, $lt: `${begin}\u{10ffff}` } })
          .sort(EMAIL_ORDER)
          .hint(emailIndex())
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
          model.find(where).sort(EMAIL_ORDER).hint(emailIndex()).skip(skip).limit(limit).lean(),
        ),
        run(() =>
          emailPrefix === undefined
            ? model.estimatedDocumentCount()
            : model.countDocuments(where, { hint: emailIndex() }),
        ),
      ]);
      return { users: users.map(toUser), count };
    },

    bcryptCost: createBcryptCost(model, run),
  };
}

function withPassword(found: UserDocument, user = toUser(found)): UserWithPassword {
  return { user, passwordHash: typeof found.password === 'string' ? found.password : '' };
}
