/** What the store holds, as plain values: no Mongoose document ever leaves this folder. */

export const TOKEN_KINDS = ['access', 'refresh', 'api-key'] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

export const TOKEN_ORIGINS = ['signin', 'fusionauth', 'woleet', 'registered', 'adopted'] as const;
export type TokenOrigin = (typeof TOKEN_ORIGINS)[number];

/** Origins of the tokens that this service signs itself: one jti, one token, one expiry. */
export const ISSUED_HERE: readonly TokenOrigin[] = ['signin', 'fusionauth', 'woleet'];
export function isIssuedHere(origin: TokenOrigin): boolean {
  return ISSUED_HERE.includes(origin);
}

/** The issuer of a record that holds just the revocation of an id never seen: it matches every issuer. */
export const ANY_ISSUER = '*';

export interface Device {
  readonly name: string | null;
  readonly description: string | null;
  readonly type: string | null;
  readonly userAgent: string | null;
  readonly ip: string | null;
  readonly location: string | null;
}

export interface Revocation {
  readonly at: Date;
  /** Who revoked: a user id, an API key's jti, or `system`. */
  readonly by: string;
  readonly reason: string | null;
  /** The dialect or page it came through. */
  readonly via: string;
  /** The request that revoked it, as the log names it. */
  readonly requestId?: string;
  /** FusionAuth's description of the event, as its client gave it. */
  readonly eventInfo?: Readonly<Record<string, unknown>>;
}

/** A token as it is first recorded. `jti` is unique together with `issuer`. */
export interface NewTokenRecord {
  readonly jti: string;
  readonly kind: TokenKind;
  readonly origin: TokenOrigin;
  readonly issuer: string;
  readonly subject: string | null;
  readonly audience: string | readonly string[] | null;
  /** Whose it is: a user's id, or `guest:<id>` and the like (`ids.ts`); null = nobody known. */
  readonly userId: string | null;
  readonly applicationId: string | null;
  readonly sessionId: string | null;
  /** The record (its `id`) of the token with which this one was minted; null = with a password, or elsewhere. */
  readonly parentId?: string | null;
  readonly cdata: string | null;
  readonly device: Device | null;
  readonly issuedAt: Date | null;
  /** null = never. */
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  readonly revocation: Revocation | null;
  /** null = kept for ever. Never `expiresAt` itself: an evicted revocation is an un-revoked token. */
  readonly purgeAt: Date | null;
}

type Identity = Pick<NewTokenRecord, 'jti' | 'kind' | 'origin' | 'issuer'>;

const NOTHING_KNOWN: Omit<NewTokenRecord, keyof Identity> = {
  subject: null,
  audience: null,
  userId: null,
  applicationId: null,
  sessionId: null,
  cdata: null,
  device: null,
  issuedAt: null,
  expiresAt: null,
  lastUsedAt: null,
  revocation: null,
  purgeAt: null,
};

/** A record with what is known of its token; all else is null: nobody's, never expiring, kept for ever. */
export function newTokenRecord(known: Identity & Partial<NewTokenRecord>): NewTokenRecord {
  return { ...NOTHING_KNOWN, ...known };
}

export interface TokenRecord extends NewTokenRecord {
  readonly id: string;
  readonly parentId: string | null;
  /** As far as it was noted. */
  readonly firstUsedAt: Date | null;
  /** When the token, revoked by then, was last tried. */
  readonly lastRefusedAt: Date | null;
  /** How often it was tried since it was revoked. */
  readonly refusedCount: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A secret that was exchanged, and may come again for a while. */
export interface UsedSecret {
  readonly secretHash: string;
  /** Its successor, sealed with it. */
  readonly sealedSuccessor: string;
  readonly exchangedAt: Date;
  /** Until when it leads to its successor; null = no exchange of it was answered yet, as far as is known. */
  readonly until: Date | null;
}

export interface User {
  readonly id: string;
  readonly email: string;
  readonly firstname: string | null;
  readonly lastname: string | null;
  readonly emailverified: boolean;
  /** 100 = active; anyone else can't sign in. */
  readonly status: number;
  readonly role: 'admin' | null;
  readonly createdAt: Date | null;
}

export const ACTIVE_STATUS = 100;

/** 24 hexadecimal digits, as printed. Mongoose would also take any 12 characters for an ObjectId. */
export function isRecordId(id: string): boolean {
  return /^[0-9a-f]{24}$/i.test(id);
}

/** An empty filter would mean everyone: it is a bug, and it must not get to the database. @throws TypeError */
export function assertText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '')
    throw new TypeError(`${name} must be a non-empty string`);
}
