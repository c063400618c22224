/** The filters of the list, one entry each: how it is chosen, what it may be, how it reads, and which new tokens it takes. */
import type { FilterParameters, WireToken } from '../../wire.ts';
import { briefTime } from '../ui/time.tsx';
import { KINDS, ORIGINS, STATES } from './wording.ts';

export type FilterKey = keyof FilterParameters;

interface Filter {
  /** `from` and `to` are the two ends of a range, and have its label. */
  readonly control: 'choice' | 'text' | 'search' | 'from' | 'to' | 'instant' | 'check';
  readonly label: string;
  /** What a choice is among. */
  readonly choices?: Readonly<Record<string, string>>;
  /** Whether it takes a token that was just issued; absent = it takes only tokens that have a past. */
  readonly matches?: (token: WireToken, value: string) => boolean;
}

const lower = (text: string | null | undefined) => (text ?? '').toLowerCase();

const ANY_CASE = /^(?:.*:)?(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{24})$/i;
/** As the service compares ids: UUIDs and ObjectIds in any case of letters. */
const isSameId = (id: string | null, value: string) =>
  id === value || (ANY_CASE.test(value) && id !== null && lower(id) === lower(value));

type Of = (token: WireToken) => string | null;

const choice = (label: string, choices: Filter['choices'] & object, of: Of): Filter => ({
  control: 'choice',
  label,
  choices,
  matches: (token, value) => of(token) === value,
});
const id = (label: string, of: Of): Filter => ({
  control: 'text',
  label,
  matches: (token, value) => isSameId(of(token), value),
});
/** ISO 8601 in UTC is in the order of time. */
const range = (control: 'from' | 'to', label: string, of: Of = () => null): Filter => ({
  control,
  label,
  matches: (token, value) => {
    const at = of(token);
    return at !== null && (control === 'from' ? at >= value : at < value);
  },
});
const issuedAt: Of = (token) => token.issuedAt ?? token.createdAt;
const expiresAt: Of = (token) => token.expiresAt;

const FILTERS: Record<FilterKey, Filter> = {
  state: choice('State', STATES, ({ state }) => state),
  kind: choice('Kind', KINDS, ({ kind }) => kind),
  origin: choice('Origin', ORIGINS, ({ origin }) => origin),
  userId: id('User id', ({ userId }) => userId),
  applicationId: id('Application', ({ applicationId }) => applicationId),
  device: {
    control: 'text',
    label: 'Device',
    matches: ({ device }, value) =>
      [device?.name, device?.description, device?.userAgent].some((text) =>
        lower(text).includes(lower(value)),
      ),
  },
  address: {
    control: 'text',
    label: 'Address',
    matches: ({ device }, value) => device?.ip === value,
  },
  sessionId: id('Session', ({ sessionId }) => sessionId),
  q: {
    control: 'search',
    label: 'Search by e-mail, user id, application or token id',
    matches: ({ userId, applicationId, jti, user }, value) =>
      [userId, applicationId].some((each) => isSameId(each, value)) ||
      jti.startsWith(value) ||
      (ANY_CASE.test(jti) && jti.startsWith(lower(value))) ||
      lower(user?.email).startsWith(lower(value)),
  },
  issuedFrom: range('from', 'Issued', issuedAt),
  issuedTo: range('to', 'Issued', issuedAt),
  lastUsedFrom: range('from', 'Last used'),
  lastUsedTo: range('to', 'Last used'),
  expiresFrom: range('from', 'Expires', expiresAt),
  expiresTo: range('to', 'Expires', expiresAt),
  revokedFrom: range('from', 'Revoked'),
  revokedTo: range('to', 'Revoked'),
  refusedFrom: range('from', 'Refused'),
  refusedTo: range('to', 'Refused'),
  idleSince: { control: 'instant', label: 'Not used since' },
  neverExpires: {
    control: 'check',
    label: 'Never expires',
    matches: (token) => token.expiresAt === null,
  },
};
export const filterKeys = Object.keys(FILTERS) as readonly FilterKey[];

/** Those that are chosen in this way, with what they are called. */
export function filtersBy(control: Filter['control']) {
  return filterKeys
    .filter((key) => FILTERS[key].control === control)
    .map((key) => ({ key, ...FILTERS[key] }));
}

/** Whether the service takes it; an address that says something else is read without it. */
export function isFilterValue(key: FilterKey, text: string): boolean {
  const { control, choices = {} } = FILTERS[key];
  switch (control) {
    case 'choice':
      return Object.hasOwn(choices, text);
    case 'check':
      return text === 'true';
    case 'text':
    case 'search':
      return text.length <= 512;
    case 'from':
    case 'to':
    case 'instant':
      return !Number.isNaN(Date.parse(text));
  }
}

/** "Issued from 3 Mar 2026, 14:00". */
export function describeFilter(key: FilterKey, value: string): string {
  const { control, label, choices } = FILTERS[key];
  switch (control) {
    case 'choice':
      return choices?.[value] ?? value;
    case 'check':
      return label;
    case 'text':
      return `${label}: ${value}`;
    case 'search':
      return `“${value}”`;
    case 'from':
      return `${label} from ${briefTime(value)}`;
    case 'to':
      return `${label} before ${briefTime(value)}`;
    case 'instant':
      return `${label} ${briefTime(value)}`;
  }
}

/** Whether a token that was just issued is among what all of these filters take. */
export function isTaken(token: WireToken, filter: FilterParameters): boolean {
  return filterKeys.every((key) => {
    const value = filter[key];
    return value === undefined || FILTERS[key].matches?.(token, value) === true;
  });
}
