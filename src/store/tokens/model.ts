/** The Mongoose schema of the collection `tokens`, with its indexes, and the way from a document to a plain record. */
import { type Connection, type Model, Schema, type Types } from 'mongoose';
import {
  type Revocation,
  TOKEN_KINDS,
  TOKEN_ORIGINS,
  type TokenRecord,
  type UsedSecret,
} from '../records.js';
import { schemaOptions } from '../database/schema-options.js';
import type { WriteConcern } from '../database/write-concern.js';

/** A document as it is stored: a record, and what must not leave the store. */
export type TokenDocument = Omit<TokenRecord, 'id' | 'parentId' | 'revocation' | keyof Uses> &
  Uses &
  Secrets & {
    readonly _id: Types.ObjectId;
    readonly revocation: (Revocation & RevocationTrace) | null;
  };

/** Absent until it happens, so that it costs nothing elsewhere. */
interface Uses {
  readonly parentId?: string | null;
  readonly firstUsedAt?: Date;
  readonly lastRefusedAt?: Date;
  readonly refusedCount?: number;
}

interface RevocationTrace {
  readonly recordedAt?: Date;
  /** Which write set it, where that was `revoke.ts`. */
  readonly writtenBy?: Types.ObjectId;
}

interface Secrets {
  readonly secretHash?: string;
  readonly familyHash?: string;
  /** Of what was exchanged before families were known. */
  readonly usedSecretHashes?: readonly string[];
  readonly grace?: readonly UsedSecret[] | null;
}

export type TokenModel = Model<TokenDocument>;

export type Index = Readonly<Record<string, 1 | -1>>;

export const USER_INDEX = { userId: 1, createdAt: -1, _id: -1 } as const;
export const APPLICATION_INDEX = { applicationId: 1, createdAt: -1, _id: -1 } as const;
export const SESSION_INDEX = { sessionId: 1, createdAt: -1, _id: -1 } as const;
export const KIND_INDEX = { kind: 1, createdAt: -1, _id: -1 } as const;
export const ORIGIN_INDEX = { origin: 1, createdAt: -1, _id: -1 } as const;
export const ADDRESS_INDEX = { 'device.ip': 1, createdAt: -1, _id: -1 } as const;

/** By time of revocation, with all that the revocation list needs. */
export const REVOKED_INDEX = {
  'revocation.at': -1,
  _id: -1,
  jti: 1,
  issuer: 1,
  origin: 1,
  expiresAt: 1,
} as const;
/** By the time at which the database took the revocation: what other instances read by. */
export const RECORDED_INDEX = {
  'revocation.recordedAt': 1,
  jti: 1,
  issuer: 1,
  origin: 1,
  expiresAt: 1,
} as const;
export const JTI_INDEX = { jti: 1, issuer: 1 } as const;

/** Only of tokens that were minted with another one. */
export const PARENT_INDEX = { parentId: 1, userId: 1 } as const;
/** The same, by whose they are. */
export const MINTED_INDEX = { userId: 1, parentId: 1 } as const;

/** Only of live tokens that never expire and were minted by `GET /v1/token`; and of such API keys. */
export const MINTED_ENDLESS_INDEX = { userId: 1, origin: 1 } as const;
export const KEYS_ENDLESS_INDEX = { userId: 1, kind: 1 } as const;
const ENDLESS = { expiresAt: null, revocation: null } as const;

/** Only of records that were refused, so that it costs nothing elsewhere. */
const REFUSED_INDEX = { lastRefusedAt: -1, _id: -1 } as const;

/** Those that find the fewest records first, as a rule. */
export const DATE_INDEXES = {
  lastRefusedAt: REFUSED_INDEX,
  lastUsedAt: { lastUsedAt: -1, _id: -1 },
  'revocation.at': REVOKED_INDEX,
  expiresAt: { expiresAt: -1, _id: -1 },
  issuedAt: { issuedAt: -1, _id: -1 },
  createdAt: { createdAt: -1, _id: -1 },
} as const;
export type DateField = keyof typeof DATE_INDEXES;
export const DATE_FIELDS = Object.keys(DATE_INDEXES) as DateField[];

/** Whatever records are sorted by, with the index that has them in that order. */
export const ORDER_INDEXES = {
  ...DATE_INDEXES,
  updatedAt: { updatedAt: -1, _id: -1 },
  jti: JTI_INDEX,
} as const;
export type OrderField = keyof typeof ORDER_INDEXES;

export function createTokenModel(connection: Connection, writeConcern: WriteConcern): TokenModel {
  return connection.model('Token', tokenSchema(writeConcern)) as unknown as TokenModel;
}

