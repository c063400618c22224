/**
 * Sessions: a refresh token and the access tokens that come from it (claim `sid`). Opening one,
 * recognising its refresh tokens, and exchanging them (RFC 6749 section 6; see `exchange.ts`).
 */
import type { Report } from '../audit/report.js';
import type { Clock } from '../clock.js';
import type { Device, TokenRecord, User } from '../store/records.js';
import { newTokenRecord } from '../store/records.js';
import type { SecretStore } from '../store/tokens/secrets.js';
import { createAnswerNotes } from './answers.js';
import {
  createExchange,
  type ExchangeResult,
  type IssuedAccess,
  type Presented,
  type Session,
} from './exchange.js';
import type { TokenIssuer } from './issuer.js';
import {
  createOpaqueToken,
  formatOpaqueToken,
  hashFamily,
  hashSecret,
  parseOpaqueToken,
} from './opaque.js';
import { purgeTime } from './record-of-claims.js';
import { standingOf } from './rotation.js';

/** A session that was opened: the records of its two tokens are what `auth/minting.ts` asks for. */
export interface OpenedSession extends Session {
  readonly records: readonly TokenRecord[];
}

export interface OpenRequest {
  readonly user: User;
  readonly applicationId: string | null;
  readonly device: Device;
}

export interface Recognized {
  readonly record: TokenRecord;
  /** Exchanged before; within the grace it may still lead to its successor. */
  readonly isUsed: boolean;
}

export interface Sessions {
  /** @throws ServiceError 503: no session was opened, or nobody has its refresh token. */
  open(request: OpenRequest): Promise<OpenedSession>;
  /**
   * @param maxAccessSeconds may shorten the access token's lifetime, never lengthen it.
   * @throws ServiceError 503: nothing was consumed; the same refresh token may come again.
   */
  exchange(refreshToken: string, maxAccessSeconds: number | null): Promise<ExchangeResult>;
  /** The session of a refresh token, current or used, in whatever state; null = none, or a made-up secret. */
  recognize(refreshToken: string): Promise<Recognized | null>;
  /** Writes what is still to be noted about exchanges; for the end. */
  flush(): Promise<void>;
}

interface Dependencies {
  readonly secrets: SecretStore;
  readonly findUser: (id: string) => Promise<User | null>;
  /**
   * An exchange is about to be made for this user. @throws what refuses it; nothing is consumed then.
   * @param spareMs for how long from now the same refresh token surely goes on being good.
   */
  readonly onExchange?: (userId: string, spareMs: number) => void;
  readonly issuer: TokenIssuer;
  readonly isRevoked: (record: TokenRecord) => boolean;
  readonly whenRefused: (record: TokenRecord) => Promise<void>;
  /** Removes the record of a token that was never handed out. */
  readonly discard: (record: TokenRecord) => Promise<void>;
  readonly report: Report;
  /** The id of a new session. */
  readonly createId: (now: number) => string;
  readonly clock: Clock;
  readonly ownIssuer: string;
  readonly defaultAudience: string;
  readonly accessSeconds: number;
  readonly refreshSeconds: number;
  readonly retentionSeconds: number;
  readonly oneTimeUse: boolean;
  readonly graceSeconds: number;
}

export function createSessions(deps: Dependencies): Sessions {
  const { secrets, clock, ownIssuer } = deps;
  const answers = createAnswerNotes(secrets.noteAnswered);

  /** Counted from the whole second, and never beyond the session: its revocation must outlive what came from it. */
  async function issueAccess(
    user: User,
    session: TokenRecord,
    sessionEnd: Date,
    maxSeconds: number | null,
  ): Promise<IssuedAccess> {
    const second = Math.floor(clock() / 1000);
    const left = Math.floor(sessionEnd.getTime() / 1000) - second;
    const lifetimeSeconds = Math.max(1, Math.min(deps.accessSeconds, left, maxSeconds ?? Infinity));
    const { token, record } = await deps.issuer.issueAccessToken({
      origin: 'fusionauth',
      userId: user.id,
      subject: user.id,
      audience: session.applicationId ?? deps.defaultAudience,
      lifetimeSeconds,
      device: session.device,
      sessionId: session.jti,
      ...(session.applicationId === null ? {} : { applicationId: session.applicationId }),
      claims: {
        email: user.email,
        email_verified: user.emailverified,
        authenticationType: 'PASSWORD',
        roles: user.role === 'admin' ? ['admin'] : [],
      },
    });
    return { token, record, expiresAt: record.expiresAt ?? sessionEnd };
  }

  async function findPresented(text: string): Promise<Presented | null> {
    const parsed = parseOpaqueToken(text);
    if (parsed === null) return null;
    const { jti, secret } = parsed;
    const found = await secrets.findSecret(jti, ownIssuer);
    if (found === null || found.record.kind !== 'refresh') return null;
    const noted = answers.untilOf(found.record.id, found.secretHash);
    const grace = found.grace.map((one) => ({ ...one, until: one.until ?? noted }));
    const standing = standingOf({ ...found, grace }, secret, clock());
    const isUsed =
      standing.kind === 'foreign' &&
      (await secrets.wasExchanged(found.record.id, hashSecret(secret)));
    return { ...found, grace, secret, standing: isUsed ? { kind: 'used' } : standing };
  }

  function endOfSession(): Date {
    return new Date(clock() + deps.refreshSeconds * 1000);
  }

  return {
    async open({ user, applicationId, device }) {
      const now = clock();
      const token = createOpaqueToken(deps.createId(now));
      const expiresAt = endOfSession();
      const record = await secrets.insertSecret(
        newTokenRecord({
          jti: token.jti,
          kind: 'refresh',
          origin: 'fusionauth',
          issuer: ownIssuer,
          subject: user.id,
          audience: applicationId ?? deps.defaultAudience,
          userId: user.id,
          applicationId,
          device,
          issuedAt: new Date(now),
          expiresAt,
          lastUsedAt: new Date(now),
          purgeAt: purgeTime(expiresAt, deps.retentionSeconds),
        }),
        hashSecret(token.secret),
        hashFamily(token.secret),
      );
      const access = await issueAccess(user, record, expiresAt, null).catch(async (error) => {
        // Nobody has its refresh token: it would be listed for nothing.
        await deps.discard(record);
        throw error;
      });
      return {
        records: [record, access.record],
        accessToken: access.token,
        accessTokenExpiresAt: access.expiresAt,
        refreshToken: formatOpaqueToken(token),
        refreshTokenId: token.jti,
        refreshTokenExpiresAt: expiresAt,
      };
    },

    exchange: createExchange({ ...deps, answers, findPresented, issueAccess, endOfSession }),

    async recognize(refreshToken) {
      const found = await findPresented(refreshToken);
      if (found === null || found.standing.kind === 'foreign') return null;
      return { record: found.record, isUsed: found.standing.kind !== 'current' };
    },

    flush: answers.flush,
  };
}
