/** What the dashboard's page and the service say to each other under `/admin/*`: types for both sides, nothing that runs. */

/** ISO 8601, as JSON carries it. */
export type Instant = string;
export type State = 'active' | 'expired' | 'revoked';
export type Kind = 'access' | 'refresh' | 'api-key';
export type Origin = 'signin' | 'fusionauth' | 'woleet' | 'registered' | 'adopted';
export type Reason = 'compromised' | 'requested' | 'rotated' | 'left' | 'other';
export type SortField =
  'createdAt' | 'issuedAt' | 'expiresAt' | 'lastUsedAt' | 'revokedAt' | 'refusedAt';

/** `POST /admin/session` {email, password} · `GET /admin/session` · `DELETE /admin/session` → 204. */
export interface WireSession {
  readonly user: WireUser;
  /** Sees everyone's tokens; anyone else sees their own only, through the same calls. */
  readonly isAdministrator: boolean;
  /** To be sent as `X-CSRF-Token` with everything but GET. */
  readonly csrfToken: string;
  /** The record of this session's own token. */
  readonly tokenId: string;
  readonly expiresAt: Instant;
  /** The page signs out after so long without a touch; so does the cookie. */
  readonly idleSeconds: number;
}

/** `GET /admin/users?search=&page=&limit=` → WireUserPage · `POST /admin/users` → 201 WireUser. */
export interface WireUser {
  readonly _id: string;
  readonly email: string;
  readonly firstname: string | null;
  readonly lastname: string | null;
  readonly emailverified: boolean;
  readonly status: number;
  readonly role: 'admin' | null;
  readonly createdAt: Instant | null;
}
export interface WireUserPage {
  readonly users: readonly WireUser[];
  readonly count: number;
  readonly page: number;
  readonly perPage: number;
}

export interface WireDevice {
  readonly name: string | null;
  readonly description: string | null;
  readonly type: string | null;
  readonly userAgent: string | null;
  readonly ip: string | null;
  readonly location: string | null;
}

export interface WireToken {
  readonly _id: string;
  readonly jti: string;
  readonly kind: Kind;
  readonly origin: Origin;
  /** '' = a token without `iss`; '*' = a revoked id that was never seen. */
  readonly issuer: string;
  readonly subject: string | null;
  readonly audience: string | readonly string[] | null;
  /** A user's id; `guest:<id>` and the like for other kinds of holders. */
  readonly userId: string | null;
  readonly applicationId: string | null;
  /** The jti of the refresh token that it came from. */
  readonly sessionId: string | null;
  /** The record of the token that it was minted with. */
  readonly parentId: string | null;
  readonly cdata: string | null;
  readonly device: WireDevice | null;
  readonly state: State;
  readonly issuedAt: Instant | null;
  readonly expiresAt: Instant | null;
  readonly firstUsedAt: Instant | null;
  readonly lastUsedAt: Instant | null;
  readonly revokedAt: Instant | null;
  readonly revokedBy: string | null;
  readonly revokedReason: string | null;
  readonly revokedVia: string | null;
  /** The request that revoked it, as the log names it. */
  readonly revokedRequestId: string | null;
  /** When it was last presented after its revocation, and how often. */
  readonly lastRefusedAt: Instant | null;
  readonly refusedCount: number;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
  /** Who holds it, where it is one of our users. */
  readonly user: { readonly email: string; readonly name: string | null } | null;
  /** "Chrome 156 · macOS", else the first product of the user agent, else null. */
  readonly deviceLabel: string | null;
  readonly isThisSession: boolean;
}

/**
 * `GET /admin/tokens`: the filter's parameters (all optional), `sort`, `direction` (1|-1),
 * `limit` (1–100), `cursor`. Dates are ISO 8601; ranges are half-open.
 */
export interface FilterParameters {
  readonly state?: State;
  readonly kind?: Kind;
  readonly origin?: Origin;
  readonly userId?: string;
  readonly applicationId?: string;
  readonly sessionId?: string;
  readonly address?: string;
  readonly device?: string;
  /** Free text: an e-mail's beginning, a user's id, an application, a token id's beginning. */
  readonly q?: string;
  readonly issuedFrom?: Instant;
  readonly issuedTo?: Instant;
  readonly lastUsedFrom?: Instant;
  readonly lastUsedTo?: Instant;
  readonly expiresFrom?: Instant;
  readonly expiresTo?: Instant;
  readonly revokedFrom?: Instant;
  readonly revokedTo?: Instant;
  readonly refusedFrom?: Instant;
  readonly refusedTo?: Instant;
  /** 'true' = tokens without an expiry. */
  readonly neverExpires?: 'true';
  /** Not used since then. */
  readonly idleSince?: Instant;
}

export interface WireCount {
  readonly count: number;
  /** Exact up to 10,000; beyond it, or where counting would take too long, "at least". */
  readonly countIs: 'exact' | 'at-least' | 'estimate';
}

export interface WireTokenPage extends WireCount {
  readonly tokens: readonly WireToken[];
  /** Cursors for `cursor=`; null = there is nothing there. Also as `Link` headers. */
  readonly next: string | null;
  readonly previous: string | null;
  /** false: the work allowed for one answer ended before the page was full; `next` goes on there. */
  readonly complete: boolean;
}

