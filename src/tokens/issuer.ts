/**
 * Issuing: sign, record durably, then hand out. A token that leaves the service always has its
 * record (promise R5); the one function through which every dialect issues access tokens.
 */
import jwt from 'jsonwebtoken';
import type { Clock } from '../clock.js';
import { canonicalId, holderOf } from '../store/ids.js';
import type { Device, NewTokenRecord, TokenOrigin, TokenRecord } from '../store/records.js';
import { newTokenRecord } from '../store/records.js';
import { parseClaims } from './claims.js';
import type { SigningKeys } from './keys.js';
import { purgeTime } from './record-of-claims.js';
import type { Seal } from './seal.js';

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
  readonly seal: Seal;
  readonly clock: Clock;
  readonly issuer: string;
  readonly retentionSeconds: number;
  readonly record: (record: NewTokenRecord) => Promise<TokenRecord>;
}

export function createTokenIssuer(deps: Dependencies): TokenIssuer {
  const { seal } = deps;

  /** Over what will be read: in the header, so that the claims are those that its dialect has. */
  function sealFor(payload: object): { seal: string } {
    const claims = parseClaims(payload);
    if (claims === null) throw new TypeError('the token would be refused by its own claims');
    return { seal: seal.of(claims) };
  }

  return {
    async issueAccessToken(request) {
      const userId = holderSigned(request);
      const now = deps.clock();
      const jti = seal.createId(now);
      const iat = Math.floor(now / 1000);
      const exp = request.lifetimeSeconds === null ? null : iat + request.lifetimeSeconds;
      const { applicationId, sessionId, cdata } = request;
      const payload = {
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
      };
      const { algorithm, keyId, signingKey } = deps.keys;
      const token = jwt.sign(payload, signingKey, {
        algorithm,
        header: { alg: algorithm, ...(keyId === null ? {} : { kid: keyId }), ...sealFor(payload) },
      });
      const expiresAt = exp === null ? null : new Date(exp * 1000);
      const record = await deps.record(
        newTokenRecord({
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
          purgeAt: purgeTime(expiresAt, deps.retentionSeconds),
        }),
      );
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
