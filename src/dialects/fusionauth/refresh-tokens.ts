/** Refresh tokens as their owner and administrators see them: list, retrieve, revoke by every criterion. */
import type { Request, RequestHandler } from 'express';
import { isAdministrator, principalOf } from '../../auth/authenticate.js';
import type { Clock } from '../../clock.js';
import { notFound, unauthenticated } from '../../errors.js';
import { parseIdParameter } from '../../http/input.js';
import type { RevocationContext } from '../../audit/report.js';
import type { Revoker } from '../../revocation/revoke.js';
import type { TokenRecord } from '../../store/records.js';
import type { TokenLookup } from '../../store/tokens/lookup.js';
import type { TokenSearches } from '../../store/tokens/query/search.js';
import type { UserStore } from '../../store/users/users.js';
import type { Sessions } from '../../tokens/session.js';
import { stateOf } from '../../tokens/state.js';
import { contextOf } from './context.js';
import { parseRevoke, parseUserId } from './input.js';
import { createIsKnown } from './known.js';
import { toFusionAuthToken } from './shape.js';

export interface RefreshTokenDependencies {
  readonly sessions: Pick<Sessions, 'recognize'>;
  readonly tokens: Pick<TokenLookup & TokenSearches, 'findByJti' | 'list' | 'hasRecordOf'>;
  readonly users: UserStore;
  readonly revoker: Revoker;
  readonly isRevoked: (record: TokenRecord) => boolean;
  readonly clock: Clock;
  readonly ownIssuer: string;
}

const MAX_LISTED = 1000;

export function createRefreshTokenHandlers(
  deps: RefreshTokenDependencies,
): Record<'listOfUser' | 'retrieve' | 'revokeOne' | 'revokeByCriteria', RequestHandler> {
  const { sessions, tokens, users, revoker } = deps;
  const isKnown = createIsKnown({ users, tokens });

  /**
   * The live refresh token with this id that the caller may touch; everything else is 404.
   * @param ifRevoked what is done first with one that is revoked already.
   */
  async function findTouchable(
    req: Request,
    jti: string,
    ifRevoked?: (record: TokenRecord) => Promise<void>,
  ): Promise<TokenRecord> {
    const principal = principalOf(req);
    const record = (await tokens.findByJti(jti)).find(
      ({ issuer, kind }) => issuer === deps.ownIssuer && kind === 'refresh',
    );
    if (record === undefined) throw notFound('refresh token');
    if (record.userId !== principal.userId && !(await isAdministrator(principal, users))) {
      throw notFound('refresh token');
    }
    if (isLive(record)) return record;
    if (record.revocation !== null) await ifRevoked?.(record);
    throw notFound('refresh token');
  }

  function isLive(record: TokenRecord): boolean {
    return stateOf(record, deps.clock(), deps.isRevoked) === 'active';
  }

  const listOfUser: RequestHandler = async (req, res) => {
    const userId = parseUserId(req);
    const principal = principalOf(req);
    const mayList = principal.userId === userId || (await isAdministrator(principal, users));
    // For somebody else the list is empty, as it is for nobody.
    const found = mayList
      ? await tokens.list(
          { userIds: [userId], kind: 'refresh', state: 'active' },
          { sortField: 'createdAt', direction: -1, skip: 0, limit: MAX_LISTED },
        )
      : [];
    res
      .set('Cache-Control', 'no-store')
      .json({ refreshTokens: found.filter(isLive).map(toFusionAuthToken) });
  };

  const retrieve: RequestHandler = async (req, res) => {
    const record = await findTouchable(req, parseIdParameter(req, 'id'));
    res.set('Cache-Control', 'no-store').json({ refreshToken: toFusionAuthToken(record) });
  };

  const revokeOne: RequestHandler = async (req, res) => {
    // A repeat finishes what a failed one began, and takes what signing out had spared.
    const finish = (revoked: TokenRecord) => revokeRecord(req, revoked, {});
    const record = await findTouchable(req, parseIdParameter(req, 'id'), finish);
    await revokeRecord(req, record, {});
    res.end();
  };

  const revokeByCriteria: RequestHandler = async (req, res) => {
    const { token, userId, applicationId, eventInfo } = parseRevoke(req);
    const details = eventInfo === undefined ? {} : { eventInfo };
    if (token !== undefined) {
      const found = await sessions.recognize(token);
      const finish = (revoked: TokenRecord) => revokeRecord(req, revoked, details);
      const record = found === null ? null : await findTouchable(req, found.record.jti, finish);
      const matches =
        record !== null &&
        (userId === undefined || record.userId === userId) &&
        (applicationId === undefined || record.applicationId === applicationId);
      if (!matches) throw notFound('refresh token');
      const reason = found?.isUsed === true ? 'a used refresh token was presented' : null;
      await revokeRecord(req, record, { ...details, reason });
    } else {
      const principal = principalOf(req);
      if (!(await isAdministrator(principal, users))) throw unauthenticated();
      if (!(await isKnown({ userId, applicationId }))) throw notFound('user or application');
      await revoker.revokeScope(
        { userId: userId ?? null, applicationId: applicationId ?? null, sessionsOnly: true },
        contextOf(req, principal.userId, details),
      );
    }
    res.end();
  };

  async function revokeRecord(
    req: Request,
    record: TokenRecord,
    details: Partial<RevocationContext>,
  ): Promise<void> {
    const revoked = await revoker.revokeRecord(
      record,
      contextOf(req, principalOf(req).userId, details),
    );
    if (revoked === null) throw notFound('refresh token');
  }

  return { listOfUser, retrieve, revokeOne, revokeByCriteria };
}
