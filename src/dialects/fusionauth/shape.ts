/** Refresh tokens and users in FusionAuth's shape: instants are milliseconds, users' ids are UUIDs. */
import type { TokenRecord, User } from '../../store/records.js';
import { toFusionAuthId } from '../../store/user-uuid.js';

export function toFusionAuthToken(record: TokenRecord) {
  const { device } = record;
  return {
    id: record.jti,
    applicationId: record.applicationId ?? undefined,
    userId: record.userId === null ? undefined : toFusionAuthId(record.userId),
    insertInstant: record.createdAt.getTime(),
    startInstant: (record.issuedAt ?? record.createdAt).getTime(),
    metaData: {
      device: {
        name: device?.name ?? undefined,
        description: device?.description ?? device?.userAgent ?? undefined,
        type: device?.type ?? 'UNKNOWN',
        lastAccessedAddress: device?.ip ?? undefined,
        lastAccessedInstant: (record.lastUsedAt ?? record.createdAt).getTime(),
      },
      scopes: [],
    },
  };
}

export function toFusionAuthUser(user: User) {
  return {
    id: toFusionAuthId(user.id),
    email: user.email,
    firstName: user.firstname ?? undefined,
    lastName: user.lastname ?? undefined,
    verified: user.emailverified,
    active: true,
    insertInstant: user.createdAt?.getTime(),
  };
}
