/** Registering a token that was minted elsewhere, by its text or by its id, so that it is listed and can be revoked. */
import type { Clock } from '../clock.js';
import { invalidInput, ServiceError } from '../errors.js';
import { DuplicateKeyError } from '../store/database/failures.js';
import { holderOfRecord } from '../store/ids.js';
import {
  ANY_ISSUER,
  type NewTokenRecord,
  newTokenRecord,
  type TokenRecord,
} from '../store/records.js';
import type { TokenStore } from '../store/tokens/tokens.js';
import type { Claims } from './claims.js';
import { isId, MAX_ID_LENGTH } from './jti.js';
import { recordOfClaims } from './record-of-claims.js';

export type Registration =
  | { readonly token: string }
  | {
      readonly jti: string;
      readonly userId: string;
      readonly expiresAt?: Date | null | undefined;
      readonly issuedAt?: Date | null | undefined;
      readonly issuer?: string | undefined;
      readonly subject?: string | null | undefined;
      readonly audience?: string | null | undefined;
      readonly applicationId?: string | null | undefined;
      readonly sessionId?: string | null | undefined;
      readonly cdata?: string | null | undefined;
    };

export interface TokenRegistrar {
  /** @throws ServiceError 400 when the token isn't signed with our key, 409 when the id belongs to another user. */
  register(given: Registration): Promise<{ outcome: 'registered' | 'known'; record: TokenRecord }>;
}

interface Dependencies {
  readonly tokens: Pick<TokenStore, 'insert' | 'findByJti'>;
  readonly identify: (token: string) => Claims | null;
  readonly retentionSeconds: number;
  readonly clock: Clock;
}

export function createTokenRegistrar(deps: Dependencies): TokenRegistrar {
  function toRecord(given: Registration): NewTokenRecord {
    if (!('token' in given)) return fromFields(given, deps.clock());
    const claims = deps.identify(given.token);
    if (claims === null) {
      throw invalidInput(
        'token',
        "is not a token signed with this service's key; register it by jti, userId and expiresAt.",
      );
    }
    return recordOfClaims(claims, {
      origin: 'registered',
      device: null,
      lastUsedAt: null,
      seenAt: deps.clock(),
      retentionSeconds: deps.retentionSeconds,
    });
  }

  return {
    async register(given) {
      const wanted = toRecord(given);
      const existing = await deps.tokens.findByJti(wanted.jti);
      const same = existing.find((record) => record.issuer === wanted.issuer);
      if (same) return { outcome: 'known', record: assertSameUser(same, wanted) };
      // An id that was revoked before it was seen stays revoked, and says so in the list.
      const revocation =
        existing.find((record) => record.issuer === ANY_ISSUER)?.revocation ?? null;
      try {
        return {
          outcome: 'registered',
          record: await deps.tokens.insert({
            ...wanted,
            revocation,
            // One that is revoked is never forgotten: others may sign it again.
            ...(revocation === null ? {} : { purgeAt: null }),
          }),
        };
      } catch (error) {
        if (!(error instanceof DuplicateKeyError)) throw error;
      }
      const other = (await deps.tokens.findByJti(wanted.jti)).find(
        (record) => record.issuer === wanted.issuer,
      );
      if (!other) throw new Error('the record that was in the way vanished');
      return { outcome: 'known', record: assertSameUser(other, wanted) };
    },
  };
}

function assertSameUser(existing: TokenRecord, wanted: NewTokenRecord): TokenRecord {
  // A record without a user holds just the revocation of an id that nobody had seen.
  if (existing.userId === wanted.userId || existing.userId === null) return existing;
  throw new ServiceError('conflict', 'jti: is recorded for another user already.', {
    fields: [{ field: 'jti', message: 'is recorded for another user already.' }],
  });
}

/** Nobody signed this expiry, so no revocation may be forgotten on its word: the record is kept for ever. */
function fromFields(given: Exclude<Registration, { token: string }>, now: number): NewTokenRecord {
  // What is known now was issued before now.
  const issuedAt = given.issuedAt ? new Date(Math.min(given.issuedAt.getTime(), now)) : null;
  return newTokenRecord({
    kind: 'access',
    origin: 'registered',
    jti: given.jti,
    // Whoever doesn't name the issuer means the token, whoever issued it.
    issuer: given.issuer ?? ANY_ISSUER,
    subject: given.subject ?? null,
    audience: given.audience ?? null,
    userId: holderGiven(given),
    applicationId: given.applicationId ?? null,
    sessionId: given.sessionId ?? null,
    cdata: given.cdata ?? null,
    issuedAt,
    expiresAt: given.expiresAt ?? null,
  });
}

/** As the token's claims would name it, so that it is the same holder's. */
function holderGiven({ userId, subject }: Exclude<Registration, { token: string }>): string {
  const holder = holderOfRecord(userId, subject ?? null);
  if (isId(holder)) return holder;
  throw invalidInput(
    'userId',
    `must have at most ${MAX_ID_LENGTH} characters together with the kind of holder that subject names.`,
  );
}
