/**
 * Sessions: a refresh token and the access tokens that come from it (claim `sid`). Opening one, and
 * exchanging its refresh token, once only or repeatedly (RFC 6749 section 6, RFC 9700 section 4.14).
 */
import type { Clock } from '../clock.js';
import {
  ACTIVE_STATUS,
  type Device,
  type NewTokenRecord,
  type TokenRecord,
  type User,
} from '../store/records.js';
import type { Grace, SecretRecord, SecretStore } from '../store/token-secrets.js';
import type { TokenIssuer } from './issuer.js';
import {
  createOpaqueToken,
  createSecret,
  formatOpaqueToken,
  hashSecret,
  openSuccessor,
  parseOpaqueToken,
  sealSuccessor,
} from './opaque.js';
import { purgeTime } from './record-of-claims.js';
import { hasExpired } from './state.js';

export interface Session {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: Date;
  readonly refreshToken: string;
  readonly refreshTokenId: string;
  readonly refreshTokenExpiresAt: Date;
}

/** A session that was opened: the records of its two tokens are what `auth/minting.ts` asks for. */
export interface OpenedSession extends Session {
  readonly records: readonly TokenRecord[];
}

export interface OpenRequest {
  readonly user: User;
  readonly applicationId: string | null;
  readonly device: Device;
}

export type ExchangeResult =
  | { readonly outcome: 'exchanged'; readonly session: Session }
  /** Unknown, expired, revoked, or lost to a parallel exchange. */
  | { readonly outcome: 'refused' }
  /** A secret that was exchanged before came back: the session is to be revoked. */
  | { readonly outcome: 'reused'; readonly record: TokenRecord };

export interface Sessions {
  open(request: OpenRequest): Promise<OpenedSession>;
  /** @param maxAccessSeconds may shorten the access token's lifetime, never lengthen it. */
  exchange(refreshToken: string, maxAccessSeconds: number | null): Promise<ExchangeResult>;
  /** The record of a refresh token whose current secret this is, in whatever state; null = none. */
  find(refreshToken: string): Promise<TokenRecord | null>;
}

interface Dependencies {
  readonly secrets: SecretStore;
  readonly findUser: (id: string) => Promise<User | null>;
  readonly issuer: TokenIssuer;
  readonly isRevoked: (record: TokenRecord) => boolean;
  /** Removes the record of an access token that was never handed out. */
  readonly discard: (record: TokenRecord) => Promise<void>;
  /** An access token is about to be handed out; it may neither wait nor throw. */
  readonly onIssued?: (record: TokenRecord) => void;
  /** A refresh token was tried after its revocation; it may neither wait nor throw. */
  readonly onRefused?: (record: TokenRecord) => void;
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

