/** What came from a token: the access tokens of a session, and what was minted with a token. It falls with it. */
import type { StoreContext } from '../database/context.js';
import { within } from '../cutoffs/filter.js';
import type { CutoffScope } from '../cutoffs/cutoffs.js';
import { createGrouping } from '../database/grouping.js';
import { ANY_ISSUER, type TokenRecord } from '../records.js';
import { findRecords } from './find-records.js';
import {
  MINTED_INDEX,
  PARENT_INDEX,
  SESSION_INDEX,
  type TokenDocument,
  type TokenModel,
  toRecord,
  USER_INDEX,
} from './model.js';

export interface DescendantStore {
  /**
   * The records that came from this one directly, in whatever state: what came from an expired or
   * revoked one may still be good.
   * @param ownIssuer whose refresh tokens a `sid` may name, whoever issued the access token.
   */
  descendantsOf(record: TokenRecord, ownIssuer: string): Promise<Descendants>;
  /** The newest that were minted with this record's token, whatever their state. */
  mintedWith(id: string, limit: number): Promise<TokenRecord[]>;
  /** What was minted with another token, within a scope; in whatever state. */
  mintedIn(scope: CutoffScope): Promise<TokenRecord[]>;
  /** Whether this user holds anything that is neither revoked nor expired. */
  hasUnrevoked(userId: string): Promise<boolean>;
}

export interface Descendants {
  /** Access tokens whose session it is. */
  readonly ofSession: readonly TokenRecord[];
  /** Tokens and keys that were minted with it. */
  readonly minted: readonly TokenRecord[];
}

const MOST = 100;

export function createDescendantStore(
  model: TokenModel,
  { clock, run }: Pick<StoreContext, 'clock' | 'run'>,
): DescendantStore {
  const live = () => ({
    revocation: null,
    expiresAt: { $not: { $lte: new Date(clock()) } },
  });

  const findTogether = createGrouping<TokenRecord, TokenDocument[]>(
    async (records) => {
      const [ofSessions, minted] = await Promise.all([
        run(() =>
          model
            .find({ sessionId: { $in: records.map(({ jti }) => jti) } })
            .hint(SESSION_INDEX)
            .lean(),
        ),
        run(() =>
          model
            .find({ parentId: { $in: records.map(({ id }) => id) } })
            .hint(PARENT_INDEX)
            .lean(),
        ),
      ]);
      const all = [...ofSessions, ...minted];
      return records.map(({ id, jti }) =>
        all.filter(({ sessionId, parentId }) => sessionId === jti || parentId === id),
      );
    },
    { most: MOST },
  );

  return {
    async descendantsOf(record, ownIssuer) {
      const found = (await run(() => findTogether(record))).map(toRecord);
      // As for the check: a `sid` names a token of ours, or one of the access token's own issuer.
      const isAnyones = record.issuer === ownIssuer || record.issuer === ANY_ISSUER;
      return {
        ofSession: found.filter(
          ({ sessionId, issuer }) =>
            sessionId === record.jti && (isAnyones || issuer === record.issuer),
        ),
        minted: found.filter(({ parentId }) => parentId === record.id),
      };
    },

    async mintedWith(id, limit) {
      const newestFirst = { createdAt: -1, _id: -1 } as const;
      const how = { hint: PARENT_INDEX, sort: newestFirst, limit };
      return findRecords(model, run, { parentId: { $eq: id } }, how);
    },

    async mintedIn(scope) {
      const hint = scope.userId === null ? PARENT_INDEX : MINTED_INDEX;
      return findRecords(model, run, { ...within(scope), parentId: { $exists: true } }, { hint });
    },

    async hasUnrevoked(userId) {
      const found = await run(() =>
        model
          .findOne({ userId: { $eq: userId }, ...live() })
          .hint(USER_INDEX)
          .select({ _id: 1 })
          .lean(),
      );
      return found !== null;
    },
  };
}