/** `GET /admin/tokens/:id`. */
export interface WireTokenDetail {
  readonly token: WireToken;
  /** The refresh token that it came from. */
  readonly session: WireToken | null;
  /** The newest of what came from it. */
  readonly children: readonly WireToken[];
  readonly moreChildren: boolean;
  /** Oldest first. */
  readonly timeline: readonly WireTimelineEntry[];
}
export interface WireTimelineEntry {
  readonly at: Instant;
  readonly what:
    'issued' | 'first-used' | 'last-used' | 'refused' | 'expired' | 'revoked' | 'cut-off';
  /** A user's e-mail where it is one of ours, else their id. */
  readonly by: string | null;
  readonly via: string | null;
  readonly reason: string | null;
  readonly requestId: string | null;
  readonly count: number | null;
}

/** `POST /admin/tokens/:id/revoke` {reason, note?} → WireToken. `note` goes with reason "other", and may with any. */
export interface RevokeBody {
  readonly reason: Reason;
  /** 200 characters at most. */
  readonly note?: string;
}

/** Some tokens: by their record ids (1,000 at most), or all that match a filter. */
export type Selection = { readonly ids: readonly string[] } | { readonly filter: FilterParameters };

/** `POST /admin/revocations/preview` Selection → */
export interface WirePreview {
  /** How many would be revoked (what is revoked already isn't counted). 10,000 at most: above it is 400. */
  readonly count: number;
  readonly users: number;
  readonly applications: number;
  readonly lastUsedAt: Instant | null;
  readonly includesThisSession: boolean;
  readonly asOf: Instant;
}

/**
 * `POST /admin/revocations` → 409 when more matches than the preview counted (code `conflict`);
 * else NDJSON lines: progress as it goes on, the result last.
 */
export interface BulkRevokeBody extends RevokeBody {
  readonly selection: Selection;
  /** Of the preview that was confirmed. */
  readonly expectedCount: number;
  readonly asOf: Instant;
}
export type WireBulkLine =
  | { readonly done: number; readonly total: number }
  | {
      readonly result: {
        /** What the selection held that wasn't revoked before. */
        readonly matched: WireMatched;
        readonly revoked: number;
        readonly alreadyRevoked: number;
        readonly failed: readonly {
          readonly _id: string;
          readonly jti: string;
          readonly message: string;
        }[];
      };
    };

/**
 * `POST /admin/cutoffs` → 201: everything of a scope issued until now, or before `before`, is revoked.
 * Without userId and applicationId it is everything: `everything: true` must say so.
 */
export interface CutoffBody extends RevokeBody {
  readonly userId?: string;
  readonly applicationId?: string;
  readonly everything?: true;
  readonly before?: Instant;
}
export interface WireCutoff {
  readonly userId: string | null;
  readonly applicationId: string | null;
  readonly at: Instant;
}
export interface WireCutoffDone extends WireCutoff {
  /** The recorded tokens that it hit, and that were good before; null = they couldn't be counted in time. */
  readonly matched: WireMatched | null;
}
export interface WireMatched {
  readonly tokens: number;
  readonly users: number;
  readonly applications: number;
  /** There may be more of each: counting stops at 10,000 tokens, and after a second. */
  readonly isLowerBound?: true;
}

/** `GET /admin/summary?today=<Instant: when today began where the viewer is>`. */
export interface WireSummary {
  readonly active: WireCount;
  readonly expiringSoon: WireCount;
  readonly idle: WireCount;
  readonly neverExpires: WireCount;
  readonly revokedToday: WireCount;
  readonly refusedLastHour: WireCount;
}

/** `GET /admin/activity?range=24h|7d|30d`: one bucket per hour, oldest first, none missing. Administrators only. */
export interface WireActivity {
  readonly buckets: readonly {
    readonly at: Instant;
    readonly issued: number;
    readonly revoked: number;
    readonly refused: number;
  }[];
}

/** `POST /admin/inspect` {token}: administrators only. */
export interface WireInspection {
  readonly accepted: boolean;
  readonly reason:
    | 'malformed'
    | 'bad-signature'
    | 'bad-claims'
    | 'expired'
    | 'not-yet-valid'
    | 'altered'
    | 'unknown'
    | 'revoked'
    | 'used'
    | 'wrong-audience'
    | null;
  /** What it means and what to do, for people. */
  readonly explanation: string;
  /** Its record, if there is one. */
  readonly token: WireToken | null;
}

/** `POST /admin/users/:id/password` {password} → 204: revokes the user's tokens. */

/** `POST /admin/api-keys` {name, expiresAt?} → 201, the only time that the key is shown. */
export type WireNewApiKey = WireToken & { readonly key: string };

/** `GET /admin/events?userId=&type=&before=&limit=` → {events, next}: the audit trail, newest first. */
export interface WireAuditEvent {
  readonly _id: string;
  readonly at: Instant;
  readonly type:
    | 'token.revoked'
    | 'token.registered'
    | 'scope.revoked'
    | 'bulk.revoked'
    | 'cutoff.lowered'
    | 'user.created'
    | 'user.disabled'
    | 'user.enabled'
    | 'user.deleted'
    | 'password.changed'
    | 'api-key.created'
    | 'export.made';
  readonly by: string;
  readonly via: string;
  readonly reason: string | null;
  readonly requestId: string;
  readonly tokenId: string | null;
  readonly jti: string | null;
  readonly userId: string | null;
  readonly applicationId: string | null;
  readonly count: number | null;
}

/**
 * `GET /admin/events/stream`: server-sent events. Event `changes`: a JSON array of these, at most
 * five messages a second; event `resync`: what was missed can't be had, load anew; event `end`:
 * the session has ended. `Last-Event-ID` resumes.
 */
export type WireChange =
  | { readonly type: 'issued' | 'revoked' | 'refused' | 'used'; readonly token: WireToken }
  /** Everything of a scope was revoked: load anew. */
  | { readonly type: 'scope-revoked'; readonly cutoff: WireCutoff };
