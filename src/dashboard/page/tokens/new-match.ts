/** Whether a token that was just issued belongs at the top of the list that is shown. */
import type { FilterParameters, WireToken } from '../../wire.ts';
import type { Place } from '../location.ts';

type Test = (token: WireToken, value: string) => boolean;

const lower = (text: string | null | undefined) => (text ?? '').toLowerCase();

const ANY_CASE = /^(?:.*:)?(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{24})$/i;
/** As the service compares ids: UUIDs and ObjectIds in any case of letters. */
const isSameId = (id: string | null, value: string) =>
  id === value || (ANY_CASE.test(value) && id !== null && lower(id) === lower(value));

/** What isn't here is of tokens that have a past: a new one can't match it. */
const TESTS: Partial<Record<keyof FilterParameters, Test>> = {
  state: (token, value) => token.state === value,
  kind: (token, value) => token.kind === value,
  origin: (token, value) => token.origin === value,
  userId: (token, value) => isSameId(token.userId, value),
  applicationId: (token, value) => isSameId(token.applicationId, value),
  sessionId: (token, value) => isSameId(token.sessionId, value),
  address: (token, value) => token.device?.ip === value,
  device: ({ device }, value) =>
    [device?.name, device?.description, device?.userAgent].some((text) =>
      lower(text).includes(lower(value)),
    ),
  q: (token, value) =>
    [token.userId, token.applicationId].some((id) => isSameId(id, value)) ||
    token.jti.startsWith(value) ||
    (ANY_CASE.test(token.jti) && token.jti.startsWith(lower(value))) ||
    lower(token.user?.email).startsWith(lower(value)),
  issuedFrom: (token, value) => (token.issuedAt ?? token.createdAt) >= value,
  issuedTo: (token, value) => (token.issuedAt ?? token.createdAt) < value,
  neverExpires: (token) => token.expiresAt === null,
  expiresFrom: (token, value) => token.expiresAt !== null && token.expiresAt >= value,
  expiresTo: (token, value) => token.expiresAt !== null && token.expiresAt < value,
};

export function isNewMatch(token: WireToken, place: Place, filter: FilterParameters): boolean {
  const isNewestFirst =
    place.cursor === null &&
    place.direction === -1 &&
    (place.sort === 'issuedAt' || place.sort === 'createdAt');
  return (
    isNewestFirst &&
    Object.entries(filter).every(([key, value]) =>
      Boolean(TESTS[key as keyof FilterParameters]?.(token, value as string)),
    )
  );
}
