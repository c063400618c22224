/** The parameters of the dashboard's lists: filters, order, cursor; and what is allowed in each. */
import { z } from 'zod';
import { invalidInput } from '../../errors.js';
import { cleanAddress } from '../../http/client.js';
import {
  choiceField,
  dateField,
  idField,
  textField,
  userIdField,
  wholeNumberField,
} from '../../http/input.js';
import { TOKEN_KINDS, TOKEN_ORIGINS } from '../../store/records.js';
import { isRecordId } from '../../store/records.js';
import {
  type Position,
  SEARCH_SORT_FIELDS,
  type SearchPage,
  TOKEN_STATES,
  type TokenFilter,
} from '../../store/tokens/query/filter.js';
import type { UserStore } from '../../store/users/users.js';

export const filterFields = {
  state: choiceField(TOKEN_STATES).optional(),
  kind: choiceField(TOKEN_KINDS).optional(),
  origin: choiceField(TOKEN_ORIGINS).optional(),
  userId: userIdField().optional(),
  applicationId: idField().optional(),
  sessionId: idField().optional(),
  address: textField(64)
    .transform((text) => cleanAddress(text) ?? text)
    .optional(),
  device: textField(100).optional(),
  q: textField(128).optional(),
  issuedFrom: dateField().optional(),
  issuedTo: dateField().optional(),
  lastUsedFrom: dateField().optional(),
  lastUsedTo: dateField().optional(),
  expiresFrom: dateField().optional(),
  expiresTo: dateField().optional(),
  revokedFrom: dateField().optional(),
  revokedTo: dateField().optional(),
  refusedFrom: dateField().optional(),
  refusedTo: dateField().optional(),
  neverExpires: choiceField(['true']).optional(),
  idleSince: dateField().optional(),
};

export const filterBody = z.strictObject(filterFields);
export type FilterInput = z.output<typeof filterBody>;

const orderFields = {
  sort: choiceField(SEARCH_SORT_FIELDS).default('createdAt'),
  direction: choiceField(['1', '-1'])
    .default('-1')
    .transform((value) => (value === '1' ? (1 as const) : (-1 as const))),
};

export const tokenListQuery = z.strictObject({
  ...filterFields,
  ...orderFields,
  limit: wholeNumberField(1, 100).default(40),
  cursor: textField(300).optional(),
});

export const exportQuery = z.strictObject({
  ...filterFields,
  // The order of the list on the screen: an export comes oldest first all the same.
  ...orderFields,
  format: choiceField(['csv', 'ndjson']),
});

/** How many users a text may mean by their e-mail. */
const FREE_TEXT_USERS = 100;

/**
 * Someone who isn't an administrator searches among their own tokens only.
 * @throws ServiceError 400 when a text means the e-mail addresses of too many users; 503 when the store fails.
 */
export async function toTokenSearch(
  input: FilterInput,
  caller: { readonly userId: string; readonly isAdministrator: boolean },
  users: Pick<UserStore, 'idsByText'>,
): Promise<TokenFilter> {
  const { q, userId, neverExpires, state, kind, origin, applicationId, sessionId, ...dated } =
    input;
  const { address, device, idleSince, issuedFrom, issuedTo, lastUsedFrom, lastUsedTo, ...last } =
    dated;
  const { expiresFrom, expiresTo, revokedFrom, revokedTo, refusedFrom, refusedTo, ...rest } = last;
  // One that is accepted and not asked for would let a bulk revoke hit what it was not to: no more fields.
  rest satisfies Record<string, never>;
  const named =
    q === undefined || !caller.isAdministrator ? [] : await users.idsByText(q, FREE_TEXT_USERS + 1);
  // A part of them would look like all of them.
  if (named.length > FREE_TEXT_USERS) {
    throw invalidInput(
      'q',
      `begins the e-mail addresses of more than ${FREE_TEXT_USERS} users; type more of one.`,
    );
  }
  const wanted = userId === undefined ? null : [userId];
  return {
    userIds: caller.isAdministrator
      ? wanted
      : [caller.userId].filter((id) => wanted === null || wanted.includes(id)),
    state,
    kind,
    origin,
    applicationId,
    sessionId,
    address,
    device,
    issued: { from: issuedFrom, to: issuedTo },
    lastUsed: { from: lastUsedFrom, to: lastUsedTo },
    expires: { from: expiresFrom, to: expiresTo },
    revoked: { from: revokedFrom, to: revokedTo },
    refused: { from: refusedFrom, to: refusedTo },
    neverExpires: neverExpires === undefined ? undefined : true,
    idleSince,
    text: q === undefined ? undefined : { value: q, userIds: named },
  };
}

type Order = Pick<SearchPage, 'sortField' | 'direction'>;

const cursorContent = z.tuple([
  z.enum(SEARCH_SORT_FIELDS),
  z.literal([1, -1]),
  z.boolean(),
  z.number().nullable(),
  z.string().refine(isRecordId),
]);

/** Opaque to clients. It names its order, so that it can't be used with another by mistake. */
export function formatCursor(order: Order, backwards: boolean, position: Position): string {
  const content = [order.sortField, order.direction, backwards, position.value, position.id];
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}

/** @throws ServiceError 400 */
export function parseCursor(
  cursor: string | undefined,
  order: Order,
): Pick<SearchPage, 'from' | 'backwards'> {
  if (cursor === undefined) return { from: null, backwards: false };
  const parsed = cursorContent.safeParse(jsonOf(Buffer.from(cursor, 'base64url').toString()));
  if (!parsed.success)
    throw invalidInput('cursor', 'must be one that a list answered; begin without one.');
  const [sortField, direction, backwards, value, id] = parsed.data;
  if (sortField !== order.sortField || direction !== order.direction)
    throw invalidInput('cursor', 'belongs to another sort or direction; begin without one.');
  return { from: { value, id }, backwards };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}