  /** Counted from the whole second, and never beyond the session: its revocation must outlive what came from it. */
  async function issueAccess(
    user: User,
    session: TokenRecord,
    sessionEnd: Date,
    maxSeconds: number | null,
  ) {
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

  async function findCurrent(text: string): Promise<(SecretRecord & { secret: string }) | null> {
    const parsed = parseOpaqueToken(text);
    if (parsed === null) return null;
    const found = await secrets.findSecret(parsed.jti, ownIssuer);
    return found === null || found.record.kind !== 'refresh'
      ? null
      : { ...found, secret: parsed.secret };
  }

  function endOfSession(): Date {
    return new Date(clock() + deps.refreshSeconds * 1000);
  }

  return {
    async open({ user, applicationId, device }) {
      const now = clock();
      const token = createOpaqueToken(now);
      const expiresAt = endOfSession();
      const record = await secrets.insertSecret(
        refreshRecord({ jti: token.jti, user, applicationId, device, now, expiresAt }),
        hashSecret(token.secret),
      );
      const access = await issueAccess(user, record, expiresAt, null);
      return {
        records: [record, access.record],
        accessToken: access.token,
        accessTokenExpiresAt: access.expiresAt,
        refreshToken: formatOpaqueToken(token),
        refreshTokenId: token.jti,
        refreshTokenExpiresAt: expiresAt,
      };
    },

    async exchange(refreshToken, maxAccessSeconds) {
      const found = await findCurrent(refreshToken);
      if (found === null) return { outcome: 'refused' };
      const { record, secret, grace } = found;
      const presented = hashSecret(secret);
      const isCurrent = presented === found.secretHash;
      if (isRevoked(record)) {
        // With a made-up secret it's nobody's attempt to use this session.
        if (isCurrent || (await secrets.wasExchanged(record.id, presented)))
          deps.onRefused?.(record);
        return { outcome: 'refused' };
      }
      if (isOver(record)) return { outcome: 'refused' };
      if (!isCurrent) {
        if (grace?.secretHash === presented && grace.until.getTime() > clock()) {
          const successor = openSuccessor(secret, grace.sealedSuccessor);
          // Only while the successor is unused: there is never a second one.
          if (hashSecret(successor) === found.secretHash) {
            return renew(record, successor, found.secretHash, maxAccessSeconds, grace);
          }
        }
        return (await secrets.wasExchanged(record.id, presented))
          ? { outcome: 'reused', record }
          : { outcome: 'refused' };
      }
      if (!deps.oneTimeUse) return renew(record, secret, presented, maxAccessSeconds, null);
      const successor = createSecret();
      const nextGrace = deps.graceSeconds === 0 ? null : makeGrace(secret, presented, successor);
      return renew(record, successor, presented, maxAccessSeconds, nextGrace);
    },

    async find(refreshToken) {
      const found = await findCurrent(refreshToken);
      return found !== null && hashSecret(found.secret) === found.secretHash ? found.record : null;
    },
  };

  function isRevoked(record: TokenRecord): boolean {
    return deps.isRevoked(record) || record.revocation !== null;
  }

  function isOver(record: TokenRecord): boolean {
    return record.expiresAt === null || hasExpired(record.expiresAt, clock());
  }

  function makeGrace(secret: string, secretHash: string, successor: string): Grace {
    return {
      secretHash,
      sealedSuccessor: sealSuccessor(secret, successor),
      until: new Date(clock() + deps.graceSeconds * 1000),
    };
  }

  /** The atomic step: whoever finds the secret unchanged has won; everybody else has nothing. */
  async function renew(
    record: TokenRecord,
    secret: string,
    currentHash: string,
    maxAccessSeconds: number | null,
    grace: Grace | null,
  ): Promise<ExchangeResult> {
    const user = record.userId === null ? null : await deps.findUser(record.userId);
    if (user === null || user.status !== ACTIVE_STATUS) return { outcome: 'refused' };
    const expiresAt = endOfSession();
    // Side by side, so that the disk is waited for once. Nothing leaves before both are durable.
    const [exchanging, issuing] = await Promise.allSettled([
      secrets.exchangeSecret(record.id, currentHash, {
        nextSecretHash: hashSecret(secret),
        grace,
        expiresAt,
        purgeAt: purgeTime(expiresAt, deps.retentionSeconds),
        lastUsedAt: new Date(clock()),
      }),
      issueAccess(user, record, expiresAt, maxAccessSeconds),
    ]);
    const hasWon = exchanging.status === 'fulfilled' && exchanging.value;
    if (!hasWon && issuing.status === 'fulfilled') await deps.discard(issuing.value.record);
    if (exchanging.status === 'rejected') throw exchanging.reason;
    if (!hasWon) return { outcome: 'refused' };
    if (issuing.status === 'rejected') throw issuing.reason;
    const access = issuing.value;
    deps.onIssued?.(access.record);
    // Were the session revoked meanwhile, then these would be refused at their first use (`sid`).
    return {
      outcome: 'exchanged',
      session: {
        accessToken: access.token,
        accessTokenExpiresAt: access.expiresAt,
        refreshToken: formatOpaqueToken({ jti: record.jti, secret }),
        refreshTokenId: record.jti,
        refreshTokenExpiresAt: expiresAt,
      },
    };
  }

  function refreshRecord(given: {
    jti: string;
    user: User;
    applicationId: string | null;
    device: Device;
    now: number;
    expiresAt: Date;
  }): NewTokenRecord {
    return {
      jti: given.jti,
      kind: 'refresh',
      origin: 'fusionauth',
      issuer: ownIssuer,
      subject: given.user.id,
      audience: given.applicationId ?? deps.defaultAudience,
      userId: given.user.id,
      applicationId: given.applicationId,
      sessionId: null,
      cdata: null,
      device: given.device,
      issuedAt: new Date(given.now),
      expiresAt: given.expiresAt,
      lastUsedAt: new Date(given.now),
      revocation: null,
      purgeAt: purgeTime(given.expiresAt, deps.retentionSeconds),
    };
  }
}
