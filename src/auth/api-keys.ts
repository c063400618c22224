/** API keys: opaque tokens that act for the administrator who made them. A key is looked up once, then remembered; its revocation is asked for at every use. */
import type { Report } from '../audit/report.js';
import type { Clock } from '../clock.js';
import { createRecent } from '../recent.js';
import { subjectTypeOf } from '../store/ids.js';
import { type Device, newTokenRecord, type TokenRecord } from '../store/records.js';
import type { Operation } from '../store/cluster/log.js';
import { toRevokedEntry } from '../store/tokens/revoked-entry.js';
import type { SecretStore } from '../store/tokens/secrets.js';
import type { Claims } from '../tokens/claims.js';
import {
  createOpaqueToken,
  formatOpaqueToken,
  hashSecret,
  parseOpaqueToken,
} from '../tokens/opaque.js';
import { purgeTime } from '../tokens/record-of-claims.js';
import { hasExpired } from '../tokens/state.js';
import type { UsageRecorder } from '../tokens/usage-recorder.js';
import type { Verification } from '../tokens/verifier.js';

export interface ApiKeys {
  /** May this key be used now? A promise only at its first use. @throws ServiceError 503 */
  check(key: string, device: () => Device): Verification | Promise<Verification>;
  /** A new key; its text is never to be had again. */
  create(
    request: NewApiKey,
  ): Promise<{ key: string; record: TokenRecord; records: readonly [TokenRecord] }>;
}

interface NewApiKey {
  readonly name: string;
  /** The administrator for whom it acts. */
  readonly userId: string;
  readonly expiresAt: Date | null;
  readonly device: Device;
  /** The record of the token that asked for it, with which it falls; null = asked for with a password. */
  readonly parent: TokenRecord | null;
}

interface Dependencies {
  readonly secrets: Pick<SecretStore, 'findSecret' | 'insertSecret'>;
  readonly isRevoked: (claims: Claims) => boolean;
  readonly usage: UsageRecorder;
  /** The id of a new token. */
  readonly createId: (now: number) => string;
  readonly clock: Clock;
  readonly ownIssuer: string;
  readonly retentionSeconds: number;
  readonly report: Report;
  /** Puts in force, here and everywhere, what a record says. @throws ServiceError 503 */
  readonly learn: (operations: readonly Operation[], refused: Claims) => Promise<void>;
}

const MAX_REMEMBERED = 1000;
const REFUSED = { accepted: false, reason: 'unknown', claims: null } as const;

export function createApiKeys(deps: Dependencies): ApiKeys {
  const { secrets, isRevoked, usage, clock, ownIssuer } = deps;
  /** Keys that exist, by the hash of their secret. */
  const remembered = createRecent<Claims>(MAX_REMEMBERED);

  function refuseRevoked(claims: Claims): Verification {
    deps.report({ what: 'refused', token: claims });
    return { accepted: false, reason: 'revoked', claims };
  }

  function verifyClaims(claims: Claims, device: () => Device): Verification {
    if (hasExpired(claims.expiresAt, clock())) {
      return { accepted: false, reason: 'expired', claims };
    }
    if (isRevoked(claims)) return refuseRevoked(claims);
    usage.note(claims, device);
    return { accepted: true, claims };
  }

  async function lookUp(jti: string, hash: string, device: () => Device): Promise<Verification> {
    const found = await secrets.findSecret(jti, ownIssuer);
    if (found === null || found.record.kind !== 'api-key' || found.secretHash !== hash)
      return REFUSED;
    const claims = toClaims(found.record);
    // The record, just read, may know more than memory does; nor do the other instances know it then.
    if (found.record.revocation !== null)
      await deps.learn([{ what: 'revoked', entry: toRevokedEntry(found.record) }], claims);
    remembered.set(`${jti}.${hash}`, claims);
    return verifyClaims(claims, device);
  }

  return {
    check(key, device) {
      const parsed = parseOpaqueToken(key);
      if (parsed === null) return REFUSED;
      const hash = hashSecret(parsed.secret);
      const claims = remembered.get(`${parsed.jti}.${hash}`);
      return claims === undefined ? lookUp(parsed.jti, hash, device) : verifyClaims(claims, device);
    },

    async create({ name, userId, expiresAt, device, parent }) {
      const now = clock();
      const token = createOpaqueToken(deps.createId(now));
      const record = newTokenRecord({
        jti: token.jti,
        kind: 'api-key',
        origin: 'registered',
        issuer: ownIssuer,
        subject: userId,
        userId,
        applicationId: parent?.applicationId ?? null,
        ...(parent === null ? {} : { parentId: parent.id }),
        device: { ...device, name },
        issuedAt: new Date(now),
        expiresAt,
        purgeAt: purgeTime(expiresAt, deps.retentionSeconds),
      });
      const inserted = await secrets.insertSecret(record, hashSecret(token.secret));
      return { key: formatOpaqueToken(token), record: inserted, records: [inserted] };
    },
  };
}

/** What the rest of the service knows a caller by, as for any token. */
function toClaims(record: TokenRecord): Claims {
  return {
    jti: record.jti,
    issuer: record.issuer,
    subject: record.subject,
    audience: record.audience,
    userId: record.userId ?? '',
    subjectType: subjectTypeOf(record.userId ?? ''),
    applicationId: record.applicationId,
    sessionId: null,
    sessionIssuedAt: null,
    issuedAt: record.issuedAt?.getTime() ?? null,
    expiresAt: record.expiresAt?.getTime() ?? null,
    cdata: null,
  };
}
