/** The collection `audit` (`events` is one of Tiledesk's, and both may share a database): the audit trail, who did what to whose token, newest first; kept as long as records are. */
import { type Model, Schema, Types } from 'mongoose';
import type { StoreContext } from './database/context.js';
import { DuplicateKeyError } from './database/failures.js';
import { ensureIndexes } from './database/indexes.js';
import { schemaOptions } from './database/schema-options.js';
import type { WriteConcern } from './database/write-concern.js';

export const AUDIT_TYPES = [
  'token.revoked',
  'token.registered',
  'scope.revoked',
  'bulk.revoked',
  'cutoff.lowered',
  'user.created',
  'user.disabled',
  'user.enabled',
  'user.deleted',
  'password.changed',
  'api-key.created',
  'export.made',
] as const;
export type AuditType = (typeof AUDIT_TYPES)[number];

export interface AuditEvent {
  readonly id: string;
  readonly at: Date;
  readonly type: AuditType;
  /** Who did it: a user id, an API key's jti, or `system`. */
  readonly by: string;
  readonly via: string;
  readonly reason: string | null;
  readonly requestId: string;
  /** The record that it was done to. */
  readonly tokenId: string | null;
  readonly jti: string | null;
  /** Whose it is. */
  readonly userId: string | null;
  readonly applicationId: string | null;
  readonly count: number | null;
}

export interface EventFilter {
  readonly userId?: string | undefined;
  readonly tokenId?: string | undefined;
  readonly type?: AuditType | undefined;
}

/** An event as it is first recorded. */
export interface NewAuditEvent extends AuditEvent {
  readonly purgeAt: Date;
}

/** Everything before this event, in the list's order. */
export type EventPosition = Pick<AuditEvent, 'at' | 'id'>;

export interface EventPage {
  readonly limit: number;
  readonly before: EventPosition | null;
}

export interface EventStore {
  /** Durable when it resolves. Repeating it after a failure writes nothing twice. */
  insertMany(events: readonly NewAuditEvent[]): Promise<void>;
  /** Newest first. */
  list(filter: EventFilter, page: EventPage): Promise<AuditEvent[]>;
  /** Deletes what `purgeAt` says is due; for engines whose TTL monitor does not run. */
  purgeDue(): Promise<number>;
}

type EventDocument = Omit<NewAuditEvent, 'id'> & { readonly _id: Types.ObjectId };

const TIME_INDEX = { at: -1, _id: -1 } as const;
const USER_INDEX = { userId: 1, at: -1, _id: -1 } as const;
const TOKEN_INDEX = { tokenId: 1, at: -1, _id: -1 } as const;
const TYPE_INDEX = { type: 1, at: -1, _id: -1 } as const;
const PURGE_INDEX = { purgeAt: 1 } as const;

/** Ids of one process grow, so that events of one millisecond keep their order. */
export function createEventId(): string {
  return new Types.ObjectId().toHexString();
}

function eventSchema(writeConcern: WriteConcern) {
  const nullableString = { type: String, default: null };
  const schema = new Schema(
    {
      at: { type: Date, required: true },
      type: { type: String, required: true, enum: AUDIT_TYPES },
      by: { type: String, required: true },
      via: { type: String, required: true },
      reason: nullableString,
      // Not `required`: Mongoose takes '' for missing.
      requestId: { type: String, default: '' },
      tokenId: nullableString,
      jti: nullableString,
      userId: nullableString,
      applicationId: nullableString,
      count: { type: Number, default: null },
      purgeAt: { type: Date, required: true },
    },
    schemaOptions('audit', writeConcern),
  );
  for (const index of [TIME_INDEX, USER_INDEX, TOKEN_INDEX, TYPE_INDEX]) schema.index(index);
  schema.index(PURGE_INDEX, { expireAfterSeconds: 0 });
  return schema;
}

export function createEventStore({
  connection,
  writeConcern,
  clock,
  run,
  report,
}: StoreContext): EventStore & { createIndexes(): Promise<void> } {
  const model = connection.model(
    'AuditEvent',
    eventSchema(writeConcern),
  ) as unknown as Model<EventDocument>;

  return {
    async insertMany(events) {
      if (events.length === 0) return;
      const documents = events.map(({ id, ...event }) => ({
        _id: new Types.ObjectId(id),
        ...event,
      }));
      try {
        // The driver's own: Mongoose's documents cost several times as much.
        await run(() => model.collection.insertMany(documents, { ordered: false, writeConcern }));
      } catch (error) {
        // Written the first time already, when the answer was lost.
        if (!(error instanceof DuplicateKeyError)) throw error;
      }
    },

    async list(filter, { limit, before }) {
      const found = await run(() =>
        model
          .find({
            ...where(filter),
            ...(before === null
              ? {}
              : {
                  at: { $lte: before.at },
                  $or: [
                    { at: { $lt: before.at } },
                    { _id: { $lt: new Types.ObjectId(before.id) } },
                  ],
                }),
          })
          .sort(TIME_INDEX)
          .hint(indexFor(filter))
          .limit(limit)
          .lean(),
      );
      return found.map(({ _id, purgeAt: _purgeAt, ...event }) => ({
        id: _id.toHexString(),
        ...event,
      }));
    },

    async purgeDue() {
      const due = await run(() =>
        model
          .deleteMany({ purgeAt: { $type: 'date', $lte: new Date(clock()) } })
          .setOptions({ hint: PURGE_INDEX, writeConcern }),
      );
      return due.deletedCount;
    },

    createIndexes: () => ensureIndexes(model.collection, model.schema.indexes(), { run, report }),
  };
}

function where({ userId, tokenId, type }: EventFilter) {
  return {
    ...(userId === undefined ? {} : { userId }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(type === undefined ? {} : { type }),
  };
}

function indexFor({ userId, tokenId, type }: EventFilter) {
  if (tokenId !== undefined) return TOKEN_INDEX;
  if (userId !== undefined) return USER_INDEX;
  return type === undefined ? TIME_INDEX : TYPE_INDEX;
}