/** Without the secrets: no record that leaves the store has them. */
export function toRecord({
  _id,
  secretHash: _secretHash,
  familyHash: _familyHash,
  usedSecretHashes: _usedSecretHashes,
  grace: _grace,
  revocation,
  parentId,
  firstUsedAt,
  lastRefusedAt,
  refusedCount,
  ...rest
}: TokenDocument): TokenRecord {
  const { recordedAt: _recordedAt, writtenBy: _writtenBy, ...shown } = revocation ?? {};
  return {
    id: _id.toHexString(),
    ...rest,
    parentId: parentId ?? null,
    firstUsedAt: firstUsedAt ?? null,
    lastRefusedAt: lastRefusedAt ?? null,
    refusedCount: refusedCount ?? 0,
    revocation: revocation ? (shown as Revocation) : null,
  };
}

const deviceSchema = new Schema(
  {
    name: String,
    description: String,
    type: { type: String },
    userAgent: String,
    ip: String,
    location: String,
  },
  { _id: false },
);
const graceSchema = new Schema(
  {
    secretHash: { type: String, required: true },
    sealedSuccessor: { type: String, required: true },
    exchangedAt: { type: Date, required: true },
    until: { type: Date, default: null },
  },
  { _id: false },
);
const revocationSchema = new Schema(
  {
    at: { type: Date, required: true },
    by: { type: String, required: true },
    reason: String,
    via: { type: String, required: true },
    requestId: String,
    eventInfo: { type: Schema.Types.Mixed },
    recordedAt: { type: Date },
    writtenBy: { type: Schema.Types.ObjectId },
  },
  { _id: false },
);

function tokenSchema(writeConcern: WriteConcern) {
  const nullableString = { type: String, default: null };
  const nullableDate = { type: Date, default: null };
  const schema = new Schema(
    {
      jti: { type: String, required: true },
      kind: { type: String, required: true, enum: TOKEN_KINDS },
      origin: { type: String, required: true, enum: TOKEN_ORIGINS },
      // Not `required`: Mongoose takes '' for missing, and '' is the issuer of a token without one.
      issuer: { type: String, default: '' },
      subject: nullableString,
      audience: { type: Schema.Types.Mixed, default: null },
      userId: nullableString,
      applicationId: nullableString,
      sessionId: nullableString,
      parentId: { type: String },
      cdata: nullableString,
      device: { type: deviceSchema, default: null },
      issuedAt: nullableDate,
      expiresAt: nullableDate,
      lastUsedAt: nullableDate,
      firstUsedAt: { type: Date },
      lastRefusedAt: { type: Date },
      refusedCount: { type: Number },
      revocation: { type: revocationSchema, default: null },
      purgeAt: nullableDate,
      // Absent unless the token is opaque, so that they cost nothing elsewhere.
      secretHash: { type: String },
      familyHash: { type: String },
      usedSecretHashes: { type: [String], default: undefined },
      grace: { type: [graceSchema], default: undefined },
      createdAt: { type: Date, required: true },
      updatedAt: { type: Date, required: true },
    },
    { ...schemaOptions('tokens', writeConcern), minimize: false },
  );
  schema.index(JTI_INDEX, { unique: true });
  const { createdAt, updatedAt, issuedAt, expiresAt, lastUsedAt } = ORDER_INDEXES;
  for (const index of [createdAt, updatedAt, issuedAt, expiresAt, lastUsedAt]) schema.index(index);
  // Covers the loading of the revocation list.
  schema.index(REVOKED_INDEX);
  schema.index(RECORDED_INDEX);
  for (const index of [USER_INDEX, APPLICATION_INDEX, SESSION_INDEX, KIND_INDEX, ORIGIN_INDEX]) {
    schema.index(index);
  }
  schema.index(ADDRESS_INDEX, { partialFilterExpression: { 'device.ip': { $exists: true } } });
  for (const index of [PARENT_INDEX, MINTED_INDEX]) {
    schema.index(index, { partialFilterExpression: { parentId: { $exists: true } } });
  }
  schema.index(MINTED_ENDLESS_INDEX, {
    partialFilterExpression: { origin: 'woleet', ...ENDLESS },
  });
  schema.index(KEYS_ENDLESS_INDEX, { partialFilterExpression: { kind: 'api-key', ...ENDLESS } });
  schema.index(REFUSED_INDEX, { partialFilterExpression: { lastRefusedAt: { $exists: true } } });
  schema.index({ purgeAt: 1 }, { expireAfterSeconds: 0 });
  return schema;
}
