/**
 * What the dashboard's page and the service say to each other under `/admin/*`, taken from the code
 * of the routes: what they answer, and the schemas of what they take. Types only; nothing that runs.
 */
import type { z } from 'zod';
import type { toWireUser } from '../accounts/wire.js';
import type { newKeyBody, toWireNewKey } from './api/api-keys.js';
import type { toWireActivity, toWireEvent } from './api/events.js';
import type { inspectBody, toWireInspection } from './api/inspect.js';
import type { revokeBody } from './api/reason.js';
import type { BulkLine, toWireCutoff, toWirePreview } from './api/revocations.js';
import type { bulkBody, cutoffBody, selection } from './api/revocations-input.js';
import type { signInBody, toWireSession } from './api/session.js';
import type { Summary } from './api/summary.js';
import type { AdminWireRecord } from './api/token-wire.js';
import type { TokenDetail, TokenPage } from './api/tokens.js';
import type { filterBody, tokenListQuery } from './api/tokens-input.js';
import type { newUserBody, passwordBody, toWireUserPage } from './api/users.js';
import type { LiveChange } from './live/messages.js';

/** ISO 8601, as JSON carries a date. */
export type Instant = string;

/** What is left of a value after `JSON.stringify` and `JSON.parse`. */
export type Json<T> = T extends Date
  ? Instant
  : T extends object
    ? { readonly [K in keyof T]: Json<T[K]> }
    : T;

type Answer<F extends (...args: never) => unknown> = Json<Awaited<ReturnType<F>>>;
type Taken<S extends z.ZodType> = Readonly<z.input<S>>;

/** `POST /admin/session` SignInBody · `GET /admin/session` · `DELETE /admin/session` → 204. */
export type SignInBody = Taken<typeof signInBody>;
export type WireSession = Answer<typeof toWireSession>;

/** `GET /admin/users?search=&page=&limit=` → WireUserPage · `POST /admin/users` NewUserBody → 201 WireUser. */
export type WireUser = Answer<typeof toWireUser>;
export type WireUserPage = Answer<typeof toWireUserPage>;
export type NewUserBody = Taken<typeof newUserBody>;
/** `POST /admin/users/:id/password` → 204: revokes the user's tokens. */
export type PasswordBody = Taken<typeof passwordBody>;

/** `GET /admin/tokens`: the filter, `sort`, `direction` (1|-1), `limit` (1–100), `cursor` → WireTokenPage. */
export type FilterParameters = Taken<typeof filterBody>;
export type SortField = NonNullable<z.input<typeof tokenListQuery>['sort']>;
export type WireTokenPage = Json<TokenPage>;
export type WireCount = Pick<WireTokenPage, 'count' | 'countIs'>;
export type WireToken = Json<AdminWireRecord>;
export type State = WireToken['state'];
export type Kind = WireToken['kind'];
export type Origin = WireToken['origin'];

/** `GET /admin/tokens/:id`. */
export type WireTokenDetail = Json<TokenDetail>;
export type WireTimelineEntry = WireTokenDetail['timeline'][number];

/** `POST /admin/tokens/:id/revoke` → WireToken. `note` goes with reason "other", and may with any. */
export type RevokeBody = Taken<typeof revokeBody>;
export type Reason = RevokeBody['reason'];

/** `POST /admin/revocations/preview` Selection → WirePreview. */
export type Selection = Taken<typeof selection>;
export type WirePreview = Answer<typeof toWirePreview>;
/** `POST /admin/revocations` → 409 when more matches than the preview counted; else NDJSON, the result last. */
export type BulkRevokeBody = Taken<ReturnType<typeof bulkBody>>;
export type WireBulkLine = Json<BulkLine>;

/**
 * `POST /admin/cutoffs` → 201: everything of a scope issued until now, or before `before`, is revoked.
 * Without userId and applicationId it is everything: `everything: true` must say so.
 */
export type CutoffBody = Taken<typeof cutoffBody>;
export type WireCutoffDone = Answer<typeof toWireCutoff>;
export type WireMatched = NonNullable<WireCutoffDone['matched']>;

/** `GET /admin/summary?today=<Instant: when today began where the viewer is>`. */
export type WireSummary = Json<Summary>;

/** `GET /admin/activity?range=24h|7d|30d`: administrators only. */
export type WireActivity = Answer<typeof toWireActivity>;

/** `POST /admin/inspect`: administrators only. */
export type InspectBody = Taken<typeof inspectBody>;
export type WireInspection = Answer<typeof toWireInspection>;

/** `POST /admin/api-keys` → 201, the only time that the key is shown. */
export type NewKeyBody = Taken<ReturnType<typeof newKeyBody>>;
export type WireNewApiKey = Answer<typeof toWireNewKey>;

/** `GET /admin/events?userId=&type=&before=&limit=` → {events, next}: the audit trail, newest first. */
export type WireAuditEvent = Answer<typeof toWireEvent>;

/**
 * `GET /admin/events/stream`: server-sent events. Event `changes`: a JSON array of these, at most
 * five messages a second; event `resync`: what was missed can't be had, load anew; event `end`:
 * the session has ended. `Last-Event-ID` resumes.
 */
export type WireChange = Json<LiveChange>;
