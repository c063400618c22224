/** A token record as the dashboard shows it: what every answer shows, and who holds it, on what, refused how often. */
import { deviceLabel } from '../../http/device-label.js';
import type { Clock } from '../../clock.js';
import type { TokenRecord, User } from '../../store/records.js';
import type { TokenState } from '../../store/tokens/query/filter.js';
import type { UserStore } from '../../store/users/users.js';
import { stateOf } from '../../tokens/state.js';
import { toWireRecord } from '../../tokens/wire.js';

/** @param ownJti the id of the token that the viewer's own request came with. */
export type ToAdminWire = <const T extends readonly TokenRecord[]>(
  records: T,
  ownJti: string | null,
) => Promise<WiresOf<T>>;

/** As many as there were records. */
type WiresOf<T> = { -readonly [K in keyof T]: AdminWireRecord };

export type AdminWireRecord = ReturnType<typeof toAdminWireRecord>;

interface Dependencies {
  readonly users: Pick<UserStore, 'findByIds'>;
  /** Also by a cut-off or its session, before the record itself says so. @throws ServiceError 503 */
  readonly isRevoked: (record: TokenRecord) => boolean;
  readonly clock: Clock;
}

export function createAdminWire({ users, isRevoked, clock }: Dependencies): ToAdminWire {
  return async function toAdminWire<const T extends readonly TokenRecord[]>(
    records: T,
    ownJti: string | null,
  ) {
    const ids = new Set(records.flatMap(({ userId }) => userId ?? []));
    const found = ids.size === 0 ? [] : await users.findByIds([...ids]);
    const holders = new Map(found.map((user) => [user.id, user]));
    const now = clock();
    return records.map((record) =>
      toAdminWireRecord(
        record,
        stateOf(record, now, isRevoked),
        holders.get(record.userId ?? ''),
        ownJti,
      ),
    ) as WiresOf<T>;
  };
}

function toAdminWireRecord(
  record: TokenRecord,
  state: TokenState,
  holder: User | undefined,
  ownJti: string | null,
) {
  const { revocation, device } = record;
  return {
    ...toWireRecord(record, state),
    parentId: record.parentId,
    firstUsedAt: record.firstUsedAt,
    revokedVia: revocation?.via ?? null,
    revokedRequestId: revocation?.requestId ?? null,
    /** When it was last presented after its revocation, and how often. */
    lastRefusedAt: record.lastRefusedAt,
    refusedCount: record.refusedCount,
    /** Who holds it, where it is one of our users. */
    user: holder === undefined ? null : { email: holder.email, name: nameOf(holder) },
    /** "Chrome 156 · macOS", else the first product of the user agent, else null. */
    deviceLabel: device?.name ?? deviceLabel(device?.userAgent ?? null),
    isThisSession: record.jti === ownJti,
  };
}

function nameOf({ firstname, lastname }: User): string | null {
  return [firstname, lastname].filter(Boolean).join(' ') || null;
}
