/**
 * Issuing: sign, record durably, then hand out. A token that leaves the service always has its
 * record (promise R5); the one function through which every dialect issues access tokens.
 */
import jwt from 'jsonwebtoken';
import type { Clock } from '../clock.js';
import { canonicalId, holderOf } from '../store/ids.js';
import type { Device, NewTokenRecord, TokenOrigin, TokenRecord } from '../store/records.js';
import { createJti } from './jti.js';
import type { SigningKeys } from './keys.js';
import { purgeTime } from './record-of-claims.js';

export interface AccessTokenRequest {
  readonly origin: TokenOrigin;
  readonly userId: string;
  readonly subject: string;
  readonly audience: string;
  /** null = never expires. */
  readonly lifetimeSeconds: number | null;
  readonly device: Device | null;
  readonly applicationId?: string;
  readonly sessionId?: string;
  /** The record (its `id`) of the token that it is minted with, and with which it falls. */
  readonly parentId?: string;
  readonly cdata?: string;
  /** Further claims; none of them may be one that this function sets. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface IssuedToken {
  readonly token: string;
  readonly record: TokenRecord;
  /** The same: what `auth/minting.ts` asks for. */
  readonly records: readonly [TokenRecord];
}

export interface TokenIssuer {
  /** @throws ServiceError 503 when the record could not be made durable; no token exists then. */
  issueAccessToken(request: AccessTokenRequest): Promise<IssuedToken>;
}

interface Dependencies {
  readonly keys: SigningKeys;
  readonly clock: Clock;
  readonly issuer: string;
  readonly retentionSeconds: number;
  readonly record: (record: NewTokenRecord) => Promise<TokenRecord>;
}

export function createTokenIssuer(deps: Dependencies): TokenIssuer {
  return {
    async issueAccessToken(request) {
      const userId = holderSigned(request);
      const now = deps.clock();
      const jti = createJti(now);
      const iat = Math.floor(now / 1000);
      const exp = request.lifetimeSeconds === null ? null : iat + request.lifetimeSeconds;
      const { applicationId, sessionId, cdata } = request;
      const token = jwt.sign(
        {
          ...request.claims,
          iss: deps.issuer,
          aud: request.audience,
          sub: request.subject,
          jti,
          iat,
          ...(exp === null ? {} : { exp }),
          ...(applicationId === undefined ? {} : { applicationId }),
          ...(sessionId === undefined ? {} : { sid: sessionId }),
          ...(cdata === undefined ? {} : { cdata }),
        },
        deps.keys.signingKey,
        {
          algorithm: deps.keys.algorithm,
          ...(deps.keys.keyId === null ? {} : { keyid: deps.keys.keyId }),
        },
      );
      const expiresAt = exp === null ? null : new Date(exp * 1000);
      const record = await deps.record({
        jti,
        kind: 'access',
        origin: request.origin,
        issuer: deps.issuer,
        subject: request.subject,
        audience: request.audience,
        userId,
        applicationId: applicationId ?? null,
        sessionId: sessionId ?? null,
        ...(request.parentId === undefined ? {} : { parentId: request.parentId }),
        cdata: cdata ?? null,
        device: request.device,
        issuedAt: new Date(now),
        expiresAt,
        lastUsedAt: null,
        revocation: null,
        purgeAt: purgeTime(expiresAt, deps.retentionSeconds),
      });
      return { token, record, records: [record] };
    },
  };
}

/** A token must be read back as its record says, or it would speak for somebody else. */
function holderSigned({ userId, subject, claims }: AccessTokenRequest): string {
  const id = claims?.['_id'] ?? subject;
  const holder = canonicalId(userId);
  if (typeof id !== 'string' || holderOf(id, subject) !== holder)
    throw new TypeError('the token would speak for another holder than its record');
  return holder;
}
